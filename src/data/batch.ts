// Sequences of classed tokens, and batches of them: rows of T positions in which position t reads a token and predicts
// the next one. Several short sequences share a row; `firstKey` says where the sequence of a position starts, and
// attention never looks further back. Rotary positions are relative, so a sequence in the middle of a row is computed as
// if it stood alone, and no position is spent on padding that need not be.

import { CannotError } from "../base/errors.ts";
import { isActive, type Objective, type TargetCounts } from "../slung/objective.ts";
import { Risk } from "../slung/risk.ts";
import { missingBos } from "../tokenizers/tokenizer.ts";

/** Tokens of one document; the class and weight at index i belong to token i as a target. */
export interface Sequence {
  /** [n] token ids; the last one is only a target. */
  tokens: Uint32Array;
  /** [n] {@linkcode Risk} of each token. */
  classes: Uint8Array;
  /** 1 for every token where absent. */
  weights?: Float32Array;
}

/** A sequence of which every token is learned. */
export function lowRiskSequence(tokens: Uint32Array): Sequence {
  return { tokens, classes: new Uint8Array(tokens.length).fill(Risk.low) };
}

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
  /** Documents in the batch: each has one first token that nothing predicts. */
  documents: number;
}

/**
 * A sequence behind BOS, where there is one and it is not there already, and before EOS, where there is one and `end` asks
 * for it: both low risk.
 */
export function delimited(
  { tokens, classes }: Sequence,
  special: { bos?: number; eos?: number },
  end: boolean,
): Sequence {
  const before = missingBos(special, tokens);
  const after = end && special.eos !== undefined ? [special.eos] : [];
  const low = (specials: number[]) => specials.map(() => Risk.low);
  return {
    tokens: Uint32Array.from([...before, ...tokens, ...after]),
    classes: Uint8Array.from([...low(before), ...classes, ...low(after)]),
  };
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
 * @throws {CannotError} for a sequence that does not fit a row, or none at all.
 */
export function packSequences(
  sequences: readonly Sequence[],
  { rows, time }: { rows: number; time: number },
): { batches: Batch[]; placements: Placement[] } {
  if (sequences.length === 0) {
    throw new CannotError("make a batch", "it has no sequences", "Check the data and its filters");
  }
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
    if (!place) return { batch: 0, start: 0 }; // a single token predicts nothing
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
  const free: number[] = []; // positions left in each row
  const places = lengths.map((): { row: number; column: number } | undefined => undefined);
  for (const index of longestFirst) {
    const length = lengths[index]!;
    if (length < 1) continue;
    let row = free.findIndex((left) => left >= length);
    if (row < 0) row = free.push(time) - 1;
    places[index] = { row, column: time - free[row]! };
    free[row]! -= length;
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
    documents: 0,
  };
}

function put(
  batch: Batch,
  { tokens, classes, weights }: Sequence,
  start: number,
  column: number,
) {
  const length = tokens.length - 1;
  batch.tokens.set(tokens.subarray(0, length), start);
  batch.targets.set(tokens.subarray(1), start);
  batch.classes.set(classes.subarray(1), start);
  if (weights) batch.weights.set(weights.subarray(1), start);
  else batch.weights.fill(1, start, start + length);
  batch.predicted.fill(1, start, start + length);
  batch.firstKey.fill(column, start, start + length);
  batch.documents++;
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
    firstTokens: batch.documents,
  };
}

/** Weight of the active targets of each class, for the mean loss of each class. */
export function weightByClass(batch: Batch, terms: Objective["terms"]): number[] {
  const sums = [0, 0, 0, 0];
  for (const row of activeRows(batch, terms)) sums[batch.classes[row]!]! += batch.weights[row]!;
  return sums;
}
