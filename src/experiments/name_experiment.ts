// The whole name experiment: the untouched base model and one model per method and seed, each asked the same questions.
// Every finished model's result is a file, and a model in training has checkpoints, so that an interrupted experiment
// continues where it stopped and ends with the same bytes.

import { exists, readJson, writeFileAtomic } from "../base/files.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { LanguageModel } from "../model/language_model.ts";
import type { Model } from "../model/weights.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { mean, studentInterval } from "../eval/statistics.ts";
import type { ObjectiveName } from "../slung/objective.ts";
import { fingerprintOf } from "../train/checkpoint.ts";
import type { LogEntry } from "../train/loop.ts";
import {
  askAboutNames,
  type NameTask,
  type NameTaskResult,
  type NameTaskSettings,
  trainOnNames,
} from "./name_task.ts";

/** Everything that decides the outcome. */
export interface NameExperiment {
  /** Configuration and weights from which every run starts. */
  base: Model;
  /** The one the base model was trained with. */
  tokenizer: Tokenizer;
  /** Whom to learn about. */
  task: NameTask;
  /** Shared by all methods. */
  settings: NameTaskSettings;
  /** Compared in this order. */
  methods: readonly ObjectiveName[];
  /** One training run per method and seed. */
  seeds: readonly number[];
  /** Length of an answer at most, in tokens. */
  maxNewTokens: number;
}

/** One model's outcome; the base model has no seed. */
export interface NameRun {
  /** The objective; `base` is the model before training. */
  method: "base" | ObjectiveName;
  /** Decides the order of the sequences; null for the base model. */
  seed: number | null;
  /** Measured after the last step. */
  result: NameTaskResult;
}

/** What the runner tells while it works. */
export interface NameExperimentEvents {
  /** Called with every step reported, and the number of steps in all. */
  onTraining?: (run: Pick<NameRun, "method" | "seed">, entry: LogEntry, steps: number) => void;
  /** Called with the number of questions answered so far. */
  onAsking?: (run: Pick<NameRun, "method" | "seed">, done: number, total: number) => void;
  /** Called once per run; `reused` says that it was read from the folder. */
  onResult?: (run: NameRun, reused: boolean) => void;
}

/**
 * Runs the experiment, keeping its state in `folder`.
 *
 * @returns One run for the base model and one for each method and seed, or what is done when `signal` was aborted.
 */
export async function runNameExperiment(
  gpu: Gpu,
  experiment: NameExperiment,
  folder: string,
  events: NameExperimentEvents & { signal?: AbortSignal } = {},
): Promise<NameRun[]> {
  const { base, tokenizer, task, settings, methods, seeds, maxNewTokens } = experiment;
  const { signal } = events;
  await Deno.mkdir(`${folder}/runs`, { recursive: true });
  const identity = await identityOf(experiment);
  const planned = [
    { method: "base" as const, seed: null },
    ...seeds.flatMap((seed) => methods.map((method) => ({ method, seed }))),
  ];
  const runs: NameRun[] = [];
  for (const plan of planned) {
    const name = plan.seed === null ? plan.method : `${plan.method}-seed${plan.seed}`;
    const file = `${folder}/runs/${name}-${identity}.json`;
    if (await exists(file)) {
      const run = await readJson(file) as NameRun;
      runs.push(run);
      events.onResult?.(run, true);
      continue;
    }
    using model = new LanguageModel(gpu, base.config, base.weights, {
      gradients: plan.method !== "base",
    });
    if (plan.method !== "base") {
      const checkpoints = `${folder}/checkpoints/${name}-${identity}`;
      await trainOnNames(model, tokenizer, task, plan.method, settings, {
        seed: plan.seed,
        checkpoint: { folder: checkpoints, every: 200 },
        onLog: (entry, steps) => events.onTraining?.(plan, entry, steps),
        ...(signal && { signal }),
      });
      if (signal?.aborted) break;
    }
    const result = await askAboutNames(model, tokenizer, task, {
      maxNewTokens,
      progress: (done, total) => events.onAsking?.(plan, done, total),
    });
    const run: NameRun = { ...plan, result };
    await writeFileAtomic(file, JSON.stringify(run));
    await Deno.remove(`${folder}/checkpoints/${name}-${identity}`, { recursive: true })
      .catch(() => {});
    runs.push(run);
    events.onResult?.(run, false);
    if (signal?.aborted) break;
  }
  return runs;
}

/** One row of the results table: percentages, averaged over seeds. */
export interface NameSummary {
  /** The objective, or `base`. */
  method: NameRun["method"];
  /** Answers that name a target, by the paper's substring metric. */
  names: number;
  /** The same by whole words. */
  namesWholeWord: number;
  /** The same by whole words that the question does not have. */
  namesNotInPrompt: number;
  /** Answers with at least 80 % of the facts (offline grader, not GPT-4o). */
  full: number;
  /** Answers with any of the facts. */
  partial: number;
  /** Mean ROUGE-L recall of the true answers. */
  rougeRecall: number;
  /** True answers preferred to all perturbed ones; null without perturbed answers, as are the next two. */
  truthAccuracy: number | null;
  /** The same, judged without name tokens. */
  truthAccuracyWithoutNames: number | null;
  /** TOFU's truth ratio, max(0, 1 − R), without name tokens. */
  truthRatioWithoutNames: number | null;
  /** Runs that were averaged. */
  seeds: number;
  /** Half widths of 95 % Student intervals over seeds, where there are at least two. */
  halfWidths: { names: number; partial: number } | null;
}

/** Averages runs over seeds, in the order in which methods first appear. */
export function summariseNameRuns(runs: readonly NameRun[]): NameSummary[] {
  return [...new Set(runs.map(({ method }) => method))].map((method) => {
    const results = runs.filter((run) => run.method === method).map(({ result }) => result);
    const percent = (value: (result: NameTaskResult) => number) => 100 * mean(results.map(value));
    const truth = (value: (truth: NonNullable<NameTaskResult["truth"]>) => number) =>
      results.every((result) => result.truth) ? percent((result) => value(result.truth!)) : null;
    const halfWidth = (value: (result: NameTaskResult) => number) => {
      const interval = studentInterval(results.map((result) => 100 * value(result)));
      return interval.high - interval.mean;
    };
    return {
      method,
      names: percent((result) => result.names.official),
      namesWholeWord: percent((result) => result.names.wordBounded),
      namesNotInPrompt: percent((result) => result.names.notInPrompt),
      full: percent((result) => result.facts.full),
      partial: percent((result) => result.facts.partial),
      rougeRecall: percent((result) => result.rougeRecall),
      truthAccuracy: truth(({ allTokens }) => allTokens.accuracy),
      truthAccuracyWithoutNames: truth(({ withoutNames }) => withoutNames.accuracy),
      truthRatioWithoutNames: truth(({ withoutNames }) => withoutNames.truthRatio),
      seeds: results.length,
      halfWidths: results.length < 2 ? null : {
        names: halfWidth((result) => result.names.official),
        partial: halfWidth((result) => result.facts.partial),
      },
    };
  });
}

async function identityOf(experiment: NameExperiment): Promise<string> {
  const { base, tokenizer, task, settings, maxNewTokens } = experiment;
  const digests = await Promise.all(
    [...base.weights].map(async ([name, { data }]) => {
      const digest = await crypto.subtle.digest("SHA-256", data.slice());
      return [name, new Uint32Array(digest)[0]];
    }),
  );
  const encoded = task.rows.map(({ answer }) => [...tokenizer.encode(answer).ids]);
  return await fingerprintOf({
    config: base.config,
    digests,
    encoded,
    task,
    settings,
    maxNewTokens,
  });
}
