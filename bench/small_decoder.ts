// The small OLMo-like decoder of several cases, its useful operations and a batch for it.

import { type Batch, packSequences } from "../src/data/packing.ts";
import { type DecoderConfig, initialise, lowRiskSequence, olmoOptimiser, Random } from "../mod.ts";
import { parameterShapes } from "../src/model/parameter_shapes.ts";
import { smallOlmo } from "../src/experiments/small_olmo.ts";
import type { TrainingStep } from "./peers/peer.ts";

/** Letters as everywhere: C, L, V, T, B. Heads are 32 wide. */
export interface Sizes {
  width: number;
  layers: number;
  vocabulary: number;
  time: number;
  rows: number;
}

/** The shape that the figures are about: 1024 tokens, 1.2 million parameters. */
export const smallSizes: Sizes = { width: 128, layers: 4, vocabulary: 4096, time: 128, rows: 8 };

/** A training step of the decoder of these sizes, with random tokens. */
export function stepOf(sizes: Sizes): TrainingStep {
  const { rows, time } = sizes;
  const config = configOf(sizes);
  const batch = randomBatch(sizes);
  const weights = initialise(config, 0);
  return { config, weights, batch, rows, time, optimiser: olmoOptimiser, learningRate: 1e-3 };
}

/** Its configuration: tied embedding, non-parametric layer norm, SwiGLU. */
export function configOf({ width, layers, vocabulary, time }: Sizes): DecoderConfig {
  return smallOlmo({
    ...{ width, layers, heads: width / 32, vocabularySize: vocabulary, contextLength: time },
  });
}

/** Rows of random tokens, all of them learned. */
export function randomBatch(
  { rows, time, vocabulary }: Pick<Sizes, "rows" | "time" | "vocabulary">,
): Batch {
  const random = new Random(0, "tokens");
  const sequences = Array.from(
    { length: rows },
    () => lowRiskSequence(Uint32Array.from({ length: time + 1 }, () => random.below(vocabulary))),
  );
  return packSequences(sequences, { rows, time }).batches[0]!;
}

/** Parameters that take part in a matrix product: all but an embedding that is only looked up. */
export function matrixParameters(config: DecoderConfig): number {
  let count = 0;
  for (const [name, shape] of parameterShapes(config)) {
    if (shape.length !== 2) continue;
    if (name === "model.embed_positions.weight") continue;
    if (name === "model.embed_tokens.weight" && !config.tiedEmbedding) continue;
    count += shape[0]! * shape[1]!;
  }
  return count;
}

/** Useful operations of a training step: 6 per matrix parameter and token. */
export function stepOperations({ config, rows, time }: TrainingStep): number {
  return 6 * matrixParameters(config) * rows * time;
}
