// What the README shows of the results that are kept in docs/results: tables of methods with what made them below, methods in
// pairs, and the paper's claims beside ours.

import { exists, readText } from "../src/base/files.ts";
import { answerControls } from "../src/data/method.ts";
import { type KeptNames, nameClaimCells, nameClaims } from "../src/experiments/names/claims.ts";
import { knowledge, type NameComparison } from "../src/experiments/names/comparison.ts";
import type { GradeCounts, GraderCheck } from "../src/experiments/names/grader_check.ts";
import { nameCell, nameComparisonRows, type NameMeasure } from "../src/experiments/names/report.ts";
import { comparedColumns, comparedRows } from "../src/experiments/compared.ts";
import {
  notesColumns,
  type NotesComparison,
  notesRows,
  type NotesSummary,
  notesTitles,
} from "../src/experiments/notes/report.ts";
import {
  type KeptToxicity,
  toxicityClaimCells,
  toxicityClaims,
} from "../src/experiments/toxicity/claims.ts";
import { probeControls } from "../src/experiments/toxicity/report.ts";
import { atMainAmount } from "../src/experiments/toxicity/summary.ts";
import { keptCaption, type KeptResults, readKept } from "../src/report/kept_results.ts";
import { nameMethods } from "./names.ts";
import { type Column, intervalCell, renderMarkdownTable } from "../src/report/table.ts";

/** The files of docs/results, without their ending. */
export const keptNames = [
  "demo",
  "tofu",
  "notes",
  "toxicity-invented",
  "toxicity-comments",
  "toxicity-comments-amounts",
  "toxicity-scratch",
] as const;
type KeptName = (typeof keptNames)[number];

/** Whether results have what a table of the README is made from. */
export function hasTable(name: KeptName, { metrics }: KeptResults<unknown>): boolean {
  const { summary, comparisons } = (metrics ?? {}) as Partial<KeptNames | KeptToxicity>;
  const nameOf = (method: unknown): unknown =>
    name.startsWith("toxicity") ? (method as { name?: unknown } | undefined)?.name : method;
  return Array.isArray(comparisons) && Array.isArray(summary) &&
    summary.every((row) => typeof nameOf(row?.method) === "string");
}

/** The figures of a run that a text shows, by where it looks for them. */
export async function shownFigures(
  text: string,
  run: string,
  name: KeptName,
): Promise<Map<string, string>> {
  const shown = new Map<string, string>();
  for (const figure of ["tradeoff.svg", "tradeoff-tuned.svg", "scaling.svg"]) {
    const path = `docs/results/${name}-${figure}`;
    if (!text.includes(`(${path})`)) continue;
    if (await exists(`${run}/${figure}`)) shown.set(path, await readText(`${run}/${figure}`));
  }
  return shown;
}

/**
 * What belongs between the comments of the README, by the name in them.
 *
 * @param anew What takes the place of kept results, by their names.
 */
export async function readmeTables(
  anew: ReadonlyMap<string, KeptResults<unknown>> = new Map(),
): Promise<Map<string, string>> {
  const read = async <Metrics>(name: KeptName | "grader") =>
    (anew.get(name) ?? await readKept(pathOf(`docs/results/${name}.json`))) as KeptResults<Metrics>;
  const demo = await read<KeptNames>("demo"), tofu = await read<KeptNames>("tofu");
  const notes = await read<KeptNotes>("notes");
  const invented = await read<KeptToxicity>("toxicity-invented");
  const comments = await read<KeptToxicity>("toxicity-comments");
  const amounts = await read<KeptToxicity>("toxicity-comments-amounts");
  const scratch = await read<KeptToxicity>("toxicity-scratch");
  const grader = await read<GraderCheck>("grader");
  return new Map([
    ["demo", withCaption(nameTable(demo.metrics, demoColumns), demo)],
    ["demo-compared", comparisonTable(demo.metrics)],
    ["grader", withCaption(graderTable(grader.metrics), grader)],
    ["tofu", withCaption(nameTable(tofu.metrics, tofuColumns), tofu)],
    [
      "notes",
      withCaption(renderMarkdownTable(notesColumns, notesRows(notes.metrics.summary)), notes),
    ],
    ["notes-compared", notesCompared(notes.metrics)],
    ["toxicity-invented", withCaption(toxicityTable(invented.metrics, inventedColumns), invented)],
    ["toxicity-invented-amounts", toxicityTable(invented.metrics, inventedColumns, "amounts")],
    ["toxicity-invented-tuned", tunedTable(invented.metrics)],
    ["toxicity-scratch", withCaption(toxicityTable(scratch.metrics, inventedColumns), scratch)],
    ["toxicity-comments", withCaption(toxicityTable(comments.metrics, commentColumns), comments)],
    [
      "toxicity-comments-amounts",
      withCaption(toxicityTable(amounts.metrics, commentColumns, "amounts"), amounts),
    ],
    [
      "claims-names",
      claimTable(nameClaims, {
        "the demo": nameClaimCells(demo.metrics),
        TOFU: nameClaimCells(tofu.metrics),
      }),
    ],
    [
      "claims-toxicity",
      claimTable(toxicityClaims, {
        "invented world": toxicityClaimCells(invented.metrics),
        "real comments": toxicityClaimCells(comments.metrics, amounts.metrics),
      }),
    ],
  ]);
}

/** The path of a file of this project. */
export function pathOf(file: string): string {
  return decodeURIComponent(new URL(`../${file}`, import.meta.url).pathname);
}

function withCaption(table: string, kept: KeptResults<unknown>): string {
  return `${table}\n\n${wrapped(keptCaption(kept as KeptResults))}`;
}

// As wide as the README's text; code is not broken.
function wrapped(text: string): string {
  const [first, ...words] = text.match(/`[^`]*`\S*|\S+/g)!;
  return words.reduce(
    ([line, ...before], word) =>
      line!.length + 1 + word.length > 100
        ? [word, line!, ...before]
        : [`${line} ${word}`, ...before],
    [first!],
  ).reverse().join("\n");
}

type Cells = Record<string, string>;

const demoColumns: Partial<Record<NameMeasure, string>> = {
  [knowledge]: "true answer preferred",
  names: "names said",
  rougeRecall: "ROUGE-L",
};
const tofuColumns: Partial<Record<NameMeasure, string>> = {
  [knowledge]: "true answer preferred",
  truthAccuracy: "names counted",
  names: "names said",
};

function nameTable({ summary }: KeptNames, shown: Partial<Record<NameMeasure, string>>): string {
  const measures = Object.entries(shown) as [NameMeasure, string][];
  const columns: Column<Cells>[] = [
    { key: "method" },
    ...measures.map(([key, title]) => ({ key, title, unit: "%", align: "right" } as const)),
  ];
  const order = ["base", ...nameMethods.map(({ name }) => name)];
  return renderMarkdownTable(
    columns,
    summary.toSorted((a, b) => order.indexOf(a.method) - order.indexOf(b.method)).map((row) => ({
      method: row.title,
      ...Object.fromEntries(measures.map(([key]) => [key, nameCell(row, key)])),
    })),
  );
}

// Those that say what is knowledge and what is manner; the rest is in the file.
function comparisonTable({ summary, comparisons }: KeptNames): string {
  const isControl = (method: string) => answerControls.some(({ name }) => name === method);
  const shown = ({ first, second, on }: NameComparison) =>
    on === "names"
      ? second === "direct"
      : on === knowledge && first !== "direct" && (second !== "base" || isControl(first));
  return renderMarkdownTable(
    comparedColumns,
    nameComparisonRows(comparisons.filter(shown), summary),
  );
}

interface KeptNotes {
  summary: NotesSummary[];
  comparisons: NotesComparison[];
}

// SLUNG against giving everything away, and against reading nothing personal.
function notesCompared({ summary, comparisons }: KeptNotes): string {
  const shown = comparisons.filter(({ first, second, on }) =>
    ["masked", "unlikelihood"].includes(first) && (second === "direct" || on === "people")
  );
  return renderMarkdownTable(comparedColumns, comparedRows(shown, summary, notesTitles));
}

function graderTable({ auroc, confusion }: GraderCheck): string {
  const columns: Column<Cells>[] = [
    { key: "answers", title: "TOFU's answers" },
    { key: "full", title: "graded: all facts", align: "right" },
    { key: "partial", title: "some", align: "right" },
    { key: "nothing", title: "none", align: "right" },
  ];
  const row = (answers: string, counts: GradeCounts): Cells => ({
    answers,
    ...Object.fromEntries(Object.entries(counts).map(([grade, count]) => [grade, String(count)])),
  });
  const table = renderMarkdownTable(columns, [
    row("right, in other words", confusion.right),
    row("wrong, in much the same words", confusion.wrong),
  ]);
  return `${table}\n\nAUROC ${intervalCell(auroc, 3)}.`;
}

type ToxicityMeasure = "toxicity" | "toxicFraction" | "auroc" | "aurocPlain";
type ToxicityColumns = Partial<Record<ToxicityMeasure, { title: string; unit?: "%" }>>;
const inventedColumns: ToxicityColumns = {
  toxicFraction: { title: "abusive continuations", unit: "%" },
  auroc: { title: "probe AUROC" },
};
const tunedColumns: ToxicityColumns = {
  ...inventedColumns,
  aurocPlain: { title: "of plain text" },
};
const commentColumns: ToxicityColumns = {
  toxicity: { title: "toxicity of continuations" },
  toxicFraction: { title: "toxic ones", unit: "%" },
  auroc: { title: "probe AUROC" },
};

function tunedTable({ tuned }: KeptToxicity): string {
  return tuned ? toxicityTable(tuned, tunedColumns) : "No models of this run were tuned on chats.";
}

/** @param which All rows of methods at several amounts of risky data, or those of every method at the main one. */
function toxicityTable(
  { summary }: Pick<KeptToxicity, "summary">,
  shown: ToxicityColumns,
  which: "main" | "amounts" = "main",
): string {
  const measures = Object.entries(shown) as [ToxicityMeasure, { title: string; unit?: "%" }][];
  const columns: Column<Cells>[] = [
    { key: "method" },
    ...(which === "amounts"
      ? [{ key: "amount", title: "risky data", align: "right" } as const]
      : []),
    ...measures.map(([key, column]) => ({ key, ...column, align: "right" } as const)),
  ];
  const shownRows = which === "amounts"
    ? summary.filter(({ amount }) => amount > 0)
    : atMainAmount(summary);
  const rows = shownRows.map((row): Cells => ({
    method: row.method.title,
    amount: `× ${row.amount}`,
    ...Object.fromEntries(
      measures.map(([key, { unit }]) => [
        key,
        row[key] ? unit ? intervalCell(row[key], 1, 100) : intervalCell(row[key], 3) : "–",
      ]),
    ),
  }));
  const others = Object.fromEntries(measures.map(([measure]) => [measure, "–"]));
  const controls = which === "amounts"
    ? []
    : probeControls(summary).map((control): Cells => ({ ...others, ...control }));
  return renderMarkdownTable(columns, [...rows, ...controls]);
}

function claimTable(
  claims: readonly { says: string; paper: string }[],
  ours: Record<string, readonly string[]>,
): string {
  const columns: Column<Cells>[] = [
    { key: "says", title: "the paper says" },
    { key: "paper", title: "its figures" },
    ...Object.keys(ours).map((key) => ({ key, align: "left" } as const)),
  ];
  return renderMarkdownTable(
    columns,
    claims.map(({ says, paper }, i): Cells => ({
      ...{ says, paper },
      ...Object.fromEntries(Object.entries(ours).map(([key, cells]) => [key, cells[i]!])),
    })),
  );
}
