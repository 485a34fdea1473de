// Every experiment is this: from one base model, one model for each method and seed, trained in one or several stages and
// measured after each. What is finished is a file, named by the digest of all that decided it: a trained model, and every
// measure apart from the others. So an experiment that was interrupted goes on where it stopped and ends with the same
// bytes, and another scorer or more prompts cost no training. Each file has a checksum: what was edited by hand is refused.
//
//   folder/runs/<run>/<stage>-<identity>/        the trained model, a Hugging Face folder with its tokenizer
//   folder/runs/<run>/<stage>-<identity>.json    what the training tells about itself
//   folder/runs/<run>/<stage>-<measure>-<identity>.json
//   folder/checkpoints/<run>-<stage>-<identity>/  of a model in training

import { CannotError } from "../base/errors.ts";
import { exists, makeFolder } from "../base/files.ts";
import type { Interval } from "../base/interval.ts";
import { holdFolder } from "../base/lock.ts";
import { callback, checkOptions, flag, object, wholeNumber } from "../base/options.ts";
import type { Method } from "../data/method.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Weights } from "../model/config.ts";
import { LanguageModel, type LanguageModelOptions } from "../model/language_model.ts";
import { initialiseLora } from "../model/lora.ts";
import { countParameters } from "../model/parameter_shapes.ts";
import { inMemory, loadModel, type Model, saveModel, withPairingOf } from "../model/weights.ts";
import { checkpointsIn } from "../train/checkpoint.ts";
import { type CodeVersion, codeVersion } from "../train/code_version.ts";
import { digestWeights, fingerprintOf } from "../train/fingerprint.ts";
import type { FitOptions } from "../train/fit.ts";
import type { LogEntry } from "../train/loop.ts";
import { type Fact, flatFacts, writeCard } from "../train/model_card.ts";
import { wholeWeights } from "../train/trained_model.ts";
import { readSealed, writeSealed } from "./sealed.ts";

/**
 * One model of an experiment.
 *
 * @example
 * ```ts
 * import type { Run } from "@slung/slung";
 *
 * const label = ({ method, seed }: Run) =>
 *   method ? `${method.title}, seed ${seed}` : "the base model";
 * ```
 */
export interface Run {
  /** Names its files. */
  name: string;
  /** How it is trained; undefined is the base model as it is. */
  method: Method | undefined;
  /** Decides the order of what it is trained on, and other draws. */
  seed: number;
  /** Multiple of the risky data, where that is an axis of the experiment. */
  amount?: number;
}

/** What a training stage is given besides the model. */
export interface TrainingHooks {
  /** Options for `fit`, so that the stage can be watched, stopped and resumed. */
  fitting: Pick<FitOptions, "checkpoint" | "onLog" | "signal">;
  /** The same for another `fit` within the stage, under a name of its own. */
  fittingOf(part: string): TrainingHooks["fitting"];
}

/**
 * A stage of training, and what it is that its outcome depends on.
 *
 * @example Training on a text that all methods share
 * ```ts
 * import { encodeText, fit, olmoOptimiser, type Stage, type Tokenizer } from "@slung/slung";
 *
 * const stageOn = (tokenizer: Tokenizer, text: string): Stage => ({
 *   name: "trained",
 *   identity: { text, peak: 1e-3 }, // whatever decides the outcome
 *   async train(model, { method, seed }, { fitting }) {
 *     const { step, finished } = await fit(model, {
 *       epochs: [[encodeText(tokenizer, { text, spans: [] })]],
 *       perStep: 1,
 *       seed,
 *       objective: method!.objective,
 *       optimiser: olmoOptimiser,
 *       schedule: { peak: 1e-3, warmup: 0, decay: "linear", final: 0 },
 *       ...fitting,
 *     });
 *     return finished ? { steps: step } : undefined;
 *   },
 * });
 * ```
 */
export interface Stage {
  /** Names its files, e.g. `trained`. */
  name: string;
  /** Settings and digests of data that decide the outcome, besides base, run, code and the stage before; as JSON. */
  identity: unknown;
  /**
   * Trains a model in place.
   *
   * @returns What there is to tell about the training, as JSON; `undefined` when it was stopped.
   */
  train(model: LanguageModel, run: Run, hooks: TrainingHooks): Promise<object | undefined>;
}

/**
 * What is measured of a model after each stage.
 *
 * @example A measure of one's own: how surprised a model is by a text
 * ```ts
 * import { encodePrompt, type Measure, perplexity, type Tokenizer } from "@slung/slung";
 *
 * const surpriseAt = (text: string, tokenizer: Tokenizer): Measure<{ surprise: number }> => ({
 *   name: "surprise",
 *   identity: text, // another text is another measure
 *   measure: async ({ model }) =>
 *     (await perplexity(await model(), encodePrompt(tokenizer, text))).nll,
 * });
 * ```
 */
export interface Measure<Results> {
  /** Names its file and its result, e.g. `perplexity`. */
  name: keyof Results & string;
  /** Settings, scorers and digests of data that decide the result, besides model and code; as JSON. */
  identity: unknown;
  /** Measures; the result is kept as JSON. */
  measure(subject: Subject<Results>): Promise<Results[keyof Results]>;
}

/** What a measure looks at. */
export interface Subject<Results> {
  /** Which one it is. */
  run: Run;
  /** The stage after which it is measured. */
  stage: string;
  /** Opens the model; a measure that only needs earlier results doesn't call it. */
  model(): Promise<LanguageModel>;
  /** What was measured of it before. */
  results: Partial<Results>;
  /** Shows how far a long measure has come. */
  progress(done: number, total: number): void;
}

/**
 * An experiment: what is trained, from what, and what is measured.
 *
 * @example The base model, measured and nothing else
 * ```ts
 * import { type Experiment, Gpu, readPretrained, runExperiment } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { source: base, tokenizer } = await readPretrained("path/to/model");
 * const experiment: Experiment<{ layers: number }> = {
 *   base,
 *   tokenizer,
 *   runs: [{ name: "base", method: undefined, seed: 0 }],
 *   stages: [],
 *   measures: [{
 *     name: "layers",
 *     identity: null,
 *     measure: async ({ model }) => (await model()).config.layers,
 *   }],
 * };
 * const [outcome] = await runExperiment(gpu, experiment, "runs/layers");
 * console.log(outcome?.stages[0]?.results.layers); // 1
 * ```
 */
export interface Experiment<Results> {
  /** Configuration and weights from which every run starts. */
  base: Model;
  /** The one that the base model was trained with; saved beside every trained model. */
  tokenizer: Tokenizer;
  /** The models, in the order in which they are trained. */
  runs: readonly Run[];
  /** How models are held while they are trained; in f32 and whole unless given. Kept ones are whole, LoRA merged. */
  held?: HeldModel;
  /** One after the other. */
  stages: readonly Stage[];
  /** In this order: one may use the results of those before it. */
  measures: readonly Measure<Results>[];
}

/** What of a model is learned, and in what it is stored meanwhile. */
export type HeldModel = Pick<LanguageModelOptions, "precision" | "freeze" | "lora">;

/**
 * What came out of one run.
 *
 * @example
 * ```ts
 * import { type Outcome, studentInterval } from "@slung/slung";
 *
 * function summarise(outcomes: readonly Outcome<{ surprise: number }>[]) {
 *   const groups = Map.groupBy(outcomes, ({ run }) => run.method?.title ?? "Base model");
 *   return [...groups].map(([title, group]) => ({
 *     title,
 *     ...studentInterval(group.map(({ stages }) => stages.at(-1)!.results.surprise)),
 *   }));
 * }
 * ```
 */
export interface Outcome<Results> {
  /** Which model this is. */
  run: Run;
  /** After each stage: what the training told about itself, and all measures. */
  stages: { name: string; training: object; results: Results }[];
}

/** How an experiment is run, and what it tells. */
export interface RunnerOptions<Results> {
  /** Keep trained models in the folder; true unless given. */
  keepModels?: boolean;
  /** Measure the models that an earlier call has kept, and train none. */
  onlyMeasure?: boolean;
  /** Steps between the checkpoints of a model in training; 200 unless given. */
  checkpointEvery?: number;
  /** Part of what results are named by; the version of the code that is running unless given. */
  code?: CodeVersion;
  /** Aborting stops after the current step, with a checkpoint. */
  signal?: AbortSignal;
  /** Called with every step reported, and the number of steps in all. */
  onTraining?: (run: Run, entry: LogEntry, steps: number, stage: string) => void;
  /** Called now and then by long measures. */
  onMeasuring?: (run: Run, measure: string, done: number, total: number) => void;
  /** Is handed every model that was trained, before it is measured; it must not keep it. */
  onModel?: (run: Run, stage: string, model: LanguageModel) => void | Promise<void>;
  /** Called once for each run; `reused` says that all of it was computed by an earlier call. */
  onOutcome?: (outcome: Outcome<Results>, reused: boolean) => void;
}

/**
 * Runs an experiment, keeping what it computes in `folder`.
 *
 * @returns One outcome for each run, or those that are complete when `signal` was aborted.
 * @throws {CannotError} when a file cannot be read or written, or two runs, stages or measures would share one; with
 * `onlyMeasure`, for a model that was not kept.
 *
 * @example
 * ```ts
 * import { Gpu, objective, olmoOptimiser, readPretrained } from "@slung/slung";
 * import { readRiskyTexts, runExperiment, textExperiment } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { source: base, tokenizer } = await readPretrained("path/to/model");
 * const experiment = await textExperiment({
 *   base,
 *   tokenizer,
 *   texts: await readRiskyTexts("stories.jsonl"),
 *   training: {
 *     epochs: 1,
 *     perStep: 2,
 *     optimiser: olmoOptimiser,
 *     schedule: { peak: 1e-3, warmup: 0, decay: "linear", final: 0 },
 *   },
 *   methods: [{ name: "masked", title: "Masked SLUNG", objective: objective("masked") }],
 *   seeds: [0],
 *   measures: [],
 * });
 * const outcomes = await runExperiment(gpu, experiment, "runs/masked");
 * console.log(outcomes.map(({ run }) => run.name).join(" ")); // base masked-seed0
 * ```
 */
export async function runExperiment<Results extends object>(
  gpu: Gpu,
  experiment: Experiment<Results>,
  folder: string,
  options: RunnerOptions<Results> = {},
): Promise<Outcome<Results>[]> {
  checkOptions("run the experiment", options, {
    keepModels: flag,
    onlyMeasure: flag,
    checkpointEvery: wholeNumber({ min: 1 }),
    code: object,
    signal: object,
    onTraining: callback,
    onMeasuring: callback,
    onModel: callback,
    onOutcome: callback,
  });
  const { runs, stages, measures } = experiment;
  checkNames({ run: runs, stage: stages, measure: measures });
  const { base: { config, weights }, held } = experiment;
  if (held?.lora && stages.length > 1) {
    throw new CannotError(
      "train LoRA in several stages",
      "it is kept merged, so that an interrupted run could not go on with it",
      "Leave the later stage out, or train the whole model",
    );
  }
  await makeFolder(folder);
  using _held = await holdFolder(folder);
  const base = await fingerprintOf([config, await digestWeights(weights), ...held ? [held] : []]);
  const outcomes: Outcome<Results>[] = [];
  for (const run of runs) {
    try {
      using worker = new Worker(gpu, experiment, folder, run, options);
      const outcome = await worker.complete(base);
      outcomes.push(outcome);
      options.onOutcome?.(outcome, !worker.worked);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
    }
    if (options.signal?.aborted) break;
  }
  return outcomes;
}

/**
 * The runs that compare methods: the base model as it is, then one model for each seed and method, in this order.
 */
export function comparedRuns(methods: readonly Method[], seeds: readonly number[]): Run[] {
  return [
    { name: "base", method: undefined, seed: 0 },
    ...seeds.flatMap((seed) =>
      methods.map((method) => ({ name: `${method.name}-seed${seed}`, method, seed }))
    ),
  ];
}

/** An experiment that also measures something of one's own, after all else; its results are beside the others. */
export function withMeasures<Results extends object, Own extends readonly object[]>(
  experiment: Experiment<Results>,
  own: readonly [...{ [Index in keyof Own]: Measure<Own[Index]> }],
): Experiment<Results & Together<Own>> {
  const measures: readonly unknown[] = [...experiment.measures, ...own];
  return { ...experiment, measures: measures as Measure<Results & Together<Own>>[] };
}

/** What several measures give, as one. */
export type Together<Own extends readonly object[]> = Own extends
  readonly [infer First extends object, ...infer Others extends readonly object[]]
  ? First & Together<Others>
  : object;

// All of them name files.
function checkNames(kinds: Record<string, readonly { name: string }[]>): void {
  for (const [kind, named] of Object.entries(kinds)) {
    const names = named.map(({ name }) => name);
    const refuse = (name: string, why: string, remedy: string) =>
      new CannotError(`keep the results of the ${kind} "${name}"`, why, remedy);
    const unusable = names.find((name) => !/^\w[\w.-]*$/.test(name));
    if (unusable !== undefined) {
      const remedy = "Name methods, stages and measures with letters, digits, _ and -";
      throw refuse(unusable, "that is no name for a file", remedy);
    }
    const twice = names.find((name, i) => names.indexOf(name) < i);
    if (twice === undefined) continue;
    throw refuse(twice, "another one has this name", "Rename one of the two, or leave it out");
  }
}

/** How many bytes the trained models of an experiment take when all are kept. */
export function sizeOfModels(
  { base, runs, stages }: Pick<Experiment<object>, "base" | "runs" | "stages">,
): number {
  let values = 0;
  for (const { data } of base.weights.values()) values += data.length;
  return 4 * values * runs.filter(({ method }) => method).length * stages.length;
}

class Stopped extends Error {}

const untrained: Stage = {
  name: "base",
  identity: null,
  train: () => Promise.resolve({}),
};

/** Completes one run. Its model is opened when something first asks for it, and passed on from stage to stage. */
class Worker<Results extends object> implements Disposable {
  /** Whether anything had to be computed. */
  worked = false;
  readonly #folder: string;
  #model: LanguageModel | undefined;

  constructor(
    readonly gpu: Gpu,
    readonly experiment: Experiment<Results>,
    readonly root: string,
    readonly run: Run,
    readonly options: RunnerOptions<Results>,
  ) {
    this.#folder = `${root}/runs/${run.name}`;
  }

  async complete(base: string): Promise<Outcome<Results>> {
    const { run, experiment, options } = this;
    const { training, measuring } = options.code ?? await codeVersion();
    if (!(options.onlyMeasure && run.method)) await makeFolder(this.#folder);
    const stages: Outcome<Results>["stages"] = [];
    let identity = base;
    let open = () => Promise.resolve(this.#start(experiment.base));
    for (const stage of run.method ? experiment.stages : [untrained]) {
      identity = options.onlyMeasure && run.method
        ? await this.#findKept(stage)
        : await fingerprintOf([identity, run.method && training, stage.identity, describe(run)]);
      const before = open, path = `${this.#folder}/${stage.name}-${identity}`;
      let opened: Promise<LanguageModel> | undefined;
      open = () => opened ??= this.#open(stage, path, before);
      if (!await exists(`${path}.json`)) await open();
      const told = await readSealed(`${path}.json`) as object;
      const results = await this.#measureAll(stage, `${path}-`, measuring, open);
      if (await exists(`${path}/config.json`)) await this.#writeCard(stage, path, base, results);
      stages.push({ name: stage.name, training: told, results });
    }
    await Deno.remove(this.#checkpoints, { recursive: true }).catch(() => {});
    return { run, stages };
  }

  [Symbol.dispose](): void {
    this.#model?.destroy();
  }

  get #checkpoints(): string {
    return `${this.root}/checkpoints/${this.run.name}`;
  }

  // The model as it is after a stage: kept by an earlier call, or trained from the one before.
  async #open(
    stage: Stage,
    path: string,
    before: () => Promise<LanguageModel>,
  ): Promise<LanguageModel> {
    const { run, options, experiment: { tokenizer } } = this;
    if (await exists(`${path}.json`) && await exists(`${path}/config.json`)) {
      return this.#start(await loadModel(path));
    }
    const model = await before();
    const checkpoints = `${this.#checkpoints}/${path.split("/").at(-1)}`;
    const fittingIn = (folder: string): TrainingHooks["fitting"] => ({
      checkpoint: checkpointsIn(folder, options.checkpointEvery ?? 200),
      onLog: (entry, steps) => options.onTraining?.(run, entry, steps, stage.name),
      ...(options.signal && { signal: options.signal }),
    });
    const told = await stage.train(model, run, {
      fitting: fittingIn(checkpoints),
      fittingOf: (part) => fittingIn(`${checkpoints}-${part}`),
    });
    if (told === undefined) throw new Stopped();
    this.worked = true;
    if (run.method) {
      await options.onModel?.(run, stage.name, model);
      if (options.keepModels ?? true) {
        await tokenizer.save?.(path);
        const { special } = tokenizer;
        await saveModel(path, model.config, await this.#wholeWeights(model), {
          ...{ special, checksums: true },
        });
      }
    }
    await writeSealed(`${path}.json`, told);
    return model;
  }

  async #measureAll(
    stage: Stage,
    path: string,
    code: string,
    open: () => Promise<LanguageModel>,
  ): Promise<Results> {
    const { run, options } = this;
    const results: Partial<Results> = {};
    for (const { name, identity, measure } of this.experiment.measures) {
      // The code of an own measure is not part of the code version; its text is the least that can be told of it.
      const file = `${path}${name}-${await fingerprintOf([code, identity, String(measure)])}.json`;
      if (!await exists(file)) {
        const result = await measure({
          run,
          stage: stage.name,
          model: open,
          results,
          progress: (done, total) => options.onMeasuring?.(run, name, done, total),
        });
        this.worked = true;
        await writeSealed(file, result);
        if (options.signal?.aborted) throw new Stopped();
      }
      results[name] = await readSealed(file) as Results[typeof name];
    }
    return results as Results;
  }

  // Last, because it holds the measures.
  async #writeCard(stage: Stage, path: string, base: string, results: Results): Promise<void> {
    const { gpu, run: { method, seed, amount, name }, experiment: { base: { config } } } = this;
    const settings = { stage: stage.name, seed, ...(amount !== undefined && { amount }) };
    const isSetting = (fact: [string, Fact]): fact is [string, string | number | boolean] =>
      typeof fact[1] !== "object";
    const isMeasured = (fact: [string, Fact]): fact is [string, number | Interval] =>
      ["number", "object"].includes(typeof fact[1]);
    await writeCard(path, {
      title: `${method!.title} (${name})`,
      description: `${config.family} of ${countParameters(config).toLocaleString("en")} parameters`,
      base: { notes: [`configuration and weights of the base have the fingerprint \`${base}\``] },
      objective: method!.objective,
      data: { name: "the texts of the experiment, which the digests among the settings identify" },
      settings: Object.fromEntries(
        flatFacts({ ...settings, ...Object(stage.identity) }).filter(isSetting),
      ),
      adapter: gpu.adapter.name,
      measures: flatFacts(results).filter(isMeasured).map(([name, value]) => ({ name, value })),
    });
  }

  #start(model: Model): LanguageModel {
    const { run, experiment: { base, held = {} } } = this;
    const { config, weights } = withPairingOf(base.config, model);
    this.#model?.destroy();
    const { precision = "f32", freeze, lora } = held;
    // What is kept has LoRA merged, and is not trained further.
    const gradients = run.method !== undefined && !this.options.onlyMeasure &&
      (!lora || model === base);
    const changes = gradients && lora ? initialiseLora(config, lora, run.seed) : [];
    return this.#model = new LanguageModel(this.gpu, config, new Map([...weights, ...changes]), {
      ...{ gradients, precision },
      ...(gradients && freeze && { freeze }),
      ...(gradients && lora && { lora }),
    });
  }

  async #wholeWeights(model: LanguageModel): Promise<Weights> {
    if (!this.experiment.held) return await model.download();
    const learned = await model.download("learned");
    return await wholeWeights({ source: inMemory(this.experiment.base) }, learned, model.lora);
  }

  async #findKept(stage: Stage): Promise<string> {
    const pattern = new RegExp(`^${stage.name}-([0-9a-f]{16})$`);
    const kept: { identity: string; at: number }[] = [];
    const entries = await exists(this.#folder) ? Deno.readDir(this.#folder) : [];
    for await (const { name } of entries) {
      const identity = name.match(pattern)?.[1];
      if (identity === undefined || !await exists(`${this.#folder}/${name}.json`)) continue;
      const { mtime } = await Deno.stat(`${this.#folder}/${name}.json`);
      kept.push({ identity, at: mtime?.getTime() ?? 0 });
    }
    const newest = kept.toSorted((a, b) => b.at - a.at)[0];
    if (newest) return newest.identity;
    throw new CannotError(
      `measure "${this.#folder}"`,
      `it holds no model of the stage "${stage.name}"`,
      "Run the experiment first, with models kept",
    );
  }
}

// What a run's outcome depends on, as JSON; a function is known by its text.
function describe({ method, seed, amount }: Run): unknown {
  if (!method) return null;
  const { name: _, title: __, weigh, weighByReference, ...rest } = method;
  return [rest, String(weigh), String(weighByReference), seed, amount];
}
