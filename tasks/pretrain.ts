// deno task pretrain: makes the small base model that ships with the project, from nothing but a seed.

import { baseSequences, shippedWorld, worldTokenizer } from "../src/experiments/names/invented.ts";
import { smallOlmo } from "../src/experiments/small_olmo.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { pretrainWithProgress } from "./shared.ts";

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
    learningRate: {
      type: "number",
      default: 2e-3,
      min: 0,
      max: 1e6,
      help: "Peak; cosine decay to a tenth",
    },
    seed: { type: "integer", default: 1, min: 0, max: 2 ** 32 - 1, help: "Of weights and order" },
  },
  async run(options, terminal) {
    const { out, width, layers, heads, vocabulary } = options;
    using gpu = await Gpu.open();
    const tokenizer = worldTokenizer(shippedWorld, vocabulary);
    const vocabularySize = Math.ceil(tokenizer.vocabularySize / 64) * 64;
    const config = smallOlmo({ width, layers, heads, vocabularySize });
    const model = await pretrainWithProgress(gpu, out, {
      ...options,
      config,
      tokenizer,
      sequences: baseSequences(shippedWorld, tokenizer),
      dtype: "F16",
    }, terminal);
    terminal.print(`${model.describe} in ${out}`);
    return { out, config };
  },
});

export default command;

if (import.meta.main) await runCommand(command);
