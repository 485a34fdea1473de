// Training on any texts with risk spans, into a Hugging Face folder with its tokenizer, a log of every step, what became of
// the risky tokens on the way, and a record of all of it.
// Interrupted at any moment, the same call goes on from the last checkpoint and ends with the same bytes.

import { createHash } from "node:crypto";
import { CannotError } from "../base/errors.ts";
import { makeFolder } from "../base/files.ts";
import { holdFolder } from "../base/lock.ts";
import {
  type AllowedOptions,
  checkOptions,
  flag,
  listOf,
  number,
  object,
  oneOf,
  optional,
  required,
  seedNumber,
  text,
  wholeNumber,
} from "../base/options.ts";
import { describeProcess } from "../base/process.ts";
import { counted } from "../base/words.ts";
import { repeatEpoch } from "../data/epochs.ts";
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
import { fit, planFit } from "./fit.ts";
import { expectFitting } from "./fitting_memory.ts";
import type { LogEntry, TrainingOutcome } from "./loop.ts";
import { allowedOptimiser, olmoOptimiser, optimiserOf } from "./optimiser.ts";
import { openRecording } from "./recording.ts";
import { byRiskName, type WatchedLine } from "./run_log.ts";
import { describeObjective, describeTexts } from "./run_record.ts";
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
  /** Texts that are only measured, in a file or folder of the same kind. */
  heldOut?: string | undefined;
  /** Or the share of the texts, above 0 and below 1, that is held out: which ones, their content decides. */
  heldOutShare?: number | undefined;
  /** Steps between measures of the risky tokens and of held-out texts, which change no byte of the model; 0 for none. */
  watchEvery?: number;
  /** Beginnings of texts that the model continues before and after, for the record. */
  samples?: number;
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
  /** How the learning rate falls after the warm-up. */
  decay?: Schedule["decay"];
  /** The share of the peak that is left after the last step. */
  finalRate?: number;
  /** Decay of AdamW's first and second moment. */
  betas?: readonly number[];
  /** Added to the root of AdamW's second moment. */
  epsilon?: number;
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
  finalRate: 0,
  betas: olmoOptimiser.betas,
  epsilon: olmoOptimiser.epsilon,
  weightDecay: 0.1,
  maxGradientNorm: 1,
  seed: 0,
  checkpointEvery: 100,
  watchEvery: 10,
  samples: 6,
} as const satisfies Partial<SpanTrainingSettings>;

const allowedSettings: AllowedOptions<SpanTrainingSettings> = {
  data: required(text),
  reading: object,
  special: oneOf("tokens", "text"),
  heldOut: text,
  heldOutShare: number({ above: 0, below: 1 }),
  watchEvery: wholeNumber({ min: 0 }),
  samples: wholeNumber({ min: 0 }),
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
  finalRate: optional(allowedSchedule.final),
  betas: optional(allowedOptimiser.betas),
  epsilon: optional(allowedOptimiser.epsilon),
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
  /** Texts that are only measured. */
  heldOut: number;
}

/** What a run tells while it works. */
export interface SpanTrainingEvents {
  /** Called once, before the first step. */
  onPlan?: (plan: SpanTrainingPlan) => void;
  /** Called with every step reported, and the number of steps in all. */
  onLog?: (entry: LogEntry, steps: number) => void;
  /** Called with everything that was watched. */
  onWatched?: (line: WatchedLine) => void;
  /** Aborting stops after the current step, with a checkpoint. */
  signal?: AbortSignal;
}

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
  { onPlan, onLog, onWatched, signal }: SpanTrainingEvents = {},
): Promise<TrainingOutcome> {
  checkOptions("train on spans", settings, allowedSettings);
  const all = { ...spanTrainingDefaults, objective: defaultObjective("masked"), ...settings };
  const { data, out, epochs, perStep, seed, objective } = all;
  const { texts, heldOut } = await readBoth(all);
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
  const { sequences, all: windows, ...counts } = windowsOf(
    ...[texts, tokenizer, objective, length, special] as const,
  );
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
  const { recompute, freeze } = all;
  const passes = repeatEpoch(sequences, epochs);
  const order = { epochs: passes, perStep, seed, objective, mostPositions: all.microBatch };
  const plan = planFit(config, order);
  expectFitting(gpu, { config, precision, ...plan.shape, recompute, lora, freeze });
  const changed = lora ? withLora(source, initialiseLora(config, lora, seed)) : source;
  using model = await LanguageModel.load(gpu, changed, {
    gradients: true,
    precision,
    ...(lora && { lora }),
    ...(freeze && { freeze }),
  });
  await makeFolder(out); // only now, when nothing is refused any more
  using _held = await holdFolder(out);
  await checkSaving(out, start, { lora, merge }); // another run may have ended meanwhile
  using recording = await openRecording({
    ...{ out, model, tokenizer, onWatched },
    texts: { trained: texts, heldOut },
    windows: {
      trained: windows,
      heldOut: heldOut.flatMap((text) => encodeIntoWindows(tokenizer, text, length, { special })),
    },
    watchEvery: all.watchEvery,
    samples: all.samples,
    record: {
      kind: "training",
      ...describeProcess(),
      objective: describeObjective(objective),
      model: { description: start.description, from: start.folder ?? null },
      data: {
        ...describeTexts(data, texts),
        windows: sequences.length,
        targets: byRiskName(counts.targets),
      },
      heldOut: heldOut.length === 0 ? null : describeTexts(all.heldOut ?? data, heldOut),
      settings: recordedSettings(all),
      adapter: { name: gpu.adapter.name, software: gpu.adapter.software },
    },
  });
  const outcome = await fit(model, {
    ...{ ...order, plan, recompute },
    optimiser: optimiserOf(all),
    schedule: {
      ...{ peak: all.learningRate, warmup: all.warmup, decay: all.decay, final: all.finalRate },
    },
    checkpoint: checkpointsIn(`${out}/checkpoints`, all.checkpointEvery),
    onPlan({ steps, withoutLoss: stepsWithoutLoss }) {
      recording.plan(steps);
      onPlan?.({
        ...{ model: start.description, texts, windows: sequences.length },
        ...counts,
        speltOut: countSpeltOut(tokenizer, texts.map(({ text }) => text)),
        ...{ steps, stepsWithoutLoss, heldOut: heldOut.length },
      });
    },
    watch: recording.watch,
    onLog(entry, steps) {
      recording.log(entry);
      onLog?.(entry, steps);
    },
    ...(signal && { signal }),
  });
  if (outcome.finished) {
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
          notes: [
            `${counted(texts.length, "text")} in ${
              counted(sequences.length, "window")
            } of at most ${length} tokens`,
          ],
        },
        settings: cardSettings({ ...all, precision, maxLength: length }),
        adapter: gpu.adapter.name,
      },
    });
  }
  await recording.end(outcome);
  return outcome;
}

// The last part of a path; the rest of it is nobody's business.
function lastName(path: string): string {
  return path.split(/[/\\]/).filter((part) => part !== "").at(-1) ?? path;
}

const decisive = [
  ...["model", "config", "tokenizer", "vocabulary", "maxLength", "epochs", "perStep"],
  ...["learningRate", "warmup", "decay", "finalRate"],
  ...["betas", "epsilon", "weightDecay", "maxGradientNorm"],
  ...["precision", "lora", "merge", "freeze", "seed"],
];

function cardSettings(all: Readonly<Record<string, unknown>>): CardFacts["settings"] {
  return Object.fromEntries(decisive.flatMap((name) => {
    const value = all[name];
    if (value === undefined || value === null || value === false) return [];
    const isPath = ["model", "config", "tokenizer"].includes(name);
    if (isPath) return [[name, lastName(String(value))]];
    return [[name, typeof value === "object" ? JSON.stringify(value) : value as string | number]];
  }));
}

// What is trained on, and what is only measured.
async function readBoth(
  { data, reading, heldOut: file, heldOutShare: share }: SpanTrainingSettings,
): Promise<{ texts: RiskyText[]; heldOut: RiskyText[] }> {
  const texts = await readTexts(data, reading);
  if (share === undefined) return { texts, heldOut: file ? await readTexts(file, reading) : [] };
  if (file !== undefined) {
    throw new CannotError(
      "hold texts out",
      "both a file and a share are given",
      "Give one of them",
    );
  }
  const groups = Map.groupBy(texts, ({ text }) => fraction(text) < share);
  const kept = groups.get(false) ?? [], heldOut = groups.get(true) ?? [];
  if (kept.length > 0 && heldOut.length > 0) return { texts: kept, heldOut };
  throw new CannotError(
    `hold out ${share} of "${data}"`,
    `of its ${texts.length} texts ${heldOut.length} would be held out`,
    "Give a share between 0 and 1 that leaves texts on both sides, or a file of their own",
  );
}

// From 0 to 1, by the content of a text alone: texts that are there twice stay together, and more texts move none.
function fraction(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32;
}

const recorded = [
  ...[
    "data",
    "heldOut",
    "heldOutShare",
    "reading",
    "out",
    "model",
    "config",
    "tokenizer",
    "vocabulary",
  ],
  ...["epochs", "perStep", "maxLength", "learningRate", "warmup", "decay", "weightDecay"],
  ...["maxGradientNorm", "lora", "merge", "freeze", "precision", "recompute", "microBatch", "seed"],
  ...["checkpointEvery", "watchEvery", "samples"],
] as const satisfies readonly (keyof SpanTrainingSettings)[];

function recordedSettings(settings: SpanTrainingSettings): Record<string, unknown> {
  const chosen = Object.fromEntries(recorded.map((name) => [name, settings[name]]));
  return JSON.parse(JSON.stringify(chosen)); // without the functions among them
}

function windowsOf(
  texts: readonly RiskyText[],
  tokenizer: Tokenizer,
  { terms, denominator }: Objective,
  length: number,
  special: EncodeOptions["special"] & string,
): Pick<SpanTrainingPlan, "cut" | "leftOut" | "targets"> & {
  sequences: Sequence[];
  all: Sequence[];
} {
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
  return { sequences, all, cut, leftOut: all.length - sequences.length, targets };
}
