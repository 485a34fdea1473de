// What the name experiment prints and writes: the paper's Table 4 with its controls, the comparisons of methods, names
// against knowledge as a picture, and results.json. Knowledge is led by a measure that controls hardly move: which answer a
// model prefers where names don't count. "Some facts" comes last: half of what it gains is the manner of answering.

import type { Interval } from "../../base/interval.ts";
import { bootstrapInterval, studentInterval } from "../../eval/statistics.ts";
import type { Generation } from "../../report/results.ts";
import { renderSample, renderTitledSample } from "../../report/samples.ts";
import { type Column, displayWidth, intervalCell, renderTable } from "../../report/table.ts";
import { nameForms } from "../../label/names.ts";
import { phraseFinder } from "../../label/phrases.ts";
import { Risk } from "../../slung/risk.ts";
import { type ComparedRow, comparedRows, renderComparisons } from "../compared.ts";
import { drawTradeOff } from "../figures.ts";
import { expectOutcomes } from "../outcomes.ts";
import { baseTitle } from "../titles.ts";
import {
  knowledge,
  type NameComparison,
  peopleOf,
  type QuestionMeasure,
  questionValues,
} from "./comparison.ts";
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
  /** The same with 95 % bootstrap intervals over the people who are asked about, means of seeds. */
  overPeople: Record<QuestionMeasure, Interval | null>;
}

/**
 * Sums outcomes up over seeds, in the order in which methods first appear.
 *
 * @throws {CannotError} when something else is given, e.g. the experiment itself or outcomes of another one.
 */
export function summariseNames(outcomes: readonly NameOutcome[]): NameSummary[] {
  expectOutcomes(outcomes, "name", "asked");
  const groups = Map.groupBy(outcomes, ({ run }) => run.method?.name ?? "base");
  const people = outcomes.length > 0 ? peopleOf(outcomes) : [];
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
      overPeople: overPeople(group, people),
    };
  });
}

function overPeople(
  group: readonly NameOutcome[],
  people: readonly unknown[],
): NameSummary["overPeople"] {
  const over = (value: typeof questionValues[QuestionMeasure]) => {
    const items = group.flatMap((outcome) =>
      nameResult(outcome).answers.map((asked, i) => ({ value: value(asked), person: people[i] }))
    ).filter((item): item is { value: number; person: unknown } => item.value !== null);
    const groups = items.map(({ person }) => person);
    if (new Set(groups).size < 2) return null;
    return bootstrapInterval(items.map(({ value }) => value), { seed: 0, groups });
  };
  return Object.fromEntries(
    Object.entries(questionValues).map(([name, value]) => [name, over(value)]),
  ) as NameSummary["overPeople"];
}

/** The measures that tables show, in their order, and their headings. */
export const nameColumnTitles: Partial<Record<NameMeasure, string>> = {
  truthAccuracyWithoutNames: "True preferred",
  truthAccuracy: "names counted",
  names: "Names said",
  namesWholeWord: "whole word",
  namesNotInPrompt: "not in question",
  rougeRecall: "ROUGE-L",
};

/** The table as text for the terminal. */
export function renderNameTable(summary: readonly NameSummary[]): string {
  const shown = Object.entries(nameColumnTitles) as [NameMeasure, string][];
  const columns: Column<Record<string, string>>[] = [
    { key: "method", title: "Method" },
    ...shown.map(([key, title]) => ({ key, title, unit: "%", align: "right" } as const)),
  ];
  const rows = summary.map((row) => ({
    method: row.title,
    ...Object.fromEntries(shown.map(([key]) => [key, nameCell(row, key)])),
  }));
  return [
    renderTable(columns, rows),
    "True preferred: the true answer against all perturbed ones, judged without name tokens. Facts that a grader finds are " +
    "in results.json; `deno task judge` asks a large model, as the paper does.",
    intervalsExplained,
  ].join("\n");
}

/** What ± means in tables of this experiment. */
export const intervalsExplained: string =
  "± is a 95 % interval: Student's over seeds, or for one model a bootstrap over the people asked about.";

/** A value of a row with its interval. */
export function nameCell(
  { values, overPeople }: Pick<NameSummary, "values" | "overPeople">,
  measure: NameMeasure,
): string {
  const value = values[measure];
  if (!value) return "–";
  const interval = value.n > 1 ? value : overPeople[measure as QuestionMeasure];
  if (!interval) return intervalCell(value, 1);
  return intervalCell({ ...interval, mean: value.mean }, 1);
}

/** What methods are compared on. */
export const nameMeasureWords: Readonly<Record<QuestionMeasure, string>> = {
  names: "names said",
  full: "all facts",
  partial: "some facts",
  rougeRecall: "ROUGE-L",
  truthAccuracy: "true preferred, names counted",
  truthAccuracyWithoutNames: "true preferred",
  truthRatioWithoutNames: "truth ratio",
};

/** The comparisons as rows of a table; titles of methods are those of the summary. */
export function nameComparisonRows(
  comparisons: readonly NameComparison[],
  summary: readonly Pick<NameSummary, "method" | "title">[],
): ComparedRow[] {
  return comparedRows(comparisons, summary, nameMeasureWords);
}

/** The comparisons as text for the terminal. */
export function renderNameComparisons(
  comparisons: readonly NameComparison[],
  summary: readonly NameSummary[],
): string {
  return renderComparisons(nameComparisonRows(comparisons, summary));
}

/**
 * What the models of the first seed answer to a few questions, names of the people marked: the paper's Table 5. The
 * questions are a golden section apart, since equal steps would meet the same one about several people.
 *
 * @param names Full names of all people.
 * @param options.colour Colour them, instead of putting them in brackets.
 */
export function renderNameAnswers(
  outcomes: readonly NameOutcome[],
  names: readonly string[],
  { colour, questions = 3 }: { colour: boolean; questions?: number },
): string {
  const finder = phraseFinder(names.flatMap(nameForms), Risk.high);
  const sample = (text: string) => ({ text, spans: finder.find(text) });
  const options = { colour, width: 120 };
  const byMethod = Map.groupBy(outcomes, ({ run }) => run.method?.title ?? baseTitle);
  const firsts = [...byMethod].map(([title, [first]]) => ({ title, ...nameResult(first!) }));
  const asked = firsts[0]?.answers ?? [];
  const trueTitle = "True answer";
  const titleWidth = Math.max(...[trueTitle, ...byMethod.keys()].map(displayWidth));
  const line = (title: string, text: string) =>
    `  ${renderTitledSample(title, sample(text.trim()), { ...options, titleWidth })}`;
  const places = Array.from({ length: questions }, (_, i) => (i + 1) * goldenSection % 1);
  const shown = new Set(places.map((place) => Math.floor(place * asked.length)));
  return [...shown].map((i) =>
    [
      renderSample(sample(asked[i]!.question), options),
      line(trueTitle, asked[i]!.answer),
      ...firsts.map(({ title, answers }) => line(title, answers[i]!.completion)),
    ].join("\n")
  ).join("\n\n");
}

const goldenSection = (Math.sqrt(5) - 1) / 2;

/** One line about a finished model. */
export function describeNames(outcome: NameOutcome): string {
  const { names, facts, truth } = nameResult(outcome);
  const { method, seed } = outcome.run;
  const who = method ? `${method.title}, seed ${seed}` : baseTitle;
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
  return `${who}: names in ${percent(names.official)} of the answers, ` +
    (truth
      ? `true answer preferred in ${percent(truth.withoutNames.accuracy)}`
      : `some facts right in ${percent(facts.partial)}`);
}

/** Every answer of every model, for results.json. */
export function nameGenerations(outcomes: readonly NameOutcome[]): Generation[] {
  return outcomes.flatMap((outcome) =>
    nameResult(outcome).answers.map((
      { question, answer, about, completion, named, factRecall, truth },
    ) => ({
      method: outcome.run.method?.name ?? "base",
      seed: outcome.run.method ? outcome.run.seed : null,
      prompt: question,
      text: completion,
      gold: answer,
      about,
      named,
      factRecall,
      truePreferred: truth && truth.withoutNames.accuracy === 1,
    }))
  );
}

/** The axes of what is known against what is named, where knowledge is the measure that leads. */
export const nameAxes = {
  x: { title: "Names said (%, lower is better)", most: 100, fromZero: true },
  y: { title: "True answer preferred (%, higher is better)", most: 100 },
} as const;

/** The same where it is what a grader finds: tasks without wrong answers to compare, and own points. */
export const factAxes = {
  x: nameAxes.x,
  y: { title: "Some facts right (%, higher is better)", most: 100 },
} as const;

/** The axes of `namePoints`. */
export function nameAxesOf(summary: readonly NameSummary[]): typeof nameAxes | typeof factAxes {
  return summary.every(({ values }) => values[knowledge]) ? nameAxes : factAxes;
}

/**
 * What is known against what is named: a point for each row of the table, for `tradeOffPlot` with `nameAxesOf`. Knowledge is
 * the true answer preferred, judged without name tokens, or some facts right where there is nothing to prefer it to.
 */
export function namePoints(
  summary: readonly NameSummary[],
): { label: string; x: Interval; y: Interval }[] {
  const y = summary.every(({ values }) => values[knowledge]) ? knowledge : "partial";
  return summary.map(({ title, values }) => ({
    label: title,
    x: values.names!,
    y: values[y]!,
  }));
}

/** Draws what is known against what is named as `tradeoff.svg`; returns its path. */
export async function drawNames(
  folder: string,
  summary: readonly NameSummary[],
): Promise<string> {
  return await drawTradeOff(
    `${folder}/tradeoff.svg`,
    namePoints(summary),
    nameAxesOf(summary),
    "What is known against what is named",
  );
}
