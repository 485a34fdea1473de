// Trains a model on sequences for some epochs: plan, trainer and loop put together, with the settings that matter.

import { createHash } from "node:crypto";
import type { Sequence } from "../data/packing.ts";
import { microBatchShape, planEpochs } from "../data/epochs.ts";
import type { LanguageModel } from "../model/language_model.ts";
import type { Objective } from "../slung/objective.ts";
import { fingerprintOf } from "./checkpoint.ts";
import { type LogEntry, train, type TrainingOutcome } from "./loop.ts";
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
  /** Where and how often (in steps) to save, so that an interrupted run can go on. */
  checkpoint?: { folder: string; every: number };
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
      { checkpoint: { ...checkpoint, fingerprint: await fingerprint(model, options, shape) } }),
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
    initial: await weightDigests(model),
    epochs: digestEpochs(epochs),
    perStep,
    shape, // decides the order of sums
    seed,
    objective,
    optimiser,
    schedule,
    ...(optimiserState && { optimiserState: digestOptimiserState(optimiserState) }),
    ...(model.precision === "f16" && {
      precision: model.precision,
      lossScale: lossScale ?? defaultLossScale,
    }),
  });
}

// Tells the same architecture with other initial weights apart: its checkpoints continue another run.
async function weightDigests({ gpu, parameters }: LanguageModel): Promise<string[]> {
  const arenas = await gpu.readAll(parameters.groups.map(({ weight }) => weight));
  const digests = arenas.map((bytes) => crypto.subtle.digest("SHA-256", bytes));
  return (await Promise.all(digests)).map((digest) => new Uint8Array(digest).join());
}

/** A digest of an optimiser's state. */
export function digestOptimiserState(
  { updates, first, second, lossScaling }: OptimiserState,
): string {
  const hash = createHash("sha256").update(String(updates));
  for (const [name, { data }] of [...first, ...second]) hash.update(name).update(data);
  if (lossScaling) hash.update(lossScaling);
  return hash.digest("hex");
}

/** A digest of the sequences of each epoch, in order; each different epoch is read once. */
export function digestEpochs(epochs: FitOptions["epochs"]): string[] {
  const digests = new Map<readonly Sequence[], string>();
  for (const epoch of new Set(epochs)) {
    const hash = createHash("sha256");
    for (const { tokens, classes, weights } of epoch) {
      hash.update(Uint32Array.of(tokens.length, weights ? 1 : 0)).update(tokens).update(classes);
      if (weights) hash.update(weights);
    }
    digests.set(epoch, hash.digest("hex"));
  }
  return epochs.map((epoch) => digests.get(epoch)!);
}
