// Checkpoints from which a run goes on as if it had never stopped: weights, both moments (and the loss scale of f16), the
// step, and a fingerprint of everything that decides the next steps. A checkpoint is a folder that appears by one rename; the previous one is
// removed only afterwards, so that a full disk or a kill at any moment leaves a complete checkpoint behind.

import { CannotError } from "../base/errors.ts";
import { exists, readJson, writeFileAtomic } from "../base/files.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { HostTensor, Weights } from "../model/config.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { readSafetensorsHeader, readTensor, writeSafetensors } from "../model/safetensors.ts";
import { loadModel, saveModel, withRotaryPairing } from "../model/weights.ts";
import type { Optimiser } from "./optimiser.ts";

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
  const tensors = stateTensors(optimiser);
  const contents = await model.gpu.readAll([...tensors.values()]);
  const moments: Weights = new Map();
  [...tensors.keys()].forEach((key, i) => {
    const data = new Float32Array(contents[i]!);
    moments.set(key, { shape: [data.length], data });
  });
  try {
    await Deno.mkdir(partial, { recursive: true });
    await saveModel(partial, model.config, await model.download());
    await writeSafetensors(`${partial}/optimiser.safetensors`, moments);
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
  const newest = (await subfolders(folder, stepFolder)).at(-1);
  if (!newest) return 0;
  const path = `${folder}/${newest}`;
  const state = await readJson(`${path}/training.json`) as { step: number; fingerprint: string };
  if (state.fingerprint !== fingerprint || !Number.isInteger(state.step)) {
    throw new CannotError(
      `resume from "${path}"`,
      "it was made with another model, data or settings",
      "Repeat the run's settings exactly, or choose another output folder",
    );
  }
  const saved = withRotaryPairing(await loadModel(path), model.config.rotaryPairing);
  model.parameters.upload(saved.weights);
  const { tensors: entries } = await readSafetensorsHeader(`${path}/optimiser.safetensors`);
  for (const [key, tensor] of stateTensors(optimiser)) {
    const entry = entries.get(key);
    const host: HostTensor | undefined = entry && await readTensor(entry);
    if (host?.data.length !== tensor.length) {
      throw new CannotError(
        `resume from "${path}"`,
        `"${key}" of optimiser.safetensors does not have ${tensor.length} elements`,
        "Choose another output folder",
      );
    }
    model.gpu.write(tensor, host.data);
  }
  return state.step;
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

function stateTensors({ moments, scaling }: Optimiser): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  moments.forEach(({ first, second }, i) => {
    tensors.set(`first_moment.${i}`, first);
    tensors.set(`second_moment.${i}`, second);
  });
  if (scaling) tensors.set("loss_scaling", scaling);
  return tensors;
}
