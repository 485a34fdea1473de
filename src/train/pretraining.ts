// Pre-training of a base model from scratch: initialise, fit with OLMo's optimiser and a cosine schedule, save a Hugging
// Face folder with its tokenizer. Interrupted, it goes on from its last checkpoint.

import { CannotError } from "../base/errors.ts";
import { exists, makeFolder, readJson, writeFileAtomic } from "../base/files.ts";
import { holdFolder } from "../base/lock.ts";
import {
  callback,
  checkOptions,
  flag,
  listOf,
  object,
  oneOf,
  required,
  seedNumber,
  text,
  wholeNumber,
} from "../base/options.ts";
import { repeatEpoch } from "../data/epochs.ts";
import type { Sequence } from "../data/sequence.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Precision } from "../gpu/tensor.ts";
import type { DecoderConfig } from "../model/config.ts";
import { freshModel } from "../model/initialise.ts";
import { LanguageModel } from "../model/language_model.ts";
import { type LoadedModel, loadModel, saveModel } from "../model/weights.ts";
import { objective } from "../slung/objective.ts";
import { checkpointsIn, newestCheckpoint } from "../train/checkpoint.ts";
import { digestEpochs } from "../train/fingerprint.ts";
import { fit, planFit } from "../train/fit.ts";
import { expectFitting, type StepChange } from "./fitting_memory.ts";
import type { LogEntry } from "../train/loop.ts";
import { olmoOptimiser, type OptimiserSettings } from "../train/optimiser.ts";
import { allowedSchedule, type Schedule } from "./schedule.ts";
import { optimiserFile } from "../train/optimiser_state.ts";

/** How to pre-train. */
export interface PretrainingOptions {
  /** Its vocabulary must hold every token of the tokenizer. */
  config: DecoderConfig;
  /** Saved beside the weights. */
  tokenizer: Tokenizer;
  /** Seen once per epoch, in an order of its own; a function makes each epoch's own sequences. */
  sequences: readonly Sequence[] | ((epoch: number) => readonly Sequence[]);
  /** Passes over the sequences. */
  epochs: number;
  /** Sequences per optimiser step. */
  perStep: number;
  /** The peak. */
  learningRate: number;
  /** Around the peak: 100 steps of warm-up and a cosine decay to a tenth unless given. */
  schedule?: Omit<Schedule, "peak" | "steps">;
  /** OLMo's unless given. */
  optimiser?: OptimiserSettings;
  /** Of weights and activations while it is trained; `f32` unless given. */
  precision?: Precision;
  /** As `FitOptions.mostPositions`. */
  mostPositions?: number | undefined;
  /** As `FitOptions.recompute`. */
  recompute?: boolean | undefined;
  /**
   * What the caller could choose so that a step fits which does not, for the refusal to name: micro-batch, recomputing and
   * precision unless given.
   */
  adjustable?: readonly (keyof StepChange)[];
  /** Steps between checkpoints; 200 unless given. */
  checkpointEvery?: number | undefined;
  /** Decides the initial weights and the order of the sequences. */
  seed: number;
  /** Also keep AdamW's state in the folder, for training that goes on from this model. */
  keepOptimiser?: boolean;
  /** How to store the weights. */
  dtype?: "F32" | "F16" | "BF16";
  /** Called with every step reported, and the number of steps in all. */
  onLog?: (entry: LogEntry, steps: number) => void;
  /** Aborting stops after the current step, with a checkpoint. */
  signal?: AbortSignal;
}

/**
 * Pre-trains into `folder` unless it already holds a finished model, and returns what is stored there.
 *
 * @returns The model, or `undefined` when `signal` stopped the run; running again then continues it.
 * @throws {CannotError} when the folder holds another model; when a step does not fit the adapter, before anything is
 * written; and as `fit`.
 */
export async function pretrain(
  gpu: Gpu,
  folder: string,
  options: PretrainingOptions,
): Promise<LoadedModel | undefined> {
  checkOptions("pre-train", options, {
    config: required(object),
    tokenizer: required(object),
    sequences: required({
      description: "a list of sequences, or a function that makes those of an epoch",
      holds: (value) => Array.isArray(value) || callback.holds(value),
    }),
    epochs: required(wholeNumber({ min: 1 })),
    perStep: required(wholeNumber({ min: 1 })),
    learningRate: required(allowedSchedule.peak),
    seed: required(seedNumber),
    schedule: object,
    optimiser: object,
    precision: oneOf("f32", "f16"),
    mostPositions: wholeNumber({ min: 1 }),
    recompute: flag,
    adjustable: listOf(text),
    checkpointEvery: wholeNumber({ min: 1 }),
    keepOptimiser: flag,
    dtype: oneOf("F32", "F16", "BF16"),
    onLog: callback,
    signal: object,
  });
  const { config, tokenizer, sequences, epochs, perStep, learningRate, seed, dtype } = options;
  const { keepOptimiser, schedule, optimiser, precision = "f32", mostPositions } = options;
  const { recompute, checkpointEvery, onLog, signal } = options;
  const { adjustable = ["rows", "recompute", "precision"] } = options;
  const record = `${folder}/pretraining.json`;
  const checkpoints = `${folder}/checkpoints`;
  const passes = typeof sequences === "function"
    ? Array.from({ length: epochs }, (_, epoch) => sequences(epoch))
    : repeatEpoch(sequences, epochs);
  const data = [...new Set(await digestEpochs(passes))];
  const settings = {
    ...{ config, data, epochs, perStep, learningRate, seed, dtype: dtype ?? "F32" },
    ...(keepOptimiser && { keepOptimiser }),
    ...(schedule && { schedule }),
    ...(optimiser && { optimiser }),
    ...(precision !== "f32" && { precision }),
    ...(mostPositions !== undefined && { mostPositions }),
  };
  if (await exists(`${folder}/config.json`)) {
    const same = await exists(record) &&
      JSON.stringify(await readJson(record)) === JSON.stringify(settings);
    if (same) return await loadModel(folder);
    throw new CannotError(
      `pre-train into "${folder}"`,
      "it holds a model that was made with other data or settings",
      "Choose another folder, or remove the model",
    );
  }
  const order = { epochs: passes, perStep, seed, objective: objective("direct"), mostPositions };
  const plan = planFit(config, order);
  expectFitting(gpu, { config, precision, ...plan.shape, recompute }, { adjustable });
  await makeFolder(folder);
  using _held = await holdFolder(folder);
  using model = await LanguageModel.load(gpu, freshModel(config, seed), {
    ...{ gradients: true, precision },
  });
  const { finished } = await fit(model, {
    ...{ ...order, plan },
    optimiser: optimiser ?? olmoOptimiser,
    schedule: { peak: learningRate, ...schedule ?? { warmup: 100, decay: "cosine", final: 0.1 } },
    checkpoint: checkpointsIn(checkpoints, checkpointEvery ?? 200),
    ...(recompute && { recompute }),
    ...(onLog && { onLog }),
    ...(signal && { signal }),
  });
  if (!finished) return undefined;
  if (keepOptimiser) {
    const last = await newestCheckpoint(checkpoints);
    await Deno.copyFile(`${last}/${optimiserFile}`, `${folder}/${optimiserFile}`);
  }
  await tokenizer.save?.(folder);
  await writeFileAtomic(record, JSON.stringify(settings, null, 2) + "\n");
  await saveModel(folder, config, await model.download(), {
    special: tokenizer.special,
    checksums: true,
    ...(dtype && { dtype }),
  });
  await Deno.remove(checkpoints, { recursive: true });
  return await loadModel(folder);
}
