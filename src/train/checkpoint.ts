// Checkpoints from which a run goes on as if it had never stopped: weights, the optimiser's state, the step, and a
// fingerprint of everything that decides the next steps. A checkpoint is a folder that appears by one rename; the
// previous one is removed only afterwards, so that a full disk or a kill at any moment leaves a complete one behind.

import { CannotError } from "../base/errors.ts";
import { exists, readJson, writeFileAtomic } from "../base/files.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { withPairingOf } from "../model/rotary_pairing.ts";
import { loadModel, saveModel } from "../model/weights.ts";
import type { Optimiser } from "./optimiser.ts";
import { loadOptimiserState, optimiserFile, saveOptimiserState } from "./optimiser_state.ts";

const stepFolder = /^step-\d+$/;
const partialFolder = /^step-\d+\.partial$/;

/** Saves a checkpoint after `step` steps. @throws {CannotError} when it cannot be written; older ones are kept. */
export async function saveCheckpoint(
  folder: string,
  { step, fingerprint, model, optimiser }: {
    step: number;
    fingerprint: string;
    model: LanguageModel;
    optimiser: Optimiser;
  },
): Promise<void> {
  const name = `step-${String(step).padStart(8, "0")}`;
  const partial = `${folder}/${name}.partial`;
  try {
    await Deno.mkdir(partial, { recursive: true });
    await saveModel(partial, model.config, await model.download());
    await saveOptimiserState(partial, model.config, await optimiser.download(step));
    const state = JSON.stringify({ step, fingerprint }, null, 2);
    await writeFileAtomic(`${partial}/training.json`, state);
    await Deno.rename(partial, `${folder}/${name}`);
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

/**
 * Loads the newest checkpoint of a folder into a model and its optimiser; returns the number of steps done, 0 if there
 * is no checkpoint.
 *
 * @throws {CannotError} when the checkpoint belongs to a run with other settings, data or model shape.
 */
export async function resumeCheckpoint(
  folder: string,
  { fingerprint, model, optimiser }: {
    fingerprint: string;
    model: LanguageModel;
    optimiser: Optimiser;
  },
): Promise<number> {
  const path = await newestCheckpoint(folder);
  if (!path) return 0;
  const state = await readJson(`${path}/training.json`) as { step: number; fingerprint: string };
  if (state.fingerprint !== fingerprint || !Number.isInteger(state.step)) {
    throw new CannotError(
      `resume from "${path}"`,
      "it was made with another model, data or settings",
      "Repeat the run's settings exactly, or choose another output folder",
    );
  }
  const saved = withPairingOf(model.config, await loadModel(path));
  model.parameters.upload(saved.weights);
  const optimiserState = await loadOptimiserState(path, model.config);
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

/** The path of the newest checkpoint in a folder, if there is one. */
export async function newestCheckpoint(folder: string): Promise<string | undefined> {
  const newest = (await subfolders(folder, stepFolder)).at(-1);
  return newest && `${folder}/${newest}`;
}

/** A short fingerprint of whatever decides the course of a run. */
export async function fingerprintOf(settings: unknown): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(settings));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
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
