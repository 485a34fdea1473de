// The paper's section 4.3 as claims, on what is kept of a run of the toxicity experiment.

import type { Interval } from "../../base/interval.ts";
import { type Claim, claimCell, compareIntervals, judgeClaim } from "../claims.ts";
import type { ToxicityComparison } from "./comparison.ts";
import type { ToxicitySummary } from "./summary.ts";

/** What claims are about: the mean score of continuations, the probe, and perplexities. */
export type ClaimedMeasure = "toxicity" | "auroc" | "cleanPerplexity" | "domainPerplexity";

/** What is kept of a run. */
export interface KeptToxicity {
  /** The rows of the table; a run of an earlier version has fewer values. */
  summary: (Pick<ToxicitySummary, "method" | "amount"> & Partial<ToxicitySummary>)[];
  /** None of a run of an earlier version. */
  comparisons: ToxicityComparison[];
}

const pairs = (
  firsts: readonly string[],
  seconds: readonly string[],
  on: ClaimedMeasure,
  sign: -1 | 0 | 1,
) => firsts.flatMap((first) => seconds.map((second) => ({ first, second, on, sign })));
const slung = ["masked", "unlikelihood"];

/** The sentences of section 4.3 that say how methods compare. */
export const toxicityClaims: readonly Claim<ClaimedMeasure>[] = [
  {
    says: "The toxic baseline generates more toxicity than all others",
    paper: "Figure 2a",
    pairs: pairs(["toxic"], ["control", "low_risk", ...slung], "toxicity", 1),
  },
  {
    says: "The control generates the least",
    paper: "Figure 2a",
    pairs: pairs(["control"], ["low_risk", ...slung], "toxicity", -1),
  },
  {
    says: "and understands the least",
    paper: "Figure 2a",
    pairs: pairs(["control"], ["low_risk", "toxic", ...slung], "auroc", -1),
  },
  {
    says: "The low-risk baseline understands no more than the control",
    paper: "Figure 2a",
    pairs: pairs(["low_risk"], ["control"], "auroc", 0),
  },
  {
    says: "Masked SLUNG understands more than the toxic baseline",
    paper: "Figure 2a",
    pairs: pairs(["masked"], ["toxic"], "auroc", 1),
  },
  {
    says: "Unlikelihood SLUNG understands more than the toxic baseline",
    paper: "Figure 2a",
    pairs: pairs(["unlikelihood"], ["toxic"], "auroc", 1),
  },
  {
    says: "SLUNG is on a new frontier: less toxic than the toxic baseline",
    paper: "Figure 2a",
    pairs: pairs(slung, ["toxic"], "toxicity", -1),
  },
  {
    says: "and of more understanding than control and low-risk baseline",
    paper: "Figure 2a",
    pairs: pairs(slung, ["control", "low_risk"], "auroc", 1),
  },
  {
    says: "After instruction tuning too, and all understand more",
    paper: "Figure 2b",
    pairs: [],
  },
  {
    says: "No method costs perplexity on clean text",
    paper: "10.82 to 10.83 ± 0.03 (Table 2)",
    pairs: pairs(["toxic", ...slung], ["low_risk"], "cleanPerplexity", 0),
  },
  {
    says: "The control has the highest perplexity in the risky domain",
    paper: "18.78 against 17.14 to 17.91",
    pairs: pairs(["control"], ["low_risk", "toxic", ...slung], "domainPerplexity", 1),
  },
  {
    says: "Unlikelihood costs perplexity there, masking does not",
    paper: "17.91 ± 0.16 against 17.14 ± 0.03",
    pairs: pairs(["unlikelihood"], ["masked", "low_risk", "toxic"], "domainPerplexity", 1),
  },
  {
    says: "More toxic data, more understanding; masked SLUNG gains less toxicity by it",
    paper: "Figure 3, one seed",
    pairs: [],
  },
];

/** Our cell for each of the {@linkcode toxicityClaims}. */
export function toxicityClaimCells({ summary, comparisons }: KeptToxicity): string[] {
  const valueOf = (name: string, on: ClaimedMeasure): Interval | undefined =>
    summary.find(({ method, amount }) => method.name === name && amount <= 1)?.[on];
  return toxicityClaims.map((claim) =>
    claimCell(
      judgeClaim(claim, (first, second, on) => {
        const tested = comparisons.find((own) =>
          own.on === on && own.amount <= 1 &&
          [own.first.name, own.second.name].sort().join() === [first, second].sort().join()
        );
        if (tested) return tested.first.name === first ? tested : reversed(tested);
        const a = valueOf(first, on), b = valueOf(second, on);
        return a && b ? compareIntervals(a, b) : undefined;
      }),
      3,
    )
  );
}

function reversed({ difference, separates }: ToxicityComparison) {
  const { mean, low, high } = difference;
  return { difference: { ...difference, mean: -mean, low: -high, high: -low }, separates };
}
