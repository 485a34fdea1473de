// What a run tells about itself: the risky tokens' loss whatever is trained, held-out texts, the record, and in what the
// settings of two runs differ.

import { readJson } from "../src/base/files.ts";
import { readLines } from "../src/data/lines.ts";
import type { Sequence } from "../src/data/sequence.ts";
import { scoreSequences } from "../src/eval/score.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { objective, riskNames } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { describeDifferences } from "../src/train/fingerprint.ts";
import { readWatched, type WatchedLine } from "../src/train/run_log.ts";
import { readPhrases, readRunRecord, riskyPhrases } from "../src/train/run_record.ts";
import { chooseSamples } from "../src/train/samples.ts";
import { type SpanTrainingSettings, trainOnSpans } from "../src/train/span_training.ts";
import { watchedSample, watchLosses } from "../src/train/watch.ts";
import { assert, assertClose, assertEquals, assertRejects } from "./assert.ts";
import { llama, randomSequences } from "./fixtures/tiny.ts";

Deno.test("watched losses are the mean −log p of each class's tokens, and leave the model as it is", async () => {
  using gpu = await Gpu.open();
  using model = new LanguageModel(gpu, llama, initialise(llama, 1), { gradients: true });
  const sequences = randomSequences(11, { longest: 14 }).map((sequence, i) => ({
    ...sequence,
    classes: sequence.classes.map((_, t) => (t * 7 + i) % 3 === 0 ? Risk.high : Risk.low),
    weights: new Float32Array(sequence.tokens.length).fill(i % 2), // weights don't count
  }));
  const before = await model.download();
  using watch = watchLosses(model, sequences);
  const [measured, again] = [await watch.measure(), await watch.measure()];
  assertEquals(again, measured);
  assertEquals(await model.download(), before);

  const scores = await scoreSequences(model, sequences);
  const byClass = new Map<string, number[]>();
  scores.forEach((row, i) =>
    row.forEach((logProbability, t) => {
      const name = riskNames[sequences[i]!.classes[t + 1]!]!;
      byClass.set(name, [...byClass.get(name) ?? [], -logProbability]);
    })
  );
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  assertEquals(Object.keys(measured).sort(), ["all", "high", "low"]);
  for (const [name, values] of [...byClass, ["all", [...byClass.values()].flat()] as const]) {
    assertEquals(watch.tokens[name], values.length);
    assertClose([measured[name]!], [mean([...values])], 1e-4, name);
  }
});

Deno.test("the sample is spread over the sequences that hold something risky", () => {
  const sequence = (risk: number) => ({
    tokens: Uint32Array.of(1, 2),
    classes: Uint8Array.of(Risk.low, risk),
  });
  const mixed = Array.from({ length: 40 }, (_, i) => sequence(i % 2 ? Risk.high : Risk.low));
  const risky: Sequence[] = mixed.filter((_, i) => i % 2);
  assertEquals(watchedSample(mixed, 4).map((each) => risky.indexOf(each)), [0, 5, 10, 15]);
  assertEquals(watchedSample(risky.slice(0, 3), 4), risky.slice(0, 3));
  const harmless = [sequence(Risk.low)];
  assertEquals(watchedSample(harmless, 4), harmless);
});

Deno.test("samples begin before what is risky, each beginning once", () => {
  const text = "At dawn Torvik Amsel rowed.";
  const spans = [{ start: 8, end: 20, risk: Risk.high }];
  const [sample, ...others] = chooseSamples([{ text, spans }, { text, spans }], 5);
  assertEquals(others, []);
  assertEquals(sample, {
    ...{ prompt: "At dawn", truth: " Torvik Amsel rowed.", before: null, after: null },
  });
  assertEquals(chooseSamples([{ text: "Ab rowed.", spans: [{ ...spans[0]!, start: 0 }] }], 5), []);
  const many = new Array(200_000).fill(spans[0]!);
  assertEquals(chooseSamples([{ text, spans: many }], 5), [sample]);
});

Deno.test("risky phrases are listed by how often they stand, without sentences", () => {
  const text = `Ole and Mira Toveld, then Ole. ${"long ".repeat(20)}`;
  const span = (start: number, end: number) => ({ start, end, risk: Risk.high });
  const spans = [span(8, 19), span(0, 3), span(26, 29), span(31, text.length)];
  assertEquals(riskyPhrases([{ text, spans }]), ["Ole", "Mira Toveld"]);
});

Deno.test("differences between settings are named, digests only as what they are of", () => {
  const settings = {
    ...{ perStep: 2, seed: 1, epochs: ["ab", "ab"], initial: ["cd"] },
    ...{ objective: { name: "masked", terms: [1] }, schedule: { peak: 1e-3, warmup: 0 } },
  };
  const changed = {
    ...settings,
    ...{ seed: 2, objective: { name: "direct", terms: [2] }, schedule: { peak: 2e-3, warmup: 0 } },
  };
  assertEquals(
    describeDifferences(settings, changed),
    "seed was 1 and is 2; objective was masked and is direct; learning rate was 0.001 and is 0.002",
  );
  assertEquals(
    describeDifferences(settings, { ...settings, epochs: ["ef", "ef"], initial: ["ef"] }),
    "the texts are others; the weights that it starts from are others",
  );
  assertEquals(
    describeDifferences(settings, { ...settings, epochs: ["ab"], lora: { rank: 2 } }, 1),
    "epochs were 2 and are 1; and 1 more",
  );
  assertEquals(describeDifferences(settings, structuredClone(settings)), "");
});

const names = ["Torvik Amsel", "Lunra Pesk", "Bodrin Vale", "Ilsa Quern", "Odo Marsk", "Ree Tahl"];

async function folderWithTexts(): Promise<{ folder: string; settings: SpanTrainingSettings }> {
  const folder = await Deno.makeTempDir();
  const lines = names.flatMap((name) =>
    ["dawn", "noon"].map((time) => {
      const text = `At ${time} ${name} sang of rain.`;
      return JSON.stringify({ text, spans: [[8, 8 + name.length]] });
    })
  );
  await Deno.writeTextFile(`${folder}/texts.jsonl`, lines.join("\n"));
  const config = {
    ...{ model_type: "olmo", vocab_size: 288, max_position_embeddings: 48, hidden_size: 16 },
    ...{ num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 },
  };
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify({ ...config, tie_word_embeddings: true }),
  );
  return {
    folder,
    settings: {
      ...{ data: `${folder}/texts.jsonl`, config: `${folder}/config.json`, vocabulary: 280 },
      ...{ out: `${folder}/out`, objective: objective("masked"), epochs: 8, perStep: 4 },
      ...{ learningRate: 2e-2, watchEvery: 5, samples: 2, checkpointEvery: 4 },
    },
  };
}

Deno.test("a masked run is watched on the names that it does not learn, and describes itself", async () => {
  const { folder, settings } = await folderWithTexts();
  using gpu = await Gpu.open();
  const heard: WatchedLine[] = [];
  const options = { ...settings, heldOutShare: 0.25 };
  const { log } = await trainOnSpans(gpu, options, { onWatched: (line) => heard.push(line) });
  const watched = await readWatched(settings.out);
  assertEquals(watched, heard);
  const last = watched.at(-1)!;
  const expected = log.flatMap((_, step) => step % 5 === 0 ? [step] : []);
  assertEquals(watched.map(({ step }) => step), [...expected, log.length]);
  assert(last.sample.low! < watched[0]!.sample.low! - 0.5, "nothing was learned");
  assert(last.sample.high! > 1, "names are not learned"); // a mean of bytes that nothing taught
  assert(log.every(({ lossByClass }) => lossByClass[Risk.high] === undefined));

  const record = (await readRunRecord(settings.out))!;
  assertEquals([record.kind, record.state, record.steps], ["training", "finished", log.length]);
  assertEquals(record.objective.terms, {
    ...{ unlabelled: "cross_entropy: -lp", low: "cross_entropy: -lp", possible: null, high: null },
  });
  assertEquals(record.data.texts + record.heldOut!.texts, 12);
  assert(record.heldOut!.texts > 0 && record.data.digest.length === 64);
  assert(record.watched!.sample.high! > 0 && record.watched!.heldOut!.high! > 0);
  assertEquals(record.settings.learningRate, 2e-2);
  assertEquals(record.samples.length, new Set(record.samples.map(({ prompt }) => prompt)).size);
  assert(record.samples.length > 0);
  for (const { prompt, truth, before, after } of record.samples) {
    assert(["At dawn", "At noon"].includes(prompt), prompt);
    assert(names.some((name) => truth.startsWith(` ${name}`)), truth);
    assertEquals([before, typeof after], [null, "string"]); // fresh weights have nothing to say
  }
  assertEquals((await readPhrases(settings.out))!.toSorted(), names.toSorted());

  const [header, ...rows] = await Array.fromAsync(
    readLines(`${settings.out}/curves.csv`),
    ({ text }) => text.split(","),
  );
  assertEquals(rows.length, log.length + 1); // what is watched after the last step has no other row
  const column = (name: string) => rows.map((row) => row[header!.indexOf(name)]!);
  assertEquals(column("step"), rows.map((_, step) => String(step)));
  assertEquals(column("loss").slice(0, -1).map(Number), log.map(({ loss }) => loss));
  assertEquals(
    column("sample_high").filter(Boolean).map(Number),
    watched.map((l) => l.sample.high!),
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("watching changes no byte, and going on with other settings says which and changes no file", async () => {
  const { folder, settings } = await folderWithTexts();
  using gpu = await Gpu.open();
  const weights = async (out: string) => await Deno.readFile(`${out}/model.safetensors`);
  await trainOnSpans(gpu, { ...settings, out: `${folder}/unwatched`, watchEvery: 0, samples: 0 });
  const stop = new AbortController();
  await trainOnSpans(gpu, settings, {
    signal: stop.signal,
    onWatched: ({ step }) => step === 10 && stop.abort(),
  });
  const record = await readJson(`${settings.out}/run.json`);
  assertEquals((record as { state: string }).state, "training");
  await assertRejects(
    () => trainOnSpans(gpu, { ...settings, learningRate: 1e-2, objective: objective("direct") }),
    "another model, data or settings: objective was masked and is direct; " +
      "learning rate was 0.02 and is 0.01. Repeat",
  );
  assertEquals(await readJson(`${settings.out}/run.json`), record);
  await trainOnSpans(gpu, settings);
  assertEquals(await weights(settings.out), await weights(`${folder}/unwatched`));
  const steps = (await readWatched(settings.out)).map(({ step }) => step);
  assertEquals(steps, [...new Set(steps)].toSorted((a, b) => a - b));
  assertEquals([steps[0], steps.at(-1)], [0, 24]);

  const share = (heldOutShare: number) => trainOnSpans(gpu, { ...settings, heldOutShare });
  await assertRejects(() => share(1e-9), "of its 12 texts 0 would be held out");
  await assertRejects(() => share(1 - 1e-9), "of its 12 texts 12 would be held out");
  await Deno.remove(folder, { recursive: true });
});
