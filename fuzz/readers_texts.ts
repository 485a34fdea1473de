// Texts, their labels and their tokens: whatever is accepted lies within its text, in classes that there are.

import { gzipSync, zstdCompressSync } from "node:zlib";
import type { Random } from "../src/base/random.ts";
import { verifyOlmo } from "../src/data/olmo/verify.ts";
import { exportOlmo } from "../src/data/olmo/export.ts";
import { openShards } from "../src/data/shards/open.ts";
import { readChats } from "../src/data/sources/chat.ts";
import {
  readCivilComments,
  readGoEmotions,
  readJigsaw,
  readLabelledPosts,
  readReddit,
  readTargets,
  readToxicityPrompts,
} from "../src/data/sources/comments.ts";
import { readDolma } from "../src/data/sources/dolma.ts";
import { readTofu } from "../src/data/sources/tofu.ts";
import { readLines } from "../src/data/lines.ts";
import { readRiskyTexts } from "../src/data/span_files.ts";
import { encodeText } from "../src/data/spans.ts";
import { CannotError } from "../src/base/errors.ts";
import { customLoss, evaluateTerm } from "../src/slung/custom_loss.ts";
import { objective } from "../src/slung/objective.ts";
import { makeShards, someTexts, sourceOf, unitTokenizer } from "../tests/fixtures/shards.ts";
import { mutateBytes, mutateText } from "./mutate.ts";
import { bytesOf, type Files, type Reader } from "./reader.ts";

const riskyLines = [
  { offsets: "codepoint" },
  { text: "The mill of Mira Toveld 🎉 turned.", spans: [[12, 23]], weight: 0.5 },
  { text: "Nothing here.", spans: [] },
  {
    text: "Oda Venn and Mira.",
    spans: [{ start: 0, end: 8, risk: "high" }, { start: 13, end: 17, risk: 2 }],
  },
];
const jsonl = (records: readonly unknown[]) =>
  records.map((record) => `${JSON.stringify(record)}\n`).join("");
const csv = {
  "targets.csv": 'id,comment_text,target\n1,"a ""b"", c",0.5\n2,"two\nlines",1\n',
  "jigsaw.csv":
    "id,comment_text,toxic,severe_toxic,obscene,threat,insult,identity_hate\n1,a,0,0,1,0,0,0\n2,b,-1,-1,-1,-1,-1,-1\n",
  "comments.csv": "comment_id,comment_text\n1,some text\n2,more\n",
  "annotations.csv": "comment_id,not toxic\n1,True\n1,False\n2,True\n",
};
const repacked =
  (pack: (bytes: Uint8Array) => Uint8Array, change: typeof mutateText) =>
  (content: string | Uint8Array, random: Random): Uint8Array => {
    if (random.below(2) === 0) return mutateBytes(bytesOf(content), random);
    return pack(bytesOf(change(jsonl(riskyLines), random)));
  };
const gzip = (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes));
const zstd = (bytes: Uint8Array) => new Uint8Array(zstdCompressSync(bytes));

/** The readers of texts. */
export const texts: readonly Reader[] = [
  {
    name: "texts with spans",
    files: () => ({ "a.jsonl": jsonl(riskyLines), "a.json": JSON.stringify(riskyLines.slice(1)) }),
    damage: { "a.jsonl": "lines", "a.json": "json" },
    async read(folder) {
      return await soundTexts(`${folder}/a.jsonl`) ?? await soundTexts(`${folder}/a.json`);
    },
  },
  {
    name: "gz and zst",
    files: () => ({
      "a.jsonl.gz": gzip(bytesOf(jsonl(riskyLines))),
      "a.jsonl.zst": zstd(bytesOf(jsonl(riskyLines))),
    }),
    damage: { "a.jsonl.gz": repacked(gzip, mutateText), "a.jsonl.zst": repacked(zstd, mutateText) },
    async read(folder) {
      return await soundTexts(`${folder}/a.jsonl.gz`) ?? await soundTexts(`${folder}/a.jsonl.zst`);
    },
  },
  {
    name: "Dolma",
    files: () => ({
      "documents.jsonl": jsonl([
        { id: "1", text: "The mill 🎉. It turned.", source: "made" },
        { id: "2", text: "Oda.", source: "made" },
      ]),
      "attributes.jsonl": jsonl([
        { id: "1", attributes: { a__b__c: [[0, 11, 0.25], [11, 22, 1]] }, source: "made" },
        { id: "2", attributes: { a__b__c: [[0, 4, 0]] }, source: "made" },
      ]),
    }),
    damage: { "documents.jsonl": "lines", "attributes.jsonl": "lines" },
    async read(folder) {
      const all = readDolma(`${folder}/documents.jsonl`, [`${folder}/attributes.jsonl`]);
      for await (const { document, attributes } of all) {
        for (const span of Object.values(attributes).flat()) {
          const isSound = span.start >= 0 && span.end <= document.text.length &&
            Number.isFinite(span.score);
          if (!isSound) return JSON.stringify(span);
        }
      }
      return undefined;
    },
  },
  {
    name: "csv",
    files: () =>
      Object.fromEntries(
        Object.entries(csv).map(([name, text]) => [`${name}.gz`, gzip(bytesOf(text))]),
      ),
    damage: Object.fromEntries(
      Object.entries(csv).map((
        [name, text],
      ) => [`${name}.gz`, (_: unknown, random: Random) => gzip(bytesOf(mutateText(text, random)))]),
    ),
    async read(folder) {
      const all = [
        readTargets(`${folder}/targets.csv.gz`),
        readJigsaw(`${folder}/jigsaw.csv.gz`),
        readCivilComments(`${folder}/comments.csv.gz`, `${folder}/annotations.csv.gz`),
      ];
      for (const comments of all) {
        for await (const { toxicity = 0 } of comments) {
          if (!(toxicity >= 0 && toxicity <= 1)) return `the toxicity ${toxicity}`;
        }
      }
      return undefined;
    },
  },
  {
    name: "comments and prompts",
    files: () => ({
      "prompts.jsonl": jsonl([{
        filename: "a.txt",
        begin: 3,
        challenging: true,
        prompt: { text: "The mill", toxicity: 0.25 },
        continuation: { text: " turned", toxicity: null },
      }]),
      "posts.json": JSON.stringify([["a text", "normal"], ["another", "hatespeech"]]),
      "go.tsv": "a text\t3,7\tid1\nanother\t27\tid2\n",
      "reddit.jsonl": jsonl([{ id: "a", body: "a text", subreddit: "mills", score: 3 }]),
    }),
    damage: {
      "prompts.jsonl": "lines",
      "posts.json": "json",
      "go.tsv": "text",
      "reddit.jsonl": "lines",
    },
    async read(folder) {
      for await (const { id } of readToxicityPrompts(`${folder}/prompts.jsonl`)) {
        if (/undefined|object|null/.test(id)) return `the id ${id}`;
      }
      await all([
        () => drain(readLabelledPosts(`${folder}/posts.json`)),
        () => drain(readGoEmotions(`${folder}/go.tsv`)),
        () => drain(readReddit(`${folder}/reddit.jsonl`)),
      ]);
      return undefined;
    },
  },
  {
    name: "chats and TOFU",
    files: () => ({
      "chats.jsonl": jsonl([{
        messages: [{ role: "user", content: "a" }, { role: "assistant", content: "b" }],
      }]),
      "tofu.json": jsonl([{
        question: "Who?",
        answer: "Oda Venn.",
        paraphrased_answer: "Oda.",
        perturbed_answer: ["A", "B"],
      }]),
    }),
    damage: { "chats.jsonl": "lines", "tofu.json": "lines" },
    async read(folder) {
      await all([
        () => drain(readChats(`${folder}/chats.jsonl`)),
        () => readTofu(`${folder}/tofu.json`),
      ]);
      return undefined;
    },
  },
  {
    name: "shards",
    files: () => writtenBy((folder) => makeShards(folder)),
    damage: {
      "manifest.json": "json",
      "token_ids_part_0000.npy": "bytes",
      "risk_classes_part_0000.u8": "bytes",
      "documents_part_0000.u64": "bytes",
    },
    async read(folder) {
      using shards = await openShards(folder);
      for (let i = 0; i < shards.length; i++) {
        const { tokens, classes } = shards.at(i)!;
        if (tokens.length !== classes.length) return "tokens without classes";
        if (classes.some((risk) => risk > 3)) return "a class that there is not";
      }
      return undefined;
    },
  },
  {
    name: "export for OLMo",
    files: () =>
      writtenBy((folder) =>
        exportOlmo(folder, sourceOf([someTexts(20)]), {
          tokenizer: unitTokenizer(),
          partTokens: 4000,
          objective: objective("masked"),
          sequenceLength: 64,
        })
      ),
    damage: {
      "manifest.json": "json",
      "olmo_core_dataset.json": "json",
      "token_ids_part_0000.csv.gz": "bytes",
      "labels_mask_part_0000.npy": "bytes",
    },
    async read(folder) {
      await verifyOlmo(folder);
      return undefined;
    },
  },
  {
    name: "custom losses",
    files: () => ({
      "value.txt": "p + 0 * max(lp, 0)",
      "slope.txt": "p * (1 - p)",
    }),
    damage: { "value.txt": "text", "slope.txt": "text" },
    async read(folder) {
      const [value, slope] = await Promise.all(
        ["value", "slope"].map((name) => Deno.readTextFile(`${folder}/${name}.txt`)),
      );
      const term = customLoss({ name: "mine", value: value!, slope: slope! });
      for (const m of [-40, 0, 40]) {
        if (!Number.isFinite(evaluateTerm(term, m).slope)) return `its slope at ${m} is not finite`;
      }
      return undefined;
    },
  },
  {
    name: "lines",
    files: () => ({ "a.txt": "one\r\ntwo é🎉\n\nthree" }),
    damage: { "a.txt": "bytes" },
    async read(folder) {
      await drain(readLines(`${folder}/a.txt`));
      return undefined;
    },
  },
];

async function soundTexts(path: string): Promise<string | undefined> {
  const tokenizer = unitTokenizer(2 ** 16);
  for (const text of await readRiskyTexts(path)) {
    const { tokens, classes, weights } = encodeText(tokenizer, text);
    if (tokens.length !== classes.length) return "tokens without classes";
    if (classes.some((risk) => risk > 3)) return "a class that there is not";
    if (weights?.some((weight) => !(Number.isFinite(weight) && weight >= 0))) {
      return "a weight that is none";
    }
  }
  return undefined;
}

async function drain(records: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of records);
}

// Each gets its turn, whatever the others refuse; the last refusal is thrown.
async function all(reads: readonly (() => Promise<unknown>)[]): Promise<void> {
  let refused: CannotError | undefined;
  for (const read of reads) {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof CannotError)) throw error;
      refused = error;
    }
  }
  if (refused) throw refused;
}

async function writtenBy(write: (folder: string) => Promise<unknown>): Promise<Files> {
  const folder = await Deno.makeTempDir();
  await write(folder);
  const files: Files = {};
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile) files[name] = await Deno.readFile(`${folder}/${name}`);
  }
  await Deno.remove(folder, { recursive: true });
  return files;
}
