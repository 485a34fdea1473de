// The order in which a run sees its sequences: epoch after epoch, each shuffled by the seed, cut into steps.
// A pure function of seed and step, so that the data cursor of a checkpoint is the step number.

import { CannotError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { type Batch, firstFit, packSequences } from "./packing.ts";
import type { Sequence } from "./sequence.ts";

/** What a run trains on and in which portions. */
export interface EpochPlan {
  /** The sequences of each epoch; epochs may differ. */
  epochs: readonly (readonly Sequence[])[];
  /** Sequences per optimiser step. */
  perStep: number;
  /** Decides the order within each epoch. */
  seed: number;
  /** Rows of a micro-batch, B. */
  rows: number;
  /** Positions per row, T. */
  time: number;
}

/** The steps of a plan: how many there are, and the micro-batches of each. */
export interface PlannedSteps {
  /** Optimiser steps of all epochs together. */
  steps: number;
  /** The micro-batches of a step, counted from 0. */
  batches: (step: number) => Batch[];
}

/**
 * Shuffles every epoch and cuts it into steps; the last step of an epoch may be smaller.
 *
 * @throws {CannotError} for an epoch without sequences.
 */
export function planEpochs({ rows, time, ...plan }: EpochPlan): PlannedSteps {
  const steps = stepsOf(plan);
  return {
    steps: steps.length,
    batches: (step) => packSequences(steps[step]!, { rows, time }).batches,
  };
}

/** Sequences in the order of training, and how they are cut into steps. */
export type EpochOrder = Pick<EpochPlan, "epochs" | "perStep" | "seed">;

const usualTime = 128;
const usualRows = 16;
const fixedCost = 64; // positions that could be computed while a micro-batch is set up
const probedSteps = 200;

/**
 * The B and T in which the steps of a plan take the least work, padding and the fixed cost of a micro-batch included.
 * Rows hold the longest sequence or several of it, up to 128 positions.
 *
 * @param mostPositions B·T at most, but always one row for the longest sequence; 16 of the longest rows if left out.
 */
export function microBatchShape(
  order: EpochOrder,
  contextLength: number,
  mostPositions?: number,
): { rows: number; time: number } {
  const steps = stepsOf(order).map((step) => step.map(({ tokens }) => tokens.length - 1));
  const longest = steps.flat().reduce((most, length) => Math.max(most, length), 1);
  const largestTime = Math.max(longest, Math.min(usualTime, contextLength));
  const most = mostPositions ?? usualRows * largestTime;
  const stride = Math.ceil(steps.length / probedSteps);
  const probed = steps.filter((_, i) => i % stride === 0);
  let best = { rows: 1, time: largestTime, work: Infinity };
  const copies = Array.from({ length: Math.floor(largestTime / longest) }, (_, i) => i + 1);
  const padded = copies.map((count) => Math.min(largestTime, 4 * Math.ceil(count * longest / 4)));
  const times = [...new Set([...padded, largestTime])];
  const fitting = times.filter((time) => time <= most);
  for (const time of fitting.length > 0 ? fitting.toReversed() : times.slice(0, 1)) {
    const rowsNeeded = probed.map((lengths) => countRows(firstFit(lengths, time)));
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

function stepsOf({ epochs, perStep, seed }: EpochOrder): Sequence[][] {
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
