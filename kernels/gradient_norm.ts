// The global L2 norm of all gradients, the clip factor, and the verdict on the step.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { spread } from "./grid.ts";
import { stepConstants } from "./step.ts";
import source from "./gradient_norm.wgsl" with { type: "text" };

const block = 256;
const { LEARNING_RATE: _, INVERSE_DIVISOR: __, ...scalars } = stepConstants; // those that loss scaling keeps

/** What became of a step, the third element of the status. */
export const stepVerdict = { taken: 0, halted: 1, skipped: 2 } as const;

/** Where AdamW notes an update that was not finite. */
export const overflowed = 4;

/**
 * Elements of the status: norm, factor on gradients, verdict, in f16 training the loss scale of the step, and whether an
 * update overflowed.
 */
export const statusLength = 5;

/** What f16 training adds: gradients come multiplied by a loss scale, which is kept here. */
export interface LossScaling {
  /** The step buffer (`step.ts`), which holds the scale. */
  step: Tensor;
  /** [4] sums of the loss: where they are not finite, no smaller scale helps. */
  classSums: Tensor;
  /** Steps without an overflow after which the scale doubles. */
  growthInterval: number;
  /** Adam's: its bias corrections count the updates that were taken. */
  betas: readonly [number, number];
}

/**
 * Records `status = [norm, factor, verdict, scale]` over all gradient arenas.
 *
 * @param request.maxGradientNorm The norm to clip to; 0 never clips.
 */
export function gradientNorm(
  program: Program,
  request: { gradients: Tensor[]; status: Tensor; maxGradientNorm: number; scaling?: LossScaling },
): void {
  const { gradients, status, maxGradientNorm, scaling } = request;
  const blocks = gradients.map(({ length }) => Math.ceil(length / block));
  const total = blocks.reduce((sum, count) => sum + count, 0);
  const partials = program.borrow("gradient_norm/partials", [total]);
  let first = 0;
  gradients.forEach((gradient, i) => {
    program.dispatch({
      kernel: kernel("gradient_norm", source, "sum_squares", {
        ...{ BLOCK: block, OVERFLOWED: overflowed, SCALED: false },
      }),
      tensors: { gradient, partials },
      dims: [gradient.length, blocks[i]!, first, f32(maxGradientNorm)],
      workgroups: spread(blocks[i]!),
    });
    first += blocks[i]!;
  });
  const constants = {
    ...{ BLOCK: block, OVERFLOWED: overflowed, SCALED: scaling !== undefined },
    ...scalars,
  };
  program.dispatch({
    kernel: kernel("gradient_norm", source, "finish", constants),
    tensors: {
      partials,
      status,
      ...(scaling && { step: scaling.step, class_sums: scaling.classSums }),
    },
    dims: [
      ...[0, total, 0, f32(maxGradientNorm)],
      ...(scaling ? [scaling.growthInterval, ...scaling.betas.map(f32)] : []),
    ],
    workgroups: [1],
  });
  program.release(partials);
}
