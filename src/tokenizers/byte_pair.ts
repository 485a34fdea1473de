// Byte-level byte pair encoding as in GPT-2 (Radford et al. 2019; Sennrich et al. 2016): a regular
// expression cuts the text into words, each word starts as its UTF-8 bytes, and the most frequent
// adjacent pair becomes a new token until the vocabulary is full. Every text can be encoded.
// Ids: special tokens, the 256 bytes in order, then the merged tokens in the order they were learnt.
// It is saved as a genuine Hugging Face tokenizer, so other tools can use the models trained here.

import { CannotError } from "../base/errors.ts";
import { readJson, writeFileAtomic } from "../base/files.ts";
import { Heap } from "./heap.ts";
import { type Merge, mergePairs, pairKey } from "./merging.ts";
import { byteAlphabet, bytesOfSpelling, locateBytes, textOf, utf8 } from "./token_bytes.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** The spelling of the special tokens in the OLMo and GPT-NeoX family. */
export const endOfText = "<|endoftext|>", padding = "<|padding|>";

// openai/gpt-2, encoder.py.
const words = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

// Distinct words follow Zipf's law: the first 65,536 seen are nearly all of those that come back.
const cachedWords = 65536;

interface BytePairModel {
  name: string;
  special: readonly string[];
  /** Token id -> spelling: in the byte alphabet, special tokens as written. */
  spellings: readonly string[];
  /** Pairs of ids in merge order. */
  merges: readonly (readonly [left: number, right: number])[];
}

/**
 * Learns a byte-level BPE vocabulary. Deterministic: of equally frequent pairs the one with the
 * lowest left id, then the lowest right id, is merged first (Hugging Face's rule).
 * A pair that occurs only once is never merged, so little text gives a smaller vocabulary.
 *
 * @param vocabularySize The number of ids to aim for, at least the special tokens plus 256 bytes.
 * @param options.special Special tokens, which take the first ids; never part of a merge.
 * @throws {CannotError} when the vocabulary is too small to hold every byte.
 */
export function trainBytePair(
  texts: Iterable<string>,
  vocabularySize: number,
  { special = [endOfText, padding] }: { special?: readonly string[] } = {},
): Tokenizer {
  const smallest = special.length + 256;
  if (!(vocabularySize >= smallest)) {
    throw new CannotError(
      "train a tokenizer",
      `a vocabulary of ${vocabularySize} cannot hold ${special.length} special tokens and 256 bytes`,
      `Ask for at least ${smallest} tokens`,
    );
  }
  const spellings = [...special, ...byteAlphabet];
  const merges = learnMerges(countWords(texts, special), spellings, vocabularySize);
  const name = `byte pairs (${spellings.length})`;
  return bytePairTokenizer({ name, special, spellings, merges });
}

/**
 * Reads a tokenizer that `save` wrote.
 *
 * @throws {CannotError} naming the file, when it is not of the format this version writes.
 */
export async function loadBytePair(folder: string): Promise<Tokenizer> {
  const configPath = `${folder}/tokenizer_config.json`;
  const config = await readJson(configPath) as { slung?: { format?: unknown } };
  if (config?.slung?.format !== 1) {
    throw new CannotError(
      `read "${configPath}"`,
      `its format is ${JSON.stringify(config?.slung?.format)}, and this version reads format 1`,
      "Use the version that wrote it, or train the tokenizer again",
    );
  }
  const path = `${folder}/tokenizer.json`;
  const name = folder.replace(/\/+$/, "").split("/").pop()!;
  return bytePairTokenizer(parseModel(await readJson(path), path, name));
}

function bytePairTokenizer(model: BytePairModel): Tokenizer {
  const { name, special, spellings, merges } = model;
  const idOf = new Map(spellings.map((spelling, id) => [spelling, id]));
  const idOfByte = byteAlphabet.map((letter) => idOf.get(letter)!);
  const specialIds = new Set(special.map((token) => idOf.get(token)!));
  const tokens = spellings.map((spelling, id) =>
    specialIds.has(id) ? utf8(spelling) : bytesOfSpelling(spelling)!
  );
  const table = new Map<number, Merge>(merges.map(([left, right], priority) => [
    pairKey(left, right),
    { id: idOf.get(spellings[left]! + spellings[right]!)!, priority },
  ]));

  const cache = new Map<string, number[]>();
  const encodeWord = (word: string): number[] => {
    const known = cache.get(word);
    if (known) return known;
    const { ids } = mergePairs(Array.from(utf8(word), (byte) => idOfByte[byte]!), table);
    if (cache.size < cachedWords) cache.set(word, ids);
    return ids;
  };

  return {
    name,
    vocabularySize: spellings.length,
    special: {
      ...(idOf.has(endOfText) && { eos: idOf.get(endOfText)! }),
      ...(idOf.has(padding) && { pad: idOf.get(padding)! }),
    },
    encode(text) {
      const ids: number[] = [];
      for (const { part, isSpecial } of splitAtSpecial(text, special)) {
        if (isSpecial) {
          ids.push(idOf.get(part)!);
          continue;
        }
        for (const [word] of part.matchAll(words)) {
          for (const id of encodeWord(word)) ids.push(id);
        }
      }
      const byteLengths = ids.map((id) => tokens[id]!.length);
      return { ids: Uint32Array.from(ids), ...locateBytes(text, byteLengths) };
    },
    decode: (ids) => textOf(Array.from(ids, (id) => tokens[id])),
    save: (folder) => saveModel(model, folder),
  };
}

/** Cuts a text at the special tokens spelt out in it, the longest where several begin. */
export function* splitAtSpecial(
  text: string,
  special: readonly string[],
): Generator<{ part: string; isSpecial: boolean }> {
  if (special.length === 0) return yield { part: text, isSpecial: false };
  const longestFirst = special.toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(`(${longestFirst.map(RegExp.escape).join("|")})`);
  for (const [i, part] of text.split(pattern).entries()) yield { part, isSpecial: i % 2 === 1 };
}

function countWords(texts: Iterable<string>, special: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const { part, isSpecial } of splitAtSpecial(text, special)) {
      if (isSpecial) continue;
      for (const [word] of part.matchAll(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return counts;
}

/**
 * Learns merges and appends their tokens to `spellings` until it has `vocabularySize` entries.
 * Only the words that hold the merged pair are looked at again; a heap finds the next pair, and its
 * entries are corrected when they surface, because a count changes far more often than it is read.
 */
function learnMerges(
  wordCounts: Map<string, number>,
  spellings: string[],
  vocabularySize: number,
): [left: number, right: number][] {
  const idOf = new Map(spellings.map((spelling, id) => [spelling, id]));
  const corpus = Array.from(wordCounts, ([word, count]) => ({
    ids: Array.from(utf8(word), (byte) => idOf.get(byteAlphabet[byte]!)!),
    count,
  }));
  const pairs = new Map<number, { left: number; right: number; count: number; in: Set<number> }>();
  const change = (word: number, sign: 1 | -1, changed?: Set<number>): void => {
    const { ids, count } = corpus[word]!;
    for (let i = 0; i + 1 < ids.length; i++) {
      const left = ids[i]!, right = ids[i + 1]!;
      const key = pairKey(left, right);
      let pair = pairs.get(key);
      if (!pair) pairs.set(key, pair = { left, right, count: 0, in: new Set() });
      pair.count += sign * count;
      pair.in.add(word); // stays when the pair leaves the word: looking once too often is harmless
      changed?.add(key);
    }
  };
  for (let word = 0; word < corpus.length; word++) change(word, 1);

  const queue = new Heap<{ key: number; count: number }>((a, b) =>
    a.count > b.count || (a.count === b.count && a.key < b.key)
  );
  for (const [key, { count }] of pairs) queue.push({ key, count });

  const merges: [number, number][] = [];
  while (spellings.length < vocabularySize) {
    const top = queue.pop();
    if (!top || top.count < 2) break;
    const pair = pairs.get(top.key)!;
    if (pair.count !== top.count) {
      // A count that has grown was pushed again when it grew, and came up before this entry.
      if (pair.count < top.count) queue.push({ key: top.key, count: pair.count });
      continue;
    }
    const spelling = spellings[pair.left]! + spellings[pair.right]!;
    let merged = idOf.get(spelling); // "ab"+"c" may spell what "a"+"bc" already does
    if (merged === undefined) {
      merged = spellings.push(spelling) - 1;
      idOf.set(spelling, merged);
    }
    merges.push([pair.left, pair.right]);
    const changed = new Set<number>();
    for (const word of pair.in) {
      change(word, -1);
      corpus[word]!.ids = replacePair(corpus[word]!.ids, pair.left, pair.right, merged);
      change(word, 1, changed);
    }
    pair.in.clear();
    for (const key of changed) {
      const { left, right, count } = pairs.get(key)!;
      if (left === merged || right === merged) queue.push({ key, count }); // only these can grow
    }
  }
  return merges;
}

function replacePair(ids: number[], left: number, right: number, merged: number): number[] {
  const replaced: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === left && ids[i + 1] === right) {
      replaced.push(merged);
      i++;
    } else replaced.push(ids[i]!);
  }
  return replaced;
}

async function saveModel(model: BytePairModel, folder: string): Promise<void> {
  const { special, spellings, merges } = model;
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: true,
  };
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content) => ({
      id: spellings.indexOf(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(spellings.map((spelling, id) => [spelling, id])),
      merges: merges.map(([left, right]) => `${spellings[left]} ${spellings[right]}`),
    },
  };
  const config = {
    tokenizer_class: "GPT2Tokenizer",
    ...(special.includes(endOfText) && { bos_token: endOfText, eos_token: endOfText }),
    ...(special.includes(padding) && { pad_token: padding }),
    add_prefix_space: false,
    clean_up_tokenization_spaces: false,
    slung: { format: 1 },
  };
  await Deno.mkdir(folder, { recursive: true });
  await writeFileAtomic(`${folder}/tokenizer.json`, JSON.stringify(tokenizer, null, 1) + "\n");
  await writeFileAtomic(`${folder}/tokenizer_config.json`, JSON.stringify(config, null, 2) + "\n");
}

function parseModel(json: unknown, path: string, name: string): BytePairModel {
  const damaged = (why: string): CannotError =>
    new CannotError(`read "${path}"`, why, "Save or train the tokenizer again");
  const { added_tokens, model } = json as {
    added_tokens?: { content: string }[];
    model?: { vocab?: Record<string, number>; merges?: string[] };
  };
  if (!Array.isArray(added_tokens) || !model?.vocab || !Array.isArray(model.merges)) {
    throw damaged("it lacks added_tokens, model.vocab or model.merges");
  }
  const spellings: string[] = [];
  for (const [spelling, id] of Object.entries(model.vocab)) spellings[id] = spelling;
  const idOf = new Map(Object.entries(model.vocab));
  if (spellings.length !== idOf.size) throw damaged("the ids of its vocabulary have gaps");
  const special = added_tokens.map(({ content }) => content);
  for (const needed of [...special, ...byteAlphabet]) {
    if (!idOf.has(needed)) throw damaged(`its vocabulary lacks ${JSON.stringify(needed)}`);
  }
  const merges = model.merges.map((merge, i): [number, number] => {
    const [left, right] = merge.split(" ").map((spelling) => idOf.get(spelling));
    if (left === undefined || right === undefined || !idOf.has(merge.replace(" ", ""))) {
      throw damaged(`merge ${i + 1}, ${JSON.stringify(merge)}, names a token it does not have`);
    }
    return [left, right];
  });
  return { name, special, spellings, merges };
}
