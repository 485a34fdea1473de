// Whether two methods differ, asked where they can be compared best: model by model of the same seed, and item by item of
// the same evaluation. What is the same for both (how hard a question is, what a seed drew) falls out of a difference.
//   over items   Fisher's sign-flip test: were both methods alike, each difference could as well have the other sign.
//                Items about the same thing (questions about a person, sentences with a word) flip together.
//   over seeds   Student's interval of the difference: would models of other seeds show it as well?
// Both have to say so. The p values of all comparisons that are made together are corrected after Holm (1979).
// No library does this: those on npm that weigh little have neither paired permutations nor corrections.

import { CannotError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { type Interval, mean, studentInterval } from "./statistics.ts";

/** What one method scored: for each seed, a value of each item; null where an item has none. */
export type ItemValues = readonly (readonly (number | null)[])[];

/** The difference of two methods. */
export interface Difference {
  /** First minus second, over seeds: mean ± Student's 95 %. */
  difference: Interval;
  /** Two-sided, over items; how probable a difference as large is if the methods are alike. */
  p: number;
}

/** A difference among others that are asked for together. */
export interface TestedDifference extends Difference {
  /** p after Holm's correction for all of them. */
  adjusted: number;
  /**
   * Whether the methods differ: adjusted p below 0.05 and 0 outside the interval over seeds; null for one seed, of which
   * nobody can tell whether another one would show the same.
   */
  separates: boolean | null;
}

/** What {@linkcode testDifferences} does, in words for tables. */
export const differenceTest: string =
  "paired by seed and item: sign-flip test over groups of items, Holm-corrected, p < 0.05, and 0 outside Student's " +
  "95 % interval over seeds";

const level = 0.05;

/**
 * Compares two methods on the same items.
 *
 * @param options.groups [items] what each item is about; each item for itself unless given.
 * @param options.seed Of the random signs, where there are too many groups to try all.
 * @throws {CannotError} when the items or seeds are not the same, and no method has but one model that stands for all.
 */
export function pairedDifference(
  first: ItemValues,
  second: ItemValues,
  options: { groups?: readonly unknown[]; seed?: number } = {},
): Difference {
  const seeds = Math.max(first.length, second.length);
  const items = first[0]?.length ?? 0;
  const ofSeed = (values: ItemValues, seed: number) =>
    values.length === 1 ? values[0] : values[seed];
  const bySeed = Array.from({ length: seeds }, (_, seed) => {
    const a = ofSeed(first, seed), b = ofSeed(second, seed);
    if (a?.length !== items || b?.length !== items || items === 0) {
      throw new CannotError(
        "compare two methods",
        `of seed ${seed} they have ${a?.length ?? 0} and ${
          b?.length ?? 0
        } values for ${items} items`,
        "Measure both on the same items, with the same number of seeds",
      );
    }
    return a.map((value, i) => value === null || b[i] == null ? null : value - b[i]);
  });
  const sums = new Map<unknown, number>();
  bySeed[0]!.forEach((_, i) => {
    const differences = bySeed.map((own) => own[i]).filter((value) => value != null);
    const group = options.groups ? options.groups[i] : i;
    if (differences.length > 0) sums.set(group, (sums.get(group) ?? 0) + mean(differences));
  });
  return {
    difference: studentInterval(
      bySeed.map((own) => mean(own.filter((value) => value !== null))),
    ),
    p: signFlipTest([...sums.values()], { seed: options.seed ?? 0 }),
  };
}

/** Corrects the p values of differences that are asked for together, and says which methods differ. */
export function testDifferences(differences: readonly Difference[]): TestedDifference[] {
  const adjusted = holm(differences.map(({ p }) => p));
  return differences.map((own, i) => {
    const { low, high, n } = own.difference;
    const holds = adjusted[i]! < level && (low > 0 || high < 0);
    return { ...own, adjusted: adjusted[i]!, separates: n < 2 ? null : holds };
  });
}

/** A difference that is asked for: what it is called, and what both sides scored. */
export interface AskedDifference<Labels> {
  /** Stand in the answer. */
  labels: Labels;
  /** One side. */
  first: ItemValues;
  /** The one that is subtracted. */
  second: ItemValues;
  /** As in {@linkcode pairedDifference}. */
  groups?: readonly unknown[];
}

/** Answers all differences that are asked for together, in their order. @throws {CannotError} as `pairedDifference`. */
export function testTogether<Labels extends object>(
  asked: readonly AskedDifference<Labels>[],
): (Labels & TestedDifference)[] {
  const tested = testDifferences(
    asked.map(({ first, second, groups }) =>
      pairedDifference(first, second, groups ? { groups } : {})
    ),
  );
  return asked.map(({ labels }, i) => ({ ...labels, ...tested[i]! }));
}

/** A corrected p value as text: `0.012`, or `< 0.001`. */
export function showP(adjusted: number): string {
  return adjusted < 0.001 ? "< 0.001" : adjusted.toFixed(3);
}

/** Differences up to this many get every combination of signs, others random ones. */
const mostExact = 14;
const draws = 10_000;

/**
 * The two-sided p value of paired differences by Fisher's sign-flip (permutation) test: the share of sign combinations
 * whose sum is at least as far from 0. All combinations are tried for up to 14 differences; else 10,000 random ones and
 * the observed one, so that p is never 0.
 *
 * @throws {CannotError} without differences.
 */
export function signFlipTest(
  differences: readonly number[],
  { seed = 0 }: { seed?: number } = {},
): number {
  const count = differences.length;
  if (count === 0) {
    throw new CannotError("test differences", "there are none", "Give at least one");
  }
  const scale = differences.reduce((sum, value) => sum + Math.abs(value), 0);
  const total = differences.reduce((sum, value) => sum + value, 0);
  const observed = Math.abs(total) - 1e-12 * scale; // sums in another order are as large
  const isFar = (flips: (i: number) => boolean) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += flips(i) ? -differences[i]! : differences[i]!;
    return Math.abs(sum) >= observed;
  };
  let far = 0;
  if (count <= mostExact) {
    for (let signs = 0; signs < 2 ** count; signs++) {
      if (isFar((i) => (signs >> i & 1) === 1)) far++;
    }
    return far / 2 ** count;
  }
  const random = new Random(seed, "sign flips");
  for (let k = 0; k < draws; k++) if (isFar(() => random.uniform() < 0.5)) far++;
  return (far + 1) / (draws + 1);
}

/** p values corrected for their number after Holm: rejecting those below a level errs once in a family at most so often. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => ps[a]! - ps[b]!);
  const adjusted = Array<number>(ps.length);
  let largest = 0;
  order.forEach((index, rank) => {
    largest = Math.max(largest, Math.min(1, (ps.length - rank) * ps[index]!));
    adjusted[index] = largest;
  });
  return adjusted;
}
