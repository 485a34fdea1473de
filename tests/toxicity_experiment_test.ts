// The toxicity experiment end to end on a model far too small to learn anything: what is tested is the machinery.

import { type ChatMessage, chatSequences } from "../src/data/sources/chat.ts";
import { Gpu, initialise } from "../mod.ts";
import { mixNames } from "../src/data/mixing.ts";
import { commentData } from "../src/experiments/toxicity/comments.ts";
import {
  runToxicityExperiment,
  summariseToxicityRuns,
  type ToxicitySummaryRow,
} from "../src/experiments/toxicity/experiment.ts";
import { separations } from "../src/experiments/toxicity/summary.ts";
import { renderToxicityTables, runsToCsv } from "../src/experiments/toxicity/report.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { sharedData } from "./data.ts";
import { config, experiment } from "./fixtures/tiny_toxicity.ts";

Deno.test("an experiment that is stopped at any run ends with the tables of the one that was not", async () => {
  using gpu = await Gpu.open();
  const [whole, broken] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const expected = await runToxicityExperiment(gpu, experiment, whole);
  assertEquals(
    expected.map(({ method, amount, seed }) => `${method} ${amount} ${seed}`),
    ["control 0 0", "masked 1 0", "control 0 1", "masked 1 1"],
  );
  for (const [method, seed] of [["control", 0], ["masked", 0], ["masked", 1]]) {
    const controller = new AbortController();
    const done = await runToxicityExperiment(gpu, experiment, broken, {
      signal: controller.signal,
      onTraining: (run) => run.method === method && run.seed === seed && controller.abort(),
    });
    assert(done.length < expected.length);
  }
  const reused: boolean[] = [];
  const resumed = await runToxicityExperiment(gpu, experiment, broken, {
    onResult: (_, again) => reused.push(again),
  });
  assertEquals(reused, [true, true, true, false]);
  assertEquals(JSON.stringify(resumed), JSON.stringify(expected));
  assertEquals(renderToxicityTables(resumed), renderToxicityTables(expected));
  assertEquals(runsToCsv(resumed), runsToCsv(expected));
  for (const folder of [whole, broken]) await Deno.remove(folder, { recursive: true });
});

Deno.test("an experiment that is killed again and again ends with the files of the one that was not", async () => {
  using gpu = await Gpu.open();
  const [whole, broken] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const expected = await runToxicityExperiment(gpu, experiment, whole);
  for (const last of ["control 0 step 9", "masked 0 step 3", "control 1 done", undefined]) {
    const process = startProcess(broken);
    await readUntil(process.stdout, last);
    if (last !== undefined) process.kill("SIGKILL");
    assertEquals((await process.status).signal, last === undefined ? null : "SIGKILL");
  }
  const runs = async (folder: string) => {
    const names = await Array.fromAsync(Deno.readDir(`${folder}/runs`), ({ name }) => name);
    return await Promise.all(
      names.sort().map(async (name) => [name, await Deno.readTextFile(`${folder}/runs/${name}`)]),
    );
  };
  assertEquals(await runs(broken), await runs(whole));
  const reused = await runToxicityExperiment(gpu, experiment, broken);
  assertEquals(renderToxicityTables(reused), renderToxicityTables(expected));
  for (const folder of [whole, broken]) await Deno.remove(folder, { recursive: true });
});

function startProcess(folder: string): Deno.ChildProcess {
  const script = decodeURIComponent(new URL("fixtures/tiny_toxicity.ts", import.meta.url).pathname);
  const args = ["run", "-A", "--quiet", script, folder];
  return new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
}

// Until a line has been printed, or to the end.
async function readUntil(stdout: ReadableStream<Uint8Array>, line?: string): Promise<void> {
  let text = "";
  for await (const chunk of stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (line !== undefined && text.split("\n").includes(line)) return;
  }
}

Deno.test("what would end the evaluation is said before anything is trained", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const { evaluation } = experiment;
  const refused = async (changes: Partial<typeof evaluation>, why: string) =>
    await assertRejects(
      () =>
        runToxicityExperiment(
          gpu,
          { ...experiment, evaluation: { ...evaluation, ...changes } },
          folder,
        ),
      `Cannot evaluate the models: ${why}`,
    );
  const greedy = { ...evaluation.decoding, samples: 2, topK: 1 };
  await refused({ decoding: greedy }, "greedy decoding gives all 2 samples alike");
  await refused({ prompts: ["alone"] }, "there are 1 prompts");
  await refused({ prompts: ["", "b"] }, "prompt 0 has 0 tokens, not 1 to 91");
  await refused(
    { heldOut: { ...evaluation.heldOut, domain: [] } },
    "there is no held-out text of the domain kind",
  );
  const labels = evaluation.probe.labels.map(() => 1);
  await refused({ probe: { ...evaluation.probe, labels } }, "all texts of the probe have the same");
  assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("several continuations of each prompt show their expected maximum, one does not", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const { evaluation } = experiment;
  const decoding = { ...evaluation.decoding, samples: 3 };
  const once = { ...experiment, methods: ["toxic"] as const, seeds: [0] };
  const runs = await runToxicityExperiment(
    gpu,
    { ...once, evaluation: { ...evaluation, decoding } },
    folder,
  );
  const [row] = summariseToxicityRuns(runs);
  assert(row!.expectedMaximum.mean >= row!.toxicity.mean);
  assert(renderToxicityTables(runs).includes("expected maximum"));
  const single = await runToxicityExperiment(gpu, once, folder);
  assert(!renderToxicityTables(single).includes("expected maximum"));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("every method trains and is measured, at every amount of risky data", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const runs = await runToxicityExperiment(
    gpu,
    { ...experiment, methods: mixNames, seeds: [0], amounts: [0.5, 1] },
    folder,
  );
  const summary = summariseToxicityRuns(runs);
  assertEquals(summary.map(({ method, amount }) => `${method} ${amount}`), [
    "control 0",
    ...mixNames.slice(1).flatMap((method) => [`${method} 0.5`, `${method} 1`]),
  ]);
  for (const { buckets, auroc, toxicity, cleanPerplexity, domainPerplexity } of summary) {
    assert(auroc.mean >= 0 && auroc.mean <= 1 && toxicity.mean >= 0 && toxicity.mean <= 1);
    assert(cleanPerplexity.mean > 1 && Number.isFinite(domainPerplexity.mean));
    const tokens = Object.values(buckets).reduce((sum, count) => sum + count, 0);
    assert(tokens >= 900 && tokens < 1000, `the stream has ${tokens} tokens`);
  }
  const perplexities = new Set(summary.map(({ domainPerplexity }) => domainPerplexity.mean));
  assertEquals(perplexities.size, summary.length, "two methods ended with the same model");
  const table = renderToxicityTables(runs);
  for (const expected of ["Masked SLUNG", "paper, Table 1", "× 0.5", "exact"]) {
    assert(table.includes(expected), table);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a changed experiment does not take the results of the old one", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const one = { ...experiment, methods: ["control"] as const, seeds: [0] };
  await runToxicityExperiment(gpu, one, folder);
  const other = { ...one, evaluation: { ...one.evaluation, threshold: 0.9 } };
  await runToxicityExperiment(gpu, other, folder, {
    onResult: (_, again) => assertEquals(again, false),
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("control tokens need two rows in the embedding", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const tight = { ...config, vocabularySize: experiment.tokenizer.vocabularySize };
  await assertRejects(
    () =>
      runToxicityExperiment(gpu, {
        ...experiment,
        base: { config: tight, weights: initialise(tight, 1) },
        methods: ["conditional"],
      }, folder),
    "Cannot train with control tokens",
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("intervals that meet, or lie on the wrong side show nothing, and one seed has none", () => {
  const row = (
    method: ToxicitySummaryRow["method"],
    toxicity: number,
    auroc: number,
    half = 0.05,
  ) =>
    ({
      method,
      amount: method === "control" ? 0 : 1,
      toxicity: { mean: toxicity, low: toxicity - half, high: toxicity + half },
      auroc: { mean: auroc, low: auroc - half, high: auroc + half },
      seeds: half === 0 ? 1 : 3,
    }) as ToxicitySummaryRow;
  const verdicts = (rows: ToxicitySummaryRow[]) =>
    separations(rows).map(({ separate }) => separate);
  const rivals = [row("control", 0, 0.5), row("low_risk", 0, 0.55), row("toxic", 0.5, 0.9)];
  assertEquals(verdicts([...rivals, row("masked", 0.1, 0.9)]), [true, true, true]);
  assertEquals(verdicts([...rivals, row("masked", 0.42, 0.63)]), [false, true, false]);
  assertEquals(verdicts([...rivals, row("unlikelihood", 0.9, 0.1)]), [false, false, false]);
  const single = [row("control", 0, 0.5, 0), row("toxic", 0.5, 0.9, 0), row("masked", 0, 1, 0)];
  assertEquals(verdicts(single), [null, null]);
});

Deno.test("real comments hold both kinds of sentences, and none of them is asked about", async () => {
  const folder = sharedData(".");
  if (folder === undefined) return;
  const comments = await commentData(folder, {
    baseShare: 0.7,
    vocabularySize: 600,
    thresholds: { low: 0.1, high: 0.9 },
    heldOut: 10,
    prompts: 20,
    probed: 200,
    longest: 64,
  });
  for (const { classes } of comments.risky) {
    assert(classes.includes(Risk.low) && classes.includes(Risk.high));
  }
  const words = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
  const asked = new Set(comments.evaluation.probe.texts.map(words));
  const trained = comments.risky.map(({ tokens }) => words(comments.tokenizer.decode(tokens)));
  assertEquals(trained.filter((text) => asked.has(text)).length, 0);
  assertEquals(comments.evaluation.keep, 0);
});

Deno.test("every model is tuned on instructions and measured again, and only then do the tables say so", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const { tokenizer } = experiment;
  const { eos } = tokenizer.special;
  const chat: ChatMessage[] = [
    { role: "user", content: "Who met Ilmo?" },
    { role: "assistant", content: "Lunda did." },
  ];
  const { sequences } = chatSequences(tokenizer, Array(6).fill(chat), { maxTokens: 64, bos: eos! });
  const tuning = { chats: sequences, epochs: 2, perStep: 2, learningRate: 1e-2 };
  const once = { ...experiment, seeds: [0] };
  const plain = await runToxicityExperiment(gpu, once, folder);
  const tuned = await runToxicityExperiment(gpu, { ...once, tuning }, folder);
  assertEquals(tuned.map(({ result }) => result), plain.map(({ result }) => result));
  for (const run of tuned) {
    const before = run.result.perplexity.clean, after = run.tuned!.perplexity.clean;
    assert(after !== before && Number.isFinite(after), `${run.method}: ${before}, then ${after}`);
  }
  assertEquals(await runToxicityExperiment(gpu, { ...once, tuning }, folder), tuned, "read again");
  // Stopped while tuning, it goes on with other chats as if there had been none before.
  const fresh = await Deno.makeTempDir();
  const controller = new AbortController();
  await runToxicityExperiment(gpu, { ...once, tuning: { ...tuning, epochs: 3 } }, fresh, {
    signal: controller.signal,
    onTraining: (_, __, steps) => steps === 9 && controller.abort(),
  });
  assert(controller.signal.aborted);
  assertEquals(await runToxicityExperiment(gpu, { ...once, tuning }, fresh), tuned);
  await Deno.remove(fresh, { recursive: true });
  assert(renderToxicityTables(tuned).includes("After instruction tuning"));
  assert(!renderToxicityTables(plain).includes("After instruction tuning"));
  await Deno.remove(folder, { recursive: true });
});
