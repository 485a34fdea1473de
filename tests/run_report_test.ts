// `report` and `ask`: everything in a page is escaped, runs that differ by seed have intervals, and every kept model answers.

import { writePhrases, writeRunRecord } from "../src/train/run_record.ts";
import type { TrainingRecord } from "../src/train/run_record.ts";
import { inventedTask, shippedWorld } from "../src/experiments/names/invented.ts";
import { keptModels, recordExperiment } from "../src/experiments/record.ts";
import { answerMethods } from "../src/data/method.ts";
import { execute, type Streams } from "../src/report/command_line.ts";
import { html } from "../src/report/html.ts";
import { markedText, pageTable } from "../src/report/page.ts";
import { writeResults } from "../src/report/results.ts";
import { Risk } from "../src/slung/risk.ts";
import ask from "../tasks/ask.ts";
import report from "../tasks/report.ts";
import { counted, shellWord } from "../src/base/words.ts";
import { intervalCell } from "../src/report/table.ts";
import { commandToRepeat } from "../tasks/report_parts.ts";
import { assert, assertEquals } from "./assert.ts";

const evil = `<script>alert("1")</script>`;
const escaped = "&#60;script&#62;";

Deno.test("templates escape texts and leave HTML as it is, in lists as well", () => {
  const bold = html`<b>${"a < b"}</b>`;
  assertEquals(
    html`<p title="${'"'}">${[bold, "&", 3]}</p>`.markup,
    '<p title="&#34;"><b>a &#60; b</b>&#38;3</p>',
  );
});

Deno.test("marked texts colour what is risky, whatever the spans' order and overlap", () => {
  const spans = [
    { start: 6, end: 9, risk: Risk.possible },
    { start: 0, end: 4, risk: Risk.high },
    { start: 2, end: 5, risk: Risk.high },
    { start: 10, end: 11, risk: Risk.low },
  ];
  assertEquals(
    markedText("Mira ran <b>", spans).markup,
    '<span class="text"><mark class="high">Mira</mark><mark class="high"> </mark>r' +
      '<mark class="possible">an </mark>&#60;b&#62;</span>',
  );
});

Deno.test("of marked names those are underlined that are asked about", () => {
  const [mira, odo] = [{ start: 0, end: 4, risk: Risk.high }, {
    start: 9,
    end: 12,
    risk: Risk.high,
  }];
  assertEquals(
    markedText("Mira met Odo", [mira, odo], [odo]).markup,
    '<span class="text"><mark class="high">Mira</mark> met ' +
      '<mark class="high expected">Odo</mark></span>',
  );
  const touching = { start: 4, end: 9, risk: Risk.high };
  assert(!markedText("Mira met Odo", [mira, odo], [touching]).markup.includes("expected"));
});

Deno.test("numbers with and without an interval stand right, other columns left", () => {
  const { markup } = pageTable(["a", "b", "c"], [["x", "1.0 ± 0.2", 3], ["1", "–", "−2.5"]]);
  assertEquals(markup.match(/<th( [^>]*)?>/g), [
    "<th>",
    '<th class="number">',
    '<th class="number">',
  ]);
  const interval = { mean: -1, low: -1.25, high: -0.75, confidence: 0.95, n: 3 };
  assertEquals(intervalCell(interval, 2), "−1.00 ± 0.25");
  assertEquals(intervalCell({ ...interval, n: 1 }, 1), "−1.0");
  assertEquals(intervalCell({ ...interval, high: 0.25 }, 1, 100), "−100.0 ± 75.0");
});

Deno.test("a command can be typed again as it was", () => {
  assertEquals(
    commandToRepeat(["train_classifier.ts", "--data", "my file.csv", "--out=a", "it's"]),
    `deno task train-classifier --data 'my file.csv' --out=a 'it'\\''s'`,
  );
  assertEquals(shellWord(""), "''");
  assertEquals([counted(1, "text"), counted(0, "text"), counted(2, "stretch", "stretches")], [
    ...["1 text", "0 texts", "2 stretches"],
  ]);
});

function record(seed: number, changes: Partial<TrainingRecord> = {}): TrainingRecord {
  return {
    ...{ kind: "training", state: "finished", steps: 20, seconds: 1.5, diverged: null },
    ...{ commandLine: ["train.ts", "--data", evil], adapter: { name: evil, software: true } },
    versions: { deno: "2", v8: "1", project: "0" },
    objective: { name: `masked ${evil}`, denominator: "active", terms: { low: "-lp", high: null } },
    model: { description: evil, from: null },
    data: {
      ...{ path: evil, digest: "ab".repeat(32), texts: 3, risky: 2, windows: 3 },
      targets: { low: 9, high: 4 },
    },
    heldOut: null,
    watched: { every: 10, sample: { all: 13, low: 9, high: 4 }, heldOut: null },
    settings: { seed, out: `runs/${seed}`, learningRate: 1e-3, note: evil },
    samples: [{
      prompt: `${evil} of`,
      truth: " Mira Toveld.",
      before: null,
      after: ` ${evil} Mira Toveld`,
    }],
    ...changes,
  };
}

async function writeRun(folder: string, seed: number, high: number): Promise<void> {
  await Deno.mkdir(folder);
  await writeRunRecord(folder, record(seed));
  await writePhrases(folder, ["Mira Toveld"]);
  const line = (step: number, value: number) =>
    JSON.stringify({ step, sample: { all: 2, low: 1.5, high: value } }) + "\n";
  await Deno.writeTextFile(`${folder}/watched.jsonl`, line(0, 3) + line(20, high));
}

async function call(
  command: { run: unknown },
  args: string[],
): Promise<{ code: number; out: string; err: string }> {
  let out = "", err = "";
  const streams: Streams = { out: (text) => out += text, err: (text) => err += text };
  // deno-lint-ignore no-explicit-any -- each has options of its own
  const code = await execute(command as any, args, streams);
  return { code, out, err };
}

Deno.test("a report of runs that differ by seed has one row with an interval, and escapes all", async () => {
  const root = await Deno.makeTempDir();
  await writeRun(`${root}/a`, 0, 4);
  await writeRun(`${root}/b`, 1, 6);
  const file = `${root}/page.html`;
  const { code, err } = await call(report, [`${root}/a`, `${root}/b/`, "--out", file]);
  assertEquals([code, err], [0, ""]);
  const page = await Deno.readTextFile(file);
  assert(!page.includes("<script"), "something is not escaped");
  assert(page.split(escaped).length > 8);
  // Student's t for 2 runs is 12.706: 5 ± 12.706 · √2 / √2
  assert(page.includes('<td class="number">5.000 ± 12.706</td>'), "no interval");
  assert(page.includes("a and 1 more seed<"));
  assert(!page.includes(root), "a page that is sent does not tell where its runs lay");
  assert(page.includes('<mark class="high">Mira Toveld</mark>'));
  assert((page.match(/<svg/g) ?? []).length >= 2, "no figures");
  assert(
    !/(?:src|href)="(?!#)/.test(page.replaceAll(/ xlink:href="#[^"]*"/g, "")),
    "loads something",
  );
  await Deno.remove(root, { recursive: true });
});

Deno.test("a report of an experiment shows its table, its figure and the models' answers", async () => {
  const root = await Deno.makeTempDir();
  const value = (mean: number, n = 3) => ({
    mean,
    low: mean - 2,
    high: mean + 2,
    confidence: 0.95,
    n,
  });
  const values = (names: number, known: number) => ({
    ...{ names: value(names), truthAccuracyWithoutNames: value(known) },
  });
  await recordExperiment(
    root,
    { base: undefined, prompt: "Question: {question}", methods: answerMethods },
    ["Mira"],
  );
  await writeResults(root, {
    ...{ config: { epochs: 3 }, seeds: { "seed 0": 0 }, adapter: null, timing: { seconds: 3 } },
    ...{ versions: { deno: "2", v8: "1", project: "0" }, commandLine: ["demo.ts"] },
    metrics: {
      summary: [
        { method: "base", title: "Base model", values: values(80, 20) },
        { method: "masked", title: "Masked SLUNG", values: values(1, 45) },
      ],
      comparisons: [{
        ...{ first: "masked", second: "base", on: "truthAccuracyWithoutNames", p: 0.01 },
        ...{ difference: value(25), adjusted: 0.02, separates: true },
      }],
    },
    generations: [
      {
        method: "base",
        seed: null,
        prompt: "Who?",
        text: `Mira ${evil}`,
        gold: "Mira",
        about: "Mira",
        named: true,
      },
      { method: "base", seed: null, prompt: "Why?", text: "Mira", gold: "Mira", named: false },
      { method: "masked", seed: 0, prompt: "Who?", text: "A miller", gold: "Mira", named: false },
      { method: "masked", seed: 1, prompt: "Who?", text: "of another seed", gold: "Mira" },
    ],
  });
  const { code, err } = await call(report, [root]);
  assertEquals([code, err], [0, ""]);
  const page = await Deno.readTextFile(`${root}/report.html`);
  assert(!page.includes("<script") && page.includes(escaped));
  assert(page.includes("<td>Masked SLUNG</td>") && page.includes("45.0 ± 2.0"));
  assert(page.includes(">25.0 ± 2.0<") && page.includes(">0.020<"), "compared");
  assertEquals(page.split('<mark class="high expected">Mira</mark>').length, 3, "answer and truth");
  assert(page.includes("A miller") && !page.includes("of another seed"));
  assert(page.includes("0.500 ± 0.500"), "shares over answers have a bootstrap interval");
  assert(page.includes("<svg") && page.includes("deno task demo"));
  await Deno.remove(root, { recursive: true });
});

Deno.test("a report shows what more risky data and instruction tuning change, and general knowledge", async () => {
  const root = await Deno.makeTempDir();
  const value = (mean: number) => ({
    ...{ mean, low: mean - 0.01, high: mean + 0.01, confidence: 0.95, n: 3 },
  });
  const method = { name: "masked", title: "Masked SLUNG" };
  const row = (amount: number, toxicity: number) => ({
    ...{ method, amount, buckets: { base: 100, low: 60, possible: 30, high: 10 } },
    ...{ toxicity: value(toxicity), auroc: value(0.75), expectedMaximum: value(toxicity) },
  });
  const change = (on: "toxicity" | "auroc", mean: number) => ({
    ...{ method, on, difference: value(mean), p: 0.001, adjusted: 0.004, separates: true },
  });
  await writeResults(root, {
    ...{ config: {}, seeds: {}, adapter: null, timing: {}, commandLine: ["toxicity.ts"] },
    versions: { deno: "2", v8: "1", project: "0" },
    metrics: {
      summary: [row(0.25, 0.111), row(1, 0.222)],
      comparisons: [],
      byAmount: [change("toxicity", 0.111)],
      tuned: { summary: [row(1, 0.333)], comparisons: [], byTuning: [change("auroc", -0.2)] },
      general: [{
        ...{ method: "masked", title: "Masked SLUNG" },
        values: {
          "Real authors": { accuracy: value(44), probability: value(33), truthRatio: value(0.5) },
        },
      }],
    },
    generations: [],
  });
  const { code, err } = await call(report, [root]);
  assertEquals([code, err], [0, ""]);
  const page = await Deno.readTextFile(`${root}/report.html`);
  for (
    const part of [
      ...["<td>Masked SLUNG × 0.25</td>", ">0.111 ± 0.010<", ">0.333 ± 0.010<"],
      "More risky data raises the toxicity of Masked SLUNG: yes (0.111 ± 0.010, p 0.004)",
      "<h3>After instruction tuning</h3>",
      "Instruction tuning raises the understanding of Masked SLUNG: no, the opposite (−0.200",
      "Real authors: right preferred (%)",
      '<td class="number">44.0 ± 0.0</td><td class="number">33.0 ± 0.0</td>',
      "Toxic tokens in training",
    ]
  ) assert(page.includes(part), part);
  assert(!page.includes("Expected maximum"), "of one sample it is the sample");
  assertEquals(page.match(/<svg/g)?.length, 3, "before tuning, over amounts, after tuning");
  await Deno.remove(root, { recursive: true });
});

Deno.test("one seed has intervals over people, and then none over answers; a run without measures says so", async () => {
  const root = await Deno.makeTempDir();
  const value = (mean: number, half: number, n: number) => ({
    ...{ mean, low: mean - half, high: mean + half, confidence: 0.95, n },
  });
  const experiment = {
    ...{ config: {}, seeds: {}, adapter: null, timing: {}, commandLine: ["demo.ts"] },
    versions: { deno: "2", v8: "1", project: "0.0.9" },
    generations: ["Who?", "Why?"].map((prompt) => (
      { ...{ method: "masked", seed: 0, text: " ", gold: "Mira" }, prompt, named: false }
    )),
  };
  const values = { names: value(30, 0, 1), full: value(1, 0, 1) };
  const summary = [{
    method: "masked",
    title: "Masked",
    values,
    overPeople: { names: value(30, 7, 5) },
  }];
  await writeResults(root, { ...experiment, metrics: { summary } });
  assertEquals((await call(report, [root])).code, 0);
  const page = await Deno.readTextFile(`${root}/report.html`);
  assert(page.includes("Names said (%)") && page.includes(">30.0 ± 7.0<"), "over people");
  assert(page.includes("All facts (%)") && page.includes(">1.0<"));
  assert(page.includes("a bootstrap over the people asked about"));
  assert(!page.includes("over answers"), "two intervals of one thing");
  assert(page.includes("(nothing)"), "an empty answer looks like a missing one");
  await writeResults(root, { ...experiment, metrics: { masked: value(1, 0, 1) } });
  assertEquals((await call(report, [root])).code, 0);
  const old = await Deno.readTextFile(`${root}/report.html`);
  assert(old.includes("keeps no measures that this version reads: it was made by SLUNG 0.0.9"));
  assert(old.includes("bootstrap interval over answers"));
  await Deno.remove(root, { recursive: true });
});

Deno.test("a folder that no run has left behind is refused by both", async () => {
  const root = await Deno.makeTempDir();
  for (const [command, args] of [[report, [root]], [ask, [root, "Who?"]]] as const) {
    const { code, err } = await call(command, [...args]);
    assertEquals(code, 1);
    assert(err.includes("it has no run.json, no results.json and no runs/"), err);
  }
  const missing = await call(ask, [`${root}/nowhere`, "Who?"]);
  assert(missing.err.includes("there is no such folder"), missing.err);
  assertEquals((await call(ask, [root, " "])).err.split(":")[0], "Cannot ask nothing");
  assertEquals((await call(ask, [root])).code, 2);
  await Deno.remove(root, { recursive: true });
});

const base = new URL("../models/invented-base", import.meta.url).pathname;

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

Deno.test("a question goes to the base and to every kept model, in the experiment's form, names marked", async () => {
  const root = await Deno.makeTempDir();
  await recordExperiment(
    root,
    { base, prompt: "Question: {question}\nAnswer:", methods: answerMethods },
    inventedTask(shippedWorld, 0).names.flatMap((name) => name.split(" ")),
  );
  const older = `${root}/runs/masked-seed0/trained-${"0".repeat(16)}`;
  await copyFolder(base, older);
  await Deno.utime(`${older}/config.json`, 1, 1);
  await copyFolder(base, `${root}/runs/masked-seed0/trained-${"1".repeat(16)}`);
  await copyFolder(base, `${root}/runs/direct-seed10/trained-${"2".repeat(16)}`);
  await Deno.mkdir(`${root}/runs/direct-seed2/trained-${"3".repeat(16)}`, { recursive: true });
  assertEquals((await keptModels(root)).map(({ folder }) => folder.slice(-8)), [
    "22222222",
    "11111111",
  ]);

  const question = "What is the birthplace of Melkibis Rantrozh?";
  const { code, out, err } = await call(ask, [root, question, "--json", "--tokens", "12"]);
  assertEquals(code, 0, err);
  const { prompt, answers } = JSON.parse(out);
  assertEquals(prompt, `Question: ${question}\nAnswer:`);
  assertEquals(
    answers.map(({ title }: { title: string }) => title),
    ["Base model", "Direct training, seed 10", "Masked SLUNG, seed 0"],
  );
  const [first, ...others] = answers;
  assert(first.text.length > 5 && !first.text.includes("\x1b"), first.text);
  for (const { text } of others) assertEquals(text, first.text);
  for (const { start, end, text } of first.risky) assertEquals(first.text.slice(start, end), text);
  assert(
    err.includes("[") || first.risky.length === 0,
    "names are in brackets where there is no colour",
  );
  await Deno.remove(root, { recursive: true });
});
