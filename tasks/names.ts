// What demo and tofu do with their experiment: run it, print its table, write results.json and the picture.

import { type NameExperiment, nameExperiment } from "../src/experiments/names/experiment.ts";
import {
  describeNames,
  drawNames,
  nameGenerations,
  renderNameTable,
  summariseNames,
} from "../src/experiments/names/report.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Terminal } from "../src/report/command_line.ts";
import { describeProcess, writeResults } from "../src/report/results.ts";
import { asJson, runWithProgress } from "./shared.ts";

/** The options of both tasks. */
export interface NameTaskOptions {
  out: string;
  keepModels: "auto" | "yes" | "no";
  measure?: string | undefined;
}

export async function runNames(
  gpu: Gpu,
  experiment: NameExperiment,
  options: NameTaskOptions,
  terminal: Terminal,
): Promise<object> {
  const { out, keepModels, measure } = options;
  const began = performance.now();
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
