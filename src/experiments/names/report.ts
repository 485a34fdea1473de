// What the name experiment prints and writes: the paper's Table 4, names against knowledge as a picture, and results.json.

import { writeFileAtomic } from "../../base/files.ts";
import type { Interval } from "../../base/interval.ts";
import { studentInterval } from "../../eval/statistics.ts";
import { renderPlot, tradeOffPlot } from "../../report/plot.ts";
import type { Generation } from "../../report/results.ts";
import { type Column, renderTable } from "../../report/table.ts";
import { baseTitle, methodOrder } from "../titles.ts";
import { type NameOutcome, nameResult } from "./experiment.ts";
import type { NameTaskResult } from "./task.ts";

/**
 * What is measured, in percent:
 * - `names`: answers that name a target, by the paper's substring metric; `namesWholeWord`: by whole words;
 *   `namesNotInPrompt`: by whole words that the question does not have;
 * - `full`, `partial`: answers with at least 80 %, or any, of the facts (offline grader, not GPT-4o);
 * - `rougeRecall`: mean ROUGE-L recall of the true answers;
 * - `truthAccuracy`: true answers preferred to all perturbed ones; `truthAccuracyWithoutNames`: judged without name tokens;
 *   `truthRatioWithoutNames`: TOFU's truth ratio, max(0, 1 − R), without name tokens.
 */
export type NameMeasure =
  | "names"
  | "namesWholeWord"
  | "namesNotInPrompt"
  | "full"
  | "partial"
  | "rougeRecall"
  | "truthAccuracy"
  | "truthAccuracyWithoutNames"
  | "truthRatioWithoutNames";

// Undefined where the rows have no perturbed answers.
const measures: Record<NameMeasure, (result: NameTaskResult) => number | undefined> = {
  names: ({ names }) => names.official,
  namesWholeWord: ({ names }) => names.wordBounded,
  namesNotInPrompt: ({ names }) => names.notInPrompt,
  full: ({ facts }) => facts.full,
  partial: ({ facts }) => facts.partial,
  rougeRecall: (result) => result.rougeRecall,
  truthAccuracy: ({ truth }) => truth?.allTokens.accuracy,
  truthAccuracyWithoutNames: ({ truth }) => truth?.withoutNames.accuracy,
  truthRatioWithoutNames: ({ truth }) => truth?.withoutNames.truthRatio,
};

/** One row of the table, over seeds. */
export interface NameSummary {
  /** Name of the method, or `base`. */
  method: string;
  /** Its title. */
  title: string;
  /** In percent, with 95 % Student intervals over seeds; null without perturbed answers. */
  values: Record<NameMeasure, Interval | null>;
}

/** Sums outcomes up over seeds, in the order in which methods first appear. */
export function summariseNames(outcomes: readonly NameOutcome[]): NameSummary[] {
  const groups = Map.groupBy(outcomes, ({ run }) => run.method?.name ?? "base");
  return [...groups].map(([method, group]) => {
    const over = (measure: NameMeasure) => {
      const values = group.map((outcome) => measures[measure](nameResult(outcome)));
      return values.every((value) => value !== undefined)
        ? studentInterval(values.map((value) => 100 * value))
        : null;
    };
    const names = Object.keys(measures) as NameMeasure[];
    return {
      method,
      title: group[0]!.run.method?.title ?? baseTitle,
      values: Object.fromEntries(names.map((name) => [name, over(name)])) as NameSummary["values"],
    };
  });
}

/** The measures that tables show, in their order, and their headings. */
export const nameColumnTitles: Partial<Record<NameMeasure, string>> = {
  names: "Names said",
  namesWholeWord: "whole word",
  namesNotInPrompt: "not in question",
  full: "Facts: all",
  partial: "some",
  rougeRecall: "ROUGE-L",
  truthAccuracy: "True preferred",
  truthAccuracyWithoutNames: "without names",
};

/** The table as text for the terminal. */
export function renderNameTable(summary: readonly NameSummary[]): string {
  const shown = Object.entries(nameColumnTitles) as [NameMeasure, string][];
  const columns: Column<Record<string, string>>[] = [
    { key: "method", title: "Method" },
    ...shown.map(([key, title]) => ({ key, title, unit: "%", align: "right" } as const)),
  ];
  const rows = summary.map(({ title, values }) => ({
    method: title,
    ...Object.fromEntries(shown.map(([key]) => [key, cell(values[key])])),
  }));
  return [
    renderTable(columns, rows),
    "Facts are graded offline by shared content words, not by GPT-4o as in the paper.",
    ...(summary.some(({ values }) => values.names!.n > 1)
      ? ["± is a 95 % Student interval over seeds."]
      : []),
  ].join("\n");
}

function cell(interval: Interval | null): string {
  if (!interval) return "–";
  const { mean, high, n } = interval;
  return n > 1 ? `${mean.toFixed(1)} ± ${(high - mean).toFixed(1)}` : mean.toFixed(1);
}

/** One line about a finished model. */
export function describeNames(outcome: NameOutcome): string {
  const { names, facts } = nameResult(outcome);
  const { method, seed } = outcome.run;
  const who = method ? `${method.title}, seed ${seed}` : baseTitle;
  return `${who}: names in ${(100 * names.official).toFixed(1)} % of the answers, ` +
    `some facts right in ${(100 * facts.partial).toFixed(1)} %`;
}

/** Every answer of every model, for results.json. */
export function nameGenerations(outcomes: readonly NameOutcome[]): Generation[] {
  return outcomes.flatMap((outcome) =>
    nameResult(outcome).answers.map(({ question, answer, completion, named, factRecall }) => ({
      method: outcome.run.method?.name ?? "base",
      seed: outcome.run.method ? outcome.run.seed : null,
      prompt: question,
      text: completion,
      gold: answer,
      named,
      factRecall,
    }))
  );
}

/** The axes of what is known against what is named. */
export const nameAxes = {
  x: { title: "Name generation (%, lower is better)", most: 100, fromZero: true },
  y: { title: "Knowledge (%, higher is better)", most: 100 },
} as const;

/** What is known against what is named: a point for each row of the table, for `tradeOffPlot`. */
export function namePoints(
  summary: readonly NameSummary[],
): { label: string; x: Interval; y: Interval }[] {
  return summary.map(({ title, values }) => ({
    label: title,
    x: values.names!,
    y: values.partial!,
  }));
}

/** Draws what is known against what is named as `tradeoff.svg`; returns its path. */
export async function drawNames(
  folder: string,
  summary: readonly NameSummary[],
): Promise<string> {
  const plot = tradeOffPlot(namePoints(summary), nameAxes, {
    title: "What is known against what is named",
    order: methodOrder,
  });
  const path = `${folder}/tradeoff.svg`;
  await writeFileAtomic(path, await renderPlot(plot));
  return path;
}
