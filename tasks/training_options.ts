// The options of tasks that train: what a model learns, with how much memory, and how fast. One table, one meaning; a
// task with other defaults overrides those, as `{ ...speedOptions, warmup: { ...speedOptions.warmup, default: 10 } }`.

import { CannotError } from "../src/base/errors.ts";
import { microBatchShape } from "../src/data/epochs.ts";
import type { Sequence } from "../src/data/sequence.ts";
import type { HeldModel } from "../src/experiments/runner.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { choosePrecision } from "../src/gpu/precision.ts";
import type { Precision } from "../src/gpu/tensor.ts";
import { type DecoderConfig, type Projection, projections } from "../src/model/config.ts";
import type { LoraSettings } from "../src/model/lora.ts";
import { modelParts } from "../src/model/parts.ts";
import type { Options, Values } from "../src/report/options.ts";
import type { FitOptions } from "../src/train/fit.ts";
import { huggingFaceOptimiser, optimiserOf } from "../src/train/optimiser.ts";
import type { StepShape } from "../src/train/recorded_step.ts";
import { spanTrainingDefaults as defaults } from "../src/train/span_training.ts";

/** What memory a training step takes. */
export const memoryOptions = {
  precision: {
    type: "string",
    choices: ["f32", "f16"],
    default: defaults.precision,
    help: "Of weights and activations; f16 scales the loss",
  },
  recompute: { type: "flag", help: "Less memory: compute activations again on the way back" },
  microBatch: {
    type: "integer",
    min: 1,
    placeholder: "m",
    help: "Most tokens at once; those of 16 windows if left out",
  },
} as const satisfies Options;

/** Which weights are learned. */
export const learnedOptions = {
  lora: {
    type: "integer",
    min: 1,
    placeholder: "r",
    help: "Learn changes of rank r (LoRA) and leave the model's weights as they are",
  },
  loraAlpha: {
    type: "number",
    min: 1e-6,
    max: 1e6,
    placeholder: "a",
    help: "They are scaled by a / r; 2 r if left out",
  },
  loraTargets: {
    type: "list",
    choices: projections,
    default: ["q_proj", "v_proj"],
    help: "The projections that change",
  },
  freeze: {
    type: "list",
    placeholder: "part",
    help: `Leave parts as they are: ${modelParts.join(", ")}, or layers:0-7`,
  },
} as const satisfies Options;

/** Where a model is saved: how LoRA is. */
export const mergeOptions = {
  merge: { type: "flag", help: "Save LoRA merged into the weights; else apart, as PEFT does" },
} as const satisfies Options;

/** How fast they are learned. */
export const speedOptions = {
  learningRate: {
    type: "number",
    default: defaults.learningRate,
    min: 0,
    max: 1e6,
    help: "The peak",
  },
  warmup: {
    type: "integer",
    default: defaults.warmup,
    min: 0,
    help: "Steps of linear warm-up",
  },
  decay: {
    type: "string",
    choices: ["constant", "linear", "cosine"],
    default: defaults.decay,
    help: "How the learning rate falls afterwards",
  },
  finalRate: {
    type: "number",
    default: defaults.finalRate,
    min: 0,
    max: 1,
    help: "The share of the peak that is left at the end, unless it is constant",
  },
  betas: {
    type: "list",
    of: "number",
    default: defaults.betas,
    min: 0,
    max: 0.999999,
    help: "Decay of AdamW's moments",
  },
  epsilon: {
    type: "number",
    default: defaults.epsilon,
    min: 1e-30,
    max: 1,
    help: "Added to the root of AdamW's second moment",
  },
  weightDecay: {
    type: "number",
    default: defaults.weightDecay,
    min: 0,
    max: 1e6,
    help: "Of matrices, not embeddings",
  },
  maxGradientNorm: {
    type: "number",
    default: defaults.maxGradientNorm,
    min: 0,
    max: 1e30,
    help: "Gradients are scaled down to this norm; 0 never does",
  },
  checkpointEvery: {
    type: "integer",
    default: defaults.checkpointEvery,
    min: 1,
    help: "Steps between checkpoints",
  },
} as const satisfies Options;

/** AdamW as the Hugging Face Trainer has it, with which the paper trains on TOFU: no decay of weights. */
export const huggingFaceDefaults = {
  decay: "linear",
  weightDecay: huggingFaceOptimiser.weightDecay,
  betas: huggingFaceOptimiser.betas,
  epsilon: huggingFaceOptimiser.epsilon,
  maxGradientNorm: huggingFaceOptimiser.maxGradientNorm,
  checkpointEvery: 200,
} as const;

/** The same options with other values where they are left out. */
export function withDefaults<O extends Options>(
  options: O,
  defaults: Partial<Record<keyof O, string | number | readonly number[]>>,
): O {
  const changed = Object.entries(options).map(([name, option]) =>
    name in defaults ? [name, { ...option, default: defaults[name] }] : [name, option]
  );
  return Object.fromEntries(changed);
}

/** Options without the values that they have where they are left out: undefined, or no items. */
export type WithoutDefaults<O extends Options> = {
  readonly [Name in keyof O]: Omit<O[Name], "default">;
};

/** The same options, left out where something else decides, such as a protocol. */
export function withoutDefaults<O extends Options>(options: O): WithoutDefaults<O> {
  const bare = Object.entries(options).map(([name, option]) => {
    const { default: _, ...rest } = option as Options[string] & { default?: unknown };
    return [name, rest];
  });
  return Object.fromEntries(bare);
}

/** Reads {@linkcode memoryOptions} and {@linkcode speedOptions}, as `fit` takes them. */
export function chosenFitting(
  options:
    & Pick<Values<typeof memoryOptions>, "microBatch" | "recompute">
    & Omit<Values<typeof speedOptions>, "checkpointEvery">,
): Pick<FitOptions, "optimiser" | "schedule" | "mostPositions" | "recompute"> {
  const { microBatch, recompute, learningRate: peak, warmup, decay, finalRate: final } = options;
  return {
    optimiser: optimiserOf(options),
    schedule: { peak, warmup, decay, final: decay === "constant" ? 1 : final },
    ...(microBatch !== undefined && { mostPositions: microBatch }),
    ...(recompute && { recompute }),
  };
}

/**
 * How the models of an experiment are held while they are trained; undefined for the usual: whole, in f32.
 *
 * @param note Is told what the adapter cannot do.
 */
export function chosenHeld(
  gpu: Gpu,
  options: Values<typeof learnedOptions> & { precision: Precision },
  given: ReadonlySet<string>,
  note: (line: string) => void,
): HeldModel | undefined {
  const { precision, note: missing } = choosePrecision(gpu, options.precision);
  if (missing) note(missing);
  const { lora, freeze } = chosenLearned(options, given);
  if (precision === "f32" && !lora && !freeze) return undefined;
  return { precision, ...(lora && { lora }), ...(freeze && { freeze }) };
}

/** What the options of an experiment can change of its steps; how long its sequences are, its data decide. */
export const adjustableSteps = ["rows", "recompute", "precision", "lora"] as const;

/** The step of an experiment that takes most memory: all of its sequences are as long as the longest. */
export function largestStep(
  config: DecoderConfig,
  longest: Sequence,
  training: Pick<FitOptions, "perStep" | "mostPositions" | "recompute">,
  held: HeldModel | undefined,
): StepShape {
  const { perStep, mostPositions, recompute } = training;
  const step = new Array<Sequence>(perStep).fill(longest);
  const { precision = "f32", lora, freeze } = held ?? {};
  return {
    ...{ config, precision, recompute, lora, freeze },
    ...microBatchShape([step], config.contextLength, mostPositions),
  };
}

/** Micro-batches of a step, by how many sequences of a length stand behind each other in its rows. */
export function countMicroBatches(
  { rows, time }: Pick<StepShape, "rows" | "time">,
  { perStep, length }: { perStep: number; length: number },
): number {
  const perRow = Math.max(1, Math.floor(time / (length - 1))); // of its last token nothing is predicted
  return Math.ceil(perStep / (rows * perRow));
}

/** What a model learns, as the options say it. */
export interface Learned {
  /** LoRA, if it is wanted. */
  lora: LoraSettings | undefined;
  /** The parts that stay as they are, if there are any. */
  freeze: readonly string[] | undefined;
}

/**
 * Reads {@linkcode learnedOptions}.
 *
 * @param given The options that are not left out.
 * @throws {CannotError} for options of LoRA without it.
 */
export function chosenLearned(
  { lora: rank, loraAlpha, loraTargets, freeze }: Values<typeof learnedOptions>,
  given: ReadonlySet<string>,
): Learned {
  const parts = freeze.length > 0 ? freeze : undefined;
  if (rank !== undefined) {
    const targets = loraTargets as Projection[];
    return { lora: { rank, alpha: loraAlpha ?? 2 * rank, targets }, freeze: parts };
  }
  for (const [name, flag] of [["loraAlpha", "--lora-alpha"], ["loraTargets", "--lora-targets"]]) {
    if (!given.has(name!)) continue;
    throw new CannotError("train", `${flag} is an option of LoRA`, "Give its rank with --lora");
  }
  return { lora: undefined, freeze: parts };
}
