// deno task notes: SLUNG on personal data. Notes of an invented workshop, what is personal in them marked by a list of names
// and by patterns; who gives it away, who knows what else stands there, and who knows what only its readers can.

import { answerMethods, filteringMethods, paperMethods } from "../src/data/method.ts";
import { inventedMachines } from "../src/data/sources/invented_notes.ts";
import { notesExperiment, personalPhrases } from "../src/experiments/notes/experiment.ts";
import {
  compareNotes,
  describeNotes,
  drawNotes,
  notesGenerations,
  renderNotes,
  summariseNotes,
} from "../src/experiments/notes/report.ts";
import { recordExperiment } from "../src/experiments/record.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { readPretrained } from "../src/model/pretrained.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import {
  chosenMethods,
  experimentOptions,
  runWithProgress,
  seedsOption,
  withEarlierOptions,
  writeExperiment,
} from "./shared.ts";
import {
  chosenFitting,
  huggingFaceDefaults,
  speedOptions,
  withDefaults,
} from "./training_options.ts";

const methods = [
  ...paperMethods.filter(({ name }) => name === "low_risk"),
  ...answerMethods,
  ...filteringMethods.filter(({ takes }) => takes === "hidden"),
];

const command = defineCommand({
  name: "notes",
  summary: "Trains on notes with personal data in them; who gives it away, and who knows what.",
  examples: ["--seeds 0", "--methods direct,masked --epochs 20 --out runs/notes-20"],
  options: {
    out: { type: "path", default: "runs/notes", placeholder: "folder", help: "Where results go" },
    methods: {
      type: "list",
      choices: methods.map(({ name }) => name),
      default: ["low_risk", "direct", "masked", "unlikelihood", "token_removal"],
      help: "How to train on personal data",
    },
    seeds: { ...seedsOption, default: [0, 1, 2] },
    workshop: {
      type: "integer",
      default: 5,
      min: 0,
      max: 2 ** 31 - 1,
      help: "Decides machines, people and notes",
    },
    notes: { type: "integer", default: 60, min: 1, max: 100_000, help: "How many are read" },
    epochs: { type: "integer", default: 40, min: 1, max: 1e6, help: "Passes over them" },
    perStep: { type: "integer", default: 16, min: 1, help: "Notes per step" },
    ...withDefaults(speedOptions, { ...huggingFaceDefaults, learningRate: 1e-3 }),
    ...experimentOptions,
  },
  async run(now, terminal, given) {
    const options = await withEarlierOptions(now, given);
    const { out, seeds, workshop, notes, epochs, perStep, measure } = options;
    const began = performance.now();
    using gpu = await Gpu.open();
    const base = `${import.meta.dirname}/../models/invented-base`;
    const { tokenizer, description, source } = await readPretrained(base);
    terminal.note(`${description}; ${gpu.adapter.name}`);
    const { objective, denominator, keepModels, checkpointEvery } = options;
    const chosen = await chosenMethods(options.methods, methods, objective, denominator);
    const planned = await notesExperiment({
      ...{ base: source, tokenizer, workshop, notes, methods: chosen },
      training: {
        ...{ epochs, perStep },
        ...chosenFitting({ ...options, microBatch: undefined, recompute: false }),
      },
      seeds: seeds as number[],
    });
    await recordExperiment(
      out,
      { base, prompt: "{question}", methods: chosen },
      personalPhrases(inventedMachines(workshop)),
    );
    const outcomes = await runWithProgress(gpu, planned, out, terminal, {
      describe: describeNotes,
      ...{ keepModels, checkpointEvery },
      onlyMeasure: measure !== undefined,
    });
    const summary = summariseNotes(outcomes), comparisons = compareNotes(outcomes);
    terminal.print(renderNotes(summary, comparisons));
    const generations = notesGenerations(outcomes), metrics = { summary, comparisons };
    const results = await writeExperiment(out, terminal, {
      ...{ gpu, options, seeds, metrics, generations, began },
    });
    const plot = await drawNotes(out, summary);
    terminal.print(`All that the models wrote is in ${results}, the picture in ${plot}`);
    return { summary, comparisons, results, plot };
  },
});

export default command;

if (import.meta.main) await runCommand(command);
