// Trains a model on sequences for some epochs: plan, trainer and loop put together, with the settings that matter.

import {
  type Allowed,
  callback,
  checkOptions,
  flag,
  object,
  required,
  seedNumber,
  wholeNumber,
} from "../base/options.ts";
import { planSteps, type StepPlan } from "../data/epochs.ts";
import { packSequences } from "../data/packing.ts";
import type { SequenceSource } from "../data/sequence.ts";
import type { DecoderConfig } from "../model/config.ts";
import type { LanguageModel } from "../model/language_model.ts";
import type { Objective } from "../slung/objective.ts";
import { digestEpochs, digestModel, digestOptimiserState, fingerprintOf } from "./fingerprint.ts";
import {
  type CheckpointStore,
  type LogEntry,
  train,
  type TrainingOutcome,
  type Watch,
} from "./loop.ts";
import {
  allowedOptimiser,
  defaultLossScale,
  type LossScaleSettings,
  type OptimiserSettings,
} from "./optimiser.ts";
import type { OptimiserState } from "./optimiser_state.ts";
import { allowedSchedule, type Schedule } from "./schedule.ts";
import { Trainer } from "./trainer.ts";

/**
 * What to fit to, and how.
 *
 * @example What several runs share
 * ```ts
 * import { type FitOptions, objective, olmoOptimiser } from "@slung/slung";
 *
 * const shared: Omit<FitOptions, "epochs" | "seed"> = {
 *   perStep: 16,
 *   objective: objective("unlikelihood"),
 *   optimiser: olmoOptimiser,
 *   schedule: { peak: 1e-3, warmup: 20, decay: "cosine", final: 0.1 },
 *   onLog: ({ step, loss }, steps) => console.error(`${step} of ${steps}: ${loss}`),
 * };
 * ```
 */
export interface FitOptions {
  /** The sequences of each epoch, in memory or made when a step needs them; epochs may differ. */
  epochs: readonly SequenceSource[];
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
  mostPositions?: number | undefined;
  /** The plan of these options, if `planFit` has made it already. */
  plan?: StepPlan;
  /** Compute the layers' activations again on the way back instead of keeping them; the same bytes either way. */
  recompute?: boolean;
  /** Of a model in f16; `defaultLossScale` unless given. */
  lossScale?: LossScaleSettings;
  /** Where to save on the way, so that an interrupted run can go on: `checkpointsIn` a folder. */
  checkpoint?: CheckpointStore;
  /** What is looked at on the way, such as the loss of held-out texts: `watchLosses`. */
  watch?: Watch;
  /** Called once, before the first step: how many there are, and how many were left out since nothing in them has a loss. */
  onPlan?: (plan: { steps: number; withoutLoss: number }) => void;
  /** Called with every step reported, and the number of steps in all. */
  onLog?: (entry: LogEntry, steps: number) => void;
  /** Aborting stops after the current step, with a checkpoint. */
  signal?: AbortSignal;
}

/**
 * Plans a run before there is a model: how many steps it takes, and how large one is.
 *
 * @throws {CannotError} for a malformed sequence or an id that the model does not have; when no token carries a loss.
 */
export function planFit(
  { contextLength, vocabularySize }: DecoderConfig,
  { epochs, perStep, seed, objective, mostPositions }: Pick<
    FitOptions,
    "epochs" | "perStep" | "seed" | "objective" | "mostPositions"
  >,
): StepPlan {
  return planSteps({
    ...{ epochs, perStep, seed, objective, mostPositions, contextLength, vocabularySize },
  });
}

/**
 * Fits a model that was made with gradients. Same model, options and adapter: the same bytes.
 *
 * @throws {CannotError} for a malformed sequence or an id that the model does not have; when no token carries a loss; when
 * a value became NaN or infinite; when a checkpoint belongs to another run or cannot be saved.
 *
 * @example
 * ```ts
 * import { encodeText, fit, Gpu, huggingFaceOptimiser, objective, openModel } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { model, tokenizer } = await openModel(gpu, "path/to/model", { gradients: true });
 * const text = "The old mill was run by Mira Toveld until winter.";
 * const sequence = encodeText(tokenizer, { text, spans: [{ start: 24, end: 35, risk: 3 }] });
 * const { log } = await fit(model, {
 *   epochs: [[sequence], [sequence]],
 *   perStep: 1,
 *   seed: 0,
 *   objective: objective("masked"),
 *   optimiser: huggingFaceOptimiser,
 *   schedule: { peak: 1e-3, warmup: 0, decay: "linear", final: 0 },
 * });
 * console.log(log.length, log[1]!.loss < log[0]!.loss); // 2 true
 * ```
 */
export async function fit(model: LanguageModel, options: FitOptions): Promise<TrainingOutcome> {
  checkOptions("fit", options, {
    epochs: required(sequencesOfEpochs),
    perStep: required(wholeNumber({ min: 1 })),
    seed: required(seedNumber),
    objective: required(object),
    optimiser: required(object),
    optimiserState: object,
    schedule: required(object),
    mostPositions: wholeNumber({ min: 1 }),
    plan: object,
    recompute: flag,
    lossScale: object,
    checkpoint: object,
    watch: object,
    onPlan: callback,
    onLog: callback,
    signal: object,
  });
  const { steps: _, ...scheduled } = allowedSchedule;
  checkOptions<FitOptions["schedule"]>("fit", options.schedule, scheduled, "schedule.");
  checkOptions("fit", options.optimiser, allowedOptimiser, "optimiser.");
  const { objective, optimiser, recompute, lossScale } = options;
  const { optimiserState, checkpoint, watch, onLog, signal } = options;
  const { steps, withoutLoss, shape, sequencesOf } = options.plan ?? planFit(model.config, options);
  const schedule = { ...options.schedule, steps };
  using trainer = new Trainer(model, {
    ...shape,
    objective,
    optimiser,
    ...(recompute && { recompute }),
    ...(lossScale && { lossScale }),
  });
  if (optimiserState) trainer.optimiser.upload(optimiserState, 0);
  options.onPlan?.({ steps, withoutLoss });
  const settings = checkpoint && await decisiveSettings(model, options, shape);
  return await train({
    model,
    trainer,
    schedule,
    batches: (step) => packSequences(sequencesOf(step), shape).batches,
    ...(checkpoint && { checkpoint, settings, fingerprint: await fingerprintOf(settings) }),
    ...(watch && { watch }),
    ...(onLog && { onLog: (entry: LogEntry) => onLog(entry, steps) }),
    ...(signal && { signal }),
  });
}

const sequencesOfEpochs: Allowed = {
  description: "a list with the sequences of each epoch",
  holds: (value) => Array.isArray(value) && value.every(object.holds),
};

// Whatever decides the course of a run; what its fingerprint is made of.
async function decisiveSettings(
  model: LanguageModel,
  options: FitOptions,
  shape: { rows: number; time: number },
): Promise<object> {
  const { epochs, perStep, seed, objective, optimiser, schedule, lossScale } = options;
  const { optimiserState } = options;
  const { parameters } = model;
  const isPartial = parameters.learned.length < parameters.groups.length;
  return {
    model: model.config,
    ...(model.lora && { lora: model.lora }),
    ...(isPartial && { learned: [...parameters.learnedShapes.keys()] }),
    initial: await digestModel(model),
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
  };
}
