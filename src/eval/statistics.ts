// Means with 95 % intervals. A handful of runs with different seeds takes Student's t (three runs
// stretch a normal interval by 2.2); a per-item score over many items takes the bootstrap, which
// assumes no distribution.

import { CannotError } from "../base/errors.ts";
import type { Interval } from "../base/interval.ts";
import { checkOptions, object, required, seedNumber, wholeNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";

export type { Interval } from "../base/interval.ts";

const confidence = 0.95;

/** The mean. @throws {CannotError} without values. */
export function mean(values: readonly number[]): number {
  needValues(values, 1, "mean");
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation of a sample, with n − 1. @throws {CannotError} for fewer than two values. */
export function standardDeviation(values: readonly number[]): number {
  needValues(values, 2, "standard deviation");
  const centre = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

/**
 * The mean of independent runs with its 95 % interval, mean ± t · s / √n. One run has no interval: both bounds are its
 * value.
 *
 * @throws {CannotError} without values.
 *
 * @example
 * ```ts
 * import { studentInterval } from "@slung/slung";
 *
 * const { mean, low, high } = studentInterval([0.41, 0.44, 0.47]); // of three seeds
 * console.log(mean.toFixed(2), low.toFixed(2), high.toFixed(2)); // 0.44 0.37 0.51
 * ```
 */
export function studentInterval(values: readonly number[]): Interval {
  const centre = mean(values), n = values.length;
  const half = n === 1 ? 0 : studentQuantile(n - 1) * standardDeviation(values) / Math.sqrt(n);
  return { mean: centre, low: centre - half, high: centre + half, confidence, n };
}

/**
 * The mean of many items with its 95 % percentile bootstrap interval.
 *
 * @param options.resamples Samples drawn with replacement; 2,000 place each end to about 1 % of the
 * interval's width.
 * @param options.groups What each item is about: items about the same thing are alike, and are drawn together.
 * @throws {CannotError} for fewer than two values or groups.
 */
export function bootstrapInterval(
  values: readonly number[],
  options: { seed: number; resamples?: number; groups?: readonly unknown[] },
): Interval {
  checkOptions("compute a bootstrap interval", options, {
    seed: required(seedNumber),
    resamples: wholeNumber({ min: 1, max: 1e7 }),
    groups: object,
  });
  needValues(values, 2, "bootstrap interval");
  const { groups } = options;
  const drawn = groups
    ? [...Map.groupBy(values.keys(), (i) => groups[i]).values()].map((own) =>
      own.map((i) => values[i]!)
    )
    : values.map((value) => [value]);
  needValues(drawn, 2, "bootstrap interval over groups");
  const sums = drawn.map((own) => own.reduce((sum, value) => sum + value, 0));
  const random = new Random(options.seed, "bootstrap");
  const means = Float64Array.from({ length: options.resamples ?? 2000 }, () => {
    let sum = 0, count = 0;
    for (let i = 0; i < drawn.length; i++) {
      const group = random.below(drawn.length);
      sum += sums[group]!;
      count += drawn[group]!.length;
    }
    return sum / count;
  }).sort();
  return { mean: mean(values), ...middleOf(means), n: values.length };
}

/** The mean of random draws and the bounds of 95 % of them. One draw has no interval. @throws {CannotError} without draws. */
export function intervalOfDraws(draws: readonly number[]): Interval {
  return { mean: mean(draws), ...middleOf(Float64Array.from(draws).sort()), n: draws.length };
}

/** Between which bounds 95 % of sorted values lie. */
function middleOf(sorted: ArrayLike<number>): Pick<Interval, "low" | "high" | "confidence"> {
  return {
    low: quantile(sorted, (1 - confidence) / 2),
    high: quantile(sorted, (1 + confidence) / 2),
    confidence,
  };
}

/** The 97.5 % quantile of Student's t for 1 to 30 degrees of freedom. */
// deno-fmt-ignore
const studentTable = [
  12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216, 2.22814,
  2.20099, 2.17881, 2.16037, 2.14479, 2.13145, 2.11991, 2.10982, 2.10092, 2.09302, 2.08596,
  2.07961, 2.07387, 2.06866, 2.0639, 2.05954, 2.05553, 2.05183, 2.04841, 2.04523, 2.04227,
];

function studentQuantile(degrees: number): number {
  const tabled = studentTable[degrees - 1];
  if (tabled !== undefined) return tabled;
  const z = 1.959964; // Cornish-Fisher expansion about the normal quantile; off by < 1e-4 from 31 on
  return z + (z ** 3 + z) / (4 * degrees) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2);
}

/** The quantile of sorted values, linear between neighbours. */
function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}

function needValues(values: readonly unknown[], least: number, what: string): void {
  if (values.length >= least) return;
  throw new CannotError(
    `compute a ${what}`,
    `it needs at least ${least} value${least === 1 ? "" : "s"} and got ${values.length}`,
    "Give more runs or items",
  );
}
