// Trains a model on sequences for some epochs: plan, trainer and loop put together, with the settings that matter.

import type { Sequence } from "../data/batch.ts";
import { microBatchShape, planEpochs } from "../data/epochs.ts";
import type { LanguageModel } from "../model/language_model.ts";
import type { Objective } from "../slung/objective.ts";
import { digestEpochs, digestOptimiserState, digestWeights, fingerprintOf } from "./fingerprint.ts";
import { type CheckpointStore, type LogEntry, train, type TrainingOutcome } from "./loop.ts";
import { defaultLossScale, type LossScaleSettings, type OptimiserSettings } from "./optimiser.ts";
import type { OptimiserState } from "./optimiser_state.ts";
import type { Schedule } from "./schedule.ts";
import { Trainer } from "./trainer.ts";

/** What to fit to, and how. */
export interface FitOptions {
  /** The sequences of each epoch; epochs may differ. */
  epochs: readonly (readonly Sequence[])[];
  /** Sequences per optimiser step. */
  perStep: number;
  /** Decides the order of the sequences. */
  seed: number;
  /** The loss of each risk class. */
  objective: Objective;
  /** Its learning rate comes from the schedule. */
  optimiser: OptimiserSettings;
  /** AdamW's state to go on from, such as a base model's; zero moments if left out. */
  optimiserState?: OptimiserState;
  /** The schedule but for its length, which follows from the epochs. */
  schedule: Omit<Schedule, "steps">;
  /** Most positions (B·T) of a micro-batch, which decide its memory; those of 16 rows if left out. */
  mostPositions?: number;
  /** Compute the layers' activations again on the way back instead of keeping them; the same bytes either way. */
  recompute?: boolean;
  /** Of a model in f16; `defaultLossScale` unless given. */
  lossScale?: LossScaleSettings;
  /** Where to save on the way, so that an interrupted run can go on: `checkpointsIn` a folder. */
  checkpoint?: CheckpointStore;
  /** Called with every step reported, and the number of steps in all. */
  onLog?: (entry: LogEntry, steps: number) => void;
  /** Aborting stops after the current step, with a checkpoint. */
  signal?: AbortSignal;
}

/** Fits a model that was made with gradients. Same model, options and adapter: the same bytes. */
export async function fit(model: LanguageModel, options: FitOptions): Promise<TrainingOutcome> {
  const { epochs, perStep, seed, objective, optimiser, recompute, lossScale } = options;
  const { optimiserState, checkpoint, onLog, signal } = options;
  const order = { epochs, perStep, seed };
  const shape = microBatchShape(order, model.config.contextLength, options.mostPositions);
  const { steps, batches } = planEpochs({ ...order, ...shape });
  const schedule = { ...options.schedule, steps };
  using trainer = new Trainer(model, {
    ...shape,
    objective,
    optimiser,
    ...(recompute && { recompute }),
    ...(lossScale && { lossScale }),
  });
  if (optimiserState) trainer.optimiser.upload(optimiserState, 0);
  return await train({
    model,
    trainer,
    schedule,
    batches,
    ...(checkpoint &&
      { checkpoint, fingerprint: await fingerprint(model, options, shape) }),
    ...(onLog && { onLog: (entry: LogEntry) => onLog(entry, steps) }),
    ...(signal && { signal }),
  });
}

async function fingerprint(
  model: LanguageModel,
  options: FitOptions,
  shape: { rows: number; time: number },
): Promise<string> {
  const { epochs, perStep, seed, objective, optimiser, schedule, lossScale } = options;
  const { optimiserState } = options;
  return await fingerprintOf({
    model: model.config,
    initial: await digestWeights(model),
    epochs: await digestEpochs(epochs),
    perStep,
    shape, // decides the order of sums
    seed,
    objective,
    optimiser,
    schedule,
    ...(optimiserState && { optimiserState: await digestOptimiserState(optimiserState) }),
    ...(model.precision === "f16" && {
      precision: model.precision,
      lossScale: lossScale ?? defaultLossScale,
    }),
  });
}
