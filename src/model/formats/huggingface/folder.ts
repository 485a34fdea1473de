// Folders as `transformers` reads and writes them: config.json and safetensors, whole or sharded.

import { CannotError } from "../../../base/errors.ts";
import { exists, readJson, writeFileAtomic } from "../../../base/files.ts";
import { checkOptions, flag, listOf, object, oneOf, wholeNumber } from "../../../base/options.ts";
import { checkFinite, checkParameters, checkTensors } from "../../check_parameters.ts";
import type { DecoderConfig, SpecialTokens, Weights } from "../../config.ts";
import { withRotaryPairing } from "../../rotary_pairing.ts";
import { type ModelFiles, readStored } from "../model_files.ts";
import { type Naming, putTogether, type Stored, storedTensors } from "../naming.ts";
import {
  readSafetensorsHeader,
  readSafetensorsIndex,
  type TensorDirectory,
  type TensorEntry,
} from "../safetensors.ts";
import { type Dtype, sameContent, writeSafetensors } from "../tensor_data.ts";
import { fromHuggingFace, type HuggingFaceConfig, namingOf, toHuggingFace } from "./config.ts";
import { generationConfig, readEnds, withEnds } from "./ends.ts";

const longestConfig = 2 ** 20; // bytes of config.json

/** Buffers of older exports, which follow from the configuration: rotary frequencies, positions, causal masks. */
const buffer = /(^|\.)(rotary_emb\.\w+|position_ids|masked_bias|causal_mask)$/;
const causalMask = /(^|\.)(attn|attention)\.bias$/; // of four dimensions, unlike a bias

/**
 * Opens a folder with config.json and safetensors.
 *
 * @throws {CannotError} naming the file, field or tensor that is missing, malformed or unsupported.
 */
export async function openHuggingFace(folder: string): Promise<ModelFiles> {
  const configFile = `${folder}/config.json`;
  const json = await readJson(configFile, longestConfig);
  const notes: string[] = [];
  const config = fromHuggingFace(
    json,
    configFile,
    (names) => notes.push(`config.json: ${names.join(", ")} passed over, as by transformers`),
  );
  const { ends, notes: notesOnEnds } = await readEnds(folder, json, config.vocabularySize);
  const naming = namingOf(json as HuggingFaceConfig, config);
  const stored = storedTensors(config, naming);
  const entries = modelTensors(stored, (await readTensorDirectory(folder)).tensors);
  const copies = tiedCopies(config, naming, entries);
  checkTensors(stored.map(({ name, shape }) => [name, shape]), entries, folder);
  return {
    config,
    async *tensors() {
      for (const [head, embedding] of copies) await checkTied(folder, head, embedding);
      yield* readStored(stored, entries, folder);
    },
    ...(ends && { ends }),
    notes: [...notes, ...notesOnEnds],
  };
}

/** Like `transformers`, prefers the whole file to the shards. */
async function readTensorDirectory(folder: string): Promise<TensorDirectory> {
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

/**
 * The tensors without buffers, by the names that the whole model gives them: some files hold the model without its
 * head, whose names lack the first word (`wte.weight` for `transformer.wte.weight`).
 */
function modelTensors(
  stored: readonly Stored[],
  tensors: ReadonlyMap<string, TensorEntry>,
): Map<string, TensorEntry> {
  const expected = new Set(stored.map(({ name }) => name));
  const prefix = stored[0]!.name.split(".")[0] + ".";
  const isBare = !tensors.has(stored[0]!.name) &&
    tensors.has(stored[0]!.name.slice(prefix.length));
  const kept = new Map<string, TensorEntry>();
  for (const [given, entry] of tensors) {
    const name = isBare && !expected.has(given) ? prefix + given : given;
    const isBuffer = buffer.test(name) || causalMask.test(name) && entry.shape.length === 4;
    if (expected.has(name) || !isBuffer) kept.set(name, entry);
  }
  return kept;
}

/** Takes a head out of `entries` that a tied model repeats; returns it with the embedding that it must equal. */
function tiedCopies(
  config: DecoderConfig,
  naming: Naming | undefined,
  entries: Map<string, TensorEntry>,
): [TensorEntry, TensorEntry][] {
  if (!config.tiedEmbedding) return [];
  const untied = storedTensors({ ...config, tiedEmbedding: false }, naming);
  const head = entries.get(untied.at(-1)!.name), embedding = entries.get(untied[0]!.name);
  if (!head || !embedding) return [];
  entries.delete(untied.at(-1)!.name);
  return [[head, embedding]];
}

async function checkTied(folder: string, head: TensorEntry, embedding: TensorEntry): Promise<void> {
  if (await sameContent(head, embedding)) return;
  throw new CannotError(
    `use the weights of "${folder}"`,
    `tensor "${head.name}" differs from "${embedding.name}", though the configuration ties them`,
    'Set "tie_word_embeddings" to false in config.json, or remove the tensor',
  );
}

/** How a model is saved. */
export interface SaveModelOptions {
  /** How to store the weights; F32 unless given. */
  dtype?: Dtype;
  /** Token ids for `config.json`, usually the tokenizer's. */
  special?: SpecialTokens;
  /** The token ids that end a text, where they are others than `special.eos`. */
  ends?: readonly number[] | undefined;
  /** Put a CRC-32 of each tensor into the file's metadata, by which a damaged file is noticed. */
  checksums?: boolean;
}

/**
 * Writes `model.safetensors`, `config.json` and, where token ids are known, `generation_config.json`, as `transformers`
 * reads them, the tensors in the order of its own files.
 * Hugging Face pairs rotary entries in halves, so the query and key rows of an interleaved model are
 * permuted on the way out; it computes the same, and {@linkcode openHuggingFace} gives it as a `half` model.
 *
 * @throws {CannotError} when weights and configuration do not fit each other, when a value is not finite, and when a
 * file cannot be written.
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
export async function saveHuggingFace(
  folder: string,
  config: DecoderConfig,
  weights: Weights,
  options: SaveModelOptions = {},
): Promise<void> {
  checkOptions("save a model", options, {
    dtype: oneOf("F32", "F16", "BF16"),
    special: object,
    ends: listOf(wholeNumber({ min: 0 })),
    checksums: flag,
  });
  checkParameters(config, weights, folder);
  for (const [name, { data }] of weights) checkFinite(`save a model in "${folder}"`, name, data);
  const model = withRotaryPairing({ config, weights }, "half");
  const { special, ends = [] } = options;
  const json = withEnds(toHuggingFace(model.config, special), ends);
  await Deno.mkdir(folder, { recursive: true }).catch((cause) => {
    throw new CannotError(`create the folder "${folder}"`, cause.message, "Choose another folder");
  });
  const tensors = new Map(
    storedTensors(model.config, namingOf(json, model.config))
      .map((stored) => [stored.name, putTogether(stored, model.weights)]),
  );
  // `transformers` refuses a file without this entry.
  const metadata = { format: "pt" };
  const { dtype, checksums } = options;
  await writeSafetensors(`${folder}/model.safetensors`, tensors, { dtype, metadata, checksums });
  const ids = generationConfig(json);
  if (Object.values(ids).some((id) => id !== null)) {
    await writeJson(`${folder}/generation_config.json`, ids);
  }
  // Last, because a folder without it is no model: an interrupted first save is not taken for one.
  await writeJson(`${folder}/config.json`, json);
}

async function writeJson(path: string, value: object): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(value, null, 2) + "\n");
}
