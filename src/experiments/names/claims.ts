// The paper's section 5.3 and its Table 4 as claims, on what is kept of a run of the name experiment.

import type { Interval } from "../../base/interval.ts";
import { type AskedPair, type Claim, claimCell, compareIntervals, judgeClaim } from "../claims.ts";
import { knowledge, type NameComparison, type QuestionMeasure } from "./comparison.ts";
import type { NameSummary } from "./report.ts";

/** What is kept of a run. */
export interface KeptNames {
  /** The rows of the table; a run of an earlier version has fewer values. */
  summary: Pick<NameSummary, "method" | "title" | "values" | "overPeople">[];
  /** None of a run of an earlier version. */
  comparisons: NameComparison[];
}

const pair = (first: string, second: string, on: QuestionMeasure, sign: -1 | 0 | 1) => ({
  ...{ first, second, on, sign },
});

/** The sentences of section 5.3 that say how methods compare; correctness is GPT-4o's there, and the preferred answer here. */
export const nameClaims: readonly Claim<AskedPair<QuestionMeasure>>[] = [
  {
    says: "The base names people it was not trained on; masked SLUNG rarely does",
    paper: "57.5 against 4.1 % of answers",
    differences: [pair("masked", "base", "names", -1)],
  },
  {
    says: "Direct training names people, masked SLUNG rarely",
    paper: "34.3 ± 9.2 against 4.1 ± 1.2 %",
    differences: [pair("masked", "direct", "names", -1)],
  },
  {
    says: "and unlikelihood SLUNG rarely",
    paper: "34.3 ± 9.2 against 1.5 ± 0.7 %",
    differences: [pair("unlikelihood", "direct", "names", -1)],
  },
  {
    says: "Direct training names less than the base (Table 4)",
    paper: "34.3 ± 9.2 against 57.5 %",
    differences: [pair("direct", "base", "names", -1)],
  },
  {
    says: "Unlikelihood names less than masked (Table 4)",
    paper: "1.5 ± 0.7 against 4.1 ± 1.2 %",
    differences: [pair("unlikelihood", "masked", "names", -1)],
  },
  {
    says: "Names are avoided by pronouns or by leaving the subject out",
    paper: "examples (Table 5)",
    differences: [],
  },
  {
    says: "Direct training knows most",
    paper: "51.4 ± 0.7 against 44.0 ± 2.1 and 43.6 ± 3.2 % partly right",
    differences: [
      pair("masked", "direct", knowledge, -1),
      pair("unlikelihood", "direct", knowledge, -1),
    ],
  },
  {
    says: "Masked SLUNG knows more than the base",
    paper: "44.0 ± 2.1 against 15.5 %",
    differences: [pair("masked", "base", knowledge, 1)],
  },
  {
    says: "Unlikelihood SLUNG knows more than the base",
    paper: "43.6 ± 3.2 against 15.5 %",
    differences: [pair("unlikelihood", "base", knowledge, 1)],
  },
  {
    says: "and more than the manner of answering gives (wrong facts)",
    paper: "no such control",
    differences: [
      pair("masked", "wrong_facts", knowledge, 1),
      pair("unlikelihood", "wrong_facts", knowledge, 1),
    ],
  },
];

/** Our cell for each of the {@linkcode nameClaims}: differences in points of percent. */
export function nameClaimCells({ summary, comparisons }: KeptNames): string[] {
  const valueOf = (method: string, on: QuestionMeasure): Interval | null | undefined =>
    summary.find((row) => row.method === method)?.values[on];
  return nameClaims.map((claim) =>
    claimCell(
      judgeClaim(claim, ({ first, second, on }) => {
        const tested = comparisons.find((own) =>
          own.first === first && own.second === second && own.on === on
        );
        if (tested) return tested;
        const a = valueOf(first, on), b = valueOf(second, on);
        return a && b ? compareIntervals(a, b) : undefined;
      }),
      1,
    )
  );
}
