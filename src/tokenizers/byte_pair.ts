// Learning a byte-level byte pair vocabulary as in GPT-2 (Radford et al. 2019; Sennrich et al. 2016): a regular
// expression cuts the text into words, each word starts as its UTF-8 bytes, and the most frequent
// adjacent pair becomes a new token until the vocabulary is full. Every text can be encoded.
// Ids: special tokens, the 256 bytes in order, then the merged tokens in the order they were learnt.
// What is learnt is a Hugging Face tokenizer, so other tools can use the models trained here.

import { escapePattern } from "../base/escape_pattern.ts";
import { CannotError } from "../base/errors.ts";
import { checkOptions, listOf, required, text, wholeNumber } from "../base/options.ts";
import { fieldsOf } from "./fields.ts";
import { Heap } from "./heap.ts";
import { endOfText, huggingFaceTokenizer, padding } from "./huggingface.ts";
import { words } from "./huggingface/pre_tokenizer.ts";
import { pairKey } from "./merging.ts";
import { byteAlphabet, utf8 } from "./token_bytes.ts";
import type { Tokenizer } from "./tokenizer.ts";

type Pair = readonly [left: number, right: number];

/**
 * Learns a byte-level BPE vocabulary. Deterministic: of equally frequent pairs the one with the
 * lowest left id, then the lowest right id, is merged first (Hugging Face's rule).
 * A pair that occurs only once is never merged, so little text gives a smaller vocabulary.
 *
 * @param vocabularySize The number of ids to aim for, at least the special tokens plus 256 bytes.
 * @param options.special Special tokens, which take the first ids; never part of a merge.
 * @throws {CannotError} when the vocabulary is too small to hold every byte.
 *
 * @example
 * ```ts
 * import { trainBytePair } from "@slung/slung";
 *
 * const tokenizer = trainBytePair(["the old mill by the old mill race"], 270);
 * const { ids, starts } = tokenizer.encode("the mill");
 * console.log(tokenizer.decode(ids)); // the mill
 * console.log(starts.at(-1)); // 3
 * ```
 */
export function trainBytePair(
  texts: Iterable<string>,
  vocabularySize: number,
  { special = [endOfText, padding] }: { special?: readonly string[] } = {},
): Tokenizer {
  checkOptions("train a tokenizer", { vocabularySize, special }, {
    vocabularySize: required(wholeNumber({ min: 0, max: 2 ** 31 })),
    special: required(listOf(text)),
  });
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
  const json = describe(special, spellings, merges), config = configure(special);
  return huggingFaceTokenizer({
    name: `byte pairs (${spellings.length})`,
    json,
    config,
    fields: fieldsOf("tokenizer.json"),
    configFields: fieldsOf("tokenizer_config.json"),
    files: new Map([
      ["tokenizer.json", JSON.stringify(json, null, 1) + "\n"],
      ["tokenizer_config.json", JSON.stringify(config, null, 2) + "\n"],
    ]),
  });
}

function countWords(texts: Iterable<string>, special: readonly string[]): Map<string, number> {
  const longestFirst = special.toSorted((a, b) => b.length - a.length);
  const boundary = new RegExp(longestFirst.map(escapePattern).join("|") || "(?!)");
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const part of text.split(boundary)) {
      for (const [word] of part.matchAll(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return counts;
}

/**
 * Learns merges and appends their tokens to `spellings` until it has `vocabularySize` entries.
 * Only the places where the merged pair stands are looked at again, so that one long word costs no more than many short
 * ones; a heap finds the next pair, and its entries are corrected when they surface, because a count changes far more
 * often than it is read.
 */
function learnMerges(
  wordCounts: ReadonlyMap<string, number>,
  spellings: string[],
  vocabularySize: number,
): Pair[] {
  const idOf = new Map(spellings.map((spelling, id) => [spelling, id]));
  const corpus = symbolsOf(wordCounts, byteAlphabet.map((letter) => idOf.get(letter)!));
  const pairs = countPairs(corpus);
  const queue = new Heap<{ key: number; count: number }>((a, b) =>
    a.count > b.count || (a.count === b.count && a.key < b.key)
  );
  for (const [key, { count }] of pairs) queue.push({ key, count });

  const merges: Pair[] = [];
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
    for (const key of mergeEverywhere(pair, merged, corpus, pairs)) {
      queue.push({ key, count: pairs.get(key)!.count });
    }
  }
  return merges;
}

/** All words in a row, as linked lists of symbols. */
interface Symbols {
  /** Token of each symbol; `swallowed` once it is part of its left neighbour. */
  ids: Int32Array;
  /** Place of the next symbol of the word, or `none`. */
  next: Int32Array;
  previous: Int32Array;
  /** How often the symbol's word occurs. */
  counts: Float64Array;
}

const none = -1, swallowed = -1;

function symbolsOf(wordCounts: ReadonlyMap<string, number>, idOfByte: number[]): Symbols {
  const bytes = Array.from(wordCounts, ([word, count]) => ({ word: utf8(word), count }));
  const length = bytes.reduce((sum, { word }) => sum + word.length, 0);
  const symbols: Symbols = {
    ids: new Int32Array(length),
    next: new Int32Array(length),
    previous: new Int32Array(length),
    counts: new Float64Array(length),
  };
  let place = 0;
  for (const { word, count } of bytes) {
    word.forEach((byte, i) => {
      symbols.ids[place] = idOfByte[byte]!;
      symbols.previous[place] = i === 0 ? none : place - 1;
      symbols.next[place] = i === word.length - 1 ? none : place + 1;
      symbols.counts[place] = count;
      place++;
    });
  }
  return symbols;
}

interface PairCount {
  left: number;
  right: number;
  count: number;
  /** Where it stands, and stood: looking once too often is harmless. */
  places: number[];
}

type PairCounts = Map<number, PairCount>;

function countPairs(symbols: Symbols): PairCounts {
  const pairs: PairCounts = new Map();
  symbols.ids.forEach((_, place) => count(place, 1, symbols, pairs));
  return pairs;
}

/** Counts the pair that begins at a place, once more (1) or once less (-1), for each time its word occurs. */
function count(place: number, sign: 1 | -1, symbols: Symbols, pairs: PairCounts): number {
  const next = symbols.next[place]!;
  if (next === none) return none;
  const left = symbols.ids[place]!, right = symbols.ids[next]!;
  const key = pairKey(left, right);
  let pair = pairs.get(key);
  if (!pair) pairs.set(key, pair = { left, right, count: 0, places: [] });
  pair.count += sign * symbols.counts[place]!;
  if (sign > 0) pair.places.push(place);
  return key;
}

/** Puts `merged` wherever the pair stands, from left to right; returns the pairs that it now belongs to. */
function mergeEverywhere(
  pair: PairCount,
  merged: number,
  symbols: Symbols,
  pairs: PairCounts,
): Set<number> {
  const { ids, next, previous } = symbols;
  const places = Int32Array.from(pair.places).sort();
  pair.places = [];
  const grown = new Set<number>();
  for (const place of places) {
    const right = next[place]!;
    if (ids[place] !== pair.left || right === none || ids[right] !== pair.right) continue;
    const before = previous[place]!;
    if (before !== none) count(before, -1, symbols, pairs);
    count(place, -1, symbols, pairs);
    count(right, -1, symbols, pairs);
    ids[place] = merged;
    ids[right] = swallowed;
    next[place] = next[right]!;
    next[right] = none;
    if (next[place] !== none) previous[next[place]!] = place;
    if (before !== none) grown.add(count(before, 1, symbols, pairs));
    grown.add(count(place, 1, symbols, pairs));
  }
  grown.delete(none);
  return grown;
}

function describe(
  special: readonly string[],
  spellings: readonly string[],
  merges: readonly Pair[],
): Record<string, unknown> {
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: true,
  };
  return {
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
}

function configure(special: readonly string[]): Record<string, unknown> {
  return {
    tokenizer_class: "GPT2Tokenizer",
    ...(special.includes(endOfText) && { bos_token: endOfText, eos_token: endOfText }),
    ...(special.includes(padding) && { pad_token: padding }),
    add_prefix_space: false,
    clean_up_tokenization_spaces: false,
  };
}
