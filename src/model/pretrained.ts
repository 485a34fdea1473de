// A model folder opened for use: configuration, weights on the GPU, and the tokenizer that lies beside them.

import { openTokenizer } from "../tokenizers/open.ts";
import { checkVocabulary, type Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Precision } from "../gpu/tensor.ts";
import { LanguageModel } from "./language_model.ts";
import { loadModel, type Model } from "./weights.ts";

/** A model as it lies in its folder, and the tokenizer beside it. */
export interface PretrainedSource {
  /** Configuration and host weights, from which models can be made. */
  source: Model;
  /** Turns text into the token ids that the model was trained on. */
  tokenizer: Tokenizer;
  /** One line about the model, for logs. */
  description: string;
}

/** A model on the GPU and its tokenizer. */
export interface Pretrained extends PretrainedSource {
  /** The model, its parameters on the GPU. */
  model: LanguageModel;
}

/**
 * Reads a model folder (Hugging Face, llama2.c, or llama.cpp weights as safetensors) and its tokenizer.
 *
 * @param tokenizerFolder Another folder for the tokenizer.
 * @throws {CannotError} when the folder holds no model or tokenizer, or the two do not fit.
 */
export async function readPretrained(
  folder: string,
  tokenizerFolder: string = folder,
): Promise<PretrainedSource> {
  const tokenizer = await openTokenizer(tokenizerFolder);
  const { describe, ...source } = await loadModel(folder);
  checkVocabulary(tokenizer, source.config.vocabularySize);
  return { source, tokenizer, description: describe };
}

/**
 * Reads a model folder and puts the model on the GPU; see {@linkcode readPretrained}.
 *
 * @param options.gradients Allocate gradients, for training.
 * @param options.precision Of weights and activations; f32 unless given.
 * @param options.tokenizer Another folder for the tokenizer.
 */
export async function openModel(
  gpu: Gpu,
  folder: string,
  options: { gradients?: boolean; precision?: Precision; tokenizer?: string | undefined } = {},
): Promise<Pretrained> {
  const pretrained = await readPretrained(folder, options.tokenizer);
  const { config, weights } = pretrained.source;
  return { ...pretrained, model: new LanguageModel(gpu, config, weights, options) };
}
