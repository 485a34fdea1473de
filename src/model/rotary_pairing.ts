// Rotary embedding turns pairs of entries of a head: (j, j + R/2) in Hugging Face, (2j, 2j + 1) in
// llama2.c and llama.cpp. Attention only sees q·k, which does not change when the rows of both
// projections are permuted alike, so that a model in one order is exactly a model in the other.

import type { DecoderConfig, HostTensor, RotaryPositions, Weights } from "./config.ts";
import type { Model } from "./model.ts";
import { turnedWidth } from "./rotary.ts";

/**
 * The same model with its query and key rows in the order of `pairing`.
 * Other tensors are shared with `model`; converting there and back gives the same bits.
 */
export function withRotaryPairing(model: Model, pairing: RotaryPositions["pairing"]): Model {
  const { config } = model;
  const { positions, headWidth } = config;
  if (positions === "learned" || positions.pairing === pairing) return model;
  const turned = turnedWidth(positions, headWidth);
  const weights: Weights = new Map();
  for (const [name, tensor] of model.weights) {
    const isTurned = /\.self_attn\.[qk]_(proj|norm)(\.lora_B)?\.(weight|bias)$/.test(name);
    weights.set(name, isTurned ? permuteRows(tensor, headWidth, turned, pairing) : tensor);
  }
  return { config: { ...config, positions: { ...positions, pairing } }, weights };
}

/** The same model with the pairing of `config`. */
export function withPairingOf({ positions }: DecoderConfig, model: Model): Model {
  return positions === "learned" ? model : withRotaryPairing(model, positions.pairing);
}

// Rows of matrices, and entries of what is added to or multiplied with their products.
function permuteRows(
  { shape, data }: HostTensor,
  headWidth: number,
  turned: number,
  to: RotaryPositions["pairing"],
): HostTensor {
  const columns = shape[1] ?? 1;
  const permuted = new Float32Array(data.length);
  for (let row = 0; row < shape[0]!; row++) {
    const inHead = row % headWidth;
    const first = row - inHead;
    const source = inHead < turned ? sourceOf(inHead, turned / 2, to) : inHead;
    const start = (first + source) * columns;
    permuted.set(data.subarray(start, start + columns), row * columns);
  }
  return { shape: [...shape], data: permuted };
}

// Entry p (0 or 1) of pair j is row 2j + p interleaved, and row j + p·R/2 in halves.
function sourceOf(row: number, half: number, to: RotaryPositions["pairing"]): number {
  return to === "half" ? 2 * (row % half) + Math.floor(row / half) : (row >> 1) + (row & 1) * half;
}
