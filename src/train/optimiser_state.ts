// AdamW's state as a file beside a model's weights: two moments for each parameter, named and shaped like it, and the
// number of updates they stand for. A checkpoint holds it, and so can a base model whose training is to be continued.

import { CannotError } from "../base/errors.ts";
import { exists } from "../base/files.ts";
import type { DecoderConfig, Weights } from "../model/config.ts";
import { readSafetensorsHeader } from "../model/formats/safetensors.ts";
import { readTensor, writeSafetensors } from "../model/formats/tensor_data.ts";
import { parameterShapes } from "../model/parameter_shapes.ts";
import { pairedInHalves, readParameters, type Shapes } from "./parameter_tensors.ts";

/** What AdamW goes on from. */
export interface OptimiserState {
  /** Steps taken so far, those included that a model in f16 skipped: Adam's bias corrections follow from it. */
  updates: number;
  /** Running means of the gradients, by parameter. */
  first: Weights;
  /** Running means of their squares, by parameter. */
  second: Weights;
  /** Of a model in f16: the loss scale and what belongs to it, `scalingOf` the step buffer. */
  lossScaling?: Float32Array;
}

/** The file's name in the folder of a model or of a checkpoint. */
export const optimiserFile = "optimiser.safetensors";

const scalingName = "loss_scaling";
const firstPrefix = "first_moment.";
const secondPrefix = "second_moment.";

/** Writes `optimiser.safetensors`, with rotary entries paired in halves as in the model's own file. */
export async function saveOptimiserState(
  folder: string,
  config: DecoderConfig,
  { updates, first, second, lossScaling }: OptimiserState,
): Promise<void> {
  const tensors: Weights = new Map();
  for (const [prefix, moments] of [[firstPrefix, first], [secondPrefix, second]] as const) {
    for (const [name, tensor] of pairedInHalves(config, moments)) {
      tensors.set(prefix + name, tensor);
    }
  }
  if (lossScaling) {
    tensors.set(scalingName, { shape: [lossScaling.length], data: lossScaling });
  }
  const metadata = { updates: String(updates) };
  await writeSafetensors(`${folder}/${optimiserFile}`, tensors, { metadata, checksums: true });
}

/**
 * Reads what {@linkcode saveOptimiserState} wrote, in the rotary pairing of `config`; `undefined` where there is no such
 * file.
 *
 * @param shapes The parameters that it belongs to, all of the model's unless given.
 * @throws {CannotError} when the file is damaged or belongs to another model.
 */
export async function loadOptimiserState(
  folder: string,
  config: DecoderConfig,
  shapes: Shapes = parameterShapes(config),
): Promise<OptimiserState | undefined> {
  const path = `${folder}/${optimiserFile}`;
  if (!await exists(path)) return undefined;
  const { tensors, metadata } = await readSafetensorsHeader(path);
  const updates = Number(metadata.get("updates"));
  if (!Number.isInteger(updates)) {
    throw new CannotError(
      `continue from "${path}"`,
      "it does not say how many updates its moments stand for",
      "It may be of an earlier version: train in another folder",
    );
  }
  const momentsOf = (prefix: string) => readParameters(config, shapes, { tensors, path, prefix });
  const scaling = tensors.get(scalingName);
  return {
    updates,
    first: await momentsOf(firstPrefix),
    second: await momentsOf(secondPrefix),
    ...(scaling && { lossScaling: (await readTensor(scaling)).data }),
  };
}
