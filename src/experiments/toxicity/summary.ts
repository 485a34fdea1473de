// The outcomes of the toxicity experiment over seeds.

import type { Interval } from "../../base/interval.ts";
import { checkOptions, oneOf, required } from "../../base/options.ts";
import type { Method } from "../../data/method.ts";
import type { BucketTokens } from "../../data/mixing.ts";
import { mean, studentInterval } from "../../eval/statistics.ts";
import { expectOutcomes } from "../outcomes.ts";
import type { ToxicityResults } from "./evaluation.ts";
import type { StreamTraining, ToxicityOutcome } from "./experiment.ts";

/** After the stream, or after instruction tuning. */
export type ToxicityStage = "trained" | "tuned";

/** The amount of risky data that tables are about: 1 if it is among them, else the first that is not 0. */
export function mainAmount(amounts: readonly number[]): number {
  return amounts.includes(1) ? 1 : amounts.find((amount) => amount > 0) ?? 0;
}

/** The rows of the main amount, and those of methods without risky data. */
export function atMainAmount<Row extends { amount: number }>(rows: readonly Row[]): Row[] {
  const main = mainAmount(rows.map(({ amount }) => amount));
  return rows.filter(({ amount }) => amount === 0 || amount === main);
}

/** One row of the results: a method and an amount of risky data, over seeds. */
export interface ToxicitySummary {
  /** How it was trained. */
  method: Method;
  /** Multiple of the share of risky tokens; 0 for a method that takes none. */
  amount: number;
  /** Tokens by bucket, averaged over seeds. */
  buckets: BucketTokens;
  /** Mean score of the continuations. */
  toxicity: Interval;
  /** Mean score of the continuations behind their prompts. */
  toxicityWithPrompt: Interval;
  /** Share of toxic continuations. */
  toxicFraction: Interval;
  /** Mean over prompts of the largest score among the samples; with one sample it is `toxicity`. */
  expectedMaximum: Interval;
  /** Probe AUROC. */
  auroc: Interval;
  /** What chance gives on the same sentences: the mean over seeds, and that of the bounds of 95 % of draws. */
  aurocChance: Interval;
  /** AUROC of probes of the mean token embedding: what words without context give. */
  aurocEmbeddings: Interval;
  /** Probe AUROC of the sentences outside the chat template; of tuned models alone. */
  aurocPlain?: Interval;
  /** Of held-out clean text. */
  cleanPerplexity: Interval;
  /** Of held-out harmless text of the risky domain. */
  domainPerplexity: Interval;
}

/**
 * Sums outcomes up over seeds with 95 % Student intervals, in the order in which methods and amounts first appear.
 *
 * @param stage `trained`, or `tuned` for the models after instruction tuning: those without it are left out.
 * @throws {CannotError} when there is no such stage, or something else than outcomes is given.
 */
export function summariseToxicity(
  outcomes: readonly ToxicityOutcome[],
  stage: ToxicityStage = "trained",
): ToxicitySummary[] {
  checkOptions("sum up a toxicity experiment", { stage }, {
    stage: required(oneOf("trained", "tuned")),
  });
  expectOutcomes(outcomes, "toxicity", "toxicity");
  const measured = outcomes.flatMap(({ run, stages }) => {
    const training = stages[0]!.training as StreamTraining;
    const found = stages.find(({ name }) => name === stage);
    return found ? [{ run, buckets: training.buckets, results: found.results }] : [];
  });
  const groups = Map.groupBy(measured, ({ run }) => `${run.method!.name} ${run.amount}`);
  return [...groups.values()].map((group) => {
    const { method, amount } = group[0]!.run;
    const over = (value: (results: ToxicityResults) => number) =>
      studentInterval(group.map(({ results }) => value(results)));
    const bucket = (key: keyof BucketTokens) =>
      Math.round(mean(group.map(({ buckets }) => buckets[key])));
    return {
      method: method!,
      amount: amount!,
      buckets: {
        base: bucket("base"),
        low: bucket("low"),
        possible: bucket("possible"),
        high: bucket("high"),
      },
      toxicity: over(({ toxicity }) => toxicity.summaries[0]!.mean.mean),
      toxicityWithPrompt: over(({ toxicity }) => toxicity.summaries[1]!.mean.mean),
      toxicFraction: over(({ toxicity }) => toxicity.summaries[0]!.toxicFraction.mean),
      expectedMaximum: over(({ toxicity }) => toxicity.summaries[0]!.expectedMaximum.mean),
      auroc: over(({ probe }) => probe.auroc),
      aurocChance: meanInterval(group.map(({ results }) => results.probe.chance)),
      aurocEmbeddings: over(({ probe }) => probe.embeddings),
      ...(stage === "tuned" && { aurocPlain: over(({ probe }) => probe.plain!) }),
      cleanPerplexity: over(({ perplexity }) => perplexity.clean),
      domainPerplexity: over(({ perplexity }) => perplexity.domain),
    };
  });
}

// The bounds are of draws that all models share, and are averaged with their means.
function meanInterval(intervals: readonly Interval[]): Interval {
  const over = (key: "mean" | "low" | "high") => mean(intervals.map((own) => own[key]));
  const { confidence, n } = intervals[0]!;
  return { mean: over("mean"), low: over("low"), high: over("high"), confidence, n };
}
