// Models in and out of folders. Three kinds are read: Hugging Face (config.json and safetensors, whole
// or sharded), llama2.c, and llama.cpp weights as safetensors. One kind is written, Hugging Face's, so
// that `transformers` reads what was trained here.

import { CannotError } from "../base/errors.ts";
import { exists, readJson, writeFileAtomic } from "../base/files.ts";
import {
  countParameters,
  type DecoderConfig,
  fromHuggingFace,
  type HostTensor,
  type SpecialTokens,
  toHuggingFace,
  type Weights,
} from "./config.ts";
import { readGgufFolder } from "./gguf_folder.ts";
import { readLlama2c } from "./llama2c.ts";
import { checkParameters, readParameters } from "./check_parameters.ts";
import { type Model, withRotaryPairing } from "./rotary_pairing.ts";
import {
  type Dtype,
  readSafetensorsHeader,
  readSafetensorsIndex,
  readTensor,
  writeSafetensors,
} from "./safetensors.ts";

export { type Model, withRotaryPairing } from "./rotary_pairing.ts";

/** A model read from a folder. */
export interface LoadedModel extends Model {
  /** One line for a person: format, sizes and parameter count. */
  describe: string;
}

/**
 * Reads a model from a folder: Hugging Face, llama2.c, or `gguf_metadata.json` with safetensors.
 * Weights are float32 and in canonical order; the rotary pairing is the checkpoint's own.
 *
 * @throws {CannotError} naming the file, field or tensor that is missing, malformed or unsupported.
 */
export async function loadModel(folder: string): Promise<LoadedModel> {
  const files = await filesIn(folder);
  const checkpoints = files.filter((file) => file.endsWith(".bin") && !file.startsWith("tok"));
  const tensorFiles = files.filter((file) => file.endsWith(".safetensors"));

  if (files.includes("config.json")) {
    return described(await readHuggingFaceFolder(folder), "Hugging Face");
  }
  if (files.includes("gguf_metadata.json") && tensorFiles.length === 1) {
    const model = await readGgufFolder(
      `${folder}/gguf_metadata.json`,
      `${folder}/${tensorFiles[0]}`,
    );
    return described(model, "llama.cpp");
  }
  if (checkpoints.length === 1) {
    return described(await readLlama2c(`${folder}/${checkpoints[0]}`), "llama2.c");
  }
  throw new CannotError(
    `find a model in "${folder}"`,
    `it holds ${files.length === 0 ? "no files" : files.join(", ")}`,
    "Give a folder with config.json and safetensors, with gguf_metadata.json and one safetensors " +
      "file, or with one llama2.c .bin",
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

function described({ config, weights }: Model, format: string): LoadedModel {
  const describe =
    `${config.family} of ${countParameters(config).toLocaleString("en")} parameters ` +
    `(${config.layers} layers, width ${config.width}, vocabulary ${config.vocabularySize}), ` +
    `${format} format`;
  return { config, weights, describe };
}

/** Buffers of older exports, which rope_theta determines. */
const ROTARY_BUFFER = /\.rotary_emb\.inv_freq$/;

async function readHuggingFaceFolder(folder: string): Promise<Model> {
  const configFile = `${folder}/config.json`;
  const config = fromHuggingFace(await readJson(configFile), configFile);
  const { tensors } = await readTensorDirectory(folder);
  for (const name of tensors.keys()) if (ROTARY_BUFFER.test(name)) tensors.delete(name);

  const head = config.tiedEmbedding ? tensors.get("lm_head.weight") : undefined;
  if (head) tensors.delete("lm_head.weight");
  const weights = await readParameters(config, tensors, folder);
  if (head && !sameBits(await readTensor(head), weights.get("model.embed_tokens.weight")!)) {
    throw new CannotError(
      `use the weights of "${folder}"`,
      'tensor "lm_head.weight" differs from "model.embed_tokens.weight", though the configuration ties them',
      'Set "tie_word_embeddings" to false in config.json, or remove the tensor',
    );
  }
  return { config, weights };
}

/** Like `transformers`, prefers the whole file to the shards. */
async function readTensorDirectory(folder: string): ReturnType<typeof readSafetensorsHeader> {
  const whole = `${folder}/model.safetensors`;
  const index = `${folder}/model.safetensors.index.json`;
  if (await exists(whole)) return await readSafetensorsHeader(whole);
  if (await exists(index)) return await readSafetensorsIndex(index);
  throw new CannotError(
    `find weights in "${folder}"`,
    "there is neither model.safetensors nor model.safetensors.index.json",
    "Download them, or convert the checkpoint to safetensors",
  );
}

function sameBits(a: HostTensor, b: HostTensor): boolean {
  if (a.shape.join() !== b.shape.join()) return false;
  const left = new Uint32Array(a.data.buffer), right = new Uint32Array(b.data.buffer);
  return left.every((word, i) => word === right[i]);
}

/**
 * Writes `model.safetensors` and `config.json`, which `transformers` reads.
 * Hugging Face pairs rotary entries in halves, so the query and key rows of an interleaved model are
 * permuted on the way out; it computes the same, and {@linkcode loadModel} returns it as a `half` model.
 *
 * @param options.dtype How to store the weights; F32 if left out.
 * @param options.special Token ids for `config.json`, usually the tokenizer's.
 * @throws {CannotError} when weights and configuration do not fit each other, or when a file cannot be written.
 *
 * @example A model with its tokenizer, as `transformers` and openModel read it
 * ```ts
 * import { initialise, saveModel, smallOlmo, trainBytePair } from "@slung/slung";
 *
 * const tokenizer = trainBytePair(["the old mill"], 258);
 * const config = smallOlmo({ width: 16, layers: 1, heads: 2, vocabularySize: 320 });
 * const { special } = tokenizer;
 * await saveModel("runs/new", config, initialise(config, 0), { special });
 * await tokenizer.save?.("runs/new");
 * ```
 */
export async function saveModel(
  folder: string,
  config: DecoderConfig,
  weights: Weights,
  options: { dtype?: Dtype; special?: SpecialTokens } = {},
): Promise<void> {
  checkParameters(config, weights, folder);
  const model = withRotaryPairing({ config, weights }, "half");
  const json = toHuggingFace(model.config, options.special);
  await Deno.mkdir(folder, { recursive: true }).catch((cause) => {
    throw new CannotError(`create the folder "${folder}"`, cause.message, "Choose another folder");
  });
  // `transformers` refuses a file without this entry.
  const metadata = { format: "pt" };
  const { dtype } = options;
  await writeSafetensors(`${folder}/model.safetensors`, model.weights, { dtype, metadata });
  // Last, because a folder without it is no model: an interrupted first save is not taken for one.
  await writeFileAtomic(`${folder}/config.json`, JSON.stringify(json, null, 2) + "\n");
}
