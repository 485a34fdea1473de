// Log-probabilities of given texts: the forward pass and the same selective loss as in training, without gradients.
// Everything that asks "how likely is this text" (perplexity, truth ratio, per-token analysis) goes through here.

import { packSequences } from "../data/packing.ts";
import { checkSequences, type Sequence } from "../data/sequence.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { LossPass } from "../model/loss_pass.ts";
import { objective } from "../slung/objective.ts";

/** Shape of the batches in which texts are scored. */
export interface ScoreOptions {
  /** Rows per batch. */
  rows?: number;
  /** Positions per row; by default what the longest text needs. */
  time?: number;
  /** Called after each batch. */
  progress?: (done: number, total: number) => void;
}

/** Rows of a batch that is only run forward: 8, or fewer of more than 512 positions. */
export function scoringRows(time: number): number {
  return Math.max(1, Math.min(8, Math.floor(4096 / time)));
}

/**
 * The log-probability in nats of every token after the first of each sequence: entry i belongs to token i + 1.
 *
 * @throws {CannotError} for a malformed sequence, an id that the model does not have, or one longer than its context.
 */
export async function scoreSequences(
  model: LanguageModel,
  sequences: readonly Sequence[],
  options: ScoreOptions = {},
): Promise<Float64Array[]> {
  checkSequences(sequences, "score", model.config.vocabularySize);
  const longest = sequences.reduce((most, { tokens }) => Math.max(most, tokens.length - 1), 1);
  const { time = Math.max(longest, Math.min(128, model.config.contextLength)) } = options;
  const { rows = scoringRows(time) } = options;
  const whole = sequences.map(({ repeated: _, ...sequence }) => sequence); // also scored where it was read before
  const { batches, placements } = packSequences(whole, { rows, time });
  const { terms } = objective("direct"); // every token has a term, so every row is scored
  using pass = new LossPass(model, { name: "score", rows, time, terms });
  const scores: Float32Array[] = [];
  for (const [i, batch] of batches.entries()) {
    pass.run({ ...batch, weights: batch.weights.map(() => 1) });
    scores.push(await model.gpu.read(pass.logOdds));
    options.progress?.(i + 1, batches.length);
  }
  return sequences.map(({ tokens }, i) => {
    const { batch, start } = placements[i]!;
    const own = scores[batch]!.subarray(start, start + Math.max(0, tokens.length - 1));
    return Float64Array.from(own, (m) => logSigmoid(m));
  });
}

/** log p of a token from its log-odds, without overflow. */
export function logSigmoid(logOdds: number): number {
  return Math.min(logOdds, 0) - Math.log1p(Math.exp(-Math.abs(logOdds)));
}
