// Rotary embedding turns pairs of entries of a head: (j, j + D/2) in Hugging Face, (2j, 2j + 1) in
// llama2.c and llama.cpp. Attention only sees q·k, which does not change when the rows of both
// projections are permuted alike, so that a model in one order is exactly a model in the other.

import type { DecoderConfig, HostTensor, Weights } from "./config.ts";

/**
 * A configuration and the weights that fit it.
 *
 * @example
 * ```ts
 * import { initialise, type Model, smallOlmo } from "@slung/slung";
 *
 * const config = smallOlmo({ width: 16, layers: 1, heads: 2, vocabularySize: 320 });
 * const base: Model = { config, weights: initialise(config, 0) };
 * ```
 */
export interface Model {
  /** The architecture. */
  config: DecoderConfig;
  /** In host memory, float32. */
  weights: Weights;
}

/**
 * The same model with its query and key rows in the order of `pairing`.
 * Other tensors are shared with `model`; converting there and back gives the same bits.
 */
export function withRotaryPairing(model: Model, pairing: DecoderConfig["rotaryPairing"]): Model {
  if (model.config.rotaryPairing === pairing) return model;
  const weights: Weights = new Map();
  for (const [name, tensor] of model.weights) {
    const isTurned = /\.self_attn\.[qk]_proj\.weight$/.test(name);
    weights.set(name, isTurned ? permuteRows(tensor, model.config.headWidth, pairing) : tensor);
  }
  return { config: { ...model.config, rotaryPairing: pairing }, weights };
}

function permuteRows(
  { shape, data }: HostTensor,
  headWidth: number,
  to: DecoderConfig["rotaryPairing"],
): HostTensor {
  const columns = shape[1]!;
  const permuted = new Float32Array(data.length);
  for (let row = 0; row < shape[0]!; row++) {
    const inHead = row % headWidth;
    const first = row - inHead;
    // Entry p (0 or 1) of pair j is row 2j + p interleaved, and row j + p·D/2 in halves.
    const half = headWidth / 2;
    const source = to === "half"
      ? 2 * (inHead % half) + Math.floor(inHead / half)
      : (inHead >> 1) + (inHead & 1) * half;
    const start = (first + source) * columns;
    permuted.set(data.subarray(start, start + columns), row * columns);
  }
  return { shape: [...shape], data: permuted };
}
