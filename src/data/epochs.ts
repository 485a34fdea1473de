// The order in which a run sees its sequences: epoch after epoch, each shuffled by the seed, cut into steps.
// A pure function of seed and step, so that the data cursor of a checkpoint is the step number.

import { Random } from "../base/random.ts";
import { type Batch, packSequences, type Sequence } from "./batch.ts";

/** What a run trains on and in which portions. */
export interface EpochPlan {
  /** The sequences of each epoch; epochs may differ. */
  epochs: readonly (readonly Sequence[])[];
  /** Sequences per optimiser step. */
  perStep: number;
  seed: number;
  /** Shape of a micro-batch. */
  rows: number;
  time: number;
}

/** The steps of a plan: how many there are, and the micro-batches of each. */
export interface PlannedSteps {
  steps: number;
  batches: (step: number) => Batch[];
}

/** Shuffles every epoch and cuts it into steps; the last step of an epoch may be smaller. */
export function planEpochs({ epochs, perStep, seed, rows, time }: EpochPlan): PlannedSteps {
  const steps: Sequence[][] = [];
  epochs.forEach((sequences, epoch) => {
    const shuffled = new Random(seed, `epoch ${epoch}`).shuffle(sequences);
    for (let i = 0; i < shuffled.length; i += perStep) steps.push(shuffled.slice(i, i + perStep));
  });
  return {
    steps: steps.length,
    batches: (step) => packSequences(steps[step]!, { rows, time }).batches,
  };
}
