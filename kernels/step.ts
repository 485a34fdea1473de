// What varies by step lives in one small f32 buffer, written by the host before the step is replayed.
// A value baked into a shader instead would be a bug that looks like noise.

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
};

/** Elements of the step buffer. */
export const stepLength = 4;

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
