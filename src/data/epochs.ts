// The order in which a run sees its sequences: epoch after epoch, each shuffled by the seed, cut into steps.
// A pure function of seed and step, so that the data cursor of a checkpoint is the step number.

import { CannotError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { type Batch, packSequences, type Sequence } from "./batch.ts";

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
export function planEpochs({ epochs, perStep, seed, rows, time }: EpochPlan): PlannedSteps {
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
  return {
    steps: steps.length,
    batches: (step) => packSequences(steps[step]!, { rows, time }).batches,
  };
}
