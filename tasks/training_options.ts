// The options of tasks that train: what a model learns, with how much memory, and how fast. One table, one meaning; a
// task with other defaults overrides those, as `{ ...speedOptions, warmup: { ...speedOptions.warmup, default: 10 } }`.

import { CannotError } from "../src/base/errors.ts";
import { type Projection, projections } from "../src/model/config.ts";
import type { LoraSettings } from "../src/model/lora.ts";
import { modelParts } from "../src/model/parts.ts";
import type { Options, Values } from "../src/report/options.ts";
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
  merge: { type: "flag", help: "Save LoRA merged into the weights; else apart, as PEFT does" },
  freeze: {
    type: "list",
    placeholder: "part",
    help: `Leave parts as they are: ${modelParts.join(", ")}, or layers:0-7`,
  },
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
    help: "How the learning rate falls to 0 afterwards",
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
