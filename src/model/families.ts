// The published families side by side: what the layers of each are made of. A configuration file may change a part
// (Llama with biases, GPT-NeoX without the parallel residual); `formats/huggingface/` reads it.
// Positions are rotary in all but GPT-2, and turn a quarter of each head in Pythia.

import type { Architecture, DecoderConfig, Family, Projection } from "./config.ts";

const none: readonly Projection[] = [];
const queryKeyValue: readonly Projection[] = ["q_proj", "k_proj", "v_proj"];
const all: readonly Projection[] = [...queryKeyValue, "o_proj", "up_proj", "down_proj"];

/** What the layers of each family are made of. */
// deno-fmt-ignore
export const architectures: Readonly<Record<Family, Architecture>> = {
  olmo:     { norm: "layer",        residual: "pre_norm",  queryKeyNorm: "none",      biases: none,          activation: "swiglu" },
  olmo2:    { norm: "rms",          residual: "post_norm", queryKeyNorm: "all_heads", biases: none,          activation: "swiglu" },
  llama:    { norm: "rms",          residual: "pre_norm",  queryKeyNorm: "none",      biases: none,          activation: "swiglu" },
  mistral:  { norm: "rms",          residual: "pre_norm",  queryKeyNorm: "none",      biases: none,          activation: "swiglu" },
  qwen2:    { norm: "rms",          residual: "pre_norm",  queryKeyNorm: "none",      biases: queryKeyValue, activation: "swiglu" },
  qwen3:    { norm: "rms",          residual: "pre_norm",  queryKeyNorm: "each_head", biases: none,          activation: "swiglu" },
  gpt_neox: { norm: "layer_affine", residual: "parallel",  queryKeyNorm: "none",      biases: all,           activation: "gelu" },
  gpt2:     { norm: "layer_affine", residual: "pre_norm",  queryKeyNorm: "none",      biases: all,           activation: "gelu_tanh" },
};

function olmo(width: number, layers: number, heads: number): DecoderConfig {
  return {
    family: "olmo",
    vocabularySize: 50304, // 50,280 tokens, padded to a multiple of 128
    contextLength: 4096,
    width,
    layers,
    heads,
    kvHeads: heads,
    headWidth: width / heads,
    feedForward: 4 * width,
    ...architectures.olmo,
    normEpsilon: 1e-5,
    positions: { theta: 10000, pairing: "half", share: 1 },
    tiedEmbedding: false,
  };
}

/**
 * Configurations by name. `tiny` is for tests; `olmo20M` to `olmo150M` are allenai/OLMo's `configs/tiny`,
 * whose names count one of the two embedding tables; `olmo1B` is the model of the paper, and `olmo7B` its sibling.
 *
 * @example
 * ```ts
 * import { presets } from "@slung/slung";
 *
 * console.log(Object.keys(presets).join(" ")); // tiny olmo20M olmo60M olmo150M olmo1B olmo7B
 * console.log(presets.olmo1B.width); // 2048
 * ```
 */
export const presets = {
  tiny: {
    ...olmo(64, 2, 4),
    vocabularySize: 512,
    contextLength: 128,
    tiedEmbedding: true,
  },
  olmo20M: olmo(256, 8, 8),
  olmo60M: olmo(512, 8, 8),
  olmo150M: olmo(768, 12, 12),
  olmo1B: { ...olmo(2048, 16, 16), contextLength: 2048, tiedEmbedding: true },
  olmo7B: { ...olmo(4096, 32, 32), contextLength: 2048, feedForward: 11008 },
} satisfies Record<string, DecoderConfig> as Readonly<
  Record<"tiny" | "olmo20M" | "olmo60M" | "olmo150M" | "olmo1B" | "olmo7B", DecoderConfig>
>;
