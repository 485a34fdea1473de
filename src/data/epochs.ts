// The order in which a run sees its sequences: epoch after epoch, each shuffled by the seed, cut into steps.
// A pure function of seed and step, so that the data cursor of a checkpoint is the step number.

import { CannotError } from "../base/errors.ts";
import { checkOptions, required, wholeNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";
import { divisor, type Objective } from "../slung/objective.ts";
import { countSequence, firstFit } from "./packing.ts";
import type { Sequence } from "./sequence.ts";

/** Sequences in the order of training, and how they are cut into steps. */
export interface EpochOrder {
  /** The sequences of each epoch; epochs may differ. */
  epochs: readonly (readonly Sequence[])[];
  /** Sequences per optimiser step. */
  perStep: number;
  /** Decides the order within each epoch. */
  seed: number;
}

/**
 * Shuffles every epoch and cuts it into steps; the last step of an epoch may be smaller.
 *
 * @throws {CannotError} for an epoch without sequences.
 */
export function orderSteps({ epochs, perStep, seed }: EpochOrder): Sequence[][] {
  checkOptions("plan steps", { perStep }, { perStep: required(wholeNumber({ min: 1 })) });
  const steps: Sequence[][] = [];
  epochs.forEach((sequences, epoch) => {
    if (sequences.length === 0) {
      throw new CannotError(
        `plan epoch ${epoch}`,
        "it has no sequences",
        "Check the data and its filters",
      );
    }
    const shuffled = new Random(seed, `epoch ${epoch}`).shuffle(sequences);
    for (let i = 0; i < shuffled.length; i += perStep) steps.push(shuffled.slice(i, i + perStep));
  });
  return steps;
}

/**
 * The steps in which some token carries a loss: the others would divide by zero, and there is nothing to learn in them.
 *
 * @throws {CannotError} when there is none, or the weights of a step have no positive sum.
 */
export function stepsWithLoss(
  steps: readonly Sequence[][],
  { name, terms, denominator }: Objective,
): Sequence[][] {
  const kept = steps.filter((step, i) => {
    const counts = step.map((sequence) => countSequence(sequence, terms));
    if (counts.every(({ active }) => active === 0)) return false;
    divisor(denominator, counts, `step ${i}`);
    return true;
  });
  if (kept.length > 0) return kept;
  throw new CannotError(
    `train under the objective "${name}"`,
    "no token carries a loss",
    "Check risk spans and weights, or choose another objective",
  );
}

const usualTime = 128;
const usualRows = 16;
const fixedCost = 64; // positions that could be computed while a micro-batch is set up
const probedSteps = 200;

/**
 * The B and T in which steps take the least work, padding and the fixed cost of a micro-batch included.
 * Rows hold the longest sequence or several of it, up to 128 positions.
 *
 * @param mostPositions B·T at most, but always one row for the longest sequence; 16 of the longest rows if left out.
 */
export function microBatchShape(
  steps: readonly (readonly Sequence[])[],
  contextLength: number,
  mostPositions?: number,
): { rows: number; time: number } {
  const lengths = steps.map((step) => step.map(({ tokens }) => tokens.length - 1));
  const longest = lengths.flat().reduce((most, length) => Math.max(most, length), 1);
  const largestTime = Math.max(longest, Math.min(usualTime, contextLength));
  const most = mostPositions ?? usualRows * largestTime;
  const stride = Math.ceil(steps.length / probedSteps);
  const probed = lengths.filter((_, i) => i % stride === 0);
  let best = { rows: 1, time: largestTime, work: Infinity };
  const copies = Array.from({ length: Math.floor(largestTime / longest) }, (_, i) => i + 1);
  const padded = copies.map((count) => Math.min(largestTime, 4 * Math.ceil(count * longest / 4)));
  const times = [...new Set([...padded, largestTime])];
  const fitting = times.filter((time) => time <= most);
  for (const time of fitting.length > 0 ? fitting.toReversed() : times.slice(0, 1)) {
    const rowsNeeded = probed.map((step) => countRows(firstFit(step, time)));
    for (let rows = 1; rows === 1 || rows * time <= most; rows++) {
      const microBatches = rowsNeeded.reduce((sum, needed) => sum + Math.ceil(needed / rows), 0);
      const work = microBatches * (rows * time + fixedCost);
      if (work < best.work) best = { rows, time, work };
    }
  }
  return { rows: best.rows, time: best.time };
}

function countRows(places: ReturnType<typeof firstFit>): number {
  return 1 + places.reduce((last, place) => Math.max(last, place?.row ?? 0), 0);
}
