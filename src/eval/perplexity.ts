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
 * @throws {CannotError} for a text of fewer than two tokens.
 */
export async function perplexity(
  model: LanguageModel,
  tokens: Uint32Array,
  options: ScoreOptions = {},
): Promise<Perplexity> {
  if (tokens.length < 2) {
    throw new CannotError(
      `compute the perplexity of a text of ${tokens.length} tokens`,
      "nothing is predicted",
      "Give a longer text",
    );
  }
  const windows: Uint32Array[] = [];
  const { contextLength } = model.config;
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
