// Learning rates by step: linear warm-up, then constant, linear or cosine decay to a final fraction.

import {
  type AllowedOptions,
  checkOptions,
  number,
  oneOf,
  required,
  wholeNumber,
} from "../base/options.ts";

/**
 * A learning-rate schedule.
 *
 * @example
 * ```ts
 * import type { Schedule } from "@slung/slung";
 *
 * const schedule: Schedule = { peak: 4e-4, warmup: 100, decay: "cosine", final: 0.1, steps: 5000 };
 * ```
 */
export interface Schedule {
  /** The learning rate after the warm-up. */
  peak: number;
  /** Steps of linear warm-up; the first step already moves. */
  warmup: number;
  /** How it falls from the peak to the final fraction. */
  decay: "constant" | "linear" | "cosine";
  /** The fraction of the peak that is left after the last step. */
  final: number;
  /** Steps in all. */
  steps: number;
}

/** The largest learning rate and weight decay: far beyond any use, and far from the end of f32. */
export const largestRate = 1e6;

/** What each of {@linkcode Schedule} may be. */
export const allowedSchedule: AllowedOptions<Schedule> = {
  peak: required(number({ min: 0, max: largestRate })),
  warmup: required(wholeNumber({ min: 0 })),
  decay: required(oneOf("constant", "linear", "cosine")),
  final: required(number({ min: 0, max: 1 })),
  steps: required(wholeNumber({ min: 1 })),
};

/** The learning rate of a step, counted from 0. @throws {CannotError} for a schedule that cannot be. */
export function learningRate(schedule: Schedule, step: number): number {
  checkOptions("follow a schedule", schedule, allowedSchedule);
  const { peak, warmup, decay, final, steps } = schedule;
  if (step < warmup) return peak * (step + 1) / warmup;
  if (decay === "constant") return peak;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  const left = decay === "linear" ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return peak * (final + (1 - final) * left);
}
