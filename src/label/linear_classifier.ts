// A classifier trained here: logistic regression on hashed words, word pairs and character n-grams.
//   p = σ(b + Σ w[hash(feature)] / √features), trained by AdaGrad, one sentence a step
// Character n-grams see through spelling (3 to 5 letters, the ends of a word marked), word pairs see
// a little context, hashing needs no dictionary, and 2^18 float32 weights make a file of 1 MB.
// The same texts, order and seed give the same bytes.

import { CannotError } from "../base/errors.ts";
import { readBytes, writeFileAtomic } from "../base/files.ts";
import { checkOptions, number, required, seedNumber, wholeNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";
import type { TextClassifier } from "./classifier.ts";

/** A sentence and whether it is risky. */
export interface LabelledText {
  /** The sentence. */
  text: string;
  /** Whether it belongs to the class whose probability is learned. */
  risky: boolean;
}

/** How a linear classifier is trained. */
export interface LinearTraining {
  /** Of the order of the sentences. */
  seed: number;
  /** Passes over the sentences; 5 unless given. */
  epochs?: number;
  /** Of AdaGrad; 0.5 unless given. */
  learningRate?: number;
  /** Weight of the squared norm; 1e-6 unless given. */
  regularisation?: number;
  /** Features are hashed into 2^bits weights; 18 unless given. */
  bits?: number;
}

/** Weights, and what they were trained on. */
export interface LinearModel {
  /** What to call it in results, e.g. the names of its training files. */
  readonly name: string;
  /** log2 of the number of weights. */
  readonly bits: number;
  /** Added to every logit. */
  readonly bias: number;
  /** One for each bucket: [2^bits]. */
  readonly weights: Float32Array;
}

const FORMAT = "slung linear classifier 1";
const GROUP = 256; // bytes that the header line is padded to, so that the weights lie aligned

/**
 * Trains a classifier on labelled sentences.
 *
 * @param name What to call it in results.
 * @throws {CannotError} unless both classes have sentences.
 */
export function trainLinearClassifier(
  name: string,
  texts: readonly LabelledText[],
  training: LinearTraining,
): LinearModel {
  checkOptions(`train the classifier "${name}"`, training, {
    seed: required(seedNumber),
    epochs: wholeNumber({ min: 1 }),
    learningRate: number({ above: 0, max: 1e6 }),
    regularisation: number({ min: 0, max: 1e6 }),
    bits: number(), // which are refused with their reason
  });
  const { seed, epochs = 5, learningRate = 0.5, regularisation = 1e-6, bits = 18 } = training;
  const risky = texts.filter((text) => text.risky).length;
  if (risky === 0 || risky === texts.length) {
    throw new CannotError(
      `train the classifier "${name}"`,
      `${risky} of its ${texts.length} sentences are risky`,
      "Give sentences of both kinds",
    );
  }
  if (!(Number.isInteger(bits) && bits >= 8 && bits <= 26)) {
    throw new CannotError(
      `train the classifier "${name}"`,
      `2^${bits} weights are not between 2^8 and 2^26`,
      "Choose 8 to 26 bits",
    );
  }
  const weights = new Float32Array(1 << bits), squares = new Float32Array(1 << bits);
  const features = new FeatureReader(bits);
  const random = new Random(seed, "linear classifier");
  let bias = 0, biasSquares = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const { text, risky } of random.shuffle(texts)) {
      const count = features.read(text), { buckets } = features;
      const scale = 1 / Math.sqrt(Math.max(count, 1));
      const slope = sigmoid(bias + dot(weights, buckets, count) * scale) - (risky ? 1 : 0);
      biasSquares += slope * slope;
      if (biasSquares > 0) bias -= learningRate * slope / Math.sqrt(biasSquares);
      for (let i = 0; i < count; i++) {
        const bucket = buckets[i]!, weight = weights[bucket]!;
        const gradient = slope * scale + regularisation * weight;
        const sum = squares[bucket]! + gradient * gradient;
        squares[bucket] = sum;
        if (sum > 0) weights[bucket] = weight - learningRate * gradient / Math.sqrt(sum);
      }
    }
  }
  return { name, bits, bias: Math.fround(bias), weights };
}

/** Scores texts by a linear model: the probability that a text is risky. */
export function linearClassifier({ name, bits, bias, weights }: LinearModel): TextClassifier {
  const features = new FeatureReader(bits);
  return {
    name: `linear ${name}`,
    score: (texts) =>
      Float64Array.from(texts, (text) => {
        const count = features.read(text);
        return sigmoid(
          bias + dot(weights, features.buckets, count) / Math.sqrt(Math.max(count, 1)),
        );
      }),
  };
}

/**
 * Writes a model to one file: a line of JSON, padded with spaces to whole multiples of 256 bytes,
 * then the weights as little-endian float32.
 *
 * @throws {CannotError} naming the file, when it cannot be written.
 */
export async function saveLinearModel(path: string, model: LinearModel): Promise<void> {
  const { name, bits, bias, weights } = model;
  const line = new TextEncoder().encode(JSON.stringify({ format: FORMAT, name, bits, bias }));
  const header = new Uint8Array(Math.ceil((line.length + 1) / GROUP) * GROUP).fill(0x20);
  header.set(line);
  header[header.length - 1] = 0x0a;
  const bytes = new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength);
  await writeFileAtomic(path, [header, bytes]);
}

/**
 * Reads a model that {@linkcode saveLinearModel} wrote.
 *
 * @throws {CannotError} naming the file, when it is no such model or is damaged.
 */
export async function loadLinearModel(path: string): Promise<LinearModel> {
  const bytes = await readBytes(path);
  const end = bytes.indexOf(0x0a) + 1;
  const header = parseHeader(bytes.subarray(0, end));
  if (header === undefined) throw malformed(path, "it does not begin with the header of one");
  if (bytes.length - end !== 4 << header.bits) {
    throw malformed(path, `it has ${bytes.length - end} bytes of weights, not ${4 << header.bits}`);
  }
  const weights = new Float32Array(bytes.buffer, end);
  if (weights.some((weight) => !Number.isFinite(weight))) {
    throw malformed(path, "a weight is not finite");
  }
  return { ...header, weights };
}

function parseHeader(line: Uint8Array): Omit<LinearModel, "weights"> | undefined {
  if (line.length === 0 || line.length % GROUP !== 0) return undefined;
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(new TextDecoder().decode(line));
  } catch {
    return undefined;
  }
  const { format, name, bits, bias } = header;
  const sound = format === FORMAT && typeof name === "string" && typeof bits === "number" &&
    Number.isInteger(bits) && bits >= 8 && bits <= 26 && Number.isFinite(bias);
  return sound ? { name, bits, bias: bias as number } : undefined;
}

function malformed(path: string, why: string): CannotError {
  return new CannotError(
    `read the linear classifier "${path}"`,
    why,
    "Train it again or give another file",
  );
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function dot(weights: Float32Array, buckets: Uint32Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += weights[buckets[i]!]!;
  return sum;
}

const SHORTEST = 3, LONGEST = 5; // of the character n-grams, with the marks at a word's ends
const EDGE = 0x20; // marks both ends of a word, which itself holds no space
const SEED = 0x811c9dc5 | 0, CHARACTERS = 0x2545f491, PAIR = 0x9e3779b1;

/** What stands between words; `*`, `@`, `$` and digits stay, since they spell masked insults. */
const separators = new Uint8Array(128);
for (let unit = 0; unit <= 0x20; unit++) separators[unit] = 1;
for (const character of '.,;:!?"()[]{}<>/\\|~`^=+_&%') separators[character.charCodeAt(0)] = 1;

/** Turns a text into buckets, repeated features repeated, in a buffer that is used again. */
class FeatureReader {
  /** The features of the text that was read last. */
  buckets = new Uint32Array(1 << 10);
  readonly #shift: number;
  #word = new Uint16Array(1 << 6); // the word at hand, an EDGE on both sides

  constructor(bits: number) {
    this.#shift = 32 - bits;
  }

  /** Fills `buckets` and returns how many features there are. */
  read(text: string): number {
    const lower = text.toLowerCase();
    const most = (LONGEST - SHORTEST + 3) * (lower.length + 2);
    if (most > this.buckets.length) this.buckets = new Uint32Array(2 * most);
    if (lower.length + 2 > this.#word.length) this.#word = new Uint16Array(2 * lower.length + 2);
    const word = this.#word;
    let count = 0, before = SEED;
    for (let at = 0; at < lower.length;) {
      let length = 1, hash = SEED;
      for (; at < lower.length; at++) {
        const unit = lower.charCodeAt(at);
        if (unit < 128 && separators[unit] === 1) break;
        word[length++] = unit;
        hash = Math.imul(hash ^ unit, 0x01000193);
      }
      at++; // the separator
      if (length === 1) continue;
      word[0] = word[length++] = EDGE;
      this.buckets[count++] = this.#bucket(hash);
      this.buckets[count++] = this.#bucket(Math.imul(before, PAIR) ^ hash);
      before = hash;
      for (let from = 0; from + SHORTEST <= length; from++) {
        let gram = CHARACTERS;
        const end = Math.min(from + LONGEST, length);
        for (let i = from; i < end; i++) {
          gram = Math.imul(gram ^ word[i]!, 0x01000193);
          if (i - from + 1 >= SHORTEST) this.buckets[count++] = this.#bucket(gram);
        }
      }
    }
    return count;
  }

  /** The upper bits of a hash, well mixed (the finaliser of MurmurHash3). */
  #bucket(hash: number): number {
    let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> this.#shift;
  }
}
