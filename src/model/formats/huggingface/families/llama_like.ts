// What Llama and its relatives share: OLMo, Mistral and Qwen say their sizes in the same fields and name their tensors
// alike. Each has a file of its own for what it does otherwise.

import type { DecoderConfig, Family, Projection } from "../../../config.ts";
import { projections } from "../../../config.ts";
import { architectures } from "../../../families.ts";
import type { Fields } from "../fields.ts";
import { readRope, writeRopeScaling } from "../rope.ts";

/** The biases of attention where `attention_bias` is true. */
export const attentionBiases: readonly Projection[] = ["q_proj", "k_proj", "v_proj", "o_proj"];

/** The biases of the feed-forward network where `mlp_bias` is true. */
export const mlpBiases: readonly Projection[] = ["gate_proj", "up_proj", "down_proj"];

/** What nothing is said about in a file, where a relative differs from Llama. */
export interface Defaults {
  /** `max_position_embeddings`; 2048 unless given. */
  contextLength?: number;
  /** `num_key_value_heads`; as many as queries unless given. */
  kvHeads?: number;
  /** `head_dim`; the width divided by the heads unless given. */
  headWidth?: number;
}

/** Reads the fields that all relatives have; biases and the norm's epsilon are the caller's. */
export function readLlamaLike(
  fields: Fields,
  family: Family,
  normEpsilon: number,
  biases: readonly Projection[],
  defaults: Defaults = {},
): DecoderConfig {
  fields.choice("hidden_act", ["silu", "swish"], "silu"); // two names of one function
  const width = fields.number("hidden_size");
  const heads = fields.number("num_attention_heads");
  // Hugging Face takes a null for "as many as queries", and the default only where the field is absent.
  const kvHeads = fields.has("num_key_value_heads") ? heads : defaults.kvHeads ?? heads;
  return {
    family,
    vocabularySize: fields.number("vocab_size"),
    contextLength: fields.number("max_position_embeddings", defaults.contextLength ?? 2048),
    width,
    layers: fields.number("num_hidden_layers"),
    heads,
    kvHeads: fields.number("num_key_value_heads", kvHeads),
    headWidth: fields.number("head_dim", defaults.headWidth ?? Math.floor(width / heads)),
    feedForward: fields.number("intermediate_size"),
    ...architectures[family],
    biases: projections.filter((name) => biases.includes(name)),
    normEpsilon,
    positions: readRope(fields),
    tiedEmbedding: fields.flag("tie_word_embeddings", false),
  };
}

/** The fields of {@linkcode readLlamaLike}; `own` are those of one relative only. */
export function writeLlamaLike(
  config: DecoderConfig,
  own: Record<string, unknown>,
): Record<string, unknown> {
  const { positions } = config;
  return {
    vocab_size: config.vocabularySize,
    max_position_embeddings: config.contextLength,
    hidden_size: config.width,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    ...own,
    intermediate_size: config.feedForward,
    hidden_act: "silu",
    ...(positions !== "learned" && {
      rope_theta: positions.theta,
      rope_scaling: writeRopeScaling(positions),
    }),
    tie_word_embeddings: config.tiedEmbedding,
  };
}

/**
 * The longest context in which a sliding window changes nothing: no query is further from a key than the window.
 *
 * @param window The number of positions that a query sees, its own included; `undefined` where it sees all.
 */
export function withinWindow(config: DecoderConfig, window: number | undefined): DecoderConfig {
  return window === undefined
    ? config
    : { ...config, contextLength: Math.min(config.contextLength, window) };
}
