// deno task demo: SLUNG in minutes, nothing downloaded. A small base model that ships with the project learns about 20
// invented authors three ways; the table shows what each model knows and whom it names.

import { answerMethods } from "../src/data/method.ts";
import { inventedTask, shippedWorld } from "../src/experiments/names/invented.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { readPretrained } from "../src/model/pretrained.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { huggingFaceOptimiser } from "../src/train/optimiser.ts";
import { runNames } from "./names.ts";
import { chosenMethods, experimentOptions, seedsOption, withEarlierOptions } from "./shared.ts";

const command = defineCommand({
  name: "demo",
  summary: "Trains a small model on invented authors directly, masked and with unlikelihood.",
  examples: ["", "--seeds 0,1,2 --out runs/demo-seeds"],
  options: {
    out: { type: "path", default: "runs/demo", placeholder: "folder", help: "Where results go" },
    seeds: seedsOption,
    epochs: { type: "integer", default: 10, min: 1, max: 1e6, help: "Epochs over the targets" },
    learningRate: {
      type: "number",
      default: 2e-3,
      min: 0,
      max: 1e6,
      help: "Peak; decays linearly to 0",
    },
    replay: {
      type: "integer",
      default: 200,
      min: 0,
      help: "Questions about other authors replayed",
    },
    ...experimentOptions,
  },
  async run(now, terminal, given) {
    const options = await withEarlierOptions(now, given);
    const { epochs, learningRate, replay, seeds, objective } = options;
    using gpu = await Gpu.open();
    const { tokenizer, description, source } = await readPretrained(
      `${import.meta.dirname}/../models/invented-base`,
    );
    terminal.note(`${description}; ${gpu.adapter.name}`);
    return await runNames(
      gpu,
      {
        base: source,
        tokenizer,
        task: inventedTask(shippedWorld, replay),
        training: {
          epochs,
          answerPasses: 2,
          perStep: 32,
          learningRate,
          optimiser: huggingFaceOptimiser,
          endOfText: true,
        },
        methods: await chosenMethods(
          ["direct", "masked", "unlikelihood"],
          answerMethods,
          objective,
        ),
        seeds: seeds as number[],
        maxNewTokens: 32,
      },
      options,
      terminal,
    );
  },
});

export default command;

if (import.meta.main) await runCommand(command);
