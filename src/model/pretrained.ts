// A model folder opened for use: configuration, weights on the GPU, and the tokenizer that lies beside them.

import { checkOptions, flag, listOf, object, oneOf, seedNumber, text } from "../base/options.ts";
import { exists } from "../base/files.ts";
import { openTokenizer } from "../tokenizers/open.ts";
import { checkVocabulary, type Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { LanguageModel, type LanguageModelOptions } from "./language_model.ts";
import { initialiseLora, withLora } from "./lora.ts";
import { readIntoMemory } from "./formats/model_files.ts";
import { type Model, type OpenedModel, openModelFiles } from "./weights.ts";

/** What lies in a model's folder beside its weights. */
export interface Beside {
  /** Turns text into the token ids that the model was trained on. */
  tokenizer: Tokenizer;
  /**
   * The token ids that end a text: those of generation_config.json or config.json, of a llama2.c model BOS, and only
   * where the files name none the tokenizer's EOS.
   */
  ends: readonly number[];
  /** One line about the model, for logs: what it is, and what was passed over or decided in reading it. */
  description: string;
}

/** A model as it lies in its folder, and the tokenizer beside it. */
export interface PretrainedSource extends Beside {
  /** Configuration and host weights, from which models can be made. */
  source: Model;
}

/**
 * A model on the GPU and its tokenizer.
 *
 * @example
 * ```ts
 * import { encodePrompt, Gpu, openModel, perplexity, type Pretrained } from "@slung/slung";
 *
 * async function surprise({ model, tokenizer }: Pretrained, text: string): Promise<number> {
 *   return (await perplexity(model, encodePrompt(tokenizer, text))).nll;
 * }
 * using gpu = await Gpu.open();
 * console.log(await surprise(await openModel(gpu, "path/to/model"), "The old mill.") > 0); // true
 * ```
 */
export interface Pretrained extends Beside {
  /** The model, its parameters on the GPU. */
  model: LanguageModel;
}

/** How a model is opened. */
export interface OpenModelOptions extends LanguageModelOptions {
  /** Another folder for the tokenizer. */
  tokenizer?: string | undefined;
  /** A folder with LoRA in PEFT's layout, which is merged into the model. */
  adapter?: string | undefined;
  /** Of the first values of LoRA; 0 unless given. */
  seed?: number;
}

/**
 * Reads a model folder (Hugging Face, llama2.c, or llama.cpp weights as safetensors) and its tokenizer into memory.
 *
 * @param tokenizerFolder Another folder for the tokenizer.
 * @param adapter A folder with LoRA in PEFT's layout, which is merged into the model.
 * @throws {CannotError} when the folder holds no model or tokenizer, or the two do not fit.
 *
 * @example From which several models are to be trained
 * ```ts
 * import { Gpu, LanguageModel, readPretrained } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { source: { config, weights } } = await readPretrained("path/to/model");
 * using model = new LanguageModel(gpu, config, weights, { gradients: true });
 * ```
 */
export async function readPretrained(
  folder: string,
  tokenizerFolder?: string,
  adapter?: string,
): Promise<PretrainedSource> {
  const { files, ...beside } = await openFolder(folder, tokenizerFolder, adapter);
  return { source: await readIntoMemory(files), ...beside };
}

/**
 * Reads a model folder as {@linkcode readPretrained}, and puts its weights on the GPU, one tensor at a time: the host
 * holds no more than the largest.
 *
 * @throws {CannotError} as there, for a weight that is not finite or that f16 cannot hold, and where the adapter has
 * too little memory.
 *
 * @example
 * ```ts
 * import { Gpu, openModel } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { model, tokenizer, description } = await openModel(gpu, "path/to/model", {
 *   gradients: true,
 * });
 * ```
 */
export async function openModel(
  gpu: Gpu,
  folder: string,
  options: OpenModelOptions = {},
): Promise<Pretrained> {
  checkOptions("open a model", options, {
    gradients: flag,
    precision: oneOf("f32", "f16"),
    freeze: listOf(text),
    lora: object,
    tokenizer: text,
    adapter: text,
    seed: seedNumber,
  });
  const { tokenizer, adapter, seed = 0, ...modelOptions } = options;
  const { files, ...beside } = await openFolder(folder, tokenizer, adapter);
  const { lora } = modelOptions;
  const source = lora ? withLora(files, initialiseLora(files.config, lora, seed)) : files;
  const model = await LanguageModel.load(gpu, source, modelOptions);
  const { vanished } = model.parameters;
  if (vanished === 0) return { model, ...beside };
  const loss = `${vanished.toLocaleString("en")} weights are too small for f16 and become 0`;
  return { model, ...beside, description: `${beside.description}; ${loss}` };
}

/**
 * Opens a model folder as {@linkcode readPretrained}, its weights still in the files.
 *
 * @throws {CannotError} as there.
 */
export async function openFolder(
  folder: string,
  tokenizerFolder?: string,
  adapter?: string,
): Promise<Beside & { files: OpenedModel }> {
  const files = await openModelFiles(folder, adapter);
  const isBare = files.base !== undefined && !await exists(`${folder}/tokenizer.json`);
  const tokenizer = await openTokenizer(tokenizerFolder ?? (isBare ? files.base! : folder));
  checkVocabulary(tokenizer, files.config.vocabularySize);
  const { eos } = tokenizer.special;
  const ofTokenizer = eos === undefined ? [] : [eos];
  const { ends = ofTokenizer, describe } = files;
  const contradicts = eos !== undefined && !ends.includes(eos);
  const note = `; texts end at token ${ends.join(" or ")}, not at the tokenizer's EOS ${eos}`;
  return { files, tokenizer, ends, description: contradicts ? describe + note : describe };
}
