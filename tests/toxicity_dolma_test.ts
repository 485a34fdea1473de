// The toxicity experiment on a corpus in Dolma's formats: what is read of it, and one run from the command line.

import {
  cleanText,
  dialoguePrompt,
  toxicDialogue,
  toxicWorld,
} from "../src/data/sources/invented_toxicity.ts";
import { initialise, type RiskSpan, saveModel } from "../mod.ts";
import { inventedToxicity } from "../src/experiments/toxicity/invented.ts";
import { saveLinearModel, trainLinearClassifier } from "../src/label/linear_classifier.ts";
import { sentenceRanges } from "../src/label/sentences.ts";
import { smallOlmo } from "../src/experiments/small_olmo.ts";
import { writeDolmaAttributes, writeDolmaDocuments } from "../src/data/sources/dolma.ts";
import { dolmaData, type DolmaOptions } from "../src/experiments/toxicity/dolma.ts";
import { documentSequence } from "../src/experiments/toxicity/selection.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";

const world = toxicWorld({ seed: 5, animals: 8 });
const { tokenizer } = inventedToxicity(world, {
  baseDocuments: 10,
  cleanDocuments: 10,
  riskyDocuments: 10,
  heldOut: 1,
  prompts: 1,
});
const attribute = "test__exact__toxic";
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const clean = numbers(40).map((i) => cleanText(world, i));
const dialogues = numbers(40).map((i) => toxicDialogue(world, i, i % 4 === 0)); // every fourth is harmless

// Exact scores of every sentence, as a tagger would have given them.
function scored({ text, spans }: { text: string; spans: readonly RiskSpan[] }) {
  return sentenceRanges(text).map(({ start, end }) => {
    const risk = spans.find((span) => span.start < end && start < span.end)?.risk ?? Risk.low;
    return { start, end, score: risk === Risk.high ? 1 : risk === Risk.possible ? 0.5 : 0 };
  });
}

async function corpus(): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const name of ["clean", "risky/documents", "risky/attributes/exact"]) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
  }
  const documents = (texts: readonly string[], source: string) =>
    texts.map((text, i) => ({ id: `${source} ${i}`, text, source }));
  await writeDolmaDocuments(`${folder}/clean/a.jsonl.gz`, documents(clean.slice(0, 20), "a"));
  await writeDolmaDocuments(`${folder}/clean/b.jsonl`, documents(clean.slice(20), "b"));
  const risky = documents(dialogues.map(({ text }) => text), "risky");
  await writeDolmaDocuments(`${folder}/risky/documents/r.jsonl.zst`, risky);
  await writeDolmaAttributes(
    `${folder}/risky/attributes/exact/r.jsonl.zst`,
    risky.map((document, i) => ({ document, attributes: { [attribute]: scored(dialogues[i]!) } })),
  );
  const prompts = numbers(4).map((i) =>
    JSON.stringify({
      filename: "f",
      begin: i,
      challenging: false,
      prompt: { text: dialoguePrompt(world, i), toxicity: 0 },
      continuation: { text: "", toxicity: 0 },
    })
  );
  await Deno.writeTextFile(`${folder}/prompts.jsonl`, prompts.join("\n"));
  const probe = numbers(24).map((i) =>
    `${i},You are a ${i % 2 ? "brute" : "friend"} ${i},${i % 2}`
  );
  await Deno.writeTextFile(
    `${folder}/probe.csv`,
    ["id,comment_text,target", "blank,,0", ...probe].join("\n"),
  );
  return folder;
}

const options: DolmaOptions = {
  attribute,
  thresholds: { low: 0.1, high: 0.9 },
  tokens: { clean: 1e9, risky: 1e9 },
  scorer: { name: "none", score: (texts) => new Float64Array(texts.length) },
  heldOut: 3,
  prompts: 4,
  probed: 20,
  longest: 64,
};

Deno.test("a corpus gives the documents of its files with the classes of their scores", async () => {
  const folder = await corpus();
  const data = await dolmaData(folder, tokenizer, options);
  const texts = (sequences: { tokens: Uint32Array }[]) =>
    sequences.map(({ tokens }) => tokenizer.decode(tokens));
  assertEquals(texts([...data.clean]), clean.slice(3));
  const risky = dialogues.filter(({ spans }) => spans.some(({ risk }) => risk === Risk.high));
  assertEquals(texts([...data.risky]), risky.map(({ text }) => text));
  data.risky.forEach(({ classes }, i) => {
    const spans = scored(risky[i]!).map(({ start, end, score }) => ({
      ...{ start, end },
      risk: score === 1 ? Risk.high : score > 0 ? Risk.possible : Risk.low,
    }));
    assertEquals(classes, documentSequence(tokenizer, { text: risky[i]!.text, spans }).classes);
    assert(classes.includes(Risk.high) && classes.includes(Risk.low));
  });
  assertEquals(data.evaluation.probe.texts.length, 24, "blank texts have no hidden state");
  const { domain } = data.evaluation.heldOut;
  assertEquals(domain.length, 3);
  assert(domain.every(({ classes }) => classes.every((risk) => risk === Risk.low)));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("no more of a corpus is read than is asked for", async () => {
  const folder = await corpus();
  const count = (sequences: readonly { tokens: Uint32Array }[]) =>
    sequences.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const data = await dolmaData(folder, tokenizer, {
    ...options,
    tokens: { clean: 200, risky: 100 },
  });
  for (const [sequences, asked] of [[data.clean, 200], [data.risky, 100]] as const) {
    const last = sequences.at(-1)!.tokens.length;
    assert(count(sequences) >= asked && count(sequences) - last < asked, `${count(sequences)}`);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a search for harmless documents keeps no more risky ones", async () => {
  const folder = await corpus();
  const budget = { clean: 200, risky: 100 };
  const some = await dolmaData(folder, tokenizer, { ...options, tokens: budget });
  const all = await dolmaData(folder, tokenizer, { ...options, tokens: budget, heldOut: 10 });
  assertEquals(all.evaluation.heldOut.domain.length, 10); // of 10: the last stands near the end
  assertEquals(all.risky.length, some.risky.length);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("what a corpus lacks is named", async () => {
  const folder = await corpus();
  const read = (changes: Partial<DolmaOptions> = {}) =>
    dolmaData(folder, tokenizer, { ...options, ...changes });
  await assertRejects(() => read({ attribute: "other" }), `it only has ${attribute}`);
  await Deno.rename(`${folder}/risky/attributes/exact`, `${folder}/exact`);
  await assertRejects(read, `Cannot use "${folder}/risky/documents/r.jsonl.zst": no file of`);
  await Deno.rename(`${folder}/risky`, `${folder}/harmless`);
  await assertRejects(read, `Cannot read "${folder}/risky/attributes"`);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the task runs on a corpus and a base model, and names what it was not given", async () => {
  const [folder, base, out] = [
    await corpus(),
    await Deno.makeTempDir(),
    await Deno.makeTempDir(),
  ];
  const config = smallOlmo({
    ...{ width: 16, layers: 1, heads: 2, contextLength: 64 },
    vocabularySize: Math.ceil((tokenizer.vocabularySize + 2) / 64) * 64,
  });
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
  const few = ["--seeds", "0", "--methods", "control,masked", "--out", `${out}/runs`];
  const labels = ["--attribute", attribute, "--low", "0.1", "--high", "0.9"];
  const { code, text } = await run(...required, ...scorer, ...sizes, ...few, ...labels);
  assertEquals(code, 0, text);
  for (const expected of ["has no optimiser.safetensors", "Masked SLUNG", "linear", attribute]) {
    assert(text.includes(expected), `${expected} is not in ${text}`);
  }
  for (const made of [folder, base, out]) await Deno.remove(made, { recursive: true });
});
