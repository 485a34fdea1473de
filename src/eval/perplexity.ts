// Perplexity of a text: exp of the mean negative log-likelihood per predicted token.

import { CannotError } from "../base/errors.ts";
import { lowRiskSequence } from "../data/sequence.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { type ScoreOptions, scoreSequences } from "./score.ts";

/** How well a model predicts a text. */
export interface Perplexity {
  /** Mean negative log-likelihood in nats per predicted token. */
  nll: number;
  /** exp(nll); 1 is perfect. */
  perplexity: number;
  /** Predicted tokens. */
  tokens: number;
  /** Pieces into which the text was cut, each predicted from nothing but itself. */
  windows: number;
}

/**
 * Scores tokens in consecutive windows of the model's context; the first of each window is not predicted.
 *
 * @throws {CannotError} for a text of fewer than two tokens, a model that sees only one, and as {@linkcode scoreSequences}.
 *
 * @example
 * ```ts
 * import { encodePrompt, Gpu, openModel, perplexity } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { model, tokenizer } = await openModel(gpu, "path/to/model");
 * const { nll, tokens } = await perplexity(model, encodePrompt(tokenizer, "The old mill turned."));
 * console.log(`${tokens} tokens at ${nll.toFixed(0)} nats`.includes("tokens at")); // true
 * ```
 */
export async function perplexity(
  model: LanguageModel,
  tokens: Uint32Array,
  options: ScoreOptions = {},
): Promise<Perplexity> {
  const { contextLength } = model.config;
  if (tokens.length < 2 || contextLength < 2) {
    throw new CannotError(
      `compute the perplexity of a text of ${tokens.length} tokens`,
      contextLength < 2 ? "the model sees one token at a time" : "nothing is predicted",
      contextLength < 2 ? "Use a model with a longer context" : "Give a longer text",
    );
  }
  const windows: Uint32Array[] = [];
  for (let i = 0; i < tokens.length; i += contextLength) {
    windows.push(tokens.slice(i, i + contextLength));
  }
  const scores = await scoreSequences(model, windows.map(lowRiskSequence), { rows: 4, ...options });
  let sum = 0, count = 0;
  for (const window of scores) {
    for (const logProbability of window) sum -= logProbability;
    count += window.length;
  }
  const nll = sum / count;
  return { nll, perplexity: Math.exp(nll), tokens: count, windows: windows.length };
}
