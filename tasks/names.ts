// What demo and tofu do with their experiment: run it, print its table, write results.json and the picture.

import { labelNoises } from "../src/data/label_noise.ts";
import {
  answerControls,
  answerMethods,
  filteringMethods,
  type Method,
} from "../src/data/method.ts";
import { compareNames } from "../src/experiments/names/comparison.ts";
import { questionPrompt } from "../src/data/sources/tofu.ts";
import {
  type NameExperiment,
  nameExperiment,
  nameSequences,
  type NameTraining,
} from "../src/experiments/names/experiment.ts";
import type { DecoderConfig } from "../src/model/config.ts";
import { expectFitting } from "../src/train/fitting_memory.ts";
import type { StepShape } from "../src/train/recorded_step.ts";
import {
  describeNames,
  drawNames,
  nameGenerations,
  renderNameAnswers,
  renderNameComparisons,
  renderNameTable,
  summariseNames,
} from "../src/experiments/names/report.ts";
import { renderGeneral, summariseGeneral } from "../src/experiments/names/general_report.ts";
import { recordExperiment } from "../src/experiments/record.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { nameForms } from "../src/label/names.ts";
import type { Terminal } from "../src/report/command_line.ts";
import type { Options, Values } from "../src/report/options.ts";
import { hasColours, runWithProgress, seedsOption, writeExperiment } from "./shared.ts";
import { adjustableSteps, chosenFitting, largestStep } from "./training_options.ts";

/** The methods that both tasks know. */
export const nameMethods: readonly Method[] = [
  ...answerMethods,
  ...answerControls,
  ...filteringMethods,
];

/** The options of both tasks about which methods are compared, and how good the labels are. */
export const nameOptions = {
  methods: {
    type: "list",
    choices: nameMethods.map(({ name }) => name),
    default: ["direct", "masked", "unlikelihood", ...answerControls.map(({ name }) => name)],
    help: "How to train; wrong_facts and format_only are controls",
  },
  seeds: { ...seedsOption, default: [0, 1, 2] },
  labelNoise: {
    type: "string",
    choices: labelNoises,
    help: "Spoil labels: miss spans, flip them with harmless stretches, or widen them by words",
  },
  noiseShare: { type: "number", default: 0.1, min: 0, max: 1, help: "Share of spans spoilt so" },
} as const satisfies Options;

/** The methods that are wanted; unless they were named, without the control that no replay would leave nothing to train on. */
export function wantedMethods(
  { methods, replay }: { methods: readonly string[]; replay: number },
  given: ReadonlySet<string>,
): string[] {
  const isIdle = (name: string) =>
    replay === 0 && nameMethods.find((method) => method.name === name)?.takes === "nothing";
  return methods.filter((name) => given.has("methods") || !isIdle(name));
}

/** The noise that options ask for. */
export function chosenNoise(
  { labelNoise: kind, noiseShare: share }: Values<
    Pick<typeof nameOptions, "labelNoise" | "noiseShare">
  >,
): Pick<NameTraining, "labelNoise"> {
  return kind === undefined ? {} : { labelNoise: { kind, share, seed: 0 } };
}

/** The options of both tasks. */
export interface NameTaskOptions {
  out: string;
  checkpointEvery: number;
  keepModels: "auto" | "yes" | "no";
  measure?: string | undefined;
}

/** How the target stage of a name experiment trains, as the options say it. */
export function nameTraining(
  options: Parameters<typeof chosenFitting>[0],
): Pick<NameTraining, "learningRate" | "schedule" | "optimiser" | "mostPositions" | "recompute"> {
  const { schedule: { peak: learningRate, ...schedule }, ...fitting } = chosenFitting(options);
  return { ...fitting, learningRate, schedule };
}

/** The step that an experiment takes most memory for. */
export function nameStep(
  experiment: Pick<NameExperiment, "tokenizer" | "task" | "training" | "held">,
  config: DecoderConfig,
): StepShape {
  const { answers, replay } = nameSequences(experiment);
  const longest = [...answers, ...replay].reduce((a, b) =>
    b.tokens.length > a.tokens.length ? b : a
  );
  return largestStep(config, longest, experiment.training, experiment.held);
}

function expectNamesFit(gpu: Gpu, experiment: NameExperiment): void {
  expectFitting(gpu, nameStep(experiment, experiment.base.config), { adjustable: adjustableSteps });
}

/**
 * Runs it, prints its table, and writes results and picture.
 *
 * @param base The folder of the model that every run starts from.
 */
export async function runNames(
  gpu: Gpu,
  experiment: NameExperiment,
  options: NameTaskOptions,
  base: string,
  terminal: Terminal,
): Promise<object> {
  const { out, keepModels, measure, checkpointEvery } = options;
  const began = performance.now();
  if (measure === undefined) expectNamesFit(gpu, experiment);
  const planned = await nameExperiment(experiment);
  await recordExperiment(
    out,
    { base, prompt: questionPrompt("{question}"), methods: experiment.methods },
    experiment.task.names.flatMap(nameForms),
  );
  const outcomes = await runWithProgress(gpu, planned, out, terminal, {
    describe: describeNames,
    ...{ keepModels, checkpointEvery },
    onlyMeasure: measure !== undefined,
  });
  const summary = summariseNames(outcomes), comparisons = compareNames(outcomes);
  terminal.print(renderNameTable(summary));
  if (comparisons.length > 0) terminal.print(`\n${renderNameComparisons(comparisons, summary)}\n`);
  const general = summariseGeneral(outcomes);
  if (general.length > 0) terminal.print(`\n${renderGeneral(general)}\n`);
  const colour = !terminal.json && hasColours(Deno.stdout);
  terminal.print(`\n${renderNameAnswers(outcomes, experiment.task.names, { colour })}\n`);
  const results = await writeExperiment(out, terminal, {
    ...{ gpu, options, seeds: experiment.seeds, began },
    metrics: { summary, comparisons, ...(general.length > 0 && { general }) },
    generations: nameGenerations(outcomes),
  });
  const plot = await drawNames(out, summary);
  terminal.print(`Every answer is in ${results}, the picture in ${plot}`);
  return { summary, comparisons, results, plot };
}
