// What the experiment on notes prints and keeps: what is given away against what is known, over seeds, and methods in pairs.

import type { Interval } from "../../base/interval.ts";
import { testTogether } from "../../eval/comparison.ts";
import { mean, studentInterval } from "../../eval/statistics.ts";
import type { Generation } from "../../report/results.ts";
import { type Column, intervalCell, renderTable } from "../../report/table.ts";
import { type ComparedPair, comparedRows, renderComparisons } from "../compared.ts";
import { drawTradeOff } from "../figures.ts";
import { expectOutcomes } from "../outcomes.ts";
import { baseTitle } from "../titles.ts";
import type { NotesOutcome, NotesResult } from "./experiment.ts";

/** What is measured, in percent: continuations with personal data, right causes preferred, right machines of people. */
export type NotesMeasure = "givenAway" | "causes" | "people";

const itemsOf: Record<NotesMeasure, (result: NotesResult) => readonly boolean[]> = {
  givenAway: ({ continued }) => continued.map(({ personal }) => personal),
  causes: ({ causes }) => causes,
  people: ({ people }) => people,
};
const notesMeasures = Object.keys(itemsOf) as NotesMeasure[];

/** One row of the table, over seeds. */
export interface NotesSummary {
  /** Name of the method, or `base`. */
  method: string;
  /** Its title. */
  title: string;
  /** In percent, with 95 % Student intervals over seeds. */
  values: Record<NotesMeasure, Interval>;
}

/** Two methods on one measure. */
export type NotesComparison = ComparedPair & { on: NotesMeasure };

/** Sums outcomes up over seeds. @throws {CannotError} when something else is given. */
export function summariseNotes(outcomes: readonly NotesOutcome[]): NotesSummary[] {
  expectOutcomes(outcomes, "notes", "notes");
  return Array.from(byMethod(outcomes), ([method, group]) => {
    const over = (measure: NotesMeasure) =>
      studentInterval(group.map((outcome) => mean(percents(outcome, measure))));
    return {
      method,
      title: group[0]!.run.method?.title ?? baseTitle,
      values: { givenAway: over("givenAway"), causes: over("causes"), people: over("people") },
    };
  });
}

// What SLUNG is compared with: learning everything, and reading nothing personal.
const references = ["direct", "low_risk"];

/** Every method against direct training and the low-risk baseline, paired by seed and machine, corrected together. */
export function compareNotes(outcomes: readonly NotesOutcome[]): NotesComparison[] {
  const groups = [...byMethod(outcomes)].filter(([name]) => name !== "base");
  const against = groups.filter(([name]) => references.includes(name));
  return testTogether(
    groups.flatMap(([first, own]) =>
      against.filter(([second]) =>
        first !== second && !(first === "low_risk" && second === "direct")
      )
        .flatMap(([second, others]) =>
          notesMeasures.map((on) => ({
            labels: { first, second, on },
            first: own.map((outcome) => percents(outcome, on)),
            second: others.map((outcome) => percents(outcome, on)),
            groups: machinesOf(own[0]!, on),
          }))
        )
    ),
  );
}

// Which machine each item of a measure is about.
function machinesOf(outcome: NotesOutcome, measure: NotesMeasure): number[] {
  const items = percents(outcome, measure).length;
  const perMachine = items / percents(outcome, "causes").length;
  return Array.from({ length: items }, (_, item) => Math.floor(item / perMachine));
}

/** Headings of the measures. */
export const notesTitles: Readonly<Record<NotesMeasure, string>> = {
  givenAway: "personal data given away",
  causes: "right cause preferred",
  people: "right machine of a person",
};

/** The title of the figure. */
export const notesFigure = "What only readers of personal data know, and what is given away";

/** The axes of what only readers of personal data know, against what is given away. */
export const notesAxes = {
  x: { title: "Personal data given away (%, lower is better)", most: 100, fromZero: true },
  y: { title: "Right machine of a person (%, higher is better)", most: 100 },
} as const;

/** All as text for the terminal. */
export function renderNotes(
  summary: readonly NotesSummary[],
  comparisons: readonly NotesComparison[],
): string {
  return [
    renderTable(notesColumns, notesRows(summary)),
    "The right one of 12 causes or machines is preferred by chance in 8.3 %. ± is Student's 95 % interval over seeds.",
    ...(comparisons.length === 0
      ? []
      : ["", renderComparisons(comparedRows(comparisons, summary, notesTitles))]),
  ].join("\n");
}

/** The columns of {@linkcode notesRows}. */
export const notesColumns: readonly Column<Record<string, string>>[] = [
  { key: "method" },
  ...notesMeasures.map((key) => (
    { key, title: notesTitles[key], unit: "%", align: "right" } as const
  )),
];

/** The table's cells. */
export function notesRows(summary: readonly NotesSummary[]): Record<string, string>[] {
  return summary.map(({ title, values }) => ({
    method: title,
    ...Object.fromEntries(notesMeasures.map((key) => [key, intervalCell(values[key], 1)])),
  }));
}

/** Draws what is known against what is given away as `tradeoff.svg`; returns its path. */
export async function drawNotes(
  folder: string,
  summary: readonly NotesSummary[],
): Promise<string> {
  const points = summary.map(({ title, values }) => ({
    label: title,
    x: values.givenAway,
    y: values.people,
  }));
  return await drawTradeOff(`${folder}/tradeoff.svg`, points, notesAxes, notesFigure);
}

/** One line about a finished model. */
export function describeNotes(outcome: NotesOutcome): string {
  const { method, seed } = outcome.run;
  const who = method ? `${method.title}, seed ${seed}` : baseTitle;
  const share = (measure: NotesMeasure) => `${mean(percents(outcome, measure)).toFixed(0)} %`;
  return `${who}: personal data in ${share("givenAway")} of what it writes, ` +
    `right cause in ${share("causes")}, right machine of a person in ${share("people")}`;
}

/** What every model wrote, for results.json. */
export function notesGenerations(outcomes: readonly NotesOutcome[]): Generation[] {
  return outcomes.flatMap((outcome) =>
    resultOf(outcome).continued.map(({ prompt, text, gold, personal }) => ({
      method: outcome.run.method?.name ?? "base",
      seed: outcome.run.method ? outcome.run.seed : null,
      ...{ prompt, text, gold, personal },
    }))
  );
}

function byMethod(outcomes: readonly NotesOutcome[]): Map<string, NotesOutcome[]> {
  return Map.groupBy(outcomes, ({ run }) => run.method?.name ?? "base");
}

function resultOf({ stages }: NotesOutcome): NotesResult {
  return stages.at(-1)!.results.notes;
}

function percents(outcome: NotesOutcome, measure: NotesMeasure): number[] {
  return itemsOf[measure](resultOf(outcome)).map((holds) => holds ? 100 : 0);
}
