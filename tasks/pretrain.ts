// deno task pretrain: makes the small base model that ships with the project, from nothing but a seed.

import { baseSequences, shippedWorld, worldTokenizer } from "../src/experiments/names/invented.ts";
import { smallOlmo } from "../src/experiments/small_olmo.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { choosePrecision } from "../src/gpu/precision.ts";
import type { Precision } from "../src/gpu/tensor.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import type { PretrainingOptions } from "../src/train/pretraining.ts";
import { pretrainWithProgress } from "./shared.ts";
import { chosenFitting, memoryOptions, speedOptions, withDefaults } from "./training_options.ts";

const command = defineCommand({
  name: "pretrain",
  summary: "Pre-trains the base model of the demo on invented authors.",
  examples: ["", "--width 128 --epochs 4 --out runs/wider-base"],
  options: {
    out: {
      type: "path",
      default: "runs/invented-base",
      placeholder: "folder",
      help: "Where the model goes",
    },
    width: { type: "integer", default: 96, min: 16, max: 65536, help: "Width of the model" },
    layers: { type: "integer", default: 3, min: 1, max: 1000, help: "Layers" },
    heads: { type: "integer", default: 4, min: 1, max: 1000, help: "Heads" },
    vocabulary: { type: "integer", default: 1024, min: 512, max: 2 ** 24, help: "Tokens" },
    epochs: { type: "integer", default: 3, min: 1, max: 1e6, help: "Epochs" },
    perStep: { type: "integer", default: 32, min: 1, help: "Texts per optimiser step" },
    ...memoryOptions,
    ...withDefaults(speedOptions, {
      ...{ learningRate: 2e-3, warmup: 100, decay: "cosine", finalRate: 0.1 },
      checkpointEvery: 200,
    }),
    seed: {
      type: "integer",
      default: 1,
      min: 0,
      max: 2 ** 32 - 1,
      help: "Of fresh weights and of the order",
    },
  },
  async run(options, terminal, given) {
    const { out, width, layers, heads, vocabulary } = options;
    using gpu = await Gpu.open();
    const tokenizer = worldTokenizer(shippedWorld, vocabulary);
    const vocabularySize = Math.ceil(tokenizer.vocabularySize / 64) * 64;
    const config = smallOlmo({ width, layers, heads, vocabularySize });
    const model = await pretrainWithProgress(gpu, out, {
      ...pretrainingOptions(gpu, options, given, terminal),
      config,
      tokenizer,
      sequences: baseSequences(shippedWorld, tokenizer),
      dtype: "F16",
      adjustable: ["rows", "recompute", "precision"],
    }, terminal);
    terminal.print(`${model.describe} in ${out}`);
    return { out, config };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

// Settings that are the usual ones are left out: a model that was made before they were options is known again.
function pretrainingOptions(
  gpu: Gpu,
  options: Parameters<typeof chosenFitting>[0] & {
    epochs: number;
    perStep: number;
    seed: number;
    precision: Precision;
    checkpointEvery: number;
  },
  given: ReadonlySet<string>,
  terminal: Terminal,
): Omit<PretrainingOptions, "config" | "tokenizer" | "sequences"> {
  const { epochs, perStep, seed, checkpointEvery } = options;
  const { optimiser, schedule: { peak, ...schedule }, mostPositions, recompute } = chosenFitting(
    options,
  );
  const { precision, note } = choosePrecision(gpu, options.precision);
  if (note) terminal.note(note);
  const isGiven = (...names: string[]) => names.some((name) => given.has(name));
  return {
    ...{ epochs, perStep, seed, checkpointEvery, precision, learningRate: peak },
    ...{ mostPositions, recompute },
    ...(isGiven("warmup", "decay", "finalRate") && { schedule }),
    ...(isGiven("betas", "epsilon", "weightDecay", "maxGradientNorm") && { optimiser }),
  };
}
