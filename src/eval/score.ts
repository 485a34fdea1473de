// Log-probabilities of given texts: the forward pass and the same selective loss as in training, without gradients.
// Everything that asks "how likely is this text" (perplexity, truth ratio, per-token analysis) goes through here.

import { stepLength } from "../../kernels/step.ts";
import { packSequences, type Sequence } from "../data/batch.ts";
import { Program } from "../gpu/program.ts";
import { BatchTensors } from "../model/batch_tensors.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { selectiveLoss } from "../nn/operations.ts";
import { objective, termsToWgsl } from "../slung/objective.ts";

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
 * @throws {CannotError} for a sequence longer than the context of the model.
 */
export async function scoreSequences(
  model: LanguageModel,
  sequences: readonly Sequence[],
  options: ScoreOptions = {},
): Promise<Float64Array[]> {
  const longest = sequences.reduce((most, { tokens }) => Math.max(most, tokens.length - 1), 1);
  const { time = Math.max(longest, Math.min(128, model.config.contextLength)) } = options;
  const { rows = scoringRows(time) } = options;
  const { batches, placements } = packSequences(sequences, { rows, time });
  const { terms } = objective("direct"); // every token has a term, so every row is scored
  using program = new Program(model.gpu, "score");
  const tensors = new BatchTensors(program, rows * time, time);
  const { tape, hidden } = model.recordBatch(program, tensors, { batch: rows, training: false });
  const logOdds = program.allocate("log_odds", [rows * time]);
  selectiveLoss(tape, hidden, model.unembedding, {
    ...tensors,
    step: program.allocate("step", [stepLength]),
    losses: program.allocate("losses", [rows * time]),
    logOdds,
    classSums: program.allocate("class_sums", [4]),
    terms: termsToWgsl(terms),
  });
  const scores: Float32Array[] = [];
  for (const [i, batch] of batches.entries()) {
    tensors.write({ ...batch, weights: batch.weights.map(() => 1) }, terms);
    program.replay();
    scores.push(await model.gpu.read(logOdds));
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
