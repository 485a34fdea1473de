// What varies by step lives in one small f32 buffer, written by the host before the step is replayed.
// A value baked into a shader instead would be a bug that looks like noise.
//
// Training in f16 skips the steps in which a gradient overflows, and the host, which reads back rarely, does not know of
// them. So the second half belongs to the GPU (gradient_norm.wgsl): the loss scale, how many steps in a row went well
// under it, and the bias corrections for the number of updates taken, which there replace the host's.

import type { Gpu } from "../src/gpu/gpu.ts";
import type { Tensor } from "../src/gpu/tensor.ts";

/** The scalars of one optimiser step. */
export interface StepScalars {
  learningRate: number;
  /** The number of this update, from 1: Adam's bias corrections follow from it. */
  update: number;
  /** Z, by which the summed loss is divided. */
  divisor: number;
}

/** Positions of the scalars in the step buffer, as WGSL constants. */
export const stepConstants = {
  LEARNING_RATE: 0,
  BIAS_CORRECTION_1: 1,
  BIAS_CORRECTION_2: 2,
  INVERSE_DIVISOR: 3,
  LOSS_SCALE: 4,
  GOOD_STEPS: 5,
  TAKEN_CORRECTION_1: 6,
  TAKEN_CORRECTION_2: 7,
};

/** Elements of the step buffer. */
export const stepLength = 8;

/** Writes the scalars of a step; `betas` are Adam's. */
export function writeStep(
  gpu: Gpu,
  step: Tensor,
  scalars: StepScalars,
  betas: readonly [number, number],
): void {
  const { learningRate, update, divisor } = scalars;
  const corrections = betas.map((beta) => 1 - beta ** update);
  gpu.write(step, new Float32Array([learningRate, ...corrections, 1 / divisor]));
}

/** The scalars that the GPU keeps in f16 training, a view of the step buffer: part of a checkpoint. */
export function scalingOf(step: Tensor): Tensor {
  const first = stepConstants.LOSS_SCALE;
  const length = stepLength - first;
  return {
    ...step,
    name: "loss_scaling",
    shape: [length],
    offset: step.offset + 4 * first,
    length,
  };
}

/** Starts f16 training with a loss scale, after `updates` earlier updates. */
export function writeScaling(
  gpu: Gpu,
  step: Tensor,
  { scale, updates, betas }: { scale: number; updates: number; betas: readonly [number, number] },
): void {
  const corrections = betas.map((beta) => 1 - beta ** updates);
  gpu.write(scalingOf(step), Float32Array.of(scale, 0, ...corrections));
}
