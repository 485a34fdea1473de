// The toxicity experiment on a corpus in Dolma's formats: its shards, what is drawn from them, and runs from the command
// line.

import { fileURLToPath } from "node:url";
import { initialise, saveModel } from "../mod.ts";
import { paperMethods } from "../src/data/method.ts";
import { mixSource } from "../src/data/mixing.ts";
import { allOf, type SequenceSource } from "../src/data/sequence.ts";
import { dolmaData, type DolmaOptions } from "../src/experiments/toxicity/dolma.ts";
import { documentSequence } from "../src/experiments/toxicity/selection.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { saveLinearModel, trainLinearClassifier } from "../src/label/linear_classifier.ts";
import { Risk } from "../src/slung/risk.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import {
  attribute,
  clean,
  config,
  dialogues,
  makeCorpus,
  options,
  scored,
  tokenizer,
  trainOnCorpus,
} from "./fixtures/corpus.ts";
import { runTask } from "./fixtures/task.ts";

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

async function made() {
  const corpus = await makeCorpus(), out = await Deno.makeTempDir();
  return {
    corpus,
    out,
    read: (changes: Partial<DolmaOptions> = {}) =>
      dolmaData(corpus, tokenizer, { ...options(out), ...changes }),
    async [Symbol.asyncDispose]() {
      for (const folder of [corpus, out]) await Deno.remove(folder, { recursive: true });
    },
  };
}

const textsOf = (source: SequenceSource) =>
  allOf(source).map(({ tokens }) => tokenizer.decode(tokens));

Deno.test("a corpus gives the documents of all files but one, with the classes of their scores", async () => {
  await using folders = await made();
  const data = await folders.read();
  using _shards = data.shards;
  const cleanFiles = [0, 1, 2].map((i) => clean.slice(20 * i, 20 * i + 20));
  const riskyFiles = [0, 1].map((i) =>
    dialogues.slice(40 * i, 40 * i + 40)
      .filter(({ spans }) => spans.some(({ risk }) => risk === Risk.high))
  );
  const heldOutFile = (files: unknown[][], texts: string[], textOf: (item: never) => string) =>
    files.findIndex((file) => !texts.includes(textOf(file[0] as never)));
  const texts = textsOf(data.clean);
  const outside = heldOutFile(cleanFiles, texts, (text) => text);
  assertEquals(texts, cleanFiles.filter((_, i) => i !== outside).flat());
  const risky = textsOf(data.risky);
  const riskyOutside = heldOutFile(riskyFiles, risky, ({ text }: { text: string }) => text);
  const expected = riskyFiles[1 - riskyOutside]!;
  assertEquals(risky, expected.map(({ text }) => text));
  allOf(data.risky).forEach(({ classes }, i) => {
    const spans = scored(expected[i]!).map(({ start, end, score }) => ({
      ...{ start, end },
      risk: score === 1 ? Risk.high : score > 0 ? Risk.possible : Risk.low,
    }));
    assertEquals(classes, documentSequence(tokenizer, { text: expected[i]!.text, spans }).classes);
    assert(classes.includes(Risk.high) && classes.includes(Risk.low));
  });
  const { heldOut, probe } = data.evaluation;
  const shown = textsOf(heldOut.clean).map((text) =>
    text.replace(tokenizer.decode([tokenizer.special.eos!]), "")
  );
  assertEquals(shown.length, 3);
  assert(shown.every((text) => cleanFiles[outside]!.some((whole) => whole.startsWith(text))));
  assertEquals(heldOut.domain.length, 3);
  assert(allOf(heldOut.domain).every(({ classes }) => classes.every((risk) => risk === Risk.low)));
  assertEquals(probe.texts.length, 24, "blank texts have no hidden state");
});

Deno.test("two seeds draw different documents, each from all files that are trained on", async () => {
  await using folders = await made();
  const data = await folders.read();
  using _shards = data.shards;
  const drawn = (seed: number) => {
    const { sequences } = mixSource(paperMethods[3]!, data.clean, data.risky, {
      ...{ tokens: 700, share: 0.3, length: 32, acrossDocuments: true, seed },
      eos: tokenizer.special.eos!,
      controlTokens: { low: 0, risky: 1 },
    });
    const text = allOf(sequences).map(({ tokens }) => tokenizer.decode(tokens)).join("");
    return textsOf(data.clean).flatMap((document, i) => text.includes(document) ? [i] : []);
  };
  const [first, second] = [drawn(0), drawn(1)];
  for (const documents of [first, second]) {
    assert(documents.some((i) => i < 20) && documents.some((i) => i >= 20), documents.join());
    assert(documents.length > 5 && documents.length < 35, `${documents.length} of 40`);
  }
  assert(first.join() !== second!.join());
  assertEquals(drawn(0), first);
});

Deno.test("shards that are there are used, and must fit what is asked for", async () => {
  await using folders = await made();
  (await folders.read()).shards[Symbol.dispose]();
  const kinds: string[] = [];
  const onPreparing = (kind: string) => (kinds.push(kind), {});
  for (const same of [{}, { attribute: undefined, thresholds: undefined, partTokens: 7 }]) {
    (await folders.read({ ...same, onPreparing })).shards[Symbol.dispose]();
  }
  assertEquals(kinds, []);
  await assertRejects(
    () => folders.read({ thresholds: { low: 0.2, high: 0.9 } }),
    'with the thresholds {"low":0.2,"high":0.9}: they were made with {"low":0.1,"high":0.9}',
  );
  await assertRejects(() => folders.read({ attribute: "other" }), 'with the attribute "other"');
  const other = trainBytePair(["another tokenizer"], 270);
  await assertRejects(
    () => dolmaData(folders.corpus, other, options(folders.out)),
    "they were made with another tokenizer",
  );
  const elsewhere = `${folders.out}/elsewhere`;
  (await folders.read({ prepared: elsewhere, onPreparing })).shards[Symbol.dispose]();
  assertEquals(kinds, ["clean", "risky"]);
});

Deno.test("held-out documents are cut to the longest length, or left whole to be packed", async () => {
  await using folders = await made();
  const lengthsOf = async (changes: Partial<DolmaOptions>) => {
    const { evaluation, shards } = await folders.read({ heldOut: 20, ...changes });
    using _shards = shards;
    const { clean } = evaluation.heldOut;
    const lengths = numbers(clean.length).map((i) => clean.lengthOf!(i));
    assertEquals(allOf(clean).map(({ tokens }) => tokens.length), lengths);
    return { lengths, packed: evaluation.packed };
  };
  const cut = await lengthsOf({ longest: 8 });
  const whole = await lengthsOf({ longest: 8, packed: true });
  assertEquals(cut.lengths, whole.lengths.map((length) => Math.min(length, 8)));
  assertEquals([cut.packed, whole.packed], [undefined, 8]);
  assert(whole.lengths.some((length) => length > 8));
});

Deno.test("what a corpus lacks is named", async () => {
  await using folders = await made();
  const { corpus, read } = folders;
  await assertRejects(() => read({ attribute: "other" }), `no attribute other, only ${attribute}`);
  await Deno.rename(`${corpus}/risky/attributes/exact`, `${corpus}/exact`);
  await assertRejects(read, `Cannot use "${corpus}/risky/documents/r.jsonl.zst": no file of`);
  await Deno.rename(`${corpus}/risky`, `${corpus}/harmless`);
  await assertRejects(read, `Cannot read "${corpus}/risky"`);
  await Deno.remove(`${corpus}/probe.csv`);
  await assertRejects(read, `Cannot read "${corpus}/probe.csv"`);
});

Deno.test("training on shards that is killed ends with the bytes of the run that was not", async () => {
  await using folders = await made();
  const { corpus, out } = folders;
  using gpu = await Gpu.open();
  const whole = `${out}/whole`, broken = `${out}/broken`;
  const steps: number[] = [];
  const [expected] = await trainOnCorpus(gpu, corpus, whole, (step) => steps.push(step));
  assert(steps.length >= 10, `${steps.length} steps`);
  const script = fileURLToPath(new URL("fixtures/corpus.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", script, corpus, broken],
    stdout: "piped",
  }).spawn();
  let said = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said.includes("step 5\n")) child.kill("SIGKILL");
  }
  assertEquals((await child.status).signal, "SIGKILL");
  const resumed: number[] = [];
  const [outcome] = await trainOnCorpus(gpu, corpus, broken, (step) => resumed.push(step));
  assert(resumed[0]! > 0, "goes on from a checkpoint");
  assertEquals(outcome, expected);
  const model = async (folder: string) => {
    const runs = `${folder}/runs/masked-x1-seed0`;
    const names = await Array.fromAsync(Deno.readDir(runs), ({ name }) => name);
    const trained = names.find((name) => /^trained-[0-9a-f]+$/.test(name))!;
    return await Deno.readFile(`${runs}/${trained}/model.safetensors`);
  };
  const weights = await model(whole);
  assert(weights.length > 1000);
  assertEquals(await model(broken), weights);
});

Deno.test("the task runs on a corpus and a base model, and names what it was not given", async () => {
  const [folder, base, out] = [
    await makeCorpus(),
    await Deno.makeTempDir(),
    await Deno.makeTempDir(),
  ];
  await saveModel(base, config, initialise(config, 0), { special: tokenizer.special });
  await tokenizer.save!(base);
  const examples = numbers(60).map((i) => ({
    text: `You ${i % 2 ? "brute" : "friend"}`,
    risky: i % 2 === 1,
  }));
  await saveLinearModel(`${out}/scorer.json`, trainLinearClassifier("test", examples, { seed: 0 }));
  const run = (...args: string[]) => runTask("toxicity", ["--protocol", "dolma", ...args]);
  const required = ["--data", folder, "--base", base];
  assert((await run("--data", folder)).text.includes("Give --base"));
  const foreign = await run("--protocol", "invented", "--base", base);
  assert(foreign.text.includes("its tokenizer is not the one of this protocol"), foreign.text);
  const misplaced = await run("--protocol", "invented", "--per-step", "8");
  assert(misplaced.text.includes("--per-step is an option of dolma"), misplaced.text);
  for (const name of ["linear", "linear:", "other:file"]) {
    const wrong = await run(...required, "--scorer", name);
    assert(wrong.text.includes("it is not KIND:SOURCE"), wrong.text);
  }
  assert((await run(...required)).text.includes("Give --scorer"));
  const scorer = ["--scorer", `linear:${out}/scorer.json`];
  const sizes = [
    "--tokens",
    "1000",
    "--share",
    "0.2",
    "--per-step",
    "2",
    "--micro-batch",
    "64",
    "--held-out",
    "3",
  ];
  const few = ["--seeds", "0", "--methods", "masked", "--out", `${out}/runs`];
  const labels = ["--attribute", attribute, "--low", "0.1", "--high", "0.9"];
  const { code, text } = await run(...required, ...scorer, ...sizes, ...few, ...labels);
  assertEquals(code, 0, text);
  assert(text.includes("Making shards of the clean documents"), text);
  const prepared = await runTask("prepare", [
    ...["--data", folder, "--tokenizer", base, "--out", `${out}/shards`],
    ...["--part-size", "1", "--low", "0.1", "--high", "0.9", "--attribute", attribute, "--json"],
  ]);
  assertEquals(prepared.code, 0, prepared.text);
  assertEquals(Object.keys(JSON.parse(prepared.stdout)), ["clean", "risky"]);
  const packed = await run(
    ...[...required, ...scorer, ...sizes, "--seeds", "0", "--methods", "control"],
    ...["--prepared", `${out}/shards`, "--perplexity", "packed", "--out", `${out}/packed`],
  );
  assertEquals(packed.code, 0, packed.text);
  assert(!packed.text.includes("Making shards"), packed.text);
  for (const expected of ["has no optimiser.safetensors", "Masked SLUNG", "linear", attribute]) {
    assert(text.includes(expected), `${expected} is not in ${text}`);
  }
  for (const made of [folder, base, out]) await Deno.remove(made, { recursive: true });
});
