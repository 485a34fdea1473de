// Training on any texts with risk spans, into a Hugging Face folder with its tokenizer and a log of every step.
// Interrupted at any moment, the same call goes on from the last checkpoint and ends with the same bytes.

import { CannotError } from "../base/errors.ts";
import { makeFolder } from "../base/files.ts";
import {
  type AllowedOptions,
  checkOptions,
  flag,
  listOf,
  object,
  oneOf,
  optional,
  required,
  seedNumber,
  text,
  wholeNumber,
} from "../base/options.ts";
import type { Sequence } from "../data/sequence.ts";
import { encodeIntoWindows, type RiskyText } from "../data/spans.ts";
import { readTexts, type TextReadingOptions } from "../data/texts.ts";
import { countSpeltOut, type EncodeOptions, type Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { choosePrecision } from "../gpu/precision.ts";
import type { Precision } from "../gpu/tensor.ts";
import { LanguageModel } from "../model/language_model.ts";
import { initialiseLora, type LoraSettings, withLora } from "../model/lora.ts";
import {
  isActive,
  type Objective,
  objective as defaultObjective,
  riskNames,
} from "../slung/objective.ts";
import { checkpointsIn } from "./checkpoint.ts";
import { fit } from "./fit.ts";
import type { LogEntry, TrainingOutcome } from "./loop.ts";
import { allowedOptimiser, olmoOptimiser } from "./optimiser.ts";
import { openLog } from "./run_log.ts";
import { allowedSchedule, type Schedule } from "./schedule.ts";
import { openStartingModel, type StartingChoice } from "./starting_model.ts";
import { type CardFacts, digestTexts } from "./model_card.ts";
import { checkSaving, saveTrained } from "./trained_model.ts";

/**
 * What to train on, which model, and how; what is left out is as {@linkcode spanTrainingDefaults} says.
 *
 * @example A new model with a tokenizer of its own
 * ```ts
 * import type { SpanTrainingSettings } from "@slung/slung";
 *
 * const settings: SpanTrainingSettings = {
 *   data: "stories.jsonl",
 *   model: "olmo20M",
 *   vocabulary: 4096,
 *   out: "runs/stories",
 *   epochs: 2,
 *   maxLength: 256,
 * };
 * ```
 */
export interface SpanTrainingSettings extends Omit<StartingChoice, "seed"> {
  /** The file of texts, or a folder of labelled documents; see `readTexts`. */
  data: string;
  /** How it is read. */
  reading?: TextReadingOptions;
  /** What a special token becomes that a text spells out; a token unless given. */
  special?: EncodeOptions["special"];
  /** The folder for checkpoints, log and the finished model. */
  out: string;
  /** What each risk class is trained to do; masked SLUNG unless given. */
  objective?: Objective;
  /** Of weights and activations, if the adapter has it; master weights and moments are f32. */
  precision?: Precision;
  /** Compute activations again on the way back instead of keeping them. */
  recompute?: boolean;
  /** Most tokens at once, which decides the memory of activations; those of 16 windows unless given. */
  microBatch?: number | undefined;
  /** Learn low-rank changes and leave the weights of the model as they are. */
  lora?: LoraSettings | undefined;
  /** Save LoRA merged into the weights, as a whole model, instead of apart, in PEFT's layout. */
  merge?: boolean;
  /** Parts of the model that stay as they are; see `parametersOf`. */
  freeze?: readonly string[] | undefined;
  /** Passes over the texts. */
  epochs?: number;
  /** Windows per optimiser step. */
  perStep?: number;
  /** The peak of the schedule. */
  learningRate?: number;
  /** Steps of linear warm-up. */
  warmup?: number;
  /** How the learning rate falls, to 0, after the warm-up. */
  decay?: Schedule["decay"];
  /** Decoupled, of matrices only. */
  weightDecay?: number;
  /** Gradients are scaled down to this global norm; 0 never does. */
  maxGradientNorm?: number;
  /** Of fresh weights, the first values of LoRA, and the order of the texts. */
  seed?: number;
  /** Steps between checkpoints. */
  checkpointEvery?: number;
  /** Tokens of a window, special tokens included; the model's context unless given. */
  maxLength?: number | undefined;
}

/** The settings of {@linkcode trainOnSpans} and of `deno task train` that may be left out. */
export const spanTrainingDefaults = {
  special: "tokens",
  precision: "f32",
  recompute: false,
  merge: false,
  epochs: 1,
  perStep: 32,
  learningRate: 3e-4,
  warmup: 0,
  decay: "cosine",
  weightDecay: 0.1,
  maxGradientNorm: 1,
  seed: 0,
  checkpointEvery: 100,
} as const satisfies Partial<SpanTrainingSettings>;

const allowedSettings: AllowedOptions<SpanTrainingSettings> = {
  data: required(text),
  reading: object,
  special: oneOf("tokens", "text"),
  out: required(text),
  model: text,
  config: text,
  tokenizer: text,
  vocabulary: wholeNumber({ min: 1 }),
  objective: object,
  precision: oneOf("f32", "f16"),
  recompute: flag,
  microBatch: wholeNumber({ min: 1 }),
  lora: object,
  merge: flag,
  freeze: listOf(text),
  epochs: wholeNumber({ min: 1 }),
  perStep: wholeNumber({ min: 1 }),
  learningRate: optional(allowedSchedule.peak),
  warmup: optional(allowedSchedule.warmup),
  decay: optional(allowedSchedule.decay),
  weightDecay: optional(allowedOptimiser.weightDecay),
  maxGradientNorm: optional(allowedOptimiser.maxGradientNorm),
  seed: seedNumber,
  checkpointEvery: wholeNumber({ min: 1 }),
  maxLength: wholeNumber({ min: 2 }),
};

/** What there is to train, known before the first step. */
export interface SpanTrainingPlan {
  /** One line about the model. */
  model: string;
  /** Documents read, with what is risky in them. */
  texts: readonly RiskyText[];
  /** Special tokens that the texts spell out. */
  speltOut: number;
  /** Texts that were too long for one window. */
  cut: number;
  /** Sequences per epoch. */
  windows: number;
  /** Further windows that hold no token with a loss term, and are left out: they have no gradient. */
  leftOut: number;
  /** Predicted tokens by risk class, those of windows that are left out included. */
  targets: number[];
  /** Optimiser steps of all epochs. */
  steps: number;
  /** Further steps that were left out, because no token in them carries a loss. */
  stepsWithoutLoss: number;
}

/** What a run tells while it works. */
export interface SpanTrainingEvents {
  /** Called once, before the first step. */
  onPlan?: (plan: SpanTrainingPlan) => void;
  /** Called with every step reported, and the number of steps in all. */
  onLog?: (entry: LogEntry, steps: number) => void;
  /** Aborting stops after the current step, with a checkpoint. */
  signal?: AbortSignal;
}

/** The name of the log in the output folder. */
export const logFile = "log.jsonl";

/**
 * Trains until the last epoch is done or `signal` is aborted; in `out` the finished model appears only when it is.
 *
 * @throws {CannotError} naming file, line and field of bad data, or the setting that does not fit the others.
 *
 * @example
 * ```ts
 * import { Gpu, objective, trainOnSpans } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { finished } = await trainOnSpans(gpu, {
 *   data: "stories.jsonl",
 *   model: "path/to/model",
 *   out: "runs/stories",
 *   objective: objective("unlikelihood"),
 * });
 * console.log(finished); // true
 * ```
 */
export async function trainOnSpans(
  gpu: Gpu,
  settings: SpanTrainingSettings,
  { onPlan, onLog, signal }: SpanTrainingEvents = {},
): Promise<TrainingOutcome> {
  checkOptions("train on spans", settings, allowedSettings);
  const all = { ...spanTrainingDefaults, objective: defaultObjective("masked"), ...settings };
  const { data, out, epochs, perStep, seed, objective } = all;
  const texts = await readTexts(data, settings.reading);
  const start = await openStartingModel(all, texts.map(({ text }) => text));
  const { source, tokenizer } = start;
  const { config } = source;
  const length = settings.maxLength ?? config.contextLength;
  if (length > config.contextLength) {
    throw new CannotError(
      `cut texts into windows of ${length} tokens`,
      `the model's context holds ${config.contextLength}`,
      "Choose a shorter length",
    );
  }
  const { special } = all;
  const { sequences, ...counts } = windowsOf(texts, tokenizer, objective, length, special);
  if (sequences.length === 0) {
    throw new CannotError(
      `train on "${data}"`,
      `no token of it carries a loss under the objective "${objective.name}"`,
      "Check its spans and weights, or choose another objective",
    );
  }
  const { lora, merge } = all;
  await checkSaving(out, start, { lora, merge });
  const { precision } = choosePrecision(gpu, all.precision);
  const changed = lora ? withLora(source, initialiseLora(config, lora, seed)) : source;
  using model = await LanguageModel.load(gpu, changed, {
    gradients: true,
    precision,
    ...(lora && { lora }),
    ...(all.freeze && { freeze: all.freeze }),
  });
  await makeFolder(out);
  using log = await openLog(`${out}/${logFile}`);
  const outcome = await fit(model, {
    epochs: Array<readonly Sequence[]>(epochs).fill(sequences),
    perStep,
    seed,
    recompute: all.recompute,
    ...(all.microBatch !== undefined && { mostPositions: all.microBatch }),
    objective,
    optimiser: {
      ...olmoOptimiser,
      weightDecay: all.weightDecay,
      maxGradientNorm: all.maxGradientNorm,
    },
    schedule: { peak: all.learningRate, warmup: all.warmup, decay: all.decay, final: 0 },
    checkpoint: checkpointsIn(`${out}/checkpoints`, all.checkpointEvery),
    onPlan: ({ steps, withoutLoss: stepsWithoutLoss }) =>
      onPlan?.({
        ...{ model: start.description, texts, windows: sequences.length },
        ...counts,
        speltOut: countSpeltOut(tokenizer, texts.map(({ text }) => text)),
        ...{ steps, stepsWithoutLoss },
      }),
    onLog(entry, steps) {
      log.write(entry);
      onLog?.(entry, steps);
    },
    ...(signal && { signal }),
  });
  if (!outcome.finished) return outcome;
  await saveTrained(out, model, start, {
    merge,
    card: {
      title: lastName(out),
      description: start.description,
      objective,
      data: {
        name: lastName(data),
        digest: digestTexts(texts),
        targets: counts.targets,
        notes: [`${texts.length} texts in ${sequences.length} windows of at most ${length} tokens`],
      },
      settings: settingsOf({ ...all, precision, maxLength: length }),
      adapter: gpu.adapter.name,
    },
  });
  return outcome;
}

// The last part of a path; the rest of it is nobody's business.
function lastName(path: string): string {
  return path.split(/[/\\]/).filter((part) => part !== "").at(-1) ?? path;
}

const decisive = [
  ...["model", "config", "tokenizer", "vocabulary", "maxLength", "epochs", "perStep"],
  ...["learningRate", "warmup", "decay", "weightDecay", "maxGradientNorm"],
  ...["precision", "lora", "merge", "freeze", "seed"],
];

function settingsOf(all: Readonly<Record<string, unknown>>): CardFacts["settings"] {
  return Object.fromEntries(decisive.flatMap((name) => {
    const value = all[name];
    if (value === undefined || value === null || value === false) return [];
    const isPath = ["model", "config", "tokenizer"].includes(name);
    if (isPath) return [[name, lastName(String(value))]];
    return [[name, typeof value === "object" ? JSON.stringify(value) : value as string | number]];
  }));
}

function windowsOf(
  texts: readonly RiskyText[],
  tokenizer: Tokenizer,
  { terms, denominator }: Objective,
  length: number,
  special: EncodeOptions["special"] & string,
): Pick<SpanTrainingPlan, "cut" | "leftOut" | "targets"> & { sequences: Sequence[] } {
  const byText = texts.map((text) => encodeIntoWindows(tokenizer, text, length, { special }));
  const all = byText.flat();
  // These two count tokens without a loss as well, so that windows of nothing else decide the divisor of their step.
  const countsAll = denominator === "all" || denominator === "paper";
  const sequences = countsAll
    ? all
    : all.filter(({ classes, weights }) =>
      classes.some((risk, i) => i > 0 && isActive(terms, risk, weights?.[i] ?? 1))
    );
  const targets = riskNames.map(() => 0);
  for (const { classes, repeated = 0 } of all) {
    for (const risk of classes.subarray(Math.max(repeated, 1))) targets[risk]!++;
  }
  const cut = byText.filter((windows) => windows.length > 1).length;
  return { sequences, cut, leftOut: all.length - sequences.length, targets };
}
