// What demo and tofu do with their experiment: run it, print its table, write results.json and the picture.

import { describeProcess } from "../src/base/process.ts";
import { questionPrompt } from "../src/data/sources/tofu.ts";
import { type NameExperiment, nameExperiment } from "../src/experiments/names/experiment.ts";
import {
  describeNames,
  drawNames,
  nameGenerations,
  renderNameTable,
  summariseNames,
} from "../src/experiments/names/report.ts";
import { recordExperiment } from "../src/experiments/record.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { nameForms } from "../src/label/names.ts";
import type { Terminal } from "../src/report/command_line.ts";
import { writeResults } from "../src/report/results.ts";
import { asJson, runWithProgress } from "./shared.ts";

/** The options of both tasks. */
export interface NameTaskOptions {
  out: string;
  keepModels: "auto" | "yes" | "no";
  measure?: string | undefined;
}

/** @param base The folder of the model that every run starts from. */
export async function runNames(
  gpu: Gpu,
  experiment: NameExperiment,
  options: NameTaskOptions,
  base: string,
  terminal: Terminal,
): Promise<object> {
  const { out, keepModels, measure } = options;
  const began = performance.now();
  await recordExperiment(
    out,
    { base, prompt: questionPrompt("{question}"), methods: experiment.methods },
    experiment.task.names.flatMap(nameForms),
  );
  const outcomes = await runWithProgress(gpu, await nameExperiment(experiment), out, terminal, {
    describe: describeNames,
    keepModels,
    onlyMeasure: measure !== undefined,
  });
  const summary = summariseNames(outcomes);
  terminal.print(renderNameTable(summary));
  if (gpu.adapter.software) terminal.print(`Computed on a software adapter (${gpu.adapter.name}).`);
  const results = await writeResults(out, {
    ...describeProcess(),
    config: asJson({ ...options }),
    seeds: Object.fromEntries(experiment.seeds.map((seed) => [`seed ${seed}`, seed])),
    adapter: gpu.adapter,
    metrics: Object.fromEntries(summary.map(({ method, values }) => [method, asJson(values)])),
    generations: nameGenerations(outcomes),
    timing: { seconds: Math.round((performance.now() - began) / 100) / 10 },
  });
  const plot = await drawNames(out, summary);
  terminal.print(`Every answer is in ${results}, the picture in ${plot}`);
  return { summary, results, plot };
}
