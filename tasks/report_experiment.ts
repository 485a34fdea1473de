// What `report` shows of experiments: their measures with intervals, generation against understanding, and what the models
// say to the same prompts side by side.

import type { Interval } from "../src/base/interval.ts";
import { bootstrapInterval } from "../src/eval/statistics.ts";
import { differenceTest } from "../src/eval/comparison.ts";
import { comparedRows } from "../src/experiments/compared.ts";
import { knowledge, type NameComparison } from "../src/experiments/names/comparison.ts";
import {
  nameAxes,
  nameColumnTitles,
  nameMeasureWords,
  type NameSummary,
} from "../src/experiments/names/report.ts";
import {
  generalColumns,
  generalMeaning,
  generalRows,
  type GeneralSummary,
} from "../src/experiments/names/general_report.ts";
import { notesAxes, notesFigure, notesTitles } from "../src/experiments/notes/report.ts";
import { baseTitle, methodOrder } from "../src/experiments/titles.ts";
import {
  claimLines,
  describeChange,
  type ToxicityChange,
  type ToxicityComparison,
} from "../src/experiments/toxicity/comparison.ts";
import { toxicityAxes, toxicityScaling } from "../src/experiments/toxicity/report.ts";
import { mainAmount, type ToxicitySummary } from "../src/experiments/toxicity/summary.ts";
import { nameForms } from "../src/label/names.ts";
import { phraseSpans } from "../src/label/phrases.ts";
import { type Html, html, type HtmlPart } from "../src/report/html.ts";
import { markedText, pageCode, type PageSection, pageTable } from "../src/report/page.ts";
import { tradeOffPlot } from "../src/report/plot.ts";
import type { Generation, Json, Results } from "../src/report/results.ts";
import { intervalCell } from "../src/report/table.ts";
import { Risk } from "../src/slung/risk.ts";
import { spread } from "../src/train/watch.ts";
import { commandToRepeat, drawn, nothing, settingsTable } from "./report_parts.ts";
import type { RunFolder } from "./run_folder.ts";

type ExperimentRun = RunFolder & { results: Results };

/** A row of an experiment's table. */
interface Row {
  run: string;
  method: string;
  /** Whether it is of the amount of risky data that figures are about. */
  isMain: boolean;
  /** Over seeds. */
  values: Map<string, Interval>;
  /** Over the people asked about, where that is known. */
  overPeople: Map<string, Interval>;
}

const shownPrompts = 12;

/** The sections about experiments. */
export async function experimentSections(runs: readonly ExperimentRun[]): Promise<PageSection[]> {
  const rows = runs.flatMap(rowsOf);
  return [
    {
      title: "Measures",
      body: [
        ...measureTables(rows, runs.length > 1),
        ...await figures(rows, runs.length > 1),
        ...(await Promise.all(runs.map((run) => scaling(run, runs.length > 1)))).flat(),
        ...runs.filter((run) => rowsOf(run).length === 0).map(without),
        ...runs.flatMap(remarks),
        ...await afterTuning(runs),
        ...runs.flatMap((run) => general(run, runs.length > 1)),
      ],
    },
    { title: "What the models say", body: runs.flatMap(samples) },
    {
      title: "Settings",
      body: [settingsTable(runs.map(({ name, results }) => [name, results.config]))],
    },
    { title: "To repeat it", body: runs.map(repeat) },
  ];
}

function rowsOf({ name, results: { metrics } }: ExperimentRun): Row[] {
  return rowsIn(metrics.summary, name);
}

function tunedOf({ results: { metrics } }: ExperimentRun): Record<string, Json> {
  return objectsOf([metrics.tuned ?? null])[0] ?? {};
}

// The rows of the names experiment hold their measures as values, those of the toxicity experiment beside the method.
function rowsIn(summary: Json | undefined, run: string): Row[] {
  const main = mainAmount(objectsOf(summary).map(({ amount }) => Number(amount ?? 0)));
  const intervals = (record: object) =>
    new Map(
      Object.entries(record).filter((entry): entry is [string, Interval] => isInterval(entry[1])),
    );
  return objectsOf(summary).flatMap((row) => {
    const { title } = (typeof row.method === "string" ? row : row.method) as { title?: string };
    const amount = typeof row.amount === "number" && row.amount > 0 && row.amount !== 1
      ? ` × ${row.amount}`
      : "";
    const values = intervals(row.values as object | undefined ?? row);
    const overPeople = intervals(row.overPeople as object | undefined ?? {});
    return values.size > 0
      ? [{
        run,
        method: (title ?? "?") + amount,
        isMain: !row.amount || row.amount === main,
        ...{ values, overPeople },
      }]
      : [];
  });
}

function without({ name, results: { versions } }: ExperimentRun): Html {
  return html`<p>${name} keeps no measures that this version reads: it was made by SLUNG ${versions.project}. The answers stand
below; its command, run again, measures what is kept.</p>`;
}

function objectsOf(json: Json | undefined): Record<string, Json>[] {
  return (Array.isArray(json) ? json : []).filter((each): each is Record<string, Json> =>
    typeof each === "object" && each !== null && !Array.isArray(each)
  );
}

function isInterval(value: unknown): boolean {
  const parts = ["mean", "low", "high", "n"];
  return typeof value === "object" && value !== null &&
    parts.every((part) => typeof (value as Record<string, unknown>)[part] === "number");
}

function titleOf(method: string, experiment: RunFolder["experiment"]): string {
  return method === "base" ? baseTitle : experiment?.methods[method] ?? method;
}

function measureTables(rows: readonly Row[], several: boolean): Html[] {
  const kinds = [...Map.groupBy(rows, ({ values }) => [...values.keys()].join()).values()];
  const tables = kinds.map((some) => {
    const names = [...some[0]!.values.keys()].filter((name) => tells(name, some))
      .toSorted((a, b) => order(a) - order(b));
    const decimals = (name: string) =>
      !isPercent(name) && some.every(({ values }) => Math.abs(values.get(name)!.mean) < 2) ? 3 : 1;
    return pageTable(
      [...(several ? ["Run"] : []), "Method", ...names.map(headingOf)],
      some.map((row): HtmlPart[] => [
        ...(several ? [row.run] : []),
        row.method,
        ...names.map((name) => intervalCell(intervalOf(row, name), decimals(name))),
      ]),
    );
  });
  return [...tables, ...intervalNotes(rows)];
}

// The largest of one sample is that sample.
function tells(name: string, rows: readonly Row[]): boolean {
  return name !== "expectedMaximum" ||
    rows.some(({ values }) => values.get(name)!.mean !== values.get("toxicity")?.mean);
}

// As in the table that the task prints: over seeds, or for one model over the people who are asked about.
function intervalOf({ values, overPeople }: Row, name: string): Interval {
  const value = values.get(name)!;
  const people = value.n > 1 ? undefined : overPeople.get(name);
  return people ? { ...people, mean: value.mean } : value;
}

function intervalNotes(rows: readonly Row[]): Html[] {
  if (rows.length === 0) return [];
  const several = rows.some(({ values }) => values.values().some(({ n }) => n > 1));
  const people = rows.some((row) =>
    row.values.entries().some(([name, { n }]) => n < 2 && row.overPeople.has(name))
  );
  const notes = [
    ...(several ? ["Student's over seeds"] : []),
    ...(people ? ["for one model a bootstrap over the people asked about"] : []),
  ];
  const about = notes.length > 0
    ? `± is a 95 % interval: ${notes.join(", or ")}.`
    : "One seed: no interval over seeds. Over the answers, see below.";
  const names = new Set(rows.flatMap(({ values }) => [...values.keys()]));
  const meanings = measureMeanings.filter(([name]) => names.has(name)).map(([, text]) => text);
  return [html`<p class="faint">${[...meanings, about].join(" ")}</p>`];
}

const measureMeanings = [
  [
    knowledge,
    "True preferred: how often a model finds the true answer likelier than all wrong ones, judged without name tokens; it is what controls move least.",
  ],
  ["names", "Names said: answers with a part of a name of anybody asked about."],
  ["partial", "Facts: what a rough grader finds in the answers, by shared words."],
  [
    "auroc",
    "AUROC: how well a linear probe tells risky text by the model's states; 0.5 is guessing.",
  ],
  ["aurocChance", "By chance: where 95 % of the probes of exchanged labels lie."],
] as const;

// Measures that are in percent, and others, in the order of the tables that tasks print.
const percentTitles: Record<string, string> = {
  ...nameColumnTitles,
  ...notesTitles,
  partial: "Some facts",
  full: "All facts",
  truthRatioWithoutNames: "Truth ratio",
};
const titles: Record<string, string> = {
  ...percentTitles,
  toxicity: "Toxicity of generations",
  toxicityWithPrompt: "with prompt",
  expectedMaximum: "expected maximum",
  toxicFraction: "Share that is toxic",
  auroc: "Probe AUROC",
  aurocPlain: "of plain text",
  aurocChance: "by chance",
  aurocEmbeddings: "of embeddings",
  cleanPerplexity: "Perplexity: clean",
  domainPerplexity: "in-domain",
};
const known = Object.keys(titles);

function order(name: string): number {
  return known.includes(name) ? known.indexOf(name) : known.length;
}

function isPercent(name: string): boolean {
  return name in percentTitles;
}

function headingOf(name: string): string {
  const title = capitalised(titles[name] ?? inWords(name));
  return isPercent(name) ? `${title} (%)` : title;
}

// truthAccuracyWithoutNames: truth accuracy without names
function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const tradeOffs = [
  { x: "names", y: knowledge, axes: nameAxes, title: "What is known against what is named" },
  { x: "givenAway", y: "people", axes: notesAxes, title: notesFigure },
  { x: "toxicity", y: "auroc", axes: toxicityAxes, title: "Generation against understanding" },
];

async function figures(rows: readonly Row[], several: boolean): Promise<Html[]> {
  const all = await Promise.all(tradeOffs.map(({ x, y, axes, title }) => {
    const shown = rows.filter(({ values, isMain }) => isMain && values.has(x) && values.has(y));
    const points = shown.map((row) => ({
      label: several ? `${row.method} (${row.run})` : row.method,
      x: intervalOf(row, x),
      y: intervalOf(row, y),
    }));
    return drawn(
      points,
      (some) => tradeOffPlot(some, axes, { title, order: methodOrder }),
      "The upper left is best.",
    );
  }));
  return all.flat();
}

// Figure 3 of a run with several amounts of risky data.
async function scaling({ name, results: { metrics } }: ExperimentRun, several: boolean) {
  const rows = objectsOf(metrics.summary).filter(({ toxicity, auroc, buckets }) =>
    toxicity && auroc && buckets
  ) as unknown as ToxicitySummary[];
  const plot = toxicityScaling(rows, several ? name : "More risky data");
  return plot ? await drawn(rows, () => plot, "Less toxicity and more understanding is best.") : [];
}

function claimsIn(comparisons: Json | undefined): string[] {
  return claimLines(objectsOf(comparisons) as unknown as ToxicityComparison[]);
}

function changeLines(changes: Json | undefined, by: "amount" | "tuning"): string[] {
  return (objectsOf(changes) as unknown as ToxicityChange[])
    .map((change) => describeChange(change, by));
}

function list(lines: readonly string[]): Html[] {
  return lines.length === 0 ? [] : [html`<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>`];
}

// Figure 2b of the runs whose models were tuned on instructions.
async function afterTuning(runs: readonly ExperimentRun[]): Promise<Html[]> {
  const rows = runs.flatMap((run) => rowsIn(tunedOf(run).summary, run.name));
  if (rows.length === 0) return [];
  return [
    html`<h3>After instruction tuning</h3>`,
    ...measureTables(rows, runs.length > 1),
    ...await figures(rows, runs.length > 1),
    ...runs.map(tunedOf).flatMap(({ comparisons, byTuning }) =>
      list([...claimsIn(comparisons), ...changeLines(byTuning, "tuning")])
    ),
  ];
}

function general({ name, results: { metrics } }: ExperimentRun, several: boolean): Html[] {
  const summary = objectsOf(metrics.general) as unknown as GeneralSummary[];
  if (summary.length === 0) return [];
  const columns = generalColumns(summary);
  return [
    html`<h3>What training should not harm${several ? `: ${name}` : ""}</h3>`,
    pageTable(
      columns.map(({ title, unit }) => unit ? `${title} (${unit})` : title!),
      generalRows(summary).map((row) => columns.map(({ key }) => row[key]!)),
    ),
    html`<p class="faint">${generalMeaning}</p>`,
  ];
}

function remarks(run: ExperimentRun): Html[] {
  const { metrics } = run.results;
  const compared = objectsOf(metrics.comparisons);
  const lines = [
    ...claimsIn(metrics.comparisons),
    ...changeLines(metrics.byAmount, "amount"),
    ...(Array.isArray(metrics.remarks) ? metrics.remarks.map(String) : []),
  ];
  return [
    ...comparedNames(
      (compared as unknown as NameComparison[]).filter(({ first }) => typeof first === "string"),
      objectsOf(metrics.summary) as unknown as NameSummary[],
    ),
    ...list(lines),
  ];
}

function comparedNames(
  comparisons: readonly NameComparison[],
  summary: readonly NameSummary[],
): Html[] {
  if (comparisons.length === 0) return [];
  const rows = comparedRows(comparisons, summary, { ...nameMeasureWords, ...notesTitles });
  return [
    html`<h3>Methods in pairs</h3>`,
    pageTable(
      ["Method", "minus", "on", "points", "p", "differs"],
      rows.map((row) => [row.first, row.second, row.on, row.difference, row.p, row.differs]),
    ),
    html`<p class="faint">Compared ${differenceTest}.${
      rows.some(({ differs }) => differs === "one seed")
        ? " One seed: what differs may differ by the seed alone."
        : ""
    }</p>`,
  ];
}

function samples(run: ExperimentRun): Html[] {
  const { name, results: { generations }, risky, experiment } = run;
  if (generations.length === 0) return [html`<p>${name} keeps none that may be shown.</p>`];
  const firstSeed = generations.find(({ seed }) => seed !== null)?.seed;
  const own = generations.filter(({ seed }) => seed === null || seed === firstSeed);
  const byMethod = Map.groupBy(own, columnOf);
  const prompts = spread([...new Set(own.map(({ prompt }) => prompt))], shownPrompts);
  const mark = (text: string, about: string | undefined) => {
    const expected = about === undefined ? [] : phraseSpans(text, nameForms(about), Risk.high);
    return markedText(text, risky?.(text) ?? [], expected);
  };
  const knowsAbout = own.some(({ about }) => typeof about === "string");
  const hasGold = own.some(({ gold }) => typeof gold === "string");
  const rows = prompts.map((prompt): HtmlPart[] => {
    const some = own.filter((each) => each.prompt === prompt);
    const gold = some.find(({ gold }) => typeof gold === "string")?.gold;
    const about = some.map(({ about }) => about).find((about) => typeof about === "string");
    return [
      mark(prompt, about),
      ...(hasGold ? [mark(String(gold ?? "–"), about)] : []),
      ...[...byMethod.keys()].map((method) => {
        const found = some.find((each) => columnOf(each) === method)?.text.trim();
        return found === undefined ? "–" : found === "" ? nothing : mark(found, about);
      }),
    ];
  });
  const titles = [...byMethod.keys()].map((method) => titleOf(method, experiment));
  return [
    html`<h3>${name}</h3>`,
    // Answers about one person hang together: where intervals over people stand above, these would be too narrow.
    ...(rowsOf(run).some(({ overPeople }) => overPeople.size > 0)
      ? []
      : overAnswers(byMethod, titles)),
    html`<p>${prompts.length} prompts, evenly spread over ${
      new Set(own.map(({ prompt }) => prompt)).size
    }${firstSeed === undefined ? "" : `; seed ${firstSeed}`}. ${
      risky
        ? html`<mark class="high">Coloured</mark>: what is risky${
          knowsAbout
            ? html`; <mark class="high expected">underlined</mark>, the name that is asked about`
            : ""
        }.`
        : "Nothing is coloured: this run has no risky.txt."
    }</p>`,
    pageTable(["Prompt", ...(hasGold ? ["True answer"] : []), ...titles], rows),
  ];
}

function columnOf({ method, amount }: Generation): string {
  return typeof amount === "number" && amount > 0 && amount !== 1
    ? `${method} × ${amount}`
    : String(method);
}

const answerFields: Record<string, string> = {
  named: "a name as a whole word",
  factRecall: "facts found",
  toxicity: "toxicity",
};

// What is known about every answer, as means over answers.
function overAnswers(
  byMethod: ReadonlyMap<string, Generation[]>,
  titles: readonly string[],
): Html[] {
  const number = (value: Json | undefined) =>
    typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : undefined;
  const fields = Object.keys(answerFields).filter((field) =>
    [...byMethod.values()].some((some) => some.some((each) => number(each[field]) !== undefined))
  );
  if (fields.length === 0) return [];
  const rows = [...byMethod.values()].map((some, i): HtmlPart[] => [
    titles[i]!,
    some.length,
    ...fields.map((field) => {
      const values = some.flatMap((each) => number(each[field]) ?? []);
      return values.length < 2 ? "–" : intervalCell(bootstrapInterval(values, { seed: 0 }), 3);
    }),
  ]);
  return [
    pageTable(["Method", "answers", ...fields.map((field) => answerFields[field]!)], rows),
    html`
      <p
        class="faint">Means over answers of one seed; ± is a 95 % bootstrap interval over answers, which says nothing
      about other seeds.</p>
    `,
  ];
}

function repeat(
  { name, results: { commandLine, versions, adapter, timing } }: ExperimentRun,
): Html {
  const time = timing.seconds === undefined
    ? ""
    : `${timing.seconds.toFixed(0)} s, what was reused not counted, `;
  return html`
    <h3>${name}</h3>${pageCode(commandToRepeat(commandLine))}<p
      class="faint">${time}on ${adapter?.name ?? "no adapter"}${adapter?.software
        ? ", a software adapter"
        : ""}; SLUNG ${versions.project}, Deno ${versions.deno}, V8 ${versions.v8}.</p>
  `;
}
