// The paper's section 4.3 as claims, on what is kept of a run of the toxicity experiment.

import type { Interval } from "../../base/interval.ts";
import {
  type AskedPair,
  type Claim,
  claimCell,
  compareIntervals,
  type FoundDifference,
  judgeClaim,
} from "../claims.ts";
import type { ComparedMeasure, ToxicityChange, ToxicityComparison } from "./comparison.ts";
import { mainAmount, type ToxicitySummary } from "./summary.ts";

/** What claims are about: the mean score of continuations, the probe, and perplexities. */
export type ClaimedMeasure = ComparedMeasure | "cleanPerplexity" | "domainPerplexity";

/** What is kept of a run. */
export interface KeptToxicity extends KeptStage {
  /** What the most risky data changes against the least. */
  byAmount?: ToxicityChange[];
  /** After instruction tuning, where there was any. */
  tuned?: KeptStage & {
    /** What it changes. */
    byTuning: ToxicityChange[];
  };
}

/** The models after the stream, or after instruction tuning. */
export interface KeptStage {
  /** The rows of the table; a run of an earlier version has fewer values. */
  summary: (Pick<ToxicitySummary, "method" | "amount"> & Partial<ToxicitySummary>)[];
  /** None of a run of an earlier version. */
  comparisons: ToxicityComparison[];
}

/** Two methods at the main amount of risky data, or where it says else; or what something changes in one. */
export type ToxicityAsked =
  | AskedPair<ClaimedMeasure> & { at?: "least data" | "tuned" }
  | { by: "amount" | "tuning"; method: string; beyond?: string; on: ComparedMeasure };

const pairs = (
  firsts: readonly string[],
  seconds: readonly string[],
  on: ClaimedMeasure,
  sign: -1 | 0 | 1,
  at?: "least data" | "tuned",
) =>
  firsts.flatMap((first) =>
    seconds.map((second) => ({ first, second, on, sign, ...(at && { at }) }))
  );
const slung = ["masked", "unlikelihood"];
const five = ["control", "low_risk", "toxic", ...slung];

/** The sentences of section 4.3 that say how methods compare. */
export const toxicityClaims: readonly Claim<ToxicityAsked>[] = [
  {
    says: "The toxic baseline generates more toxicity than all others",
    paper: "Figure 2a",
    differences: pairs(["toxic"], ["control", "low_risk", ...slung], "toxicity", 1),
  },
  {
    says: "The control generates the least",
    paper: "Figure 2a",
    differences: pairs(["control"], ["low_risk", ...slung], "toxicity", -1),
  },
  {
    says: "and understands the least",
    paper: "Figure 2a",
    differences: pairs(["control"], ["low_risk", "toxic", ...slung], "auroc", -1),
  },
  {
    says: "The low-risk baseline understands no more than the control",
    paper: "Figure 2a",
    differences: pairs(["low_risk"], ["control"], "auroc", 0),
  },
  {
    says: "Masked SLUNG understands more than the toxic baseline",
    paper: "Figure 2a",
    differences: pairs(["masked"], ["toxic"], "auroc", 1),
  },
  {
    says: "Unlikelihood SLUNG understands more than the toxic baseline",
    paper: "Figure 2a",
    differences: pairs(["unlikelihood"], ["toxic"], "auroc", 1),
  },
  {
    says: "SLUNG is on a new frontier: less toxic than the toxic baseline",
    paper: "Figure 2a",
    differences: pairs(slung, ["toxic"], "toxicity", -1),
  },
  {
    says: "and of more understanding than control and low-risk baseline",
    paper: "Figure 2a",
    differences: pairs(slung, ["control", "low_risk"], "auroc", 1),
  },
  {
    says:
      "After instruction tuning SLUNG is on the frontier too: less toxic than the toxic baseline",
    paper: "Figure 2b",
    differences: pairs(slung, ["toxic"], "toxicity", -1, "tuned"),
  },
  {
    says: "and of more understanding than control and low-risk baseline",
    paper: "Figure 2b",
    differences: pairs(slung, ["control", "low_risk"], "auroc", 1, "tuned"),
  },
  {
    says: "and all five understand more than before it",
    paper: "Figure 2b",
    differences: five.map((method) => ({ by: "tuning", method, on: "auroc", sign: 1 })),
  },
  {
    says: "No method costs perplexity on clean text",
    paper: "10.82 to 10.83 ± 0.03 (Table 2)",
    differences: pairs(["toxic", ...slung], ["low_risk"], "cleanPerplexity", 0),
  },
  {
    says: "The control has the highest perplexity in the risky domain",
    paper: "18.78 against 17.14 to 17.91",
    differences: pairs(["control"], ["low_risk", "toxic", ...slung], "domainPerplexity", 1),
  },
  {
    says: "Unlikelihood costs perplexity there, masking does not",
    paper: "17.91 ± 0.16 against 17.14 ± 0.03",
    differences: pairs(["unlikelihood"], ["masked", "low_risk", "toxic"], "domainPerplexity", 1),
  },
  {
    says: "With more toxic data toxic baseline and masked SLUNG understand more",
    paper: "Figure 3, one seed",
    differences: ["toxic", "masked"].map((method) => (
      { by: "amount", method, on: "auroc", sign: 1 }
    )),
  },
  {
    says: "and the toxic baseline's toxicity grows by more than masked SLUNG's",
    paper: "Figure 3, one seed",
    differences: [{ by: "amount", method: "toxic", beyond: "masked", on: "toxicity", sign: 1 }],
  },
  {
    says: "With little toxic data both SLUNG variants are less toxic than the toxic baseline too",
    paper: "Figure 3, one seed",
    differences: pairs(slung, ["toxic"], "toxicity", -1, "least data"),
  },
];

/**
 * Our cell for each of the {@linkcode toxicityClaims}.
 *
 * @param ofAmounts The run with several amounts of risky data, if it is another one.
 */
export function toxicityClaimCells(
  kept: KeptToxicity,
  ofAmounts: KeptToxicity = kept,
): string[] {
  const stageAt = (at: "least data" | "tuned" | undefined) =>
    at === "tuned" ? kept.tuned : at === "least data" ? ofAmounts : kept;
  const find = (asked: ToxicityAsked) =>
    "by" in asked
      ? findChange(asked.by === "amount" ? ofAmounts.byAmount : kept.tuned?.byTuning, asked)
      : findPair(stageAt(asked.at), asked);
  const isPerplexity = ({ on }: ToxicityAsked) => on.endsWith("Perplexity");
  return toxicityClaims.map((claim) =>
    claimCell(judgeClaim(claim, find), claim.differences.some(isPerplexity) ? 2 : 3)
  );
}

function findPair(
  stage: KeptStage | undefined,
  { first, second, on, at }: Extract<ToxicityAsked, { first: string }>,
): FoundDifference | undefined {
  if (!stage) return undefined;
  const amounts = stage.summary.map(({ amount }) => amount);
  const main = mainAmount(amounts);
  const wanted = at === "least data" ? Math.min(...amounts.filter((each) => each > 0)) : main;
  if (at === "least data" && wanted === main) return undefined; // one amount is neither little nor much
  const tested = stage.comparisons.find((own) =>
    own.on === on && own.amount === wanted &&
    [own.first.name, own.second.name].sort().join() === [first, second].sort().join()
  );
  if (tested) return tested.first.name === first ? tested : negated(tested);
  const valueOf = (name: string): Interval | undefined =>
    stage.summary.find(({ method, amount }) =>
      method.name === name && (amount === wanted || amount === 0)
    )?.[on];
  const a = valueOf(first), b = valueOf(second);
  return a && b ? compareIntervals(a, b) : undefined;
}

function findChange(
  changes: readonly ToxicityChange[] | undefined,
  { method, beyond, on }: Extract<ToxicityAsked, { by: string }>,
): FoundDifference | undefined {
  const found = (one: string, other: string | undefined) =>
    changes?.find((own) => own.on === on && own.method.name === one && own.beyond?.name === other);
  const reverse = beyond === undefined ? undefined : found(beyond, method);
  return reverse ? negated(reverse) : found(method, beyond);
}

function negated({ difference, separates }: FoundDifference): FoundDifference {
  const { mean, low, high } = difference;
  return { difference: { ...difference, mean: -mean, low: -high, high: -low }, separates };
}
