// A sequence is what everything trains on and measures with: tokens of one text, the risk class of each, and its weight.
// The three belong together, and one that is off by a token trains on the wrong word without a sign. So they are checked
// where a sequence enters (made from a text, packed, trained on, scored), and whatever cuts or joins one is in this file
// and keeps all three.

import { CannotError } from "../base/errors.ts";
import { Risk } from "../slung/risk.ts";

/**
 * Tokens of one text; the class and weight at index i belong to token i as a target.
 *
 * @example A sequence whose second token counts twice and whose third is risky
 * ```ts
 * import { Risk, type Sequence } from "@slung/slung";
 *
 * const sequence: Sequence = {
 *   tokens: Uint32Array.of(5, 7, 11),
 *   classes: Uint8Array.of(Risk.low, Risk.low, Risk.high),
 *   weights: Float32Array.of(1, 2, 1),
 * };
 * ```
 */
export interface Sequence {
  /** [n] token ids; the last one is only a target. */
  tokens: Uint32Array;
  /** [n] {@linkcode Risk} of each token. */
  classes: Uint8Array;
  /** [n] multiplies the loss of each token; 1 for every token where absent. */
  weights?: Float32Array;
  /**
   * How many tokens at the beginning repeat those of an earlier window: they are read, but neither predicted nor counted
   * again. None where absent.
   */
  repeated?: number;
}

/**
 * Sequences by position: an array, or whatever makes each one when it is asked for, the same at every time. What trains on
 * a corpus that no memory holds goes through this.
 */
export interface SequenceSource {
  /** How many there are. */
  readonly length: number;
  /** The sequence at a position from 0 to before `length`. */
  at(index: number): Sequence | undefined;
  /** The tokens of the sequence at a position, where they are known without making it. */
  lengthOf?(index: number): number;
  /** Tells this source from every one with other sequences; one without it is known by its content. */
  readonly identity?: string | undefined;
}

/** Tokens that begin or end a text: both of low risk, as in the paper's code. */
export interface Delimiters {
  /** Goes before the text, if it is given. */
  bos?: number;
  /** Goes after it, if it is given. */
  eos?: number;
}

/**
 * A sequence of which every token is learned.
 *
 * @example
 * ```ts
 * import { lowRiskSequence } from "@slung/slung";
 *
 * console.log(lowRiskSequence(Uint32Array.of(5, 7, 11)).classes.join()); // 1,1,1
 * ```
 */
export function lowRiskSequence(tokens: Uint32Array): Sequence {
  return { tokens, classes: new Uint8Array(tokens.length).fill(Risk.low) };
}

/**
 * Checks that sequences can be trained on: classes and weights as long as the tokens, ids inside the vocabulary, classes
 * from 0 to 3, finite weights, no more repeated tokens than there are.
 *
 * @param what Ends "Cannot …" in the error, e.g. `pack`.
 * @param vocabularySize Rows of the model's embedding, where a model is at hand.
 * @throws {CannotError} naming the first sequence, and the token in it, that is wrong.
 */
export function checkSequences(
  sequences: readonly Sequence[],
  what: string,
  vocabularySize = 2 ** 32,
): void {
  sequences.forEach((sequence, index) =>
    checkSequence(sequence, `${what} sequence ${index}`, vocabularySize)
  );
}

/** The same for one sequence, which `what` names. */
export function checkSequence(
  sequence: Sequence,
  what: string,
  vocabularySize: number = 2 ** 32,
): void {
  const fault = faultOf(sequence, vocabularySize);
  if (fault === undefined) return;
  throw new CannotError(what, fault, "Correct the data that it is made from");
}

/** All sequences of a source, in memory. */
export function allOf(source: SequenceSource): Sequence[] {
  return Array.from({ length: source.length }, (_, i) => source.at(i)!);
}

/** How many tokens the sequence at a position has. */
export function lengthAt(source: SequenceSource, index: number): number {
  return source.lengthOf?.(index) ?? source.at(index)!.tokens.length;
}

function faultOf(
  { tokens, classes, weights, repeated = 0 }: Sequence,
  vocabularySize: number,
): string | undefined {
  const { length } = tokens;
  if (classes.length !== length) return `it has ${classes.length} classes for ${length} tokens`;
  if (weights && weights.length !== length) {
    return `it has ${weights.length} weights for ${length} tokens`;
  }
  if (!(Number.isInteger(repeated) && repeated >= 0 && repeated <= length)) {
    return `${repeated} of its ${length} tokens are said to be repeated`;
  }
  const foreign = tokens.findIndex((id) => id >= vocabularySize);
  if (foreign >= 0) {
    return `token ${foreign} is id ${tokens[foreign]}, and the vocabulary ends at ${
      vocabularySize - 1
    }`;
  }
  const unclassed = classes.findIndex((risk) => risk > Risk.high);
  if (unclassed >= 0) return `token ${unclassed} has class ${classes[unclassed]}, not 0 to 3`;
  const weightless = weights?.findIndex((weight) => !Number.isFinite(weight)) ?? -1;
  return weightless < 0 ? undefined : `token ${weightless} has the weight ${weights![weightless]}`;
}

/** Tokens from `start` to before `end`; negative positions count from the end, as in `Array.slice`. */
export function sliceSequence(sequence: Sequence, start: number, end?: number): Sequence {
  const { tokens: { length }, repeated = 0 } = sequence;
  const from = start < 0 ? Math.max(length + start, 0) : start;
  const left = Math.max(repeated - from, 0);
  return mapped(sequence, left, (values) => values.slice(start, end) as typeof values);
}

/** The tokens for which `keep` holds. */
export function filterSequence(sequence: Sequence, keep: (index: number) => boolean): Sequence {
  const { tokens, repeated = 0 } = sequence;
  const left = tokens.subarray(0, repeated).filter((_, i) => keep(i)).length;
  return mapped(sequence, left, (values) => values.filter((_, i) => keep(i)) as typeof values);
}

/** A sequence without its possibly and definitely risky tokens. */
export function lowRiskPart(sequence: Sequence): Sequence {
  return filterSequence(sequence, (i) => sequence.classes[i]! <= Risk.low);
}

/**
 * One sequence after the other; weights are 1 where a part has none.
 *
 * @throws {CannotError} for a part after another one that begins with repeated tokens: join before you cut into windows.
 */
export function joinSequences(parts: readonly Sequence[]): Sequence {
  const filled = parts.filter(({ tokens }) => tokens.length > 0);
  if (filled.slice(1).some(({ repeated = 0 }) => repeated > 0)) {
    const why = "one that begins with tokens of an earlier window would stand behind another";
    throw new CannotError("join sequences", why, "Join or delimit them before they are cut");
  }
  const repeated = filled[0]?.repeated ?? 0;
  const length = parts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const tokens = new Uint32Array(length), classes = new Uint8Array(length);
  const weights = parts.some((part) => part.weights) ? new Float32Array(length).fill(1) : undefined;
  let at = 0;
  for (const part of parts) {
    tokens.set(part.tokens, at);
    classes.set(part.classes, at);
    if (part.weights) weights!.set(part.weights, at);
    at += part.tokens.length;
  }
  return { tokens, classes, ...(weights && { weights }), ...(repeated > 0 && { repeated }) };
}

/** A sequence between the delimiters that are given. */
export function delimit(sequence: Sequence, { bos, eos }: Delimiters): Sequence {
  const special = (id: number | undefined) =>
    id === undefined ? [] : [lowRiskSequence(Uint32Array.of(id))];
  return joinSequences([...special(bos), sequence, ...special(eos)]);
}

/**
 * Cuts a sequence into windows of at most `length` tokens in which every token after the first is predicted once. A
 * window begins with the last token of the one before; or, where the sequence begins with `prefix` tokens that all of it
 * depends on (BOS, a control token), with those.
 *
 * @throws {CannotError} for windows that hold nothing but the tokens they begin with, or a sequence that is one already.
 */
export function cutIntoWindows(sequence: Sequence, length: number, prefix = 0): Sequence[] {
  const count = countWindows(sequence.tokens.length, length, prefix);
  return Array.from({ length: count }, (_, i) => windowAt(sequence, i, length, prefix));
}

/** How many windows {@linkcode cutIntoWindows} makes of a sequence of `total` tokens. */
export function countWindows(total: number, length: number, prefix = 0): number {
  const repeated = Math.max(prefix, 1); // in every window after the first
  if (!(Number.isInteger(length) && length > repeated)) {
    throw new CannotError(
      `cut a sequence into windows of ${length} tokens`,
      `each begins with ${repeated} that ${repeated === 1 ? "is" : "are"} not predicted in it`,
      `Choose a length of at least ${repeated + 1}`,
    );
  }
  if (total < 2) return 0;
  return 1 + Math.ceil(Math.max(0, total - length) / (length - repeated));
}

/** One of the windows of {@linkcode cutIntoWindows}, without the others. */
export function windowAt(
  sequence: Sequence,
  index: number,
  length: number,
  prefix = 0,
): Sequence {
  if (sequence.repeated) {
    const why = "it is a window of a longer one already";
    throw new CannotError("cut a sequence into windows", why, "Cut the whole sequence once");
  }
  if (index === 0) return sliceSequence(sequence, 0, length);
  const repeated = Math.max(prefix, 1);
  const stride = length - repeated;
  const start = length + (index - 1) * stride;
  const window = prefix === 0 ? sliceSequence(sequence, start - 1, start + stride) : joinSequences([
    sliceSequence(sequence, 0, prefix),
    sliceSequence(sequence, start, start + stride),
  ]);
  return { ...window, repeated };
}

/** How many tokens that window has. */
export function windowLength(total: number, index: number, length: number, prefix = 0): number {
  if (index === 0) return Math.min(total, length);
  const repeated = Math.max(prefix, 1);
  const stride = length - repeated;
  return repeated + Math.min(stride, total - length - (index - 1) * stride);
}

function mapped(
  { tokens, classes, weights }: Sequence,
  repeated: number,
  change: <Values extends Uint32Array | Uint8Array | Float32Array>(values: Values) => Values,
): Sequence {
  const changed = change(tokens);
  const left = Math.min(repeated, changed.length);
  return {
    tokens: changed,
    classes: change(classes),
    ...(weights && { weights: change(weights) }),
    ...(left > 0 && { repeated: left }),
  };
}
