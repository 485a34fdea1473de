// deno task tofu --data FILE: the paper's TOFU experiment (section 5) on the real data. A base model is trained on the
// questions and answers of other authors (or given), then on the bare answers about the target authors under each
// method; then every question about them is asked.

import { CannotError } from "../src/base/errors.ts";
import { readText } from "../src/base/files.ts";
import { answerMethods } from "../src/data/method.ts";
import { tofuData, tofuPretraining } from "../src/experiments/names/tofu.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { readPretrained } from "../src/model/pretrained.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { huggingFaceOptimiser } from "../src/train/optimiser.ts";
import { besideOnHub, fetchNamed, orDatasetName, orModelName } from "./hub.ts";
import { runNames } from "./names.ts";
import {
  chosenMethods,
  experimentOptions,
  pretrainWithProgress,
  seedsOption,
  withEarlierOptions,
} from "./shared.ts";

const command = defineCommand({
  name: "tofu",
  summary: "Trains on TOFU's fictitious authors directly, masked and with unlikelihood, and asks.",
  examples: [
    "--data path/to/tofu/full.jsonl --seeds 0,1,2",
    "--data datasets/locuslab/TOFU/full.json --base allenai/OLMo-1B-hf",
    "--measure runs/tofu --max-new-tokens 32",
  ],
  options: {
    data: {
      ...orDatasetName,
      placeholder: "file",
      help: "TOFU's full.json, e.g. datasets/locuslab/TOFU/full.json on the hub",
    },
    targets: {
      ...orDatasetName,
      placeholder: "file",
      help: "Rows of the target authors; retain_perturbed.json beside the data",
    },
    names: {
      type: "path",
      placeholder: "file",
      help: "The targets' full names, one a line; found from the data if left out",
    },
    out: { type: "path", default: "runs/tofu", placeholder: "folder", help: "Where results go" },
    base: { ...orModelName, placeholder: "model", help: "A base model; trained here if left out" },
    baseAuthors: {
      type: "integer",
      default: 180,
      min: 1,
      help: "Other authors to train the base on",
    },
    baseEpochs: { type: "integer", default: 8, min: 1, max: 1e6, help: "Epochs of the base" },
    baseLearningRate: { type: "number", default: 2e-3, min: 0, max: 1e6, help: "Peak of the base" },
    width: { type: "integer", default: 128, min: 16, max: 65536, help: "Width of the base" },
    layers: { type: "integer", default: 3, min: 1, max: 1000, help: "Layers of the base" },
    vocabulary: {
      type: "integer",
      default: 4096,
      min: 512,
      max: 2 ** 24,
      help: "Tokens of the base",
    },
    methods: {
      type: "list",
      choices: answerMethods.map(({ name }) => name),
      default: ["direct", "masked", "unlikelihood"],
      help: "How to train",
    },
    seeds: seedsOption,
    epochs: { type: "integer", default: 12, min: 1, max: 1e6, help: "Epochs over the targets" },
    answerPasses: {
      type: "integer",
      default: 2,
      min: 1,
      help: "Passes over the answers in an epoch",
    },
    replay: { type: "integer", default: 400, min: 0, help: "Base questions replayed in an epoch" },
    perStep: { type: "integer", default: 32, min: 1, help: "Texts per optimiser step" },
    learningRate: {
      type: "number",
      default: 7e-4,
      min: 0,
      max: 1e6,
      help: "Peak; decays linearly to 0",
    },
    endOfText: { type: "flag", help: "Append EOS to the answers; the paper does not" },
    maxNewTokens: { type: "integer", default: 64, min: 1, help: "Longest answer" },
    ...experimentOptions,
  },
  async run(now, terminal, given) {
    const chosen = await withEarlierOptions(now, given);
    const options = await fetchNamed({
      ...chosen,
      targets: chosen.targets ?? besideOnHub(chosen.data, "retain_perturbed.json"),
    }, terminal);
    const { out, seeds, perStep, methods, objective } = options;
    const { epochs, answerPasses, learningRate, endOfText, maxNewTokens } = options;
    if (options.data === undefined) {
      throw new CannotError("run tofu", "--data is missing", "Give TOFU's full.jsonl");
    }
    const data = await tofuData({
      ...options,
      data: options.data,
      names: options.names === undefined ? undefined : await readNames(options.names),
    });
    terminal.note(data.description);
    using gpu = await Gpu.open();
    const base = options.base ?? `${out}/base`;
    if (!options.base) {
      const pretraining = tofuPretraining(data, {
        ...options,
        epochs: options.baseEpochs,
        learningRate: options.baseLearningRate,
      });
      await pretrainWithProgress(gpu, base, pretraining, terminal);
    }
    const { tokenizer, description, source } = await readPretrained(base);
    terminal.note(`${description}; ${gpu.adapter.name}`);
    return await runNames(
      gpu,
      {
        base: source,
        tokenizer,
        task: data.task,
        training: {
          epochs,
          answerPasses,
          perStep,
          learningRate,
          optimiser: huggingFaceOptimiser,
          endOfText,
        },
        methods: await chosenMethods(methods, answerMethods, objective),
        seeds: seeds as number[],
        maxNewTokens,
      },
      options,
      terminal,
    );
  },
});

export default command;

if (import.meta.main) await runCommand(command);

async function readNames(file: string): Promise<string[]> {
  return (await readText(file)).split("\n").map((name) => name.trim()).filter(Boolean);
}
