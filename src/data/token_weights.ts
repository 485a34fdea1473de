// Weights by which baselines choose the tokens that count, where SLUNG chooses by risk.

import { checkOptions, number, required, wholeNumber } from "../base/options.ts";
import type { Sequence } from "./sequence.ts";

/**
 * Goldfish loss (Hans et al. 2024): weight 0 for about one token in `k`, the same one wherever the same `context`
 * tokens (the token itself is the last of them, as in the authors' code) come back, so that no passage is learned whole.
 * The hash is FNV-1a with a final mix over the ids, where the authors look a product up in a table of random numbers
 * that differs between devices.
 */
export function goldfishWeights(
  tokens: Uint32Array,
  options: { k?: number; context?: number } = {},
): Float32Array {
  checkOptions("drop tokens by goldfish loss", options, {
    k: number({ min: 1 }),
    context: wholeNumber({ min: 1 }),
  });
  const { k = 4, context = 13 } = options;
  return Float32Array.from(tokens, (_, i) => {
    if (i < context) return 1; // the first one is no target
    let hash = 0x811c9dc5;
    for (let j = i - context + 1; j <= i; j++) hash = Math.imul(hash ^ tokens[j]!, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
    return ((hash ^ (hash >>> 15)) >>> 0) < 2 ** 32 / k ? 0 : 1;
  });
}

/**
 * Rho-1's selection (Lin et al. 2024): of all targets, weight 1 for the share whose loss exceeds the reference model's
 * most, and 0 for the others. Rho-1 selects anew in every batch by the loss of the model in training; this selects once,
 * by the loss of the model that training starts from.
 *
 * @param losses For each sequence, of its tokens after the first, under the starting model.
 * @param referenceLosses The same under the reference model.
 */
export function excessLossWeights(
  sequences: readonly Sequence[],
  losses: readonly ArrayLike<number>[],
  referenceLosses: readonly ArrayLike<number>[],
  share = 0.6,
): Sequence[] {
  checkOptions("select tokens by excess loss", { share }, {
    share: required(number({ min: 0, max: 1 })),
  });
  const excess = losses.map((own, i) =>
    Float64Array.from(own, (loss, j) => loss - referenceLosses[i]![j]!)
  );
  const sorted = concatenated(excess).sort();
  const threshold = sorted[Math.floor((1 - share) * sorted.length)] ?? -Infinity;
  return sequences.map((sequence, i) => ({
    ...sequence,
    weights: Float32Array.from(sequence.tokens, (_, j) => {
      const counts = j === 0 || excess[i]![j - 1]! >= threshold;
      return counts ? sequence.weights?.[j] ?? 1 : 0;
    }),
  }));
}

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
