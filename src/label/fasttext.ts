// fastText's supervised classifier (Joulin et al., 2017): logits = W · mean of the rows of all words,
// character n-grams and word n-grams of a text, then softmax, a tree of sigmoids, or a sigmoid each.
// Everything works on UTF-8 bytes, as the original does, and no string is made for a word. Quirks
// that its models depend on are kept: FNV-1a over *signed* bytes, 64-bit word n-grams of sign-extended
// hashes, the end-of-line token, a sigmoid from a table, and log(p + 1e-5) of every probability.

import { CannotError } from "../base/errors.ts";
import type { TextClassifier } from "./classifier.ts";
import { type FastTextFile, Loss, readFastText } from "./fasttext_file.ts";

/** A supervised fastText model, ready to use. */
export interface FastTextModel {
  /** Its labels, most frequent first, e.g. `__label__toxic`. */
  readonly labels: readonly string[];
  /**
   * The score of every label as fastText's own `predict` prints it: the probability + 1e-5, so that
   * one may be 1.00001. All 0 for a text in which the model knows nothing, to which fastText gives
   * no label. Line feeds count as spaces.
   *
   * @returns [labels], valid until the next call.
   */
  predict(text: string): Float64Array;
}

/**
 * Opens a `.bin` or `.ftz` file of fastText.
 *
 * @throws {CannotError} naming the file, when it is no supervised model or is damaged.
 */
export function openFastText(path: string): FastTextModel {
  const file = readFastText(path);
  const features = featureReader(file);
  const probabilities = probabilityReader(file);
  const { width, rows, output, labels } = file;
  const mean = new Float64Array(width);
  const logits = output ? new Float64Array(labels.length) : mean;
  const scores = new Float64Array(labels.length);
  return {
    labels,
    predict(text) {
      mean.fill(0);
      const count = features(text, (row) => {
        for (let k = 0, at = row * width; k < width; k++) mean[k]! += rows[at + k]!;
      });
      if (count === 0) return scores.fill(0);
      for (let k = 0; k < width; k++) mean[k]! /= count;
      if (output) multiply(output, mean, logits);
      probabilities(logits, scores);
      if (scores.some(Number.isNaN)) {
        throw new CannotError(
          `score a text with "${path}"`,
          "its weights are not all finite",
          "Download or train the model again",
        );
      }
      return scores;
    },
  };
}

/**
 * A classifier that scores a text by the probability of one label, e.g. Dolma's
 * `jigsaw_fasttext_bigrams_hatespeech_final.bin` and `__label__toxic`.
 *
 * @throws {CannotError} listing the labels, when the model has not the one that is named.
 */
export function fastTextClassifier(path: string, label: string): TextClassifier {
  const model = openFastText(path);
  const index = model.labels.indexOf(label);
  if (index < 0) {
    const some = model.labels.slice(0, 10).join(", ");
    throw new CannotError(
      `score the label "${label}" with "${path}"`,
      `the model does not have it; its labels are ${some}${model.labels.length > 10 ? ", …" : ""}`,
      "Choose one of these",
    );
  }
  return {
    name: `fastText ${path.split("/").at(-1)} ${label}`,
    score: (texts) => Float64Array.from(texts, (text) => model.predict(text)[index]!),
  };
}

const SPACES = new Uint8Array(256);
for (const byte of [0, 9, 10, 11, 12, 13, 32]) SPACES[byte] = 1;
const LABEL_PREFIX = new TextEncoder().encode("__label__");
const END_OF_LINE = new TextEncoder().encode("</s>");
const OPEN = 0x3c, CLOSE = 0x3e; // "<word>" marks the ends of a word for its character n-grams
const FNV_BASIS = 0x811c9dc5 | 0, FNV_PRIME = 0x01000193;

/** Calls `add` with the row of every feature of a text and returns how many there are. */
function featureReader(
  file: FastTextFile,
): (text: string, add: (row: number) => void) => number {
  const { entries, wordCount, pruned, bucket, wordNgrams, minn, maxn } = file;
  const table = entryTable(entries);
  const encoder = new TextEncoder();
  let bytes = new Uint8Array(1 << 12), marked = new Uint8Array(1 << 8);
  let hashes = new Int32Array(1 << 8);
  const subwordsOf: (Int32Array | undefined)[] = []; // of words in the dictionary, as they are met

  /** The row of an n-gram's bucket, or −1 when pruning has removed it. */
  const bucketRow = (id: number): number => {
    if (pruned === undefined) return wordCount + id;
    const kept = pruned.get(id);
    return kept === undefined ? -1 : wordCount + kept;
  };

  const subwords = (start: number, end: number): number[] => {
    const length = end - start + 2;
    if (length > marked.length) marked = new Uint8Array(2 * length);
    marked[0] = OPEN;
    marked.set(bytes.subarray(start, end), 1);
    marked[length - 1] = CLOSE;
    const rows: number[] = [];
    for (let i = 0; i < length; i++) {
      if ((marked[i]! & 0xc0) === 0x80) continue; // inside a character
      let hash = FNV_BASIS;
      for (let j = i, n = 1; j < length && n <= maxn; n++) {
        do hash = fnvStep(hash, marked[j++]!); while (
          j < length && (marked[j]! & 0xc0) === 0x80
        );
        if (n < minn || (n === 1 && (i === 0 || j === length))) continue;
        const row = bucketRow((hash >>> 0) % bucket);
        if (row >= 0) rows.push(row);
      }
    }
    return rows;
  };

  return (text, add) => {
    if (3 * text.length + 5 > bytes.length) bytes = new Uint8Array(6 * text.length + 5);
    let { written: length } = encoder.encodeInto(text, bytes);
    bytes[length++] = 0x20;
    bytes.set(END_OF_LINE, length);
    length += END_OF_LINE.length;
    let features = 0, tokens = 0;
    const addCounted = (row: number) => {
      features++;
      add(row);
    };
    for (let at = 0; at < length;) {
      if (SPACES[bytes[at]!]) {
        at++;
        continue;
      }
      const start = at;
      let hash = FNV_BASIS;
      while (at < length && !SPACES[bytes[at]!]) hash = fnvStep(hash, bytes[at++]!);
      const word = table.find(bytes, start, at, hash);
      const label = word < 0 ? begins(bytes, start, at, LABEL_PREFIX) : word >= wordCount;
      if (label) continue;
      const endOfLine = at - start === 4 && begins(bytes, start, at, END_OF_LINE);
      if (word >= 0) addCounted(word);
      if (maxn > 0 && !endOfLine) {
        if (word < 0) subwords(start, at).forEach(addCounted);
        else (subwordsOf[word] ??= Int32Array.from(subwords(start, at))).forEach(addCounted);
      }
      if (tokens === hashes.length) {
        const larger = new Int32Array(2 * tokens);
        larger.set(hashes);
        hashes = larger;
      }
      hashes[tokens++] = hash;
      if (endOfLine) break;
    }
    for (let i = 0; i < tokens && wordNgrams > 1; i++) {
      let low = hashes[i]! >>> 0, high = hashes[i]! >> 31 >>> 0; // sign-extended to 64 bits
      for (let j = i + 1; j < tokens && j < i + wordNgrams; j++) {
        // (high, low) · 116049371 + hash: two 16-bit halves keep every product below 2^53
        const first = (low & 0xffff) * NGRAM_FACTOR;
        const second = (low >>> 16) * NGRAM_FACTOR + Math.floor(first / 0x10000);
        const sum = (((second % 0x10000) * 0x10000) + (first % 0x10000)) + (hashes[j]! >>> 0);
        const carry = Math.floor(second / 0x10000) + (sum >= 0x100000000 ? 1 : 0);
        high = (Math.imul(high, NGRAM_FACTOR) + carry + (hashes[j]! >> 31)) >>> 0;
        low = sum >>> 0;
        const row = bucketRow(remainder(high, low, bucket));
        if (row >= 0) addCounted(row);
      }
    }
    return features;
  };
}

const NGRAM_FACTOR = 116049371;

/** One step of FNV-1a, with the byte taken as signed, which the released models were trained with. */
function fnvStep(hash: number, byte: number): number {
  return Math.imul(hash ^ (byte << 24 >> 24), FNV_PRIME);
}

/** (high · 2^32 + low) mod n, for n below 2^31. */
function remainder(high: number, low: number, n: number): number {
  const upper = (high % n * 0x10000 + (low >>> 16)) % n;
  return (upper * 0x10000 + (low & 0xffff)) % n;
}

interface EntryTable {
  /** The number of the entry that these bytes spell, or −1. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): number;
}

/** An open-addressed table over the bytes of the entries: no string, no object for any of them. */
function entryTable({ bytes, offsets }: FastTextFile["entries"]): EntryTable {
  const count = offsets.length - 1;
  const mask = (1 << Math.ceil(Math.log2(2 * count + 2))) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  for (let word = 0; word < count; word++) {
    let hash = FNV_BASIS;
    for (let i = offsets[word]!; i < offsets[word + 1]!; i++) hash = fnvStep(hash, bytes[i]!);
    let slot = hash & mask;
    while (slots[slot]! >= 0) slot = (slot + 1) & mask;
    slots[slot] = word;
  }
  const spells = (word: number, text: Uint8Array, start: number, end: number): boolean => {
    const from = offsets[word]!;
    if (offsets[word + 1]! - from !== end - start) return false;
    for (let i = start; i < end; i++) if (text[i] !== bytes[from + i - start]) return false;
    return true;
  };
  return {
    find(text, start, end, hash) {
      for (let slot = hash & mask; slots[slot]! >= 0; slot = (slot + 1) & mask) {
        if (spells(slots[slot]!, text, start, end)) return slots[slot]!;
      }
      return -1;
    },
  };
}

function begins(bytes: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return false;
  return true;
}

type Probabilities = (logits: Float64Array, scores: Float64Array) => void;

function probabilityReader(file: FastTextFile): Probabilities {
  if (file.loss === Loss.softmax) return softmax;
  if (file.loss === Loss.hierarchicalSoftmax) return treeReader(file.labelCounts);
  return (logits, scores) => {
    for (let i = 0; i < scores.length; i++) scores[i] = tabledSigmoid(logits[i]!) + LOG_OFFSET;
  };
}

/** fastText ranks by log(p + 1e-5) and prints the exponential of that. */
const LOG_OFFSET = 1e-5;

function softmax(logits: Float64Array, scores: Float64Array): void {
  let largest = -Infinity, sum = 0;
  for (const logit of logits) largest = Math.max(largest, logit);
  for (let i = 0; i < scores.length; i++) sum += scores[i] = Math.exp(logits[i]! - largest);
  for (let i = 0; i < scores.length; i++) scores[i] = scores[i]! / sum + LOG_OFFSET;
}

/** Sigmoid rounded down to the nearest of 512 steps in [−8, 8], and 0 or 1 beyond. */
function tabledSigmoid(x: number): number {
  if (x < -8) return 0;
  if (x > 8) return 1;
  return 1 / (1 + Math.exp(8 - Math.floor((x + 8) * 32) / 32));
}

/**
 * The Huffman tree over the labels: leaf i is label i, inner node n has logit n − labels, and a
 * label's score is the product of (p + 1e-5) of the turns from the root to it.
 */
function treeReader(counts: readonly number[]): Probabilities {
  const leaves = counts.length, nodes = 2 * leaves - 1;
  const weight = new Float64Array(nodes).fill(1e15);
  weight.set(counts);
  const children = new Int32Array(2 * nodes).fill(-1);
  let leaf = leaves - 1, inner = leaves; // the lightest that are left, leaves from the rarest on
  for (let node = leaves; node < nodes; node++) {
    for (let side = 0; side < 2; side++) {
      children[2 * node + side] = leaf >= 0 && weight[leaf]! < weight[inner]! ? leaf-- : inner++;
    }
    weight[node] = weight[children[2 * node]!]! + weight[children[2 * node + 1]!]!;
  }
  const reached = new Float64Array(nodes);
  return (logits, scores) => {
    reached[nodes - 1] = 1;
    for (let node = nodes - 1; node >= leaves; node--) { // children stand before their parents
      const right = 1 / (1 + Math.exp(-logits[node - leaves]!));
      reached[children[2 * node]!] = reached[node]! * (1 - right + LOG_OFFSET);
      reached[children[2 * node + 1]!] = reached[node]! * (right + LOG_OFFSET);
    }
    for (let i = 0; i < leaves; i++) scores[i] = reached[i]!;
  };
}

/** matrix [rows, width] · vector [width] */
function multiply(matrix: Float32Array, vector: Float64Array, result: Float64Array): void {
  const width = vector.length;
  for (let row = 0, at = 0; row < result.length; row++) {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += matrix[at++]! * vector[k]!;
    result[row] = sum;
  }
}
