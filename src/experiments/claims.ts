// What the paper says of its results, sentence by sentence, beside ours: each claim is a sign that differences should have,
// of two methods or of one before and after. It holds where every one has it, and is reversed where one has the other.

import type { Interval } from "../base/interval.ts";

/** What our numbers say about a claim. */
export type Verdict =
  | "holds"
  | "reversed"
  | "not separated"
  | "one seed"
  | "not measured"
  | "not testable here";

/** A sentence of the paper that says how methods compare. @typeParam Asked Which difference is meant. */
export interface Claim<Asked> {
  /** In a few words. */
  says: string;
  /** The paper's figures. */
  paper: string;
  /** Which differences should be negative or positive, or (0) neither; none where nothing here can tell. */
  differences: readonly (Asked & { sign: -1 | 0 | 1 })[];
}

/** One method minus another. */
export interface AskedPair<On extends string> {
  /** The name of one method. */
  first: string;
  /** That of the one that is subtracted. */
  second: string;
  /** The measure. */
  on: On;
}

/** A difference, and what a test says of it. */
export interface FoundDifference {
  /** With its 95 % interval. */
  difference: Interval;
  /** Whether a test says that it is one; null for one seed. */
  separates: boolean | null;
}

/** What our numbers say, and the numbers. @param find Gives a difference; undefined where it was not measured. */
export function judgeClaim<Asked>(
  claim: Claim<Asked>,
  find: (asked: Asked) => FoundDifference | undefined,
): { verdict: Verdict; differences: Interval[] } {
  if (claim.differences.length === 0) return { verdict: "not testable here", differences: [] };
  const found = claim.differences.flatMap((asked) => {
    const own = find(asked);
    return own ? [{ ...own, sign: asked.sign }] : [];
  });
  const differences = found.map(({ difference }) => difference);
  if (found.length < claim.differences.length) return { verdict: "not measured", differences };
  const verdicts = found.map(({ difference, separates, sign }): Verdict => {
    if (separates === null) return "one seed";
    if (!separates) return "not separated";
    return Math.sign(difference.mean) === sign ? "holds" : "reversed";
  });
  const order: Verdict[] = ["reversed", "one seed", "not separated"];
  return { verdict: order.find((own) => verdicts.includes(own)) ?? "holds", differences };
}

/** Two values whose comparison was not kept: they differ where their intervals over seeds do not meet. */
export function compareIntervals(first: Interval, second: Interval): FoundDifference {
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
