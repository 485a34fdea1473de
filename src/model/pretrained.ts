// A model folder opened for use: configuration, weights on the GPU, and the tokenizer that lies beside them.

import { checkVocabulary, loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { LanguageModel } from "./language_model.ts";
import { loadModel, type Model } from "./weights.ts";

/** A model and its tokenizer. */
export interface Pretrained {
  /** On the GPU; the caller frees it. */
  model: LanguageModel;
  /** Checked against the model's vocabulary. */
  tokenizer: Tokenizer;
  /** What was read: configuration and host weights, from which further copies can be made. */
  source: Model;
  /** One line about the model, for logs. */
  description: string;
}

/**
 * Opens a model folder (Hugging Face, llama2.c, or llama.cpp weights as safetensors).
 *
 * @param options.gradients Allocate gradients, for training.
 * @param options.tokenizer Another folder for the tokenizer.
 * @throws {CannotError} when the folder holds no model or tokenizer, or the two do not fit.
 */
export async function openModel(
  gpu: Gpu,
  folder: string,
  options: { gradients?: boolean; tokenizer?: string } = {},
): Promise<Pretrained> {
  const tokenizer = await loadTokenizer(options.tokenizer ?? folder);
  const { describe, ...source } = await loadModel(folder);
  checkVocabulary(tokenizer, source.config.vocabularySize);
  const model = new LanguageModel(gpu, source.config, source.weights, options);
  return { model, tokenizer, source, description: describe };
}

/** Token ids of a text as the model expects them at the start of a context: with BOS where it has one. */
export function encodePrompt(tokenizer: Tokenizer, text: string): Uint32Array {
  const { ids } = tokenizer.encode(text);
  const { bos } = tokenizer.special;
  if (bos === undefined) return ids;
  const prompt = new Uint32Array(ids.length + 1);
  prompt[0] = bos;
  prompt.set(ids, 1);
  return prompt;
}
