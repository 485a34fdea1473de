// What the paper says of its results, sentence by sentence, beside ours: each claim is a direction in which pairs of methods
// should differ. It holds where every pair differs so, and is reversed where one differs the other way.

import type { Interval } from "../base/interval.ts";

/** What our numbers say about a claim. */
export type Verdict =
  | "holds"
  | "reversed"
  | "not separated"
  | "one seed"
  | "not measured"
  | "not testable here";

/** A sentence of the paper that says how methods compare. */
export interface Claim<On extends string> {
  /** In a few words. */
  says: string;
  /** The paper's figures. */
  paper: string;
  /** Which methods should differ on what, and which way: first minus second is negative or positive, or (0) neither. */
  pairs: readonly { first: string; second: string; on: On; sign: -1 | 0 | 1 }[];
}

/** Two methods compared. */
export interface ComparedPair {
  /** First minus second. */
  difference: Interval;
  /** Whether a test says that they differ; null for one seed. */
  separates: boolean | null;
}

/** What our numbers say, and the numbers. @param compare Gives a pair; undefined where it was not measured. */
export function judgeClaim<On extends string>(
  { pairs }: Claim<On>,
  compare: (first: string, second: string, on: On) => ComparedPair | undefined,
): { verdict: Verdict; differences: Interval[] } {
  if (pairs.length === 0) return { verdict: "not testable here", differences: [] };
  const compared = pairs.map(({ first, second, on, sign }) => {
    const pair = compare(first, second, on);
    return pair && { ...pair, sign };
  });
  const found = compared.filter((pair) => pair !== undefined);
  const differences = found.map(({ difference }) => difference);
  if (found.length < pairs.length) return { verdict: "not measured", differences };
  const verdicts = found.map(({ difference, separates, sign }): Verdict => {
    if (separates === null) return "one seed";
    if (!separates) return "not separated";
    return Math.sign(difference.mean) === sign ? "holds" : "reversed";
  });
  const order: Verdict[] = ["reversed", "one seed", "not separated"];
  return { verdict: order.find((own) => verdicts.includes(own)) ?? "holds", differences };
}

/** Two values whose comparison was not kept: they differ where their intervals over seeds do not meet. */
export function compareIntervals(first: Interval, second: Interval): ComparedPair {
  const { confidence } = first, n = Math.min(first.n, second.n);
  return {
    difference: {
      mean: first.mean - second.mean,
      low: first.low - second.high,
      high: first.high - second.low,
      confidence,
      n,
    },
    separates: n < 2 ? null : first.low > second.high || first.high < second.low,
  };
}

/** A cell of the table of claims. @param decimals Of the differences. */
export function claimCell(
  { verdict, differences }: { verdict: Verdict; differences: readonly Interval[] },
  decimals: number,
): string {
  if (verdict === "not measured" || verdict === "not testable here") return verdict;
  const numbers = differences.map(({ mean, low, high }) => {
    const signed = `${mean < 0 ? "−" : "+"}${Math.abs(mean).toFixed(decimals)}`;
    return high > low ? `${signed} ± ${((high - low) / 2).toFixed(decimals)}` : signed;
  });
  return `${verdict} (${numbers.join("; ")})`;
}
