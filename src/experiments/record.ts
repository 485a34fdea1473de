// What an experiment tells about itself in its folder, for whoever opens it later: from what model it started, how its
// models are asked, and what is risky in what they say.

import { exists, makeFolder, readJson, writeFileAtomic } from "../base/files.ts";
import type { Method } from "../data/method.ts";
import { runFile, writePhrases } from "../train/run_record.ts";

/** What `run.json` holds of an experiment. */
export interface ExperimentRecord {
  /** Tells it from the record of a training run. */
  kind: "experiment";
  /** The folder of the model that every run starts from; null for fresh weights. */
  base: string | null;
  /** What stands around a question when a model is asked; `{question}` stands for it. */
  prompt: string;
  /** By the name in its files, the title of each method. */
  methods: Record<string, string>;
}

/** Writes the record of an experiment, and, where they are known, the phrases that are risky in its texts. */
export async function recordExperiment(
  folder: string,
  { base, prompt, methods }: {
    base: string | undefined;
    prompt: string;
    methods: readonly Method[];
  },
  phrases?: readonly string[],
): Promise<void> {
  const record: ExperimentRecord = {
    ...{ kind: "experiment", base: base ?? null, prompt },
    methods: Object.fromEntries(methods.map(({ name, title }) => [name, title])),
  };
  await makeFolder(folder);
  await writeFileAtomic(`${folder}/${runFile}`, JSON.stringify(record, null, 2) + "\n");
  if (phrases) await writePhrases(folder, phrases);
}

/** Reads the record of an experiment; `undefined` where the folder has none. */
export async function readExperimentRecord(folder: string): Promise<ExperimentRecord | undefined> {
  const path = `${folder}/${runFile}`;
  if (!await exists(path)) return undefined;
  const record = await readJson(path) as Partial<ExperimentRecord> | null;
  return record?.kind === "experiment" ? record as ExperimentRecord : undefined;
}

/** A model that an experiment has kept. */
export interface KeptModel {
  /** The name of its run, e.g. `masked-seed0`. */
  run: string;
  /** The stage after which it was kept. */
  stage: string;
  /** Where it lies. */
  folder: string;
}

/** The models that an experiment has kept, by run and stage; of several of one stage the newest. */
export async function keptModels(folder: string): Promise<KeptModel[]> {
  const kept: (KeptModel & { at: number })[] = [];
  for (const run of await subfolders(`${folder}/runs`)) {
    for (const name of await subfolders(`${folder}/runs/${run}`)) {
      const stage = name.match(/^(.+)-[0-9a-f]{16}$/)?.[1];
      const path = `${folder}/runs/${run}/${name}`;
      if (stage === undefined || !await exists(`${path}/config.json`)) continue;
      const { mtime } = await Deno.stat(`${path}/config.json`);
      kept.push({ run, stage, folder: path, at: mtime?.getTime() ?? 0 });
    }
  }
  const newest = kept.toSorted((a, b) => b.at - a.at).filter(({ run, stage }, i, all) =>
    all.findIndex((other) => other.run === run && other.stage === stage) === i
  );
  const order = ({ run, stage }: KeptModel) => `${run} ${stage}`;
  return newest.toSorted((a, b) => order(a).localeCompare(order(b), "en", { numeric: true }))
    .map(({ at: _, ...model }) => model);
}

async function subfolders(folder: string): Promise<string[]> {
  if (!await exists(folder)) return [];
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name).sort();
}
