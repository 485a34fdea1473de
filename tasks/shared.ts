// What several tasks share: options, the adapter, pre-training and experiments with progress that can be stopped safely.

import { CannotError } from "../src/base/errors.ts";
import { readJson } from "../src/base/files.ts";
import { describeProcess } from "../src/base/process.ts";
import { freeSpace } from "../src/base/free_space.ts";
import type { Method } from "../src/data/method.ts";
import {
  type Experiment,
  type Outcome,
  runExperiment,
  sizeOfModels,
} from "../src/experiments/runner.ts";
import { baseTitle } from "../src/experiments/titles.ts";
import { type Gpu, megabytes } from "../src/gpu/gpu.ts";
import type { DecoderConfig } from "../src/model/config.ts";
import { presets } from "../src/model/families.ts";
import { fromHuggingFace } from "../src/model/formats/huggingface/config.ts";
import { type LoadedModel, openModelFiles } from "../src/model/weights.ts";
import { show } from "../src/base/show.ts";
import { flagOf, type Terminal } from "../src/report/command_line.ts";
import { onInterrupt } from "../src/report/interrupt.ts";
import type { Option, Options } from "../src/report/options.ts";
import { createProgress, type Progress } from "../src/report/progress.ts";
import { renderSample } from "../src/report/samples.ts";
import { type Denominator, denominators } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import type { RiskyText } from "../src/data/spans.ts";
import { type Generation, type Json, readResults, writeResults } from "../src/report/results.ts";
import { orModelName } from "./hub.ts";
import { readObjective } from "./objective.ts";
import { pretrain, type PretrainingOptions } from "../src/train/pretraining.ts";
import { modelSizes } from "../src/train/starting_model.ts";

/** Options of tasks that use a model as it is. */
export const modelOptions = {
  model: {
    ...orModelName,
    required: true,
    placeholder: "model",
    help: "The model: a folder, or a name on the hub, owner/name@revision",
  },
  tokenizer: { ...orModelName, placeholder: "model", help: "The tokenizer, if not with the model" },
  adapter: { ...orModelName, placeholder: "model", help: "LoRA of this model, as PEFT keeps it" },
} as const satisfies Options;

/** The seeds of an experiment. */
export const seedsOption = {
  type: "list",
  of: "integer",
  distinct: true,
  default: [0],
  min: 0,
  max: 2 ** 32 - 1,
  help: "One model per method and seed",
} as const satisfies Option;

/** Options of tasks that run an experiment. */
export const experimentOptions = {
  objective: {
    type: "path",
    placeholder: "module",
    help: "Also train with an objective of your own, which this .ts file exports",
  },
  denominator: {
    type: "string",
    choices: denominators,
    help: "What summed losses are divided by, instead of what each objective says: active",
  },
  keepModels: {
    type: "string",
    choices: ["auto", "yes", "no"],
    default: "auto",
    help: "Keep trained models in the results; auto does unless the disk is short",
  },
  measure: {
    type: "path",
    placeholder: "folder",
    help: "Measure the models of this earlier run again, and train none",
  },
} as const satisfies Options;

/** The methods of a list by name, and that of a module of the user's, if one is given. */
export async function chosenMethods(
  names: readonly string[],
  known: readonly Method[],
  objectiveModule: string | undefined,
  denominator: Denominator | undefined,
): Promise<Method[]> {
  const methods = names.map((name) => known.find((method) => method.name === name)!);
  if (objectiveModule !== undefined) {
    const objective = await readObjective(objectiveModule);
    methods.push({ name: objective.name, title: objective.name, objective });
  }
  if (denominator === undefined) return methods;
  return methods.map((method) => ({
    ...method,
    objective: { ...method.objective, denominator },
  }));
}

/** Pre-trains a base model with progress on standard error. Ctrl-C stops it; the same command then goes on. */
export async function pretrainWithProgress(
  gpu: Gpu,
  folder: string,
  options: PretrainingOptions,
  terminal: Terminal,
): Promise<LoadedModel> {
  using stop = onInterrupt(terminal);
  let progress: Progress | undefined;
  const model = await pretrain(gpu, folder, {
    ...{ adjustable: [], ...options }, // a base's step is as its experiment has it
    signal: stop.signal,
    onLog({ step, loss, tokensPerSecond }, steps) {
      progress ??= createProgress({ total: steps, from: step + 1, label: "Pre-training" });
      progress.update(step + 1, `loss ${loss.toFixed(3)}, ${Math.round(tokensPerSecond)} tokens/s`);
    },
  });
  progress?.[Symbol.dispose]();
  return model ?? stopped(folder, terminal);
}

/** How an experiment is shown while it runs. */
export interface ExperimentDisplay<Results> {
  /** One line about a finished model. */
  describe(outcome: Outcome<Results>): string;
  /** Steps between checkpoints. */
  checkpointEvery?: number | undefined;
  /** Of the options `keepModels` and `measure`. */
  keepModels: "auto" | "yes" | "no";
  /** Only measure what is kept. */
  onlyMeasure: boolean;
}

/** Runs an experiment with progress on standard error. Ctrl-C stops it; the same command then goes on. */
export async function runWithProgress<Results extends object>(
  gpu: Gpu,
  experiment: Experiment<Results>,
  folder: string,
  terminal: Terminal,
  { describe, keepModels, onlyMeasure, checkpointEvery }: ExperimentDisplay<Results>,
): Promise<Outcome<Results>[]> {
  using stop = onInterrupt(terminal);
  let training: Progress | undefined;
  const outcomes = await runExperiment(gpu, experiment, folder, {
    keepModels: !onlyMeasure && await shouldKeep(experiment, folder, keepModels, terminal),
    onlyMeasure,
    ...(checkpointEvery !== undefined && { checkpointEvery }),
    signal: stop.signal,
    onTraining({ method, seed }, { step, loss, lossByClass, tokensPerSecond }, steps) {
      const label = `${method?.title ?? baseTitle}, seed ${seed}`;
      training ??= createProgress({ total: steps, from: step + 1, label });
      const risky = lossByClass[3] === undefined
        ? ""
        : `, of high risk ${lossByClass[3].toFixed(2)}`;
      const speed = `${Math.round(tokensPerSecond)} tokens/s`;
      training.update(step + 1, `loss ${loss.toFixed(2)}${risky}, ${speed}`);
      if (step + 1 === steps) {
        training[Symbol.dispose]();
        training = undefined;
      }
    },
    onOutcome: (outcome, reused) =>
      terminal.note(`${describe(outcome)}${reused ? " (from an earlier run)" : ""}`),
  });
  training?.[Symbol.dispose]();
  if (stop.signal.aborted) stopped(folder, terminal);
  return outcomes;
}

/** What the results of an experiment are made of, besides what the process tells. */
export interface ExperimentResults {
  /** What computed them. */
  gpu: Gpu;
  /** As they were chosen. */
  options: object;
  /** Of its models. */
  seeds: readonly (string | number)[];
  /** What came out. */
  metrics: object;
  /** What the models wrote. */
  generations: Generation[];
  /** When it began, by `performance.now()`. */
  began: number;
}

/** Writes results.json, and says so where a software adapter computed them; returns its path. */
export async function writeExperiment(
  folder: string,
  terminal: Terminal,
  { gpu, options, seeds, metrics, generations, began }: ExperimentResults,
): Promise<string> {
  if (gpu.adapter.software) terminal.print(`Computed on a software adapter (${gpu.adapter.name}).`);
  return await writeResults(folder, {
    ...describeProcess(),
    config: asJson({ ...options }),
    seeds: Object.fromEntries(seeds.map((seed) => [`seed ${seed}`, Number(seed)])),
    adapter: gpu.adapter,
    metrics: asJson({ ...metrics }),
    generations,
    timing: { seconds: Math.round((performance.now() - began) / 100) / 10 },
  });
}

// Values as results.json keeps them.
function asJson(options: Readonly<Record<string, unknown>>): Record<string, Json> {
  return JSON.parse(JSON.stringify(options, (_, value) => value ?? null));
}

function stopped(folder: string, terminal: Terminal): never {
  terminal.note(`Stopped. Run the same command again to go on in ${folder}`);
  Deno.exit(130);
}

async function shouldKeep(
  experiment: Pick<Experiment<object>, "base" | "runs" | "stages">,
  folder: string,
  choice: "auto" | "yes" | "no",
  terminal: Terminal,
): Promise<boolean> {
  if (choice === "no") return false;
  const needed = sizeOfModels(experiment);
  if (needed === 0) return true;
  const free = await freeSpace(folder);
  const room = free === undefined ? "" : ` of ${megabytes(free)} that are free`;
  if (choice === "yes" || free === undefined || needed < free / 2) {
    terminal.note(`Trained models are kept in ${folder}: ${megabytes(needed)}${room}.`);
    return true;
  }
  terminal.note(`Trained models are not kept: they would take ${megabytes(needed)}${room}.`);
  return false;
}

/**
 * The options of an experiment, where `measure` names an earlier run: that run's, but for those that are given now.
 *
 * @throws {CannotError} when its results cannot be read.
 */
export async function withEarlierOptions<Values extends { measure: string | undefined }>(
  options: Values,
  given: ReadonlySet<string>,
): Promise<Values> {
  if (options.measure === undefined) return options;
  const { config } = await readResults(options.measure);
  const now = options as Record<string, unknown>;
  const earlier = Object.entries(config).filter(([name, value]) =>
    value !== null && Object.hasOwn(options, name) && !given.has(name)
  );
  for (const [name, value] of earlier) {
    const isKind = now[name] === undefined
      ? typeof value === "string" || typeof value === "number" || Array.isArray(value)
      : typeof value === typeof now[name] && Array.isArray(value) === Array.isArray(now[name]);
    if (isKind) continue;
    throw new CannotError(
      `use the options in "${options.measure}/results.json"`,
      `"${name}" is ${show(value)}`,
      `Correct it, or give ${flagOf(name)}`,
    );
  }
  return { ...options, ...Object.fromEntries(earlier), out: options.measure };
}

/** The configuration of a model, of which no weights need be there: a size, a config.json, or a folder. */
export async function readConfig(model: string): Promise<DecoderConfig> {
  if (modelSizes.includes(model)) return presets[model as keyof typeof presets];
  if (model.endsWith(".json")) return fromHuggingFace(await readJson(model), model);
  const file = `${model}/config.json`;
  const isHuggingFace = await Deno.stat(file).then(({ isFile }) => isFile, () => false);
  if (isHuggingFace) return fromHuggingFace(await readJson(file), file);
  return (await openModelFiles(model)).config;
}

/** Whether what is written to a stream may be coloured. */
export function hasColours(stream: { isTerminal(): boolean }): boolean {
  return stream.isTerminal() && !Deno.noColor;
}

/** Shows texts with what is risky in them: the first ones that hold something risky. */
export function showSamples(texts: readonly RiskyText[], count: number, terminal: Terminal): void {
  const colour = hasColours(Deno.stderr);
  const risky = texts.filter(({ spans }) => spans.some(({ risk }) => risk > Risk.low));
  for (const text of risky.slice(0, count)) terminal.note(`  ${renderSample(text, { colour })}`);
}
