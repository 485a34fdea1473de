// deno task tofu --data FILE: the paper's TOFU experiment (section 5) on the real data. A base model is trained on the
// questions and answers of other authors (or given), then on the bare answers about the target authors under each
// objective; then every question about them is asked.

import {
  authorName,
  authorNames,
  groupByAuthor,
  huggingFaceOptimiser,
  type NameTask,
  objectiveNames,
  questionAndAnswer,
  questionSequences,
  Random,
  readPretrained,
  readText,
  readTofu,
  rowsPerAuthor,
  rowsWithNames,
  runCommand,
  smallOlmo,
  splitAuthors,
  swapNames,
  trainBytePair,
} from "../mod.ts";
import { openGpu, pretrainWithProgress, runAndReport } from "./shared.ts";

await runCommand({
  name: "tofu",
  summary: "Trains on TOFU's fictitious authors directly, masked and with unlikelihood, and asks.",
  options: {
    data: { type: "string", required: true, placeholder: "file", help: "TOFU's full.jsonl" },
    targets: {
      type: "string",
      placeholder: "file",
      help: "Rows of the target authors; retain_perturbed.json beside the data",
    },
    names: {
      type: "string",
      placeholder: "file",
      help: "The targets' full names, one a line; found from the data if left out",
    },
    out: { type: "string", default: "runs/tofu", placeholder: "folder", help: "Where results go" },
    base: { type: "string", placeholder: "folder", help: "A base model; trained here if left out" },
    baseAuthors: {
      type: "integer",
      default: 180,
      min: 1,
      help: "Other authors to train the base on",
    },
    baseEpochs: { type: "integer", default: 8, min: 1, help: "Epochs of the base" },
    baseLearningRate: { type: "number", default: 2e-3, min: 0, help: "Peak of the base" },
    width: { type: "integer", default: 128, min: 16, help: "Width of the base" },
    layers: { type: "integer", default: 3, min: 1, help: "Layers of the base" },
    vocabulary: { type: "integer", default: 4096, min: 512, help: "Tokens of the base" },
    methods: {
      type: "list",
      choices: objectiveNames,
      default: ["direct", "masked", "unlikelihood"],
      help: "Objectives",
    },
    seeds: { type: "list", of: "integer", default: [0], help: "One model per method and seed" },
    epochs: { type: "integer", default: 12, min: 1, help: "Epochs over the targets" },
    answerPasses: {
      type: "integer",
      default: 2,
      min: 1,
      help: "Passes over the answers in an epoch",
    },
    replay: { type: "integer", default: 400, min: 0, help: "Base questions replayed in an epoch" },
    perStep: { type: "integer", default: 32, min: 1, help: "Texts per optimiser step" },
    learningRate: { type: "number", default: 7e-4, min: 0, help: "Peak; decays linearly to 0" },
    endOfText: { type: "flag", help: "Append EOS to the answers; the paper does not" },
    maxNewTokens: { type: "integer", default: 64, min: 1, help: "Longest answer" },
  },
  async run(options, terminal) {
    const { data, out, seeds, vocabulary, width, layers, perStep } = options;
    const targetFile = options.targets ?? data.replace(/[^/]*$/, "retain_perturbed.json");
    const full = await readTofu(data);
    const targetRows = await readTofu(targetFile);
    const names = options.names
      ? (await readText(options.names)).split("\n").map((name) => name.trim()).filter(Boolean)
      : authorNames(targetRows);
    const split = splitAuthors(full, targetRows, { baseAuthors: options.baseAuthors });
    const baseRows = split.base.flat();
    const rows = rowsWithNames(targetRows, names);
    const authors = groupByAuthor(targetRows, rowsPerAuthor).length;
    terminal.note(
      `${rows.length} questions about ${authors} target authors; ` +
        `${baseRows.length} about ${split.base.length} others`,
    );
    // Replayed names are as risky, so authors whose name cannot be told are not replayed.
    const named = split.base.filter((author) => authorName(author) !== undefined);
    const replay = new Random(0, "replay").shuffle(named.flat()).slice(0, options.replay);
    const task: NameTask = {
      rows,
      names,
      replay,
      replayNames: named.map((author) => authorName(author)!),
    };

    using gpu = await openGpu(terminal);
    const base = options.base ?? `${out}/base`;
    if (!options.base) {
      // The tokenizer has seen all texts, as a pre-trained model's would have; the model has not.
      const tokenizer = trainBytePair([...baseRows, ...rows].map(questionAndAnswer), vocabulary);
      const vocabularySize = Math.ceil(tokenizer.vocabularySize / 64) * 64;
      const heads = Math.max(1, Math.round(width / 32));
      await pretrainWithProgress(gpu, base, {
        config: smallOlmo({ width, layers, heads, vocabularySize }),
        tokenizer,
        // New names in every epoch: the base has to read them in the question, and so learns to copy names.
        sequences: (epoch) =>
          questionSequences(
            tokenizer,
            swapNames(split.base, new Random(epoch, "swapped names")).flat(),
          ),
        epochs: options.baseEpochs,
        perStep,
        learningRate: options.baseLearningRate,
        seed: 0,
      }, terminal);
    }
    const { tokenizer, description, source } = await readPretrained(base);
    terminal.note(`${description}; ${gpu.adapter.name}`);
    const { epochs, answerPasses, learningRate, endOfText, maxNewTokens, methods } = options;
    const experiment = {
      base: source,
      tokenizer,
      task,
      settings: {
        epochs,
        answerPasses,
        perStep,
        learningRate,
        optimiser: huggingFaceOptimiser,
        endOfText,
      },
      methods,
      seeds: seeds as number[],
      maxNewTokens,
    };
    const config = Object.entries(options).map(([key, value]) =>
      [key, Array.isArray(value) ? value.join() : value ?? null] as const
    );
    return await runAndReport(gpu, experiment, out, terminal, Object.fromEntries(config));
  },
});
