// What every format gives for a model that lies in files.

import { checkFinite } from "../check_parameters.ts";
import type { HostTensor } from "../config.ts";
import type { Model, ModelSource, NamedTensor } from "../model.ts";
import { parameterShapes } from "../parameter_shapes.ts";
import { type Stored, takeApart } from "./naming.ts";
import type { TensorEntry } from "./safetensors.ts";
import { readTensor } from "./tensor_data.ts";

/** A model that lies in files; its configuration and the list of its tensors have been checked. */
export interface ModelFiles extends ModelSource {
  /** Token ids that end a text, where the files say so. */
  ends?: readonly number[];
  /** What a person should know about how the files were read. */
  notes: readonly string[];
}

/** The parameters in the tensors of safetensors files, read one tensor at a time. */
export async function* readStored(
  stored: readonly Stored[],
  entries: ReadonlyMap<string, TensorEntry>,
  where: string,
): AsyncGenerator<NamedTensor> {
  for (const one of stored) {
    const tensor = await readTensor(entries.get(one.name)!);
    checkFinite(`use the weights of "${where}"`, one.name, tensor.data);
    yield* takeApart(one, tensor);
  }
}

/** Reads all of a model into memory, its parameters in the order of use. */
export async function readIntoMemory({ config, tensors }: ModelSource): Promise<Model> {
  const read = new Map<string, HostTensor>();
  for await (const [name, tensor] of tensors()) read.set(name, tensor);
  const weights = new Map<string, HostTensor>();
  for (const name of parameterShapes(config).keys()) weights.set(name, read.get(name)!);
  return { config, weights };
}
