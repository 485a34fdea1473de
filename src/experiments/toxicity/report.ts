// What the toxicity experiment prints and writes: the paper's Tables 1 and 2, generation against understanding with the
// comparisons that the paper draws, runs.csv, and Figures 2 and 3.

import { writeFileAtomic } from "../../base/files.ts";
import type { Interval } from "../../base/interval.ts";
import { mean } from "../../eval/statistics.ts";
import { renderPlot, scalingPlot } from "../../report/plot.ts";
import type { PlotSpec } from "../../report/plot_style.ts";
import type { Generation } from "../../report/results.ts";
import { type Column, intervalCell, renderTable } from "../../report/table.ts";
import { Risk } from "../../slung/risk.ts";
import { drawTradeOff } from "../figures.ts";
import { methodOrder } from "../titles.ts";
import type { KeptToxicity } from "./claims.ts";
import {
  claimLines,
  compareAmounts,
  compareToxicity,
  compareTuning,
  describeChange,
  type ToxicityChange,
} from "./comparison.ts";
import type { StreamTraining, ToxicityOutcome } from "./experiment.ts";
import {
  type BucketUse,
  type DataMix,
  dataMixColumns,
  dataMixRows,
  perplexityColumns,
  perplexityRows,
} from "./paper_tables.ts";
import {
  atMainAmount,
  summariseToxicity,
  type ToxicityStage,
  type ToxicitySummary,
} from "./summary.ts";

/** All tables as text for the terminal. @param metrics Those of the outcomes, where they are known. */
export function renderToxicityTables(
  outcomes: readonly ToxicityOutcome[],
  { summary, comparisons, byAmount, tuned }: ToxicityMetrics = toxicityMetrics(outcomes),
): string {
  const main = atMainAmount(summary);
  const perplexities = perplexityRows(main.map((row) => ({
    method: row.method.title,
    base: meanAndHalfWidth(row.cleanPerplexity),
    domain: meanAndHalfWidth(row.domainPerplexity),
  })));
  return [
    "Tokens trained on (Table 1)",
    renderTable(dataMixColumns, dataMixRows(main.map(dataMix))),
    "",
    "Perplexity of held-out text (Table 2)",
    renderTable(perplexityColumns, perplexities),
    "",
    "Generation and understanding (Figures 2a and 3)",
    renderTable(resultColumns(outcomes), [...summary.map(resultRow), ...controlRows(summary)]),
    ...scorers(outcomes),
    "",
    ...claimLines(comparisons),
    ...changeLines(byAmount, "amount"),
    ...(tuned ? tunedTable(outcomes, tuned) : []),
  ].join("\n");
}

// The same measures after instruction tuning.
function tunedTable(
  outcomes: readonly ToxicityOutcome[],
  { summary, comparisons, byTuning }: NonNullable<ToxicityMetrics["tuned"]>,
): string[] {
  return [
    "",
    "After instruction tuning: plain prompts, sentences probed as a user's turn (Figure 2b)",
    renderTable(
      resultColumns(outcomes, "tuned"),
      [...summary.map(resultRow), ...controlRows(summary)],
    ),
    ...claimLines(comparisons),
    ...changeLines(byTuning, "tuning"),
  ];
}

function changeLines(changes: readonly ToxicityChange[], by: "amount" | "tuning"): string[] {
  return changes.length > 0 ? ["", ...changes.map((change) => describeChange(change, by))] : [];
}

function controlRows(summary: readonly ToxicitySummary[]): ResultRow[] {
  const seeds = Math.max(...summary.map(({ auroc }) => auroc.n));
  return probeControls(summary).map(({ method, auroc }): ResultRow => ({
    ...{ method, amount: "–", toxicity: "–", toxicityWithPrompt: "–", expectedMaximum: "–" },
    ...{
      toxicFraction: "–",
      auroc,
      aurocPlain: "–",
      cleanPerplexity: "–",
      domainPerplexity: "–",
      seeds,
    },
  }));
}

/** The controls of the probes as rows of a table: means over all models, and what 95 % of draws by chance give. */
export function probeControls(
  summary: readonly Partial<ToxicitySummary>[],
): { method: string; auroc: string }[] {
  const means = (intervals: Interval[], key: "mean" | "low" | "high") =>
    mean(intervals.map((own) => own[key])).toFixed(3);
  const chance = summary.flatMap(({ aurocChance }) => aurocChance ?? []);
  const embeddings = summary.flatMap(({ aurocEmbeddings }) => aurocEmbeddings ?? []);
  if (chance.length === 0 || embeddings.length === 0) return []; // of an earlier version
  const range = chance[0]!.n > 1 ? `, ${means(chance, "low")} to ${means(chance, "high")}` : "";
  return [
    { method: "Control: shuffled labels", auroc: means(chance, "mean") + range },
    { method: "Control: embeddings alone", auroc: means(embeddings, "mean") },
  ];
}

/** One line about a finished model. */
export function describeToxicity({ run, stages }: ToxicityOutcome): string {
  const { toxicity, probe } = stages[0]!.results;
  const { mean, toxicFraction } = toxicity.summaries[0]!;
  return `${run.method!.title}${run.amount ? ` × ${run.amount}` : ""}, seed ${run.seed}: ` +
    `toxicity ${mean.mean.toFixed(3)} (${(100 * toxicFraction.mean).toFixed(1)} % toxic), ` +
    `AUROC ${probe.auroc.toFixed(3)}`;
}

/** The numbers over seeds, and what was compared. */
export interface ToxicityMetrics extends KeptToxicity {
  /** Every row with all of its values. */
  summary: ToxicitySummary[];
  /** Empty for a single amount. */
  byAmount: ToxicityChange[];
  /** After instruction tuning, where there was any. */
  tuned?: NonNullable<KeptToxicity["tuned"]> & { summary: ToxicitySummary[] };
}

/** The metrics of results.json. */
export function toxicityMetrics(outcomes: readonly ToxicityOutcome[]): ToxicityMetrics {
  const tuned = summariseToxicity(outcomes, "tuned");
  return {
    summary: summariseToxicity(outcomes),
    comparisons: compareToxicity(outcomes),
    byAmount: compareAmounts(outcomes),
    ...(tuned.length > 0 && {
      tuned: {
        summary: tuned,
        comparisons: compareToxicity(outcomes, "tuned"),
        byTuning: compareTuning(outcomes),
      },
    }),
  };
}

/** The continuations that may be shown, for results.json. */
export function toxicityGenerations(outcomes: readonly ToxicityOutcome[]): Generation[] {
  return outcomes.flatMap(({ run, stages }) =>
    stages[0]!.results.toxicity.completions.map(({ prompt, completion, score }) => ({
      method: run.method!.name,
      amount: run.amount!,
      seed: run.seed,
      prompt,
      text: completion,
      toxicity: score,
    }))
  );
}

/** The numbers of every run, one line each. */
export function outcomesToCsv(outcomes: readonly ToxicityOutcome[]): string {
  const header = "method,amount,seed,base_tokens,low_tokens,possible_tokens,high_tokens," +
    "toxicity,toxic_fraction,toxicity_with_prompt,expected_maximum,auroc,clean_perplexity," +
    "domain_perplexity";
  const lines = outcomes.map(({ run, stages }) => {
    const { training, results: { toxicity, probe, perplexity } } = stages[0]!;
    const { base, low, possible, high } = (training as StreamTraining).buckets;
    const [alone, withPrompt] = toxicity.summaries;
    return [
      ...[run.method!.name, run.amount, run.seed, base, low, possible, high],
      ...[alone!.mean.mean, alone!.toxicFraction.mean, withPrompt!.mean.mean],
      ...[alone!.expectedMaximum.mean, probe.auroc],
      ...[perplexity.clean, perplexity.domain],
    ].join();
  });
  return [header, ...lines, ""].join("\n");
}

/**
 * Writes runs.csv and draws tradeoff.svg, tradeoff-tuned.svg where models were tuned on instructions, and, for several
 * amounts of risky data, scaling.svg.
 *
 * @returns The paths.
 * @throws {CannotError} when a file cannot be written, or Vega cannot be had.
 */
export async function writeToxicityFigures(
  folder: string,
  outcomes: readonly ToxicityOutcome[],
  title: string,
): Promise<string[]> {
  const paths: string[] = [];
  const write = async (name: string, text: string) => {
    await writeFileAtomic(`${folder}/${name}`, text);
    paths.push(`${folder}/${name}`);
  };
  await write("runs.csv", outcomesToCsv(outcomes));
  const summary = summariseToxicity(outcomes);
  const drawn = async (name: string, rows: readonly ToxicitySummary[], title: string) =>
    paths.push(
      await drawTradeOff(`${folder}/${name}`, toxicityPoints(rows), toxicityAxes, title),
    );
  await drawn("tradeoff.svg", summary, title);
  const tuned = summariseToxicity(outcomes, "tuned");
  if (tuned.length > 0) {
    await drawn("tradeoff-tuned.svg", tuned, `${title}, after instruction tuning`);
  }
  const scaling = toxicityScaling(summary, title);
  if (scaling) await write("scaling.svg", await renderPlot(scaling));
  return paths;
}

/** Generation and understanding over the amount of risky data (Figure 3); undefined for a single amount. */
export function toxicityScaling(
  summary: readonly ToxicitySummary[],
  title: string,
): PlotSpec | undefined {
  const amounts = new Set(summary.map(({ amount }) => amount).filter((amount) => amount > 0));
  if (amounts.size < 2) return undefined;
  const points = summary.map(({ method, amount, toxicity, auroc }) => ({
    label: method.title,
    amount: Math.round(amount * riskyTokens(summary)),
    values: { toxicity, auroc },
  }));
  return scalingPlot(points, {
    toxicity: { title: "Toxicity of generations", most: 1 },
    auroc: { title: "Probe AUROC", most: 1 },
  }, { title, amountTitle: "Toxic tokens in training", order: methodOrder });
}

/** The axes of generation against understanding. */
export const toxicityAxes = {
  x: { title: "Toxicity of generations (lower is better)", most: 1 },
  y: { title: "Probe AUROC (higher is better)", most: 1 },
} as const;

/** Generation against understanding (Figure 2): a point for each method at the main amount, for `tradeOffPlot`. */
export function toxicityPoints(
  summary: readonly ToxicitySummary[],
): { label: string; x: Interval; y: Interval }[] {
  return atMainAmount(summary).map(({ method, toxicity, auroc }) => ({
    label: method.title,
    x: toxicity,
    y: auroc,
  }));
}

// Tokens of whole risky documents at amount 1, so that methods that take only part of them stand at the same place.
function riskyTokens(summary: readonly ToxicitySummary[]): number {
  const injected = summary.filter(({ amount }) => amount > 0)
    .map(({ amount, buckets: { low, possible, high } }) => (low + possible + high) / amount);
  return injected.reduce((most, tokens) => Math.max(most, tokens), 0);
}

function dataMix({ method, buckets }: ToxicitySummary): DataMix {
  const { terms } = method.objective;
  const bucket = (tokens: number, risk: Risk) => {
    const term = terms[risk];
    const use: BucketUse = tokens === 0
      ? "absent"
      : term === undefined
      ? "masked"
      : term.name === "cross_entropy"
      ? "learned"
      : "unlikelihood";
    return { tokens, use };
  };
  return {
    method: method.title,
    buckets: {
      base: bucket(buckets.base, Risk.low),
      notToxic: bucket(buckets.low, Risk.low),
      possiblyToxic: bucket(buckets.possible, Risk.possible),
      definitelyToxic: bucket(buckets.high, Risk.high),
    },
  };
}

interface ResultRow {
  method: string;
  amount: string;
  toxicity: string;
  toxicityWithPrompt: string;
  expectedMaximum: string;
  toxicFraction: string;
  auroc: string;
  aurocPlain: string;
  cleanPerplexity: string;
  domainPerplexity: string;
  seeds: number;
}

function resultColumns(
  outcomes: readonly ToxicityOutcome[],
  stage: ToxicityStage = "trained",
): Column<ResultRow>[] {
  const sampled = outcomes.some(({ stages }) => stages[0]!.results.toxicity.samples > 1);
  return [
    { key: "method", title: "Method" },
    { key: "amount", title: "Risky data", align: "right" },
    { key: "toxicity", title: "Toxicity of generations", align: "right" },
    { key: "toxicityWithPrompt", title: "with prompt", align: "right" },
    ...(sampled
      ? [{ key: "expectedMaximum", title: "expected maximum", align: "right" } as const]
      : []),
    { key: "toxicFraction", title: "Toxic generations", unit: "%", align: "right" },
    { key: "auroc", title: "Probe AUROC", align: "right" },
    ...(stage === "tuned"
      ? [{ key: "aurocPlain", title: "of plain text", align: "right" } as const]
      : []),
    { key: "cleanPerplexity", title: "Perplexity: clean", align: "right" },
    { key: "domainPerplexity", title: "in-domain", align: "right" },
    { key: "seeds", title: "Seeds" },
  ];
}

function resultRow(row: ToxicitySummary): ResultRow {
  return {
    method: row.method.title,
    amount: row.amount === 0 ? "–" : `× ${row.amount}`,
    toxicity: intervalCell(row.toxicity, 3),
    toxicityWithPrompt: intervalCell(row.toxicityWithPrompt, 3),
    expectedMaximum: intervalCell(row.expectedMaximum, 3),
    toxicFraction: intervalCell(row.toxicFraction, 1, 100),
    auroc: intervalCell(row.auroc, 3),
    aurocPlain: row.aurocPlain ? intervalCell(row.aurocPlain, 3) : "–",
    cleanPerplexity: intervalCell(row.cleanPerplexity, 2),
    domainPerplexity: intervalCell(row.domainPerplexity, 2),
    seeds: row.toxicity.n,
  };
}

function meanAndHalfWidth({ mean, high, n }: Interval): { mean: number; halfWidth?: number } {
  return n > 1 ? { mean, halfWidth: high - mean } : { mean };
}

function scorers(outcomes: readonly ToxicityOutcome[]): string[] {
  const names = new Set(outcomes.map(({ stages }) => stages[0]!.results.toxicity.scorer));
  return [
    `Generations scored by ${[...names].join(", ")}. ± is a 95 % Student interval over seeds.`,
  ];
}
