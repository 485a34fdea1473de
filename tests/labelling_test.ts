// Labelling from documents to token classes, and the two tasks as their users run them.

import type { TextClassifier } from "../src/label/classifier.ts";
import { classifierInput } from "../src/label/classifier.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { labelFile, labelTexts, tagDocuments } from "../src/data/labelling.ts";
import { readRiskyTexts } from "../src/data/span_files.ts";
import { encodeText } from "../src/data/spans.ts";
import { type Labeller, sentenceLabeller, wordLabeller } from "../src/label/labeller.ts";
import {
  type DolmaDocument,
  readDolma,
  riskSpansOf,
  writeDolmaDocuments,
} from "../src/data/sources/dolma.ts";
import { classifyTokensBySentence, Risk } from "../src/slung/risk.ts";
import { splitterName } from "../src/label/sentences.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";

/** Knows the word grul and is unsure about zug; notes what it is given. */
function wordScorer(batches: (readonly string[])[] = []): TextClassifier {
  return {
    name: "words",
    score(texts) {
      batches.push(texts);
      return Float64Array.from(
        texts,
        (text) => text.includes("grul") ? 0.999 : text.includes("zug") ? 0.4 : 0.00002,
      );
    },
  };
}

const documents: DolmaDocument[] = [
  { id: "a", text: "🎉 Hi all. You grul!  Calm\nagain.", source: "invented" },
  { id: "b", text: " ", source: "invented" },
  { id: "c", text: "A zug came. It left.", source: "invented" },
];
const name = "slung__sentence__toxic";

Deno.test("a classifier gets sentences as Dolma gives them: trimmed, without line feeds", async () => {
  assertEquals(classifierInput(" a\nb\n"), "a b");
  const batches: (readonly string[])[] = [];
  await Array.fromAsync(tagDocuments(documents, wordScorer(batches)));
  assertEquals(batches, [["🎉 Hi all.", "You grul!", "Calm", "again.", "A zug came.", "It left."]]);
});

Deno.test("documents keep their order and scores whatever the batch", async () => {
  const whole = await Array.fromAsync(tagDocuments(documents, wordScorer()));
  for (const batch of [1, 2, 3]) {
    const tagged = await Array.fromAsync(tagDocuments(documents, wordScorer(), { batch }));
    assertEquals(tagged, whole);
  }
  assertEquals(whole.map(({ attributes }) => attributes[name]!.map(({ score }) => score)), [
    [0.00002, 0.999, 0.00002, 0.00002],
    [],
    [0.4, 0.00002],
  ]);
});

Deno.test("whole texts are scored too when that is asked, as the paper's selection needs", async () => {
  const tagged = await Array.fromAsync(
    tagDocuments(documents, wordScorer(), { documentAttribute: "whole" }),
  );
  const [first, blank] = tagged.map(({ attributes }) => attributes.whole);
  assertEquals(first, [{ start: 0, end: documents[0]!.text.length, score: 0.999 }]);
  assertEquals(blank, [{ start: 0, end: 1, score: 0.00002 }]);
});

Deno.test("a labelled file gives every character the class of the paper's rule", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/documents.jsonl.gz`, out = `${folder}/attributes.jsonl.zst`;
  await writeDolmaDocuments(path, documents);
  const summary = await labelFile(path, out, wordScorer());
  assertEquals(summary, {
    classifier: "words",
    splitter: splitterName,
    thresholds: { low: 1e-4, high: 0.99 },
    documents: 3,
    malformed: 0,
    sentences: 6,
    bytes: documents.reduce((sum, { text }) => sum + new TextEncoder().encode(text).length, 0),
    byRisk: { low: 4, possible: 1, high: 1 },
  });
  const tagged = await Array.fromAsync(readDolma(path, [out]));
  const classes = tagged.map((one) => {
    const { text } = one.document;
    const starts = Array.from({ length: text.length }, (_, i) => i);
    const ends = starts.map((start) => start + 1);
    return classifyTokensBySentence({ starts, ends }, riskSpansOf(one, name), text.length).join("");
  });
  // The spaces before "You grul!" are risky, those after it belong to the next sentence.
  assertEquals(classes, [
    "1".repeat(10) + "3".repeat(10) + "1".repeat(documents[0]!.text.length - 20),
    "1",
    "2".repeat(11) + "1".repeat(9),
  ]);
});

Deno.test("malformed lines are counted, named and left out, or end the job without a file", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/d.jsonl`, out = `${folder}/a.jsonl`;
  const good = documents.map((document) => JSON.stringify(document));
  await Deno.writeTextFile(path, [good[0], "{", good[1], '{"id":"x"}', good[2]].join("\n"));
  const messages: string[] = [];
  const onMalformed = ({ message }: Error) => messages.push(message);
  const { documents: count, malformed } = await labelFile(path, out, wordScorer(), { onMalformed });
  assertEquals([count, malformed], [3, 2]);
  assert(messages[1]!.includes('d.jsonl" line 4: field "text" is missing'), messages[1]);
  const read = readDolma(path, [out], { onMalformed: () => {} });
  assertEquals(await Array.fromAsync(read, ({ document }) => document.id), ["a", "b", "c"]);
  await Deno.remove(out);
  await assertRejects(() => labelFile(path, out, wordScorer()), 'd.jsonl" line 2');
  assertEquals(await Array.fromAsync(Deno.readDir(folder), ({ name }) => name), ["d.jsonl"]);
});

Deno.test("a classifier that returns too few scores is refused", async () => {
  const short: TextClassifier = { name: "short", score: () => new Float64Array(1) };
  await assertRejects(
    () => Array.fromAsync(tagDocuments(documents, short)),
    '"short" gave 1 scores for 6 texts',
  );
});

const texts = ["🎉 You grul! Calm words.", "Nothing here.", "A zug, and Grul\u2019s hat."];

async function* each(items: readonly string[]) {
  yield* items;
}

Deno.test("labelled texts are what training reads: the same spans, in the order of the texts, whatever the batch", async () => {
  const folder = await Deno.makeTempDir();
  const labeller = wordLabeller(["grul", "calm words"]);
  const spans = await labeller.label(texts);
  const expected = texts.map((text, i) => ({ text, spans: spans[i]!, weight: 1, rule: "overlap" }));
  for (const [batch, name] of [[1, "a.jsonl"], [2, "b.jsonl.gz"], [256, "c.jsonl.zst"]] as const) {
    const shown: string[] = [];
    const summary = await labelTexts(each(texts), `${folder}/${name}`, labeller, {
      batch,
      onText: ({ text }, { texts }) => shown.push(`${texts} ${text}`),
    });
    assertEquals(summary, { texts: 3, risky: 2, spans: { possible: 0, high: 3 } });
    assertEquals(shown, texts.map((text, i) => `${i + 1} ${text}`));
    const read: unknown[] = await readRiskyTexts(`${folder}/${name}`, { strict: true });
    assertEquals(read, expected);
  }
});

Deno.test("labelled sentences keep the paper's rule: the space before a sentence belongs to it", async () => {
  const out = `${await Deno.makeTempDir()}/out.jsonl`;
  const labeller = sentenceLabeller(wordScorer());
  const summary = await labelTexts(each(texts), out, labeller);
  assertEquals(summary, { texts: 3, risky: 2, spans: { possible: 1, high: 1 } });
  const read = await readRiskyTexts(out);
  assertEquals(read.map(({ rule }) => rule), ["sentence", "sentence", "sentence"]);
  assertEquals(read.map(({ spans }) => spans.map(({ risk }) => risk)), [[3, 1], [1], [2]]);
  const bytes = trainBytePair([], 258);
  const classes = encodeText(bytes, read[0]!).classes;
  const calm = texts[0]!.length - "Calm words.".length + "🎉".length; // four bytes for two units
  assertEquals([...classes.subarray(calm - 2, calm + 1)], [Risk.high, Risk.low, Risk.low]);
});

Deno.test("a labeller that gives too few lists, or spans that leave their text, leaves no file behind", async () => {
  const folder = await Deno.makeTempDir();
  const faulty: [Labeller, string][] = [
    [{ name: "few", label: () => [[]] }, 'the labeller "few" gave spans of 1 texts for 3'],
    [
      { name: "long", label: (texts) => texts.map(() => [{ start: 0, end: 20, risk: 3 }]) },
      'Cannot use span 0 [0, 20) of text 1 by "long": it leaves the text of 13 characters',
    ],
  ];
  for (const [labeller, message] of faulty) {
    await assertRejects(() => labelTexts(each(texts), `${folder}/out.jsonl`, labeller), message);
  }
  assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
});

Deno.test("train_classifier and label work together from the command line", async () => {
  const folder = await Deno.makeTempDir();
  const lines = (word: string) =>
    Array.from({ length: 60 }, (_, i) => `The ${word} number ${i} of ${i % 7}.`).join("\n");
  await Deno.writeTextFile(`${folder}/risky.txt`, lines("grulhead"));
  await Deno.writeTextFile(`${folder}/harmless.txt`, lines("kettle"));
  const model = `${folder}/model.linear`;
  const files = ["--risky", `${folder}/risky.txt`, "--harmless", `${folder}/harmless.txt`];
  const trained = await runTask("train-classifier", [...files, "--out", model]);
  assert(trained.code === 0 && trained.text.includes("AUROC on 12 held-out"), trained.text);

  const path = `${folder}/d.jsonl`, out = `${folder}/a.jsonl.gz`;
  const document = { id: "a", text: "A kettle. The grulhead!", source: "invented" };
  await Deno.writeTextFile(path, `${JSON.stringify(document)}\n{\n`);
  const thresholds = ["--low", "0.5", "--high", "0.6"];
  const given = ["--documents", path, "--out", out, "--linear", model, ...thresholds];
  const labelled = await runTask("label", given);
  assert(labelled.code === 0 && /high +t > 0.6 +1 +50.00/.test(labelled.text), labelled.text);
  assert(labelled.text.includes("1 malformed line was left out"), labelled.text);
  const [tagged] = await Array.fromAsync(readDolma(path, [out], { onMalformed: () => {} }));
  assertEquals(riskSpansOf(tagged!, name, { low: 0.5, high: 0.6 }).map(({ risk }) => risk), [1, 3]);

  const strict = await runTask("label", [...given, "--strict"]);
  assert(strict.code === 1 && strict.text.includes("line 2"), strict.text);
  const none = await runTask("label", ["--documents", path, "--out", out]);
  assert(none.code === 1 && none.text.includes("Give exactly one of --linear"), none.text);
  const neither = await runTask("label", ["--out", out, "--linear", model]);
  assert(neither.code === 1 && neither.text.includes("Give --text FILE"), neither.text);
});
