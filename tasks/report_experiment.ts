// What `report` shows of experiments: their measures with intervals, generation against understanding, and what the models
// say to the same prompts side by side.

import type { Interval } from "../src/base/interval.ts";
import { bootstrapInterval } from "../src/eval/statistics.ts";
import { differenceTest } from "../src/eval/comparison.ts";
import { knowledge, type NameComparison } from "../src/experiments/names/comparison.ts";
import {
  nameAxes,
  nameColumnTitles,
  nameComparisonRows,
  type NameMeasure,
  type NameSummary,
} from "../src/experiments/names/report.ts";
import { baseTitle, methodOrder } from "../src/experiments/titles.ts";
import {
  describeClaim,
  isClaim,
  type ToxicityComparison,
} from "../src/experiments/toxicity/comparison.ts";
import { toxicityAxes } from "../src/experiments/toxicity/report.ts";
import { type Html, html, type HtmlPart } from "../src/report/html.ts";
import { markedText, pageCode, type PageSection, pageTable } from "../src/report/page.ts";
import { tradeOffPlot } from "../src/report/plot.ts";
import type { Generation, Json, Results } from "../src/report/results.ts";
import { spread } from "../src/train/watch.ts";
import { commandToRepeat, drawn, intervalCell, settingsTable } from "./report_parts.ts";
import type { RunFolder } from "./run_folder.ts";

type ExperimentRun = RunFolder & { results: Results };

/** A row of an experiment's table. */
interface Row {
  run: string;
  method: string;
  values: Map<string, Interval>;
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
        ...runs.flatMap(remarks),
      ],
    },
    { title: "What the models say", body: runs.flatMap(samples) },
    {
      title: "Settings",
      body: [settingsTable(runs.map(({ path, results }) => [path, results.config]))],
    },
    { title: "To repeat it", body: runs.map(repeat) },
  ];
}

// The rows of the names experiment hold their measures as values, those of the toxicity experiment beside the method.
function rowsOf({ path, results: { metrics } }: ExperimentRun): Row[] {
  const intervals = (record: object) =>
    new Map(
      Object.entries(record).filter((entry): entry is [string, Interval] => isInterval(entry[1])),
    );
  return objectsOf(metrics.summary).flatMap((row) => {
    const { title } = (typeof row.method === "string" ? row : row.method) as { title?: string };
    const amount = typeof row.amount === "number" && row.amount > 0 && row.amount !== 1
      ? ` × ${row.amount}`
      : "";
    const values = intervals(row.values as object | undefined ?? row);
    return values.size > 0 ? [{ run: path, method: (title ?? "?") + amount, values }] : [];
  });
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
    const names = [...some[0]!.values.keys()].toSorted((a, b) => order(a) - order(b));
    const decimals = (name: string) =>
      some.every(({ values }) => Math.abs(values.get(name)!.mean) < 2) ? 3 : 1;
    return pageTable(
      [...(several ? ["Run"] : []), "Method", ...names.map(headingOf)],
      some.map(({ run, method, values }): HtmlPart[] => [
        ...(several ? [run] : []),
        method,
        ...names.map((name) => intervalCell(values.get(name)!, decimals(name))),
      ]),
    );
  });
  const seeds = rows.flatMap(({ values }) => Array.from(values.values(), ({ n }) => n));
  const about = seeds.some((n) => n > 1)
    ? "± is a 95 % Student interval over seeds."
    : "One seed: no interval over seeds. Over the answers, see below.";
  return [...tables, html`<p class="faint">${about}</p>`];
}

// Names said come first, as in the table that the task prints.
const known = Object.keys(nameColumnTitles);

function order(name: string): number {
  return known.includes(name) ? known.indexOf(name) : known.length;
}

function headingOf(name: string): string {
  const title = nameColumnTitles[name as NameMeasure];
  return title === undefined ? inWords(name) : `${title} (%)`;
}

// truthAccuracyWithoutNames: truth accuracy without names
function inWords(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

const tradeOffs = [
  { x: "names", y: knowledge, axes: nameAxes, title: "What is known against what is named" },
  { x: "toxicity", y: "auroc", axes: toxicityAxes, title: "Generation against understanding" },
];

async function figures(rows: readonly Row[], several: boolean): Promise<Html[]> {
  const all = await Promise.all(tradeOffs.map(({ x, y, axes, title }) => {
    const points = rows.flatMap(({ run, method, values }) => {
      const [across, up] = [values.get(x), values.get(y)];
      return across && up
        ? [{ label: several ? `${method} (${run})` : method, x: across, y: up }]
        : [];
    });
    return drawn(
      points,
      (some) => tradeOffPlot(some, axes, { title, order: methodOrder }),
      "The upper left is best.",
    );
  }));
  return all.flat();
}

function remarks(run: ExperimentRun): Html[] {
  const { metrics } = run.results;
  const compared = objectsOf(metrics.comparisons);
  const claims = (compared as unknown as ToxicityComparison[]).filter(isClaim);
  const lines = [
    ...claims.map(describeClaim),
    ...(claims.length > 0 ? [`Compared ${differenceTest}.`] : []),
    ...(Array.isArray(metrics.remarks) ? metrics.remarks.map(String) : []),
  ];
  return [
    ...comparedNames(
      (compared as unknown as NameComparison[]).filter(({ first }) => typeof first === "string"),
      objectsOf(metrics.summary) as unknown as NameSummary[],
    ),
    ...(lines.length === 0 ? [] : [html`<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>`]),
  ];
}

function comparedNames(
  comparisons: readonly NameComparison[],
  summary: readonly NameSummary[],
): Html[] {
  if (comparisons.length === 0) return [];
  const rows = nameComparisonRows(comparisons, summary);
  return [
    pageTable(
      ["Method", "minus", "on", "points", "p", "differs"],
      rows.map((row) => [row.first, row.second, row.on, row.difference, row.p, row.differs]),
    ),
    html`<p class="faint">Compared ${differenceTest}.</p>`,
  ];
}

function samples({ path, results: { generations }, risky, experiment }: ExperimentRun): Html[] {
  if (generations.length === 0) return [html`<p>${path} keeps none that may be shown.</p>`];
  const firstSeed = generations.find(({ seed }) => seed !== null)?.seed;
  const own = generations.filter(({ seed }) => seed === null || seed === firstSeed);
  const byMethod = Map.groupBy(own, columnOf);
  const prompts = spread([...new Set(own.map(({ prompt }) => prompt))], shownPrompts);
  const mark = (text: string) => markedText(text, risky?.(text) ?? []);
  const hasGold = own.some(({ gold }) => typeof gold === "string");
  const rows = prompts.map((prompt): HtmlPart[] => {
    const some = own.filter((each) => each.prompt === prompt);
    const gold = some.find(({ gold }) => typeof gold === "string")?.gold;
    return [
      mark(prompt),
      ...(hasGold ? [mark(String(gold ?? "–"))] : []),
      ...[...byMethod.keys()].map((method) => {
        const found = some.find((each) => columnOf(each) === method);
        return found ? mark(found.text) : "–";
      }),
    ];
  });
  const titles = [...byMethod.keys()].map((method) => titleOf(method, experiment));
  return [
    html`<h3>${path}</h3>`,
    ...overAnswers(byMethod, titles),
    html`<p>${prompts.length} prompts, evenly spread over ${
      new Set(own.map(({ prompt }) => prompt)).size
    }${firstSeed === undefined ? "" : `; seed ${firstSeed}`}. ${
      risky
        ? html`<mark class="high">Coloured</mark>: what is risky.`
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

// What is known about every answer, as means over answers.
function overAnswers(
  byMethod: ReadonlyMap<string, Generation[]>,
  titles: readonly string[],
): Html[] {
  const number = (value: Json | undefined) =>
    typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : undefined;
  const fields = ["named", "factRecall", "toxicity"].filter((field) =>
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
    pageTable(["Method", "answers", ...fields.map(inWords)], rows),
    html`
      <p
        class="faint">Means over answers of one seed; ± is a 95 % bootstrap interval over answers, which says nothing
      about other seeds.</p>
    `,
  ];
}

function repeat(
  { path, results: { commandLine, versions, adapter, timing } }: ExperimentRun,
): Html {
  const time = timing.seconds === undefined
    ? ""
    : `${timing.seconds.toFixed(0)} s, what was reused not counted, `;
  return html`
    <h3>${path}</h3>${pageCode(commandToRepeat(commandLine))}<p
      class="faint">${time}on ${adapter?.name ?? "no adapter"}${adapter?.software
        ? ", a software adapter"
        : ""}; SLUNG ${versions.project}, Deno ${versions.deno}, V8 ${versions.v8}.</p>
  `;
}
