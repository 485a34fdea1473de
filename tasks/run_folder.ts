// A folder that a run or an experiment has left behind, opened to be reported or asked.

import { basename, isAbsolute } from "node:path";
import { CannotError } from "../src/base/errors.ts";
import { exists } from "../src/base/files.ts";
import {
  type ExperimentRecord,
  keptModels,
  readExperimentRecord,
} from "../src/experiments/record.ts";
import { baseTitle } from "../src/experiments/titles.ts";
import { phraseFinder } from "../src/label/phrases.ts";
import { readResults, type Results } from "../src/report/results.ts";
import { Risk, type RiskSpan } from "../src/slung/risk.ts";
import { readPhrases, readRunRecord, type TrainingRecord } from "../src/train/run_record.ts";

/** What lies in a folder. */
export interface RunFolder {
  /** As it was given. */
  path: string;
  /** What it is called in a page: the path, of one from the root its last part. */
  name: string;
  /** Of `train`. */
  training: TrainingRecord | undefined;
  /** Of `demo`, `tofu` and `toxicity`. */
  experiment: ExperimentRecord | undefined;
  /** What came out of these. */
  results: Results | undefined;
  /** Finds what is risky in a text; undefined where nobody wrote down what that is. */
  risky: ((text: string) => RiskSpan[]) | undefined;
}

/** Opens a folder. @throws {CannotError} for one that no run has left behind. */
export async function openRunFolder(path: string): Promise<RunFolder> {
  const training = await readRunRecord(path);
  const experiment = await readExperimentRecord(path);
  const results = await exists(`${path}/results.json`) ? await readResults(path) : undefined;
  const phrases = await readPhrases(path);
  if (!training && !experiment && !results && (await keptModels(path)).length === 0) {
    throw new CannotError(
      `open the run "${path}"`,
      await exists(path)
        ? "it has no run.json, no results.json and no runs/"
        : "there is no such folder",
      "Give the --out of train, demo, tofu or toxicity",
    );
  }
  const finder = phrases && phraseFinder(phrases, Risk.high);
  const name = isAbsolute(path) ? basename(path) : path;
  return {
    path,
    name,
    training,
    experiment,
    results,
    risky: finder && ((text) => finder.find(text)),
  };
}

/** A model to ask. */
export interface RunModel {
  /** What it is called beside the others. */
  title: string;
  /** Where it lies. */
  folder: string;
}

/** The models of a run that can be opened: what it started from, if that is still there, and all that it kept. */
export async function modelsOf({ path, training, experiment }: RunFolder): Promise<RunModel[]> {
  const there = async (folder: string | null | undefined) =>
    folder &&
    (await exists(`${folder}/config.json`) || await exists(`${folder}/adapter_config.json`));
  if (training) {
    const { from } = training.model;
    const before = await there(from) ? [{ title: "Before training", folder: from! }] : [];
    const after = await there(path) ? [{ title: training.objective.name, folder: path }] : [];
    return [...before, ...after];
  }
  const base = await there(experiment?.base)
    ? [{ title: baseTitle, folder: experiment!.base! }]
    : [];
  const kept = await keptModels(path);
  const severalStages = new Set(kept.map(({ stage }) => stage)).size > 1;
  const titles = kept.map(({ run, stage }) =>
    titleOf(run, experiment) + (severalStages ? `, ${stage}` : "")
  );
  const models = kept.map(({ folder }, i) => ({ title: titles[i]!, folder }));
  return [...base, ...inOrderOfMethods(models, experiment)];
}

// `masked-seed0` as people call it.
function titleOf(run: string, experiment: ExperimentRecord | undefined): string {
  const [, method, rest] = run.match(/^(.*?)((?:-x[\d.]+)?-seed\d+)$/) ?? [];
  const title = method === undefined ? undefined : experiment?.methods[method];
  return title === undefined
    ? run
    : `${title}${rest!.replace(/-seed/, ", seed ").replace(/^-x/, " × ")}`;
}

function inOrderOfMethods(
  models: readonly RunModel[],
  experiment: ExperimentRecord | undefined,
): RunModel[] {
  const titles = Object.values(experiment?.methods ?? {});
  const rank = ({ title }: RunModel) => titles.findIndex((method) => title.startsWith(method));
  return models.toSorted((a, b) => rank(a) - rank(b));
}
