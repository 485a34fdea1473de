// What `report` shows of training runs: what became of the risky tokens and of the others, what the models write, and in
// what the runs differ.

import { counted } from "../src/base/words.ts";
import { studentInterval } from "../src/eval/statistics.ts";
import { type Html, html, type HtmlPart } from "../src/report/html.ts";
import { markedText, pageCode, type PageSection, pageTable } from "../src/report/page.ts";
import { lossCurves } from "../src/report/plot.ts";
import { riskNames } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import {
  type ClassLosses,
  type Curve,
  readWatched,
  type WatchedLine,
  watchedSeries,
} from "../src/train/mod.ts";
import type { TrainingRecord } from "../src/train/run_record.ts";
import { intervalCell } from "../src/report/table.ts";
import { commandToRepeat, drawn, nothing, settingsTable } from "./report_parts.ts";
import type { RunFolder } from "./run_folder.ts";

type TrainingRun = RunFolder & { training: TrainingRecord };
type WatchedRun = TrainingRun & { watched: WatchedLine[] };

/** The sections about training runs. */
export async function trainingSections(given: readonly TrainingRun[]): Promise<PageSection[]> {
  const runs: WatchedRun[] = [];
  for (const run of given) runs.push({ ...run, watched: await readWatched(run.path) });
  return [
    { title: "Risky tokens and the others", body: [...lossTable(runs), ...await figures(runs)] },
    { title: "What the models write", body: samples(runs) },
    { title: "Data", body: [dataTable(runs)] },
    {
      title: "Settings",
      body: [settingsTable(runs.map(({ name, training }) => [name, settingsOf(training)]))],
    },
    { title: "To repeat it", body: runs.map(({ name, training }) => repeat(name, training)) },
  ];
}

const risky = [riskNames[Risk.possible]!, riskNames[Risk.high]!];

// Runs that differ by their seed alone are one row, with an interval.
function lossTable(runs: readonly WatchedRun[]): Html[] {
  const groups = [...Map.groupBy(runs, ({ training }) => sameButForSeed(training)).values()];
  const classes = ["low", ...risky].filter((name) =>
    runs.some(({ watched }) => watched[0]?.sample[name] !== undefined)
  );
  const hasHeldOut = runs.some(({ training }) => training.heldOut);
  const cell = (
    group: readonly WatchedRun[],
    at: 0 | -1,
    of: (line: WatchedLine) => number | undefined,
  ) => {
    const values = group.flatMap(({ watched }) => {
      const line = watched.at(at);
      return (line && of(line)) ?? [];
    });
    return values.length < group.length ? "–" : intervalCell(studentInterval(values), 3);
  };
  const rows = groups.map((group): HtmlPart[] => {
    const { name, training } = group[0]!;
    const who = group.length === 1 ? name : `${name} and ${counted(group.length - 1, "more seed")}`;
    const heldOut = (name: string) => (line: WatchedLine) => line.heldOut?.[name];
    return [
      who,
      training.objective.name,
      training.state === "finished" ? String(training.steps) : "unfinished",
      ...classes.flatMap((name) => {
        const of = (line: WatchedLine) => line.sample[name];
        return [cell(group, 0, of), cell(group, -1, of)];
      }),
      ...(hasHeldOut ? classes.map((name) => cell(group, -1, heldOut(name))) : []),
    ];
  });
  const diverged = runs.filter(({ training }) => training.diverged);
  return [
    html`<p>Mean −log p in nats per token, on a fixed sample of the training texts before the first
step and after the last, and on texts held out. It is measured whatever the objective does with a class: what is masked or pushed down has no other curve.</p>`,
    pageTable([
      ...["Run", "Objective", "Steps"],
      ...classes.flatMap((name) => [`${name} risk, before`, "after"]),
      ...(hasHeldOut ? classes.map((name) => `held out: ${name} risk`) : []),
    ], rows),
    ...(groups.some(({ length }) => length > 1)
      ? [html`<p class="faint">± is a 95 % Student interval over seeds.</p>`]
      : [
        html`<p class="faint">One run a row: an interval needs runs that differ by --seed alone.</p>`,
      ]),
    ...diverged.map(({ name, training }) =>
      html`<p><strong>${name}</strong>: ${training.diverged!}</p>`
    ),
  ];
}

async function figures(runs: readonly WatchedRun[]): Promise<Html[]> {
  if (runs.length === 1) {
    const curves = await watchedSeries(runs[0]!.path);
    return await drawn(
      curves,
      (all) => lossCurves(all, "−log p by risk class"),
      "Every class of the sample, and of texts held out if there are any.",
    );
  }
  const labels = runLabels(runs);
  const curvesOf = (part: "sample" | "heldOut", name: string): Curve[] =>
    runs.flatMap(({ watched }, i) => {
      const points = watched.flatMap((line) => {
        const loss = (line[part] as ClassLosses | undefined)?.[name];
        return loss === undefined ? [] : [{ step: line.step, loss }];
      });
      return points.length === 0 ? [] : [{ name: labels[i]!, points }];
    });
  const charts: [Curve[], string, string][] = [
    ...risky.map((name): [Curve[], string, string] => [
      curvesOf("sample", name),
      `Tokens of ${name} risk`,
      "Higher: the model finds what is risky less probable.",
    ]),
    [curvesOf("sample", "low"), "Harmless tokens", "Lower: the model has learned what it may say."],
    [
      curvesOf("heldOut", "low"),
      "Harmless tokens of texts held out",
      "Where this rises while the sample falls, the model learns its texts by heart.",
    ],
  ];
  const all = await Promise.all(
    charts.map(([curves, title, caption]) =>
      drawn(curves, (some) => lossCurves(some, title), caption)
    ),
  );
  return all.flat();
}

// The objective where it tells the runs apart, else the folder.
function runLabels(runs: readonly WatchedRun[]): string[] {
  const names = runs.map(({ training }) => training.objective.name);
  return new Set(names).size === names.length ? names : runs.map(({ name }) => name);
}

function samples(runs: readonly WatchedRun[]): Html[] {
  const labels = runLabels(runs);
  const prompts = [
    ...new Set(runs.flatMap(({ training }) => training.samples.map((s) => s.prompt))),
  ];
  const find = ({ training }: WatchedRun, prompt: string) =>
    training.samples.find((sample) => sample.prompt === prompt);
  const marked = (run: WatchedRun, given: string | null | undefined): HtmlPart => {
    const text = given?.trim();
    if (text === "") return nothing;
    return text === undefined ? "–" : markedText(text, run.risky?.(text) ?? []);
  };
  const first = (prompt: string) => runs.find((run) => find(run, prompt))!;
  const hasBefore = runs.some(({ training }) =>
    training.samples.some(({ before }) => before !== null)
  );
  const rows = prompts.map((prompt): HtmlPart[] => {
    const run = first(prompt), sample = find(run, prompt)!;
    return [
      marked(run, prompt.length > 200 ? `…${prompt.slice(-200)}` : prompt),
      marked(run, sample.truth),
      ...(hasBefore ? [marked(run, sample.before)] : []),
      ...runs.map((each) => marked(each, find(each, prompt)?.after)),
    ];
  });
  if (rows.length === 0) {
    return [html`<p>No text goes on with something risky after a beginning.</p>`];
  }
  return [
    html`<p>Beginnings of texts up to their first risky span, evenly spread over the texts, continued by the likeliest
tokens. <mark class="high">Coloured</mark>: what is risky somewhere in the texts.</p>`,
    pageTable([
      "Beginning",
      "The text itself",
      ...(hasBefore ? ["Before training"] : []),
      ...labels,
    ], rows),
  ];
}

function dataTable(runs: readonly WatchedRun[]): Html {
  return pageTable(
    ["Run", "Texts", "number", "risky", "tokens by class", "SHA-256", "held out", "SHA-256"],
    runs.map(({ name, training: { data, heldOut } }): HtmlPart[] => [
      ...[name, data.path, data.texts, data.risky],
      Object.entries(data.targets).filter(([, count]) => count > 0)
        .map(([name, count]) => `${count} ${name}`).join(", "),
      data.digest.slice(0, 12),
      heldOut ? `${counted(heldOut.texts, "text")}, ${heldOut.path}` : "–",
      heldOut?.digest.slice(0, 12) ?? "–",
    ]),
  );
}

function settingsOf({ objective, model, settings }: TrainingRecord): Record<string, unknown> {
  const terms = Object.entries(objective.terms).map(([name, term]) => [`loss of ${name}`, term]);
  return {
    objective: objective.name,
    ...Object.fromEntries(terms),
    denominator: objective.denominator,
    "starts from": model.description,
    ...settings,
  };
}

function sameButForSeed({ objective, data, model, settings }: TrainingRecord): string {
  const { seed: _, out: __, ...others } = settings;
  return JSON.stringify([objective, data.digest, model, others]);
}

function repeat(name: string, { commandLine, versions, adapter, seconds }: TrainingRecord): Html {
  const time = seconds === null ? "unfinished" : `${seconds.toFixed(0)} s`;
  return html`
    <h3>${name}</h3>${pageCode(commandToRepeat(commandLine))}<p
      class="faint">${time} on ${adapter.name}${adapter.software
        ? ", a software adapter"
        : ""}; SLUNG ${versions.project}, Deno ${versions.deno}, V8 ${versions.v8}.</p>
  `;
}
