// deno task demo: SLUNG in minutes, nothing downloaded. A small base model that ships with the project learns about 20
// invented authors three ways; the table shows what each model knows and whom it names.

import { inventedTask, shippedWorld } from "../src/experiments/names/invented.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { readPretrained } from "../src/model/pretrained.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import {
  chosenNoise,
  nameMethods,
  nameOptions,
  nameTraining,
  runNames,
  wantedMethods,
} from "./names.ts";
import { chosenMethods, experimentOptions, withEarlierOptions } from "./shared.ts";
import {
  chosenHeld,
  huggingFaceDefaults,
  learnedOptions,
  memoryOptions,
  speedOptions,
  withDefaults,
} from "./training_options.ts";

const command = defineCommand({
  name: "demo",
  summary: "Trains a small model on invented authors directly, masked and with unlikelihood.",
  examples: [
    "--seeds 0",
    "--seeds 0 --methods masked,token_removal,document_filtering --out runs/demo-filtered",
  ],
  options: {
    out: { type: "path", default: "runs/demo", placeholder: "folder", help: "Where results go" },
    ...nameOptions,
    epochs: { type: "integer", default: 10, min: 1, max: 1e6, help: "Epochs over the targets" },
    replay: {
      type: "integer",
      default: 200,
      min: 0,
      max: 1e6,
      help: "Questions about other authors replayed",
    },
    ...memoryOptions,
    ...learnedOptions,
    ...withDefaults(speedOptions, { ...huggingFaceDefaults, learningRate: 2e-3 }),
    ...experimentOptions,
  },
  async run(now, terminal, given) {
    const options = await withEarlierOptions(now, given);
    const { epochs, replay, seeds, objective, denominator } = options;
    using gpu = await Gpu.open();
    const base = `${import.meta.dirname}/../models/invented-base`;
    const { tokenizer, description, source } = await readPretrained(base);
    terminal.note(`${description}; ${gpu.adapter.name}`);
    const held = chosenHeld(gpu, options, given, terminal.note);
    return await runNames(
      gpu,
      {
        ...(held && { held }),
        base: source,
        tokenizer,
        task: inventedTask(shippedWorld, replay),
        training: {
          epochs,
          answerPasses: 2,
          perStep: 32,
          ...nameTraining(options),
          endOfText: true,
          ...chosenNoise(options),
        },
        methods: await chosenMethods(
          wantedMethods(options, given),
          nameMethods,
          objective,
          denominator,
        ),
        seeds: seeds as number[],
        maxNewTokens: 32,
      },
      options,
      base,
      terminal,
    );
  },
});

export default command;

if (import.meta.main) await runCommand(command);
