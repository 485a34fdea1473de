// Tokenizers: ids equal to the originals', text that survives the round trip, offsets that tile it.

import { readText } from "../src/base/files.ts";
import { Random } from "../src/base/random.ts";
import { trainBytePair } from "../src/data/byte_pair.ts";
import { Heap } from "../src/data/heap.ts";
import { alignNormalised } from "../src/data/huggingface_tokenizer.ts";
import { readJsonRows } from "../src/data/jsonl.ts";
import { stringField } from "../src/data/records.ts";
import { type Merge, mergePairs, pairKey } from "../src/data/pair_merging.ts";
import { locateBytes, textOf, utf8 } from "../src/data/token_bytes.ts";
import { checkVocabulary, loadTokenizer, type Tokenizer } from "../src/data/tokenizer.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";

const varied = [
  "",
  " ",
  "The quick brown fox doesn't jump; it's 1234567 metres.",
  "  two  spaces\n\n\tand a tab \r\n trailing   ",
  "naïve café, Übergröße, cafe\u0301 (decomposed)",
  "日本語のテキスト и русский عربى हिन्दी 한국어",
  "👩‍👩‍👧‍👦 family 🇨🇭 flag 😀😀",
  "zero\u200bwidth, nbsp\u00a0here, control\u0000\u0007, private \ue000",
  "I'LL we'll they've x'd ''' \"quoted\" --- *** ½ ² Ⅷ ٣٤٥",
  "def f(x):\n    return x**2  # 4 spaces\n\n\n",
  "<|endoftext|>between<|padding|><|endoftext|> <|end of text|>",
];

/** Checks that the spans are in order and that together they cover the text exactly. */
function assertTiles(tokenizer: Tokenizer, text: string): void {
  const { ids, starts, ends } = tokenizer.encode(text);
  let covered = 0;
  for (let i = 0; i < ids.length; i++) {
    // A token may start before the end of the last one only to hold the rest of a split character.
    const character = text.codePointAt(starts[i]!)! > 0xffff ? 2 : 1;
    const follows = starts[i] === covered || (i > 0 && starts[i]! + character === covered);
    if (!follows || ends[i]! < covered) {
      throw new Error(`token ${i} spans ${starts[i]} to ${ends[i]}, after ${covered}: ${text}`);
    }
    covered = ends[i]!;
  }
  assertEquals(covered, text.length);
}

async function temporaryFolder(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? utf8(content) : content;
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
  return folder;
}

Deno.test("a heap gives back its items in order", () => {
  const random = new Random(1);
  const items = Array.from({ length: 500 }, () => random.below(100));
  const heap = new Heap<number>((a, b) => a < b);
  for (const item of items) heap.push(item);
  const popped = items.map(() => heap.pop());
  assertEquals(popped, items.toSorted((a, b) => a - b));
  assertEquals(heap.pop(), undefined);
});

Deno.test("merging with a heap equals merging the best pair of all, one at a time", () => {
  const random = new Random(2);
  for (let round = 0; round < 300; round++) {
    const table = new Map<number, Merge>();
    for (let i = 0; i < 20; i++) {
      const merge = { id: random.below(8), priority: random.below(6) }; // ties, cycles, later-is-better
      table.set(pairKey(random.below(8), random.below(8)), merge);
    }
    const symbols = Array.from({ length: random.below(40) }, () => random.below(8));
    const { ids, counts } = mergePairs(symbols, table);
    assertEquals(ids, mergeOneByOne(symbols, table));
    assertEquals(counts.reduce((sum, count) => sum + count, 0), symbols.length);
  }
});

function mergeOneByOne(symbols: number[], table: Map<number, Merge>): number[] {
  const ids = [...symbols];
  while (true) {
    let best: Merge | undefined, at = -1;
    for (let i = 0; i + 1 < ids.length; i++) {
      const merge = table.get(pairKey(ids[i]!, ids[i + 1]!));
      if (merge && (!best || merge.priority < best.priority)) [best, at] = [merge, i];
    }
    if (!best) return ids;
    ids.splice(at, 2, best.id);
  }
}

Deno.test("a token that holds a part of a character spans that character", () => {
  const { starts, ends } = locateBytes("aé😀b", [1, 1, 1, 2, 0, 2, 1]);
  assertEquals([...starts], [0, 1, 1, 2, 2, 2, 4]);
  assertEquals([...ends], [1, 2, 2, 4, 2, 4, 5]);
  assertThrows(() => locateBytes("a", [2]), "more bytes");
  assertThrows(() => locateBytes("ab", [1]), "fewer bytes");
});

Deno.test("bytes that are no UTF-8 and ids without a token become U+FFFD", () => {
  assertEquals(
    textOf([utf8("a"), utf8("é").subarray(0, 1), utf8("b"), undefined]),
    "a\uFFFDb\uFFFD",
  );
  assertEquals(textOf([utf8("\uFEFFé").subarray(0, 4), utf8("é").subarray(1)]), "\uFEFFé");
});

Deno.test("byte pairs are learnt most frequent first, ties by the lowest ids", () => {
  // Words: "ab" 3 times, "cd" 2, "bd" 2. Ids of bytes: 2 + byte.
  const tokenizer = trainBytePair(["ab\nab\nab\ncd\ncd\nbd\nbd"], 2 + 256 + 3);
  const learnt = [258, 259, 260].map((id) => tokenizer.decode([id]));
  assertEquals(learnt, ["ab", "bd", "cd"]);
});

Deno.test("training with incremental counts equals counting all pairs anew for every merge", () => {
  const random = new Random(3);
  for (let round = 0; round < 20; round++) {
    const letters = ["a", "b", "c", "é", " ", "\n"].slice(0, 2 + random.below(5));
    const text = Array.from({ length: 200 }, () => random.pick(letters)).join("");
    const tokenizer = trainBytePair([text], 300, { special: [] });
    const expected = trainByCounting(text, 300);
    const learnt = Array.from(
      { length: tokenizer.vocabularySize - 256 },
      (_, i) => tokenizer.decode([256 + i]),
    );
    assertEquals(learnt, expected);
  }
});

function trainByCounting(text: string, size: number): string[] {
  const pattern = / ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
  const corpus = [...text.matchAll(pattern)].map(([word]) => [...utf8(word)]);
  const tokens = Array.from({ length: 256 }, (_, byte) => [byte]);
  while (tokens.length < size) {
    const counts = new Map<number, number>();
    for (const ids of corpus) {
      for (let i = 0; i + 1 < ids.length; i++) {
        const key = pairKey(ids[i]!, ids[i + 1]!);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    const [best] = [...counts].sort(([a, m], [b, n]) => n - m || a - b);
    if (!best || best[1] < 2) break;
    const left = Math.floor(best[0] / pairKey(1, 0)), right = best[0] % pairKey(1, 0);
    const bytes = [...tokens[left]!, ...tokens[right]!];
    let merged = tokens.findIndex((token) => token.join() === bytes.join());
    if (merged < 0) merged = tokens.push(bytes) - 1;
    for (const ids of corpus) {
      for (let i = 0; i + 1 < ids.length; i++) {
        if (ids[i] === left && ids[i + 1] === right) ids.splice(i, 2, merged);
      }
    }
  }
  return tokens.slice(256).map((bytes) => textOf([Uint8Array.from(bytes)]));
}

Deno.test("byte pairs: any text survives the round trip, and its offsets tile it", () => {
  const tokenizer = trainBytePair(varied, 400);
  assert(tokenizer.vocabularySize > 300 && tokenizer.vocabularySize <= 400);
  for (const text of [...varied, "\uFEFFmark \uFEFF", "=".repeat(200_000)]) {
    assertEquals(tokenizer.decode(tokenizer.encode(text).ids), text);
    assertTiles(tokenizer, text);
  }
  assertTiles(tokenizer, "lone \ud800 surrogate \udc00");
});

Deno.test("special tokens take the first ids and are found when spelt out", () => {
  const tokenizer = trainBytePair(["<|endoftext|>".repeat(50)], 300);
  assertEquals(tokenizer.special, { eos: 0, pad: 1 });
  assertEquals(tokenizer.vocabularySize, 258); // their own letters are never merged
  const { ids, starts, ends } = tokenizer.encode("a<|endoftext|>é<|padding|>");
  assertEquals([...ids], [2 + 97, 0, 2 + 0xc3, 2 + 0xa9, 1]);
  assertEquals([...starts], [0, 1, 14, 14, 15]);
  assertEquals([...ends], [1, 14, 15, 15, 26]);
});

Deno.test("a vocabulary that cannot hold every byte is refused", () => {
  assertThrows(() => trainBytePair(["a"], 257), "Ask for at least 258 tokens");
  assertThrows(() => trainBytePair(["a"], NaN), "Ask for at least 258 tokens");
});

Deno.test("a saved byte-pair tokenizer is read back, and AutoTokenizer gives identical ids", async () => {
  const story = sharedData("corpus/tiny_stories.txt");
  const corpus = story ? (await readText(story)).slice(0, 100_000) : varied.join("\n");
  const trained = trainBytePair([corpus, ...varied], 1000);
  const parent = await Deno.makeTempDir();
  await trained.save!(`${parent}/saved`);
  const loaded = await loadTokenizer(`${parent}/saved`);
  assertEquals(loaded.vocabularySize, trained.vocabularySize);
  assertEquals(loaded.special, trained.special);

  const specifier = "@huggingface/transformers";
  const { AutoTokenizer, env } = await import(specifier);
  env.allowRemoteModels = false;
  env.localModelPath = parent;
  const theirs = await AutoTokenizer.from_pretrained("saved");
  assertEquals([theirs.eos_token_id, theirs.pad_token_id], [0, 1]);
  for (const text of [...varied, corpus]) {
    const { ids } = trained.encode(text);
    assertEquals([...loaded.encode(text).ids], [...ids]);
    assertEquals(text === "" ? [] : theirs.encode(text), [...ids]);
    if (ids.length > 0) assertEquals(theirs.decode([...ids]), trained.decode(ids));
  }
});

Deno.test("a byte-pair tokenizer of an unknown format or with a broken merge is refused by name", async () => {
  const folder = await Deno.makeTempDir();
  await trainBytePair(["aa aa"], 300).save!(folder);
  const path = `${folder}/tokenizer.json`;
  const json = JSON.parse(await Deno.readTextFile(path));
  json.model.merges[0] = "a ☃";
  await Deno.writeTextFile(path, JSON.stringify(json));
  await assertRejects(
    () => loadTokenizer(folder),
    'merge 1, "a ☃", names a token it does not have',
  );
  await Deno.writeTextFile(`${folder}/tokenizer_config.json`, '{"slung":{"format":2}}');
  await assertRejects(() => loadTokenizer(folder), "its format is 2");
});

Deno.test("a Hugging Face tokenizer gives the ids and offsets of our own where both read the same files", async () => {
  const ours = trainBytePair(varied, 350);
  const folder = await Deno.makeTempDir();
  await ours.save!(folder);
  const config = JSON.parse(await Deno.readTextFile(`${folder}/tokenizer_config.json`));
  delete config.slung;
  config.pad_token = { __type: "AddedToken", content: "<|padding|>" };
  await Deno.writeTextFile(`${folder}/tokenizer_config.json`, JSON.stringify(config));
  const theirs = await loadTokenizer(folder);
  assertEquals(theirs.special, { bos: 0, eos: 0, pad: 1 });
  for (const text of [...varied, "lone \ud800 surrogate"]) {
    assertEquals(theirs.encode(text), ours.encode(text));
    assertEquals(theirs.decode(theirs.encode(text).ids), ours.decode(ours.encode(text).ids));
  }
  const copy = `${folder}/copy`;
  await theirs.save!(copy);
  assertEquals((await loadTokenizer(copy)).encode(varied[4]!), ours.encode(varied[4]!));
});

Deno.test("positions in a text that NFC changed lead back to the text as it was", () => {
  const text = "ae\u0301b\u1112\u1161\u11ab😀";
  const { starts, ends } = alignNormalised(text, text.normalize("NFC"), [], "test");
  assertEquals([...starts], [0, 1, 3, 4, 7, 7]); // a é b 한 😀
  assertEquals([...ends], [1, 3, 4, 7, 9, 9]);
  const stroke = "<s>\u0338\u0301e\u0301"; // would compose with ">" if that were not a token's
  const aligned = alignNormalised(stroke, "<s>\u0338\u0301\u00e9", ["<s>"], "test");
  assertEquals([...aligned.ends], [1, 2, 3, 4, 5, 7]);
  assertThrows(() => alignNormalised("Abc", "abc", [], "lower"), 'tokens of "lower"');
});

Deno.test("a tokenizer whose offsets cannot be derived is refused when it is opened", async () => {
  const wordPiece = {
    normalizer: null,
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: null,
    decoder: { type: "WordPiece" },
    added_tokens: [],
    model: { type: "WordPiece", vocab: { "[UNK]": 0 } },
  };
  const refused = async (change: Record<string, unknown>, why: string): Promise<void> => {
    const json = JSON.stringify({ ...wordPiece, ...change });
    const folder = await temporaryFolder({ "tokenizer.json": json });
    await assertRejects(() => loadTokenizer(folder), why);
  };
  await refused({}, "its tokens are not bytes (its decoder is WordPiece)");
  const decoder = { type: "ByteLevel" };
  await refused({ decoder, normalizer: { type: "Lowercase" } }, "normaliser Lowercase");
  const pre_tokenizer = {
    type: "Sequence",
    pretokenizers: [{ type: "ByteLevel", add_prefix_space: true }],
  };
  await refused({ decoder, pre_tokenizer }, "puts a space before the text");
  await refused({ model: {} }, "it lacks model.vocab");
});

Deno.test("the tokenizer of OLMo: special ids, round trip and offsets on 400 TOFU answers", async () => {
  const folder = sharedData("tokenizers/olmo-dolma-v1_5"), tofu = sharedData("tofu/full.jsonl");
  if (!folder || !tofu) return;
  const tokenizer = await loadTokenizer(folder);
  assertEquals(tokenizer.special, { eos: 50279, pad: 1 });
  assertEquals(tokenizer.vocabularySize, 50280);
  assertEquals([...tokenizer.encode("Hello  world").ids], [12092, 50276, 10186]);
  for await (const { row, line, where } of readJsonRows(tofu)) {
    if (line % 10 !== 0) continue;
    const answer = stringField(row, "answer", where);
    assertEquals(tokenizer.decode(tokenizer.encode(answer).ids), answer);
    assertTiles(tokenizer, answer);
  }
  for (const text of varied) {
    const { ids, starts, ends } = tokenizer.encode(text);
    assertEquals(tokenizer.decode(ids), text.normalize("NFC"));
    assertEquals([starts[0] ?? 0, ends.at(-1) ?? 0], [0, text.length]);
  }
  const decomposed = tokenizer.encode("cafe\u0301 x");
  const accent = decomposed.ends.findIndex((end) => end > 4); // the first token with a part of é
  assertEquals(decomposed.ends[accent], 5);
});

/** A llama2.c file: three special tokens, the bytes, then pieces with their scores. */
function llama2cFile(pieces: [string, number][]): Uint8Array {
  const bytes = Array.from({ length: 256 }, (_, byte): [string, number] => [
    `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    0,
  ]);
  const all: [string, number][] = [
    ["<unk>", 0],
    ["\n<s>\n", 0],
    ["\n</s>\n", 0],
    ...bytes,
    ...pieces,
  ];
  const file: Uint8Array[] = [new Uint8Array(4)];
  for (const [piece, score] of all) {
    const content = utf8(piece);
    const head = new DataView(new ArrayBuffer(8));
    head.setFloat32(0, score, true);
    head.setInt32(4, content.length, true);
    file.push(new Uint8Array(head.buffer), content);
  }
  return Uint8Array.from(file.flatMap((part) => [...part]));
}

Deno.test("llama2.c: best score first, a space before the text, bytes for what is no piece", async () => {
  const pieces: [string, number][] = [["ab", -2], ["bc", -1], [" a", -3], [" ", -4], ["a", -5]];
  const folder = await temporaryFolder({
    "tok264.bin": llama2cFile([...pieces, ["b", -6], ["c", -7]]),
  });
  const tokenizer = await loadTokenizer(folder); // 259 "ab", 260 "bc", 261 " a", 262 " ", 263 "a"
  assertEquals(tokenizer.special, { bos: 1, eos: 2 });
  assertEquals(tokenizer.encode("abcé"), {
    ids: Uint32Array.from([261, 260, 3 + 0xc3, 3 + 0xa9]),
    starts: Uint32Array.from([0, 1, 3, 3]),
    ends: Uint32Array.from([1, 3, 4, 4]),
  });
  assertEquals(tokenizer.encode("c").starts, Uint32Array.from([0, 0])); // the space is not in the text
  assertEquals(tokenizer.encode("c").ends, Uint32Array.from([0, 1]));
  assertEquals(tokenizer.encode("").ids.length, 0);
  for (const text of varied) {
    const { ids } = tokenizer.encode(text);
    assertEquals(tokenizer.decode([1, ...ids, 2]), text);
    if (text) assertEquals(tokenizer.decode(ids), ` ${text}`);
    assertTiles(tokenizer, text);
  }
  const cut = await temporaryFolder({ "tokenizer.bin": llama2cFile(pieces).slice(0, -1) });
  await assertRejects(() => loadTokenizer(cut), 'tokenizer.bin": token 263 does not end within');
});

Deno.test("llama2.c: stories260K's tokenizer gives the ids of the original", async () => {
  const folder = sharedData("models/stories260K"), stories = sharedData("corpus/tiny_stories.txt");
  if (!folder || !stories) return;
  const tokenizer = await loadTokenizer(folder);
  const text = (await readText(stories)).slice(0, 5000);
  const { ids } = tokenizer.encode(text);
  assertEquals([...ids.slice(0, 5)], [385, 328, 432, 261, 376]);
  assertEquals(tokenizer.vocabularySize, 512);
  assertEquals(tokenizer.decode([1, ...ids]), text);
  assertTiles(tokenizer, text);
});

Deno.test("rank BPE: lowest id first, the space as ▁, unknown characters as one token", async () => {
  const folder = await temporaryFolder({
    "vocab.json": JSON.stringify(["<unk>", "<s>", "</s>", "a", "b", "▁", "b▁", "ab", "▁a", "ab▁a"]),
    "gguf_metadata.json": JSON.stringify({
      "tokenizer.ggml.bos_token_id": 1,
      "tokenizer.ggml.eos_token_id": 2,
      "tokenizer.ggml.padding_token_id": 0,
      "tokenizer.ggml.unknown_token_id": 0,
    }),
  });
  const tokenizer = await loadTokenizer(folder);
  assertEquals(tokenizer.special, { bos: 1, eos: 2, pad: 0 });
  assertEquals(tokenizer.encode("ab a😀b"), {
    ids: Uint32Array.from([3, 6, 3, 0, 4]), // "b▁" is merged before "ab" and "▁a" could be
    starts: Uint32Array.from([0, 1, 3, 4, 6]),
    ends: Uint32Array.from([1, 3, 4, 6, 7]),
  });
  assertEquals(tokenizer.decode([1, 9, 3, 0, 2]), "ab aa<unk>");
});

Deno.test("rank BPE: TinyStories-656K's tokenizer keeps a long text but for its unknown characters", async () => {
  const folder = sharedData("models/tinystories-656k");
  const stories = sharedData("corpus/tiny_stories.txt");
  if (!folder || !stories) return;
  const tokenizer = await loadTokenizer(folder);
  assertEquals(tokenizer.special, { bos: 1, eos: 2, pad: 0 });
  assertEquals(tokenizer.vocabularySize, 2048);
  const text = (await readText(stories)).slice(0, 100_000);
  const { ids } = tokenizer.encode(text);
  assert(ids.length < 40_000, `${ids.length} tokens for 100,000 characters`);
  const known = new Set(JSON.parse(await readText(`${folder}/vocab.json`)));
  const expected = Array.from(text, (c) => c === " " || known.has(c) ? c : "<unk>").join("");
  assert(tokenizer.decode(ids) === expected, "the text has changed");
  assertTiles(tokenizer, text);
});

Deno.test("a folder without a tokenizer is named with what was looked for", async () => {
  const folder = await temporaryFolder({ "vocab.json": "{}" });
  await assertRejects(() => loadTokenizer(folder), `find a tokenizer in "${folder}": it holds no`);
  await assertRejects(
    () => loadTokenizer(`${folder}/none`),
    `find a tokenizer in "${folder}/none"`,
  );
});

Deno.test("a tokenizer with more ids than the model has rows is refused", () => {
  const tokenizer = trainBytePair(["aa aa"], 300);
  checkVocabulary(tokenizer, tokenizer.vocabularySize);
  checkVocabulary(tokenizer, 50304);
  assertThrows(
    () => checkVocabulary(tokenizer, tokenizer.vocabularySize - 1),
    `it has ${tokenizer.vocabularySize} token ids, but the model's vocabulary has only`,
  );
});
