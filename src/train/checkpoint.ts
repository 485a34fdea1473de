// Checkpoints from which a run goes on as if it had never stopped: weights, the optimiser's state, the step, and a
// fingerprint of everything that decides the next steps. A checkpoint is a folder that appears by one rename, with a
// checksum of each of its files; the previous one is removed only when the new one has been read back, so that a full
// disk, a kill at any moment or a failing disk leaves a complete one behind.

import { CannotError } from "../base/errors.ts";
import { contentDigest } from "../base/content_digest.ts";
import { exists, readJson, writeFileAtomic } from "../base/files.ts";
import { show } from "../base/show.ts";
import { readSafetensorsHeader } from "../model/formats/safetensors.ts";
import { writeSafetensors } from "../model/formats/tensor_data.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { loadModel, saveModel, withPairingOf } from "../model/weights.ts";
import { describeDifferences } from "./fingerprint.ts";
import type { CheckpointedRun, CheckpointStore } from "./loop.ts";
import { codeVersion } from "./code_version.ts";
import { loadOptimiserState, optimiserFile, saveOptimiserState } from "./optimiser_state.ts";
import { pairedInHalves, readParameters } from "./parameter_tensors.ts";

const stepFolder = /^step-\d+$/;
const stateFile = "training.json";
const learnedFile = "learned.safetensors";
const partialFolder = /^step-\d+\.partial$/;

/** What `training.json` holds. */
interface CheckpointState {
  step: number;
  fingerprint: string;
  /** The version of the code that made it. */
  code: string;
  /** What the fingerprint was made of; those of 0.2.0's first days have none. */
  settings?: object;
  /** SHA-256 of the other files, by name. */
  files: Record<string, string>;
}

/**
 * Keeps checkpoints in a folder.
 *
 * @param every Steps between them.
 *
 * @example Training that goes on after an interruption
 * ```ts
 * import { checkpointsIn, encodeText, fit, Gpu, objective } from "@slung/slung";
 * import { olmoOptimiser as optimiser, openModel } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { model, tokenizer } = await openModel(gpu, "path/to/model", { gradients: true });
 * await fit(model, {
 *   epochs: [[encodeText(tokenizer, { text: "The old mill turned.", spans: [] })]],
 *   perStep: 1,
 *   seed: 0,
 *   objective: objective("direct"),
 *   optimiser,
 *   schedule: { peak: 1e-3, warmup: 0, decay: "constant", final: 1 },
 *   checkpoint: checkpointsIn("runs/mill/checkpoints", 100),
 * });
 * ```
 */
export function checkpointsIn(folder: string, every: number): CheckpointStore {
  return {
    every,
    resume: (run) => resumeCheckpoint(folder, run),
    save: (run, step) => saveCheckpoint(folder, run, step),
  };
}

// Throws a CannotError where it cannot be written; older ones are kept.
async function saveCheckpoint(
  folder: string,
  { fingerprint, settings, model, optimiser }: CheckpointedRun,
  step: number,
): Promise<void> {
  const name = `step-${String(step).padStart(8, "0")}`;
  const partial = `${folder}/${name}.partial`;
  try {
    await makeEmpty(partial); // a kill while saving may have left some of its files
    await saveWeights(partial, model);
    await saveOptimiserState(partial, model.config, await optimiser.download(step));
    const { training: code } = await codeVersion();
    const state: CheckpointState = {
      ...{ step, fingerprint, code },
      ...(settings && { settings }),
      files: await checksums(partial),
    };
    await writeFileAtomic(`${partial}/${stateFile}`, JSON.stringify(state, null, 2));
    await Deno.rename(partial, `${folder}/${name}`);
    await checkFiles(`${folder}/${name}`, state.files);
  } catch (cause) {
    await Deno.remove(partial, { recursive: true }).catch(() => {});
    if (cause instanceof CannotError) throw cause;
    throw new CannotError(
      `save checkpoint "${folder}/${name}"`,
      (cause as Error).message,
      "Free some space or choose another folder; the previous checkpoint is unchanged",
      { cause },
    );
  }
  const older = (await subfolders(folder, stepFolder)).filter((other) => other !== name);
  const unfinished = await subfolders(folder, partialFolder); // by a kill while saving
  for (const other of [...older, ...unfinished]) {
    await Deno.remove(`${folder}/${other}`, { recursive: true });
  }
}

// Throws a CannotError where the checkpoint belongs to a run with other settings, data or model shape.
async function resumeCheckpoint(
  folder: string,
  { fingerprint, settings, model, optimiser }: CheckpointedRun,
): Promise<number> {
  const path = await newestCheckpoint(folder);
  if (!path) return 0;
  const state = await readState(path);
  if (state.fingerprint !== fingerprint) {
    const differ = state.settings && settings && describeDifferences(state.settings, settings);
    throw new CannotError(
      `resume from "${path}"`,
      `it was made with another model, data or settings${differ ? `: ${differ}` : ""}`,
      "Repeat the run's settings exactly, or choose another output folder",
    );
  }
  if (state.code !== (await codeVersion()).training) {
    throw new CannotError(
      `resume from "${path}"`,
      "another version of the code made it, and would go on to other numbers",
      "Go on with that version, or choose another output folder",
    );
  }
  await checkFiles(path, state.files);
  await loadWeights(path, model);
  const { learnedShapes } = model.parameters;
  const optimiserState = await loadOptimiserState(path, model.config, learnedShapes);
  if (!optimiserState) {
    throw new CannotError(
      `resume from "${path}"`,
      `it has no ${optimiserFile}`,
      "Choose another output folder",
    );
  }
  optimiser.upload(optimiserState, state.step);
  return state.step;
}

// A model of which all is learned as a model, of others what is learned.
async function saveWeights(folder: string, model: LanguageModel): Promise<void> {
  const { config } = model;
  const learned = await model.download("learned");
  if (isWhole(model)) return await saveModel(folder, config, learned, { checksums: true });
  await writeSafetensors(`${folder}/${learnedFile}`, pairedInHalves(config, learned), {
    checksums: true,
  });
}

async function loadWeights(folder: string, model: LanguageModel): Promise<void> {
  const { config, parameters } = model;
  if (isWhole(model)) {
    return parameters.upload(withPairingOf(config, await loadModel(folder)).weights);
  }
  const path = `${folder}/${learnedFile}`;
  const { tensors } = await readSafetensorsHeader(path);
  const learned = await readParameters(config, parameters.learnedShapes, { tensors, path });
  parameters.uploadLearned(learned);
}

function isWhole({ parameters }: LanguageModel): boolean {
  return parameters.learned.length === parameters.groups.length;
}

/** The path of the newest checkpoint in a folder, if there is one. */
export async function newestCheckpoint(folder: string): Promise<string | undefined> {
  const newest = (await subfolders(folder, stepFolder)).at(-1);
  return newest && `${folder}/${newest}`;
}

async function subfolders(folder: string, pattern: RegExp): Promise<string[]> {
  if (!await exists(folder)) return [];
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory && pattern.test(name)) names.push(name);
    }
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CannotError(`look for checkpoints in "${folder}"`, why, "Choose another folder", {
      cause,
    });
  }
  return names.sort();
}

async function makeEmpty(folder: string): Promise<void> {
  if (await exists(folder)) await Deno.remove(folder, { recursive: true });
  await Deno.mkdir(folder, { recursive: true });
}

async function readState(path: string): Promise<CheckpointState> {
  const file = `${path}/${stateFile}`;
  const state = await readJson(file) as Partial<CheckpointState> | null;
  const { step, fingerprint, code, settings, files } = state ?? {};
  const fault = step !== Number(path.match(/\d+$/)![0])
    ? `its step is ${show(step)}, which is not that of the folder`
    : typeof fingerprint !== "string"
    ? "it has no fingerprint"
    : typeof code !== "string"
    ? "it does not say which code made it"
    : typeof files !== "object" || files === null
    ? "it has no checksums"
    : undefined;
  if (fault === undefined) {
    const known = typeof settings === "object" && settings !== null;
    return {
      ...{ step: step!, fingerprint: fingerprint!, code: code!, files: files! },
      ...(known && { settings }),
    };
  }
  throw new CannotError(
    `resume from "${path}"`,
    `training.json is damaged: ${fault}`,
    "Remove this folder: the run goes on from the one before, where there is one",
  );
}

async function checksums(folder: string): Promise<Record<string, string>> {
  const sums: Record<string, string> = {};
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  for (const name of names.sort()) { // file systems list them in any order
    sums[name] = await contentDigest(`${folder}/${name}`);
  }
  return sums;
}

async function checkFiles(folder: string, sums: Record<string, string>): Promise<void> {
  const refuse = (name: string, why: string) =>
    new CannotError(
      `read the checkpoint "${folder}"`,
      `${show(name)} ${why}`,
      "Remove this folder: the run goes on from the one before, where there is one",
    );
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  for (const [name, sum] of Object.entries(sums)) { // those that lie here, wherever names may lead
    if (!names.includes(name)) throw refuse(name, "is missing");
    if (await contentDigest(`${folder}/${name}`).catch(() => "") !== sum) {
      throw refuse(name, "is damaged: its checksum is another one");
    }
  }
  const unchecked = names.find((name) =>
    /\.(safetensors|json)$/.test(name) && name !== stateFile && !Object.hasOwn(sums, name)
  );
  if (unchecked !== undefined) throw refuse(unchecked, "has no checksum");
}
