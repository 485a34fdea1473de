// Models in and out of folders. Three kinds are read: Hugging Face (config.json and safetensors, whole
// or sharded), llama2.c, and llama.cpp weights as safetensors; and LoRA apart from its base, as PEFT keeps it, which is
// merged on the way. Hugging Face's kinds are written, so that `transformers` and PEFT read what was trained here.

import { CannotError } from "../base/errors.ts";
import { openGguf } from "./formats/gguf.ts";
import {
  openHuggingFace,
  saveHuggingFace,
  type SaveModelOptions,
} from "./formats/huggingface/folder.ts";
import { adapterConfigFile, baseOfAdapter, readAdapter } from "./formats/huggingface/peft.ts";
import { openLlama2c } from "./formats/llama2c.ts";
import { type ModelFiles, readIntoMemory } from "./formats/model_files.ts";
import { mergeLora } from "./lora.ts";
import type { Model } from "./model.ts";
import { countParameters } from "./parameter_shapes.ts";

export type { ModelFiles } from "./formats/model_files.ts";
export { inMemory, type Model, type ModelSource, type NamedTensor, withWeights } from "./model.ts";
export { readIntoMemory } from "./formats/model_files.ts";
export { saveAdapter } from "./formats/huggingface/peft.ts";
export { withPairingOf, withRotaryPairing } from "./rotary_pairing.ts";
export { saveHuggingFace as saveModel, type SaveModelOptions };

/** A model read from a folder. */
export interface LoadedModel extends Model {
  /** One line for a person: format, sizes and parameter count, and what was passed over in the files. */
  describe: string;
  /** Token ids that end a text, where the files say so. */
  ends?: readonly number[];
}

/** A model in a folder, its weights still in the files. */
export interface OpenedModel extends ModelFiles {
  /** As of {@linkcode LoadedModel}. */
  describe: string;
  /** Of LoRA apart from its base: the base's folder. */
  base?: string;
}

/**
 * Opens a model in a folder: Hugging Face, llama2.c, or `gguf_metadata.json` with safetensors. The configuration and
 * the list of tensors are read and checked; weights are read, one tensor at a time, when they are asked for.
 *
 * The folder may also hold LoRA alone, in PEFT's layout: then the model is its base with the change merged.
 *
 * @param adapter A folder with LoRA in PEFT's layout that is merged into the model.
 * @throws {CannotError} naming the file, field or tensor that is missing, malformed or unsupported.
 */
export async function openModelFiles(folder: string, adapter?: string): Promise<OpenedModel> {
  if (adapter !== undefined) return await adapted(await openModelFiles(folder), adapter);
  const files = await filesIn(folder);
  if (files.includes(adapterConfigFile) && !files.includes("config.json")) {
    return await adapted(await openBase(folder), folder);
  }
  const checkpoints = files.filter((file) => file.endsWith(".bin") && !file.startsWith("tok"));
  const tensorFiles = files.filter((file) => file.endsWith(".safetensors"));

  if (files.includes("config.json")) {
    return described(await openHuggingFace(folder), "Hugging Face");
  }
  if (files.includes("gguf_metadata.json") && tensorFiles.length === 1) {
    const model = await openGguf(`${folder}/gguf_metadata.json`, `${folder}/${tensorFiles[0]}`);
    return described(model, "llama.cpp");
  }
  if (checkpoints.length === 1) {
    return described(await openLlama2c(`${folder}/${checkpoints[0]}`), "llama2.c");
  }
  throw new CannotError(
    `find a model in "${folder}"`,
    `it holds ${files.length === 0 ? "no files" : files.join(", ")}`,
    "Give a folder with config.json and safetensors, with gguf_metadata.json and one safetensors " +
      "file, or with one llama2.c .bin",
  );
}

/**
 * Reads a model from a folder, as {@linkcode openModelFiles}, and all of its weights.
 * They are float32 and in canonical order; the rotary pairing is the checkpoint's own.
 *
 * @throws {CannotError} as {@linkcode openModelFiles}, and naming a tensor with a value that is not finite.
 */
export async function loadModel(folder: string): Promise<LoadedModel> {
  const files = await openModelFiles(folder);
  const { describe, ends } = files;
  return { ...await readIntoMemory(files), describe, ...(ends && { ends }) };
}

async function adapted(base: OpenedModel, folder: string): Promise<OpenedModel> {
  const { changes, scale, describe } = await readAdapter(folder, base.config);
  const { tensors } = mergeLora(base, changes, scale);
  return { ...base, tensors, describe: `${base.describe}; with ${describe}` };
}

async function openBase(adapter: string): Promise<OpenedModel> {
  const base = await baseOfAdapter(adapter);
  const isFolder = base !== undefined &&
    await Deno.stat(base).then(({ isDirectory }) => isDirectory, () => false);
  if (isFolder) return { ...await openModelFiles(base), base };
  throw new CannotError(
    `open the adapter "${adapter}"`,
    base === undefined ? "it does not say what it changes" : `its base "${base}" is no folder here`,
    "Give the base as the model, and this folder as its adapter",
  );
}

async function filesIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) if (!entry.isDirectory) files.push(entry.name);
  } catch (cause) {
    throw new CannotError(
      `read the folder "${folder}"`,
      (cause as Error).message,
      "Give the folder that holds the model",
      { cause },
    );
  }
  return files.sort();
}

function described(model: ModelFiles, format: string): OpenedModel {
  const { config, notes } = model;
  const describe =
    `${config.family} of ${countParameters(config).toLocaleString("en")} parameters ` +
    `(${config.layers} layers, width ${config.width}, vocabulary ${config.vocabularySize}), ` +
    `${format} format`;
  return { ...model, describe: [describe, ...notes].join("; ") };
}
