// What the toxicity experiment prints and writes: the paper's Tables 1 and 2, generation against understanding with the
// comparisons that the paper draws, results.json with every run, runs.csv, and Figures 2a and 3.

import { writeFileAtomic } from "../base/files.ts";
import { mixes, type MixName } from "../data/mixing.ts";
import { paretoFrontier } from "../eval/pareto.ts";
import type { Interval } from "../eval/statistics.ts";
import { loadPlots } from "../report/load_plots.ts";
import type { PlotSpec } from "../report/plot_style.ts";
import { type Column, renderTable } from "../report/table.ts";
import { toxicityScaling, toxicityTradeOff } from "../report/toxicity_plots.ts";
import {
  type BucketUse,
  type DataMix,
  dataMixColumns,
  dataMixRows,
  perplexityColumns,
  perplexityRows,
} from "../report/toxicity_tables.ts";
import { objective } from "../slung/objective.ts";
import { Risk } from "../slung/risk.ts";
import {
  type Separation,
  separations,
  summariseToxicityRuns,
  type ToxicityRun,
  type ToxicitySummaryRow,
} from "./toxicity_experiment.ts";

/** Title of a method, as the paper calls it. */
export function titleOf(method: MixName): string {
  return mixes[method].title;
}

/** All tables as text for the terminal. */
export function renderToxicityTables(runs: readonly ToxicityRun[]): string {
  const summary = summariseToxicityRuns(runs);
  const main = atMainAmount(summary);
  const trained = dataMixRows(main.map(dataMix));
  const perplexities = perplexityRows(main.map((row) => ({
    method: titleOf(row.method),
    base: meanAndHalfWidth(row.cleanPerplexity, row.seeds),
    domain: meanAndHalfWidth(row.domainPerplexity, row.seeds),
  })));
  return [
    "Tokens trained on (Table 1)",
    renderTable(dataMixColumns, trained),
    "",
    "Perplexity of held-out text (Table 2)",
    renderTable(perplexityColumns, perplexities),
    "",
    "Generation and understanding (Figures 2a and 3)",
    renderTable(resultColumns(runs), summary.map(resultRow)),
    ...scorers(runs),
    "",
    ...separations(summary).map(describeSeparation),
    ...tunedTable(runs),
  ].join("\n");
}

// The same measures after instruction tuning, where there was any.
function tunedTable(runs: readonly ToxicityRun[]): string[] {
  const summary = summariseToxicityRuns(tunedRuns(runs));
  if (summary.length === 0) return [];
  return [
    "",
    "After instruction tuning, prompted as a user's turn (Figure 2b)",
    renderTable(resultColumns(runs), summary.map(resultRow)),
    ...separations(summary).map(describeSeparation),
  ];
}

function tunedRuns(runs: readonly ToxicityRun[]): ToxicityRun[] {
  return runs.flatMap(({ tuned, ...run }) => tuned ? [{ ...run, result: tuned }] : []);
}

/** One line about a comparison. */
export function describeSeparation(separation: Separation): string {
  const { method, on, amount, separate } = separation;
  const claim = on === "toxicity" ? "generates less toxicity than" : "understands more than";
  const times = amount === 1 ? "" : ` at ${amount} × the risky data`;
  const verdict = separate === null
    ? "one seed cannot show it"
    : separate
    ? "yes, 95 % intervals separate"
    : "not shown, 95 % intervals meet";
  return `${titleOf(method)} ${claim} ${titleOf(separation.with)}${times}: ${verdict}`;
}

/** The numbers of every run, one line each. */
export function runsToCsv(runs: readonly ToxicityRun[]): string {
  const header = "method,amount,seed,base_tokens,low_tokens,possible_tokens,high_tokens," +
    "toxicity,toxic_fraction,toxicity_with_prompt,expected_maximum,auroc,clean_perplexity," +
    "domain_perplexity";
  const lines = runs.map(({ method, amount, seed, buckets, result }) => {
    const [alone, withPrompt] = result.toxicity.summaries;
    const { base, low, possible, high } = buckets;
    return [
      ...[method, amount, seed, base, low, possible, high],
      ...[alone!.mean.mean, alone!.toxicFraction.mean, withPrompt!.mean.mean],
      ...[alone!.expectedMaximum.mean, result.auroc],
      ...[result.perplexity.clean, result.perplexity.domain],
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
  runs: readonly ToxicityRun[],
  title: string,
): Promise<string[]> {
  const paths = [`${folder}/runs.csv`];
  await writeFileAtomic(paths[0]!, runsToCsv(runs));
  const { renderPlot } = await loadPlots();
  const summary = summariseToxicityRuns(runs);
  paths.push(`${folder}/tradeoff.svg`);
  await writeFileAtomic(paths.at(-1)!, await renderPlot(tradeOff(summary, title)));
  const tuned = summariseToxicityRuns(tunedRuns(runs));
  if (tuned.length > 0) {
    paths.push(`${folder}/tradeoff-tuned.svg`);
    const plot = tradeOff(tuned, `${title}, after instruction tuning`);
    await writeFileAtomic(paths.at(-1)!, await renderPlot(plot));
  }
  if (new Set(summary.map(({ amount }) => amount).filter((amount) => amount > 0)).size > 1) {
    const scaling = summary.map(({ method, amount, toxicity, auroc }) => ({
      method: titleOf(method),
      amount: Math.round(amount * riskyTokens(summary)),
      toxicity,
      auroc,
    }));
    paths.push(`${folder}/scaling.svg`);
    await writeFileAtomic(paths.at(-1)!, await renderPlot(toxicityScaling(scaling, title)));
  }
  return paths;
}

// Figure 2a or 2b.
function tradeOff(summary: readonly ToxicitySummaryRow[], title: string): PlotSpec {
  const corners = atMainAmount(summary).map((row) => ({
    row,
    toxicity: row.toxicity.mean,
    auroc: row.auroc.mean,
  }));
  const frontier = new Set(paretoFrontier(corners));
  const points = corners.map((corner) => ({
    method: titleOf(corner.row.method),
    toxicity: corner.row.toxicity,
    auroc: corner.row.auroc,
    onFrontier: frontier.has(corner),
  }));
  return toxicityTradeOff(points, title);
}

/** The rows of amount 1, or else of the first amount, and of methods without risky data. */
function atMainAmount(summary: readonly ToxicitySummaryRow[]): ToxicitySummaryRow[] {
  const amounts = summary.map(({ amount }) => amount).filter((amount) => amount > 0);
  const main = amounts.includes(1) ? 1 : amounts[0];
  return summary.filter(({ amount }) => amount === 0 || amount === main);
}

// Tokens of whole risky documents at amount 1, so that methods that take only part of them stand at the same place.
function riskyTokens(summary: readonly ToxicitySummaryRow[]): number {
  const injected = summary.filter(({ amount }) => amount > 0)
    .map(({ amount, buckets: { low, possible, high } }) => (low + possible + high) / amount);
  return Math.max(0, ...injected);
}

function dataMix({ method, buckets }: ToxicitySummaryRow): DataMix {
  const { terms } = objective(mixes[method].objective);
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
    method: titleOf(method),
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
  cleanPerplexity: string;
  domainPerplexity: string;
  seeds: number;
}

function resultColumns(runs: readonly ToxicityRun[]): Column<ResultRow>[] {
  const sampled = runs.some(({ result }) => result.toxicity.samples > 1);
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
    { key: "cleanPerplexity", title: "Perplexity: clean", align: "right" },
    { key: "domainPerplexity", title: "in-domain", align: "right" },
    { key: "seeds", title: "Seeds" },
  ];
}

function resultRow(row: ToxicitySummaryRow): ResultRow {
  const cell = ({ mean, high }: Interval, decimals: number, factor = 1) => {
    const half = row.seeds > 1 ? ` ± ${(factor * (high - mean)).toFixed(decimals)}` : "";
    return `${(factor * mean).toFixed(decimals)}${half}`;
  };
  return {
    method: titleOf(row.method),
    amount: row.amount === 0 ? "–" : `× ${row.amount}`,
    toxicity: cell(row.toxicity, 3),
    toxicityWithPrompt: cell(row.toxicityWithPrompt, 3),
    expectedMaximum: cell(row.expectedMaximum, 3),
    toxicFraction: cell(row.toxicFraction, 1, 100),
    auroc: cell(row.auroc, 3),
    cleanPerplexity: cell(row.cleanPerplexity, 2),
    domainPerplexity: cell(row.domainPerplexity, 2),
    seeds: row.seeds,
  };
}

function meanAndHalfWidth(
  { mean, high }: Interval,
  seeds: number,
): { mean: number; halfWidth?: number } {
  return seeds > 1 ? { mean, halfWidth: high - mean } : { mean };
}

function scorers(runs: readonly ToxicityRun[]): string[] {
  const names = new Set(runs.map(({ result }) => result.toxicity.scorer));
  return [
    `Generations scored by ${[...names].join(", ")}. ± is a 95 % Student interval over seeds.`,
  ];
}
