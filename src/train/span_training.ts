// Training on any texts with risk spans, into a Hugging Face folder with its tokenizer and a log of every step.
// Interrupted at any moment, the same call goes on from the last checkpoint and ends with the same bytes.

import { CannotError } from "../base/errors.ts";
import { exists, makeFolder, writeFileAtomic } from "../base/files.ts";
import { cutIntoWindows, type Sequence } from "../data/sequence.ts";
import { encodeText, prefixLength, type RiskyText } from "../data/spans.ts";
import { readTexts, type TextReadingOptions } from "../data/texts.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { choosePrecision } from "../gpu/precision.ts";
import type { Precision } from "../gpu/tensor.ts";
import { LanguageModel } from "../model/language_model.ts";
import { saveModel } from "../model/weights.ts";
import { isActive, type Objective, riskNames } from "../slung/objective.ts";
import { checkpointsIn } from "./checkpoint.ts";
import { fit } from "./fit.ts";
import type { LogEntry, TrainingOutcome } from "./loop.ts";
import { olmoOptimiser } from "./optimiser.ts";
import { openLog } from "./run_log.ts";
import type { Schedule } from "./schedule.ts";
import { openStartingModel, type StartingChoice } from "./starting_model.ts";

/** What to train on, which model, and how. */
export interface SpanTrainingSettings extends StartingChoice {
  /** The file of texts, or a folder of labelled documents; see `readTexts`. */
  data: string;
  /** How it is read. */
  reading?: TextReadingOptions;
  /** The folder for checkpoints, log and the finished model. */
  out: string;
  /** Of weights and activations, if the adapter has it; master weights and moments are f32. */
  precision: Precision;
  /** Compute activations again on the way back instead of keeping them. */
  recompute: boolean;
  /** What each risk class is trained to do. */
  objective: Objective;
  /** Passes over the texts. */
  epochs: number;
  /** Windows per optimiser step. */
  perStep: number;
  /** The peak of the schedule. */
  learningRate: number;
  /** Steps of linear warm-up. */
  warmup: number;
  /** How the learning rate falls, to 0, after the warm-up. */
  decay: Schedule["decay"];
  /** Decoupled, of matrices only. */
  weightDecay: number;
  /** The global gradient norm to clip to; 0 never clips. */
  maxGradientNorm: number;
  /** Of fresh weights and of the order of the texts. */
  seed: number;
  /** Steps between checkpoints. */
  checkpointEvery: number;
  /** Tokens of a window, special tokens included; the model's context unless given. */
  maxLength?: number | undefined;
}

/** What there is to train, known before the first step. */
export interface SpanTrainingPlan {
  /** One line about the model. */
  model: string;
  /** Documents read, with what is risky in them. */
  texts: readonly RiskyText[];
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
 */
export async function trainOnSpans(
  gpu: Gpu,
  settings: SpanTrainingSettings,
  { onPlan, onLog, signal }: SpanTrainingEvents = {},
): Promise<TrainingOutcome> {
  const { data, out, epochs, perStep, seed, objective } = settings;
  const texts = await readTexts(data, settings.reading);
  const start = await openStartingModel(settings, texts.map(({ text }) => text));
  const { source: { config, weights }, tokenizer } = start;
  const length = settings.maxLength ?? config.contextLength;
  if (length > config.contextLength) {
    throw new CannotError(
      `cut texts into windows of ${length} tokens`,
      `the model's context holds ${config.contextLength}`,
      "Choose a shorter length",
    );
  }
  const { sequences, ...counts } = windowsOf(texts, tokenizer, objective, length);
  if (sequences.length === 0) {
    throw new CannotError(
      `train on "${data}"`,
      `no token of it carries a loss under the objective "${objective.name}"`,
      "Check its spans and weights, or choose another objective",
    );
  }
  if (await exists(`${out}/config.json`) && !await exists(`${out}/checkpoints`)) {
    throw new CannotError(
      `train into "${out}"`,
      "it holds a model that another run made",
      "Choose another output folder",
    );
  }
  await makeFolder(out);
  using log = await openLog(`${out}/${logFile}`);
  const { precision } = choosePrecision(gpu, settings.precision);
  using model = new LanguageModel(gpu, config, weights, { gradients: true, precision });
  const outcome = await fit(model, {
    epochs: Array<readonly Sequence[]>(epochs).fill(sequences),
    perStep,
    seed,
    recompute: settings.recompute,
    objective,
    optimiser: {
      ...olmoOptimiser,
      weightDecay: settings.weightDecay,
      maxGradientNorm: settings.maxGradientNorm,
    },
    schedule: {
      peak: settings.learningRate,
      warmup: settings.warmup,
      decay: settings.decay,
      final: 0,
    },
    checkpoint: checkpointsIn(`${out}/checkpoints`, settings.checkpointEvery),
    onPlan: ({ steps, withoutLoss: stepsWithoutLoss }) =>
      onPlan?.({
        ...{ model: start.description, texts, windows: sequences.length },
        ...counts,
        ...{ steps, stepsWithoutLoss },
      }),
    onLog(entry, steps) {
      log.write(entry);
      onLog?.(entry, steps);
    },
    ...(signal && { signal }),
  });
  if (!outcome.finished) return outcome;
  if (tokenizer.save) await tokenizer.save(out);
  else await copyTokenizer(start.tokenizerFolder!, out);
  await saveModel(out, config, await model.download(), { special: tokenizer.special });
  return outcome;
}

function windowsOf(
  texts: readonly RiskyText[],
  tokenizer: Tokenizer,
  { terms, denominator }: Objective,
  length: number,
): Pick<SpanTrainingPlan, "cut" | "leftOut" | "targets"> & { sequences: Sequence[] } {
  const byText = texts.map((text) =>
    cutIntoWindows(encodeText(tokenizer, text), length, prefixLength(tokenizer))
  );
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

// llama2.c and llama.cpp tokenizers cannot be written, but they are files that can be copied.
async function copyTokenizer(from: string, to: string): Promise<void> {
  for await (const { name } of Deno.readDir(from)) {
    if (!/^(tok(enizer|\d+)\.bin|vocab\.json|gguf_metadata\.json)$/.test(name)) continue;
    await writeFileAtomic(`${to}/${name}`, await Deno.readFile(`${from}/${name}`));
  }
}
