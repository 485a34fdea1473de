// One AdamW update of an arena of parameters.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { spread } from "./grid.ts";
import { overflowed } from "./gradient_norm.ts";
import { stepConstants } from "./step.ts";
import source from "./adamw.wgsl" with { type: "text" };

const { LEARNING_RATE, BIAS_CORRECTION_1, BIAS_CORRECTION_2 } = stepConstants;

/** Records the update of `weight` and its two moments from `gradient`. */
export function adamw(
  program: Program,
  request: {
    /** The step buffer (`step.ts`). */
    step: Tensor;
    /** From `gradientNorm`; an update that is not finite is noted in it. */
    status: Tensor;
    gradient: Tensor;
    weight: Tensor;
    /** Gets the new weights, rounded to what it stores. */
    copy?: Tensor;
    firstMoment: Tensor;
    secondMoment: Tensor;
    decay: number;
    betas: readonly [number, number];
    epsilon: number;
  },
): void {
  const { step, status, gradient, weight, copy, firstMoment, secondMoment } = request;
  const { decay, betas, epsilon } = request;
  program.dispatch({
    kernel: kernel(
      "adamw",
      source,
      "update",
      {
        ...{ LEARNING_RATE, BIAS_CORRECTION_1, BIAS_CORRECTION_2 },
        OVERFLOWED: overflowed,
        COPY: copy !== undefined,
        ...(copy && { largest: "const LARGEST_COPY = 65504.0;" }), // of f16
      },
      copy && { Stored: copy.type },
    ),
    tensors: {
      step,
      status,
      gradient,
      weight,
      ...(copy && { copy }),
      first_moment: firstMoment,
      second_moment: secondMoment,
    },
    dims: [weight.length, f32(decay), f32(betas[0]), f32(betas[1]), f32(epsilon)],
    workgroups: spread(weight.length),
  });
}
