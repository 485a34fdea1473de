// Tokenizers: ids equal to the originals', text that survives the round trip, offsets that tile it.

import { readText } from "../src/base/files.ts";
import { Random } from "../src/base/random.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { Heap } from "../src/tokenizers/heap.ts";
import { readRecords, stringField } from "../src/data/records.ts";
import { type Located, type Merge, mergePairs, pairKey } from "../src/tokenizers/merging.ts";
import { textOf, utf8 } from "../src/tokenizers/token_bytes.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import { checkVocabulary, type Tokenizer } from "../src/tokenizers/tokenizer.ts";
import { Tokenizer as TheirTokenizer } from "npm:@huggingface/tokenizers@0.2.0";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";
import { llama2cFile, rankedFiles, temporaryFolder } from "./fixtures/tokenizers.ts";

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

Deno.test("a heap gives back its items in order", () => {
  const random = new Random(1);
  const items = Array.from({ length: 500 }, () => random.below(100));
  const heap = new Heap<number>((a, b) => a < b);
  for (const item of items) heap.push(item);
  const popped = items.map(() => heap.pop());
  assertEquals(popped, items.toSorted((a, b) => a - b));
  assertEquals(heap.pop(), undefined);
});

Deno.test("merging with a heap equals merging the best pair of all, one at a time, whatever the length", () => {
  const random = new Random(2);
  for (let round = 0; round < 300; round++) {
    const table = new Map<number, Merge>();
    for (let i = 0; i < 20; i++) {
      const merge = { id: random.below(8), priority: random.below(6) }; // ties, cycles, later-is-better
      table.set(pairKey(random.below(8), random.below(8)), merge);
    }
    const ids = Array.from({ length: random.below(60) }, () => random.below(8));
    const symbols: Located = { ids, starts: [...ids.keys()], ends: ids.map((_, i) => i + 1) };
    const expected = mergePairs(symbols, table, Infinity); // one at a time
    assertEquals(mergePairs(symbols, table, 0), expected); // always a heap
    assertEquals(mergePairs(symbols, table), expected);
    assertEquals(expected.ids, mergeOneByOne(ids, table));
    assertEquals([...expected.ends, 0].slice(0, -1), [
      ...expected.starts.slice(1),
      ...ids.slice(-1).map(() => ids.length),
    ]);
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
  assertThrows(() => trainBytePair(["a"], NaN), 'option "vocabularySize" is NaN');
});

Deno.test("a saved byte-pair tokenizer is read back, and Hugging Face's JavaScript tokenizer gives identical ids", async () => {
  const story = sharedData("corpus/tiny_stories.txt");
  const corpus = story ? (await readText(story)).slice(0, 100_000) : varied.join("\n");
  const trained = trainBytePair([corpus, ...varied], 1000);
  const folder = await Deno.makeTempDir();
  await trained.save!(folder);
  const loaded = await openTokenizer(folder);
  assertEquals(loaded.vocabularySize, trained.vocabularySize);
  assertEquals(loaded.special, trained.special);

  const read = async (name: string) => JSON.parse(await readText(`${folder}/${name}.json`));
  const theirs = new TheirTokenizer(await read("tokenizer"), await read("tokenizer_config"));
  for (const text of [...varied, corpus]) {
    const { ids } = trained.encode(text);
    assertEquals(loaded.encode(text), trained.encode(text));
    assertEquals(theirs.encode(text).ids, [...ids]);
    if (ids.length > 0) assertEquals(theirs.decode([...ids]), trained.decode(ids));
  }
});

Deno.test("words of the byte pairs trained here are cut at the white space of Unicode, which is not JavaScript's", () => {
  const tokenizer = trainBytePair(["\ufeff! ".repeat(9) + "\u0085a ".repeat(9)], 300);
  const tokens = [...tokenizer.encode("\ufeff! \u0085a").ids].map((id) => tokenizer.decode([id]));
  assertEquals(tokens, ["\ufeff!", " ", "\u0085", "a"]);
});

Deno.test("a long word is learned from and merged in about the time of many short ones", () => {
  const random = new Random(4);
  const letters = Array.from({ length: 100_000 }, () => random.pick([..."etaoinshrdlu"])).join("");
  const seconds = (text: string): number => {
    const before = performance.now();
    const tokenizer = trainBytePair([text], 3000);
    const { ids } = tokenizer.encode(text);
    const after = performance.now();
    assertEquals(tokenizer.vocabularySize, 3000);
    assertEquals(tokenizer.decode(ids), text);
    return (after - before) / 1000;
  };
  const short = seconds(letters.replaceAll(/.{5}/g, "$& ")), long = seconds(letters);
  // Going through the whole word for every merge took fifty times as long.
  assert(long < 10 * short, `${long} s for one word, ${short} s for many`);
});

Deno.test({
  name: "the tokenizer of OLMo: special ids, round trip and offsets on 400 TOFU answers",
  ignore: !sharedData("tokenizers/olmo-dolma-v1_5") || !sharedData("tofu/full.jsonl"),
  async fn() {
    const tokenizer = await openTokenizer(sharedData("tokenizers/olmo-dolma-v1_5")!);
    assertEquals(tokenizer.special, { eos: 50279, pad: 1 });
    assertEquals(tokenizer.vocabularySize, 50280);
    assertEquals([...tokenizer.encode("Hello  world").ids], [12092, 50276, 10186]);
    // As Hugging Face's, whose white space is not JavaScript's.
    assertEquals(tokenizer.encode("alpha \ufeff! beta \ufeff, gamma ".repeat(4)).ids.length, 29);
    const answers = await Array.fromAsync(
      readRecords(
        sharedData("tofu/full.jsonl")!,
        (fields, where) => stringField(fields, "answer", where),
      ),
    );
    for (const answer of answers.filter((_, i) => i % 10 === 0)) {
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
  },
});

Deno.test("llama2.c: best score first, a space before the text, bytes for what is no piece", async () => {
  const pieces: [string, number][] = [["ab", -2], ["bc", -1], [" a", -3], [" ", -4], ["a", -5]];
  const folder = await temporaryFolder({
    "tok264.bin": llama2cFile([...pieces, ["b", -6], ["c", -7]]),
  });
  const tokenizer = await openTokenizer(folder); // 259 "ab", 260 "bc", 261 " a", 262 " ", 263 "a"
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
  await assertRejects(() => openTokenizer(cut), 'tokenizer.bin": token 263 does not end within');
});

const stories = sharedData("corpus/tiny_stories.txt");

Deno.test({
  name: "llama2.c: stories260K's tokenizer gives the ids of the original",
  ignore: !sharedData("models/stories260K") || !stories,
  async fn() {
    const folder = sharedData("models/stories260K")!;
    const tokenizer = await openTokenizer(folder);
    const text = (await readText(stories!)).slice(0, 5000);
    const { ids } = tokenizer.encode(text);
    assertEquals([...ids.slice(0, 5)], [385, 328, 432, 261, 376]);
    assertEquals(tokenizer.vocabularySize, 512);
    assertEquals(tokenizer.decode([1, ...ids]), text);
    assertTiles(tokenizer, text);
  },
});

Deno.test("rank BPE: lowest id first, the space as ▁, unknown characters as one token", async () => {
  const folder = await temporaryFolder(rankedFiles);
  const tokenizer = await openTokenizer(folder);
  assertEquals(tokenizer.special, { bos: 1, eos: 2, pad: 0 });
  assertEquals(tokenizer.encode("ab a😀b"), {
    ids: Uint32Array.from([3, 6, 3, 0, 4]), // "b▁" is merged before "ab" and "▁a" could be
    starts: Uint32Array.from([0, 1, 3, 4, 6]),
    ends: Uint32Array.from([1, 3, 4, 6, 7]),
  });
  assertEquals(tokenizer.decode([1, 9, 3, 0, 2]), "ab aa<unk>");
});

Deno.test("rank BPE: BOS as add_bos_token of the metadata says, special ids wherever they stand, each checked", async () => {
  const metadata = JSON.parse(rankedFiles["gguf_metadata.json"]);
  const open = async (changes: Record<string, unknown>) =>
    await openTokenizer(
      await temporaryFolder({
        ...rankedFiles,
        "gguf_metadata.json": JSON.stringify({ ...metadata, ...changes }),
      }),
    );
  const key = (name: string) => `tokenizer.ggml.${name}`;
  assertEquals((await open({ [key("add_bos_token")]: false })).special, { eos: 2, pad: 0 });
  assertEquals((await open({ [key("add_bos_token")]: true })).special.bos, 1);
  // A special token behind the others leaves those before it pieces.
  const last = await open({ [key("padding_token_id")]: 9 });
  assertEquals([...last.encode("ab a").ids], [3, 6, 3]);
  for (const id of ["../../etc/passwd", 0.5, -1, 10, 2 ** 31, null, true, "constructor"]) {
    await assertRejects(
      () => open({ [key("eos_token_id")]: id }),
      '"tokenizer.ggml.eos_token_id"'.slice(1, -1),
    );
  }
  await assertRejects(() => open({ [key("add_bos_token")]: "yes" }), "add_bos_token");
  await assertRejects(() => open({ [key("model")]: "gpt2" }), "tokenizer.ggml.model");
});

Deno.test({
  name: "rank BPE: TinyStories-656K's tokenizer keeps a long text but for its unknown characters",
  ignore: !sharedData("models/tinystories-656k") || !stories,
  async fn() {
    const folder = sharedData("models/tinystories-656k")!;
    const tokenizer = await openTokenizer(folder);
    assertEquals(tokenizer.special, { bos: 1, eos: 2, pad: 0 });
    assertEquals(tokenizer.vocabularySize, 2048);
    const text = (await readText(stories!)).slice(0, 100_000);
    const { ids } = tokenizer.encode(text);
    assert(ids.length < 40_000, `${ids.length} tokens for 100,000 characters`);
    const known = new Set(JSON.parse(await readText(`${folder}/vocab.json`)));
    const expected = Array.from(text, (c) => c === " " || known.has(c) ? c : "<unk>").join("");
    assert(tokenizer.decode(ids) === expected, "the text has changed");
    assertTiles(tokenizer, text);
  },
});

Deno.test("a folder without a tokenizer is named with what was looked for", async () => {
  const folder = await temporaryFolder({ "vocab.json": "{}" });
  await assertRejects(() => openTokenizer(folder), `find a tokenizer in "${folder}": it holds no`);
  await assertRejects(
    () => openTokenizer(`${folder}/none`),
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
