// Batches of sequences: rows of T positions in which position t reads a token and predicts the next one. Several short sequences share a row; `firstKey` says where the sequence of a position starts, and
// attention never looks further back. Rotary positions are relative, so a sequence in the middle of a row is computed as
// if it stood alone, and no position is spent on padding that need not be.

import { CannotError } from "../base/errors.ts";
import { checkOptions, flag, number, required, wholeNumber } from "../base/options.ts";
import { isActive, type Objective, type TargetCounts } from "../slung/objective.ts";
import {
  allOf,
  checkSequences,
  countWindows,
  joinSequences,
  lengthAt,
  type Sequence,
  type SequenceSource,
  sliceSequence,
  windowAt,
  windowLength,
} from "./sequence.ts";

/** A batch of B rows of T positions, row-major. */
export interface Batch {
  /** [B·T] */
  tokens: Uint32Array;
  /** [B·T] the token that each position predicts; 0 where nothing is predicted. */
  targets: Uint32Array;
  /** [B·T] risk class of the target. */
  classes: Uint8Array;
  /** [B·T] weight of the target; 0 where nothing is predicted. */
  weights: Float32Array;
  /** [B·T] whether there is a target at all: padding has none. */
  predicted: Uint8Array;
  /** [B·T] position at which the document starts. */
  firstKey: Uint32Array;
  /** First tokens of texts by risk class, [4]: nothing predicts them, but the paper's code counts them. */
  firstTokens: number[];
}

/** Where a sequence went: its first position (of B·T) in one of the batches. */
export interface Placement {
  /** Index of the batch. */
  batch: number;
  /** Index among its B·T positions. */
  start: number;
}

/**
 * Packs sequences into as few batches of `rows` rows of `time` positions as first-fit allows, longest first.
 * A sequence of n tokens takes n − 1 positions, since its last token is only a target.
 *
 * @throws {CannotError} for a malformed sequence, one that does not fit a row, or none at all.
 */
export function packSequences(
  sequences: readonly Sequence[],
  { rows, time }: { rows: number; time: number },
): { batches: Batch[]; placements: Placement[] } {
  checkOptions("pack", { rows, time }, {
    rows: required(wholeNumber({ min: 1 })),
    time: required(wholeNumber({ min: 1 })),
  });
  if (sequences.length === 0) {
    throw new CannotError("make a batch", "it has no sequences", "Check the data and its filters");
  }
  checkSequences(sequences, "pack");
  const lengths = sequences.map(({ tokens }) => tokens.length - 1);
  const tooLong = lengths.findIndex((length) => length > time);
  if (tooLong >= 0) {
    throw new CannotError(
      `place sequence ${tooLong} of ${lengths[tooLong]! + 1} tokens`,
      `rows hold ${time} positions`,
      "Shorten the text or use longer rows, up to the context of the model",
    );
  }
  const batches: Batch[] = [];
  const placements = firstFit(lengths, time).map((place, index) => {
    if (!place) { // a single token predicts nothing
      batches[0] ??= emptyBatch(rows, time);
      countFirst(batches[0], sequences[index]!);
      return { batch: 0, start: 0 };
    }
    const { row, column } = place;
    const batch = Math.floor(row / rows);
    const start = (row % rows) * time + column;
    batches[batch] ??= emptyBatch(rows, time);
    put(batches[batch]!, sequences[index]!, start, column);
    return { batch, start };
  });
  if (batches.length === 0) batches.push(emptyBatch(rows, time));
  return { batches, placements };
}

/**
 * Where each length goes in rows of `time` positions when every one, longest first, takes the first row that has room.
 * Lengths below 1 go nowhere; none may exceed `time`.
 */
export function firstFit(
  lengths: readonly number[],
  time: number,
): ({ row: number; column: number } | undefined)[] {
  const longestFirst = lengths.map((_, i) => i).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const size = 2 ** Math.ceil(Math.log2(Math.max(1, lengths.length)));
  // A tree: at size + i the positions left in row i, above it the most that any row below has left.
  const room = new Int32Array(2 * size).fill(time);
  const places = lengths.map((): { row: number; column: number } | undefined => undefined);
  for (const index of longestFirst) {
    const length = lengths[index]!;
    if (length < 1) continue;
    let node = 1;
    while (node < size) node = room[2 * node]! >= length ? 2 * node : 2 * node + 1;
    places[index] = { row: node - size, column: time - room[node]! };
    room[node]! -= length;
    while ((node >>= 1) > 0) room[node] = Math.max(room[2 * node]!, room[2 * node + 1]!);
  }
  return places;
}

function emptyBatch(rows: number, time: number): Batch {
  const size = rows * time;
  return {
    tokens: new Uint32Array(size),
    targets: new Uint32Array(size),
    classes: new Uint8Array(size),
    weights: new Float32Array(size),
    predicted: new Uint8Array(size),
    // Padding sees only itself; it comes last in its row, so first keys never decrease.
    firstKey: Uint32Array.from({ length: size }, (_, i) => i % time),
    firstTokens: [0, 0, 0, 0],
  };
}

function put(
  batch: Batch,
  sequence: Sequence,
  start: number,
  column: number,
): void {
  const { tokens, classes, weights, repeated = 0 } = sequence;
  const length = tokens.length - 1;
  batch.tokens.set(tokens.subarray(0, length), start);
  batch.targets.set(tokens.subarray(1), start);
  batch.classes.set(classes.subarray(1), start);
  if (weights) batch.weights.set(weights.subarray(1), start);
  else batch.weights.fill(1, start, start + length);
  batch.predicted.fill(1, start, start + length);
  batch.firstKey.fill(column, start, start + length);
  countFirst(batch, sequence);
  if (repeated === 0) return;
  batch.weights.fill(0, start, start + repeated - 1);
  batch.predicted.fill(0, start, start + repeated - 1);
}

function countFirst(batch: Batch, { classes, repeated = 0 }: Sequence): void {
  if (classes.length > 0 && repeated === 0) batch.firstTokens[classes[0]!]!++;
}

/** How documents become the sequences that are packed. */
export interface DocumentPacking {
  /** Tokens of a sequence. */
  length: number;
  /** Whether a sequence holds many documents and attention crosses from one to the next. */
  acrossDocuments: boolean;
  /** Tokens at the beginning of a document that each of its windows repeats; none unless given. */
  prefix?: number;
}

/** Cuts documents that end in EOS into sequences. @throws {CannotError} for a length without room for a target. */
export function packDocuments(
  documents: readonly Sequence[],
  packing: DocumentPacking,
): Sequence[] {
  return allOf(packedSource(documents, packing));
}

/**
 * The same, each sequence made when it is asked for. Kept in memory is one number for each document.
 *
 * @throws {CannotError} for a length without room for a target.
 */
export function packedSource(documents: SequenceSource, packing: DocumentPacking): SequenceSource {
  checkOptions("pack documents", packing, {
    length: required(number()), // those that are too short are refused with their reason
    acrossDocuments: required(flag),
    prefix: wholeNumber({ min: 0 }),
  });
  return packing.acrossDocuments
    ? packedAcross(documents, packing.length)
    : packedApart(documents, packing);
}

function packedAcross(documents: SequenceSource, length: number): SequenceSource {
  if (!(Number.isInteger(length) && length >= 2)) {
    throw new CannotError(
      `pack documents into sequences of ${length} tokens`,
      "the first token of a sequence is not predicted",
      "Choose a length of at least 2",
    );
  }
  const ends = runningSums(documents, (index) => lengthAt(documents, index));
  return {
    length: Math.floor((ends.at(-1) ?? 0) / length), // the paper drops the remainder too
    lengthOf: () => length,
    at(index) {
      const start = index * length;
      const parts: Sequence[] = [];
      let document = firstAbove(ends, start);
      for (let at = start; at < start + length; document++) {
        const before = document === 0 ? 0 : ends[document - 1]!;
        const part = sliceSequence(documents.at(document)!, at - before, start + length - before);
        parts.push(part);
        at += part.tokens.length;
      }
      return joinSequences(parts);
    },
  };
}

function packedApart(
  documents: SequenceSource,
  { length, prefix = 0 }: DocumentPacking,
): SequenceSource {
  const tokensOf = (document: number) => lengthAt(documents, document);
  const ends = runningSums(
    documents,
    (document) => countWindows(tokensOf(document), length, prefix),
  );
  const placeOf = (index: number) => {
    const document = firstAbove(ends, index);
    return { document, window: index - (document === 0 ? 0 : ends[document - 1]!) };
  };
  return {
    length: ends.at(-1) ?? 0,
    lengthOf(index) {
      const { document, window } = placeOf(index);
      return windowLength(tokensOf(document), window, length, prefix);
    },
    at(index) {
      const { document, window } = placeOf(index);
      return windowAt(documents.at(document)!, window, length, prefix);
    },
  };
}

function runningSums(
  { length }: SequenceSource,
  amountOf: (index: number) => number,
): Float64Array {
  const sums = new Float64Array(length);
  let sum = 0;
  for (let i = 0; i < length; i++) sums[i] = sum += amountOf(i);
  return sums;
}

/** The first of ascending numbers that is larger. */
function firstAbove(ascending: Float64Array, value: number): number {
  let low = 0, high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The rows that carry a loss under an objective. */
export function activeRows(batch: Batch, terms: Objective["terms"]): number[] {
  const rows: number[] = [];
  batch.predicted.forEach((predicted, row) => {
    if (predicted && isActive(terms, batch.classes[row]!, batch.weights[row]!)) rows.push(row);
  });
  return rows;
}

/** What a batch adds to the counts from which the divisor follows. */
export function countTargets(batch: Batch, terms: Objective["terms"]): TargetCounts {
  const active = activeRows(batch, terms);
  return {
    active: active.length,
    all: batch.predicted.reduce((sum, predicted) => sum + predicted, 0),
    weights: active.reduce((sum, row) => sum + batch.weights[row]!, 0),
    firstTokens: sumOverTerms(batch.firstTokens, terms),
  };
}

/** What a sequence adds to those counts, known before it is packed. */
export function countSequence(
  { tokens, classes, weights, repeated = 0 }: Sequence,
  terms: Objective["terms"],
): TargetCounts {
  const counts = { active: 0, all: 0, weights: 0, firstTokens: 0 };
  if (repeated === 0 && terms[classes[0]!]) counts.firstTokens++;
  for (let i = Math.max(repeated, 1); i < tokens.length; i++) {
    const weight = weights?.[i] ?? 1;
    counts.all++;
    if (!isActive(terms, classes[i]!, weight)) continue;
    counts.active++;
    counts.weights += weight;
  }
  return counts;
}

function sumOverTerms(byClass: readonly number[], terms: Objective["terms"]): number {
  return byClass.reduce((sum, count, risk) => terms[risk] ? sum + count : sum, 0);
}

/** Weight of the active targets of each class, for the mean loss of each class. */
export function weightByClass(batch: Batch, terms: Objective["terms"]): number[] {
  const sums = [0, 0, 0, 0];
  for (const row of activeRows(batch, terms)) sums[batch.classes[row]!]! += batch.weights[row]!;
  return sums;
}
