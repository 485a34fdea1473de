// deno task demo: SLUNG in minutes, nothing downloaded. A small base model that ships with the project learns about 20
// invented authors three ways; the table shows what each model knows and whom it names.

import {
  huggingFaceOptimiser,
  inventedTask,
  readPretrained,
  runCommand,
  shippedWorld,
} from "../mod.ts";
import { openGpu, runAndReport } from "./shared.ts";

const shippedModel = decodeURIComponent(
  new URL("../models/invented-base", import.meta.url).pathname,
);

await runCommand({
  name: "demo",
  summary: "Trains a small model on invented authors directly, masked and with unlikelihood.",
  options: {
    out: { type: "string", default: "runs/demo", placeholder: "folder", help: "Where results go" },
    seeds: { type: "list", of: "integer", default: [0], help: "One model per method and seed" },
    epochs: { type: "integer", default: 10, min: 1, help: "Epochs over the targets" },
    learningRate: { type: "number", default: 2e-3, min: 0, help: "Peak; decays linearly to 0" },
    replay: {
      type: "integer",
      default: 200,
      min: 0,
      help: "Questions about other authors replayed",
    },
  },
  async run({ out, seeds, epochs, learningRate, replay }, terminal) {
    using gpu = await openGpu(terminal);
    const { tokenizer, description, source } = await readPretrained(shippedModel);
    terminal.note(`${description}; ${gpu.adapter.name}`);
    const experiment = {
      base: source,
      tokenizer,
      task: inventedTask(shippedWorld, replay),
      settings: {
        epochs,
        answerPasses: 2,
        perStep: 32,
        learningRate,
        optimiser: huggingFaceOptimiser,
        endOfText: true,
      },
      methods: ["direct", "masked", "unlikelihood"] as const,
      seeds: seeds as number[],
      maxNewTokens: 32,
    };
    return await runAndReport(gpu, experiment, out, terminal, { epochs, learningRate, replay });
  },
});
