// GPT-NeoX (EleutherAI/pythia-160m): attention and feed-forward network side by side, biases everywhere, a quarter of
// each head turns, and the queries, keys and values of a head lie together.

import type { DecoderConfig } from "../../../config.ts";
import { architectures } from "../../../families.ts";
import type { FamilyFormat } from "../format.ts";
import { readGelu } from "../gelu.ts";
import { readRope, writeRopeScaling } from "../rope.ts";

/** See {@linkcode FamilyFormat}. */
export const gptNeox: FamilyFormat = {
  architecture: "GPTNeoXForCausalLM",
  read(fields): DecoderConfig {
    const width = fields.number("hidden_size");
    const heads = fields.number("num_attention_heads");
    const { biases } = architectures.gpt_neox;
    return {
      family: "gpt_neox",
      vocabularySize: fields.number("vocab_size"),
      contextLength: fields.number("max_position_embeddings", 2048),
      width,
      layers: fields.number("num_hidden_layers"),
      heads,
      kvHeads: heads,
      headWidth: Math.floor(width / heads),
      feedForward: fields.number("intermediate_size"),
      ...architectures.gpt_neox,
      residual: fields.flag("use_parallel_residual", true) ? "parallel" : "pre_norm",
      biases: fields.flag("attention_bias", true)
        ? biases
        : biases.filter((name) => name === "up_proj" || name === "down_proj"),
      activation: readGelu(fields, "hidden_act", "gelu"),
      normEpsilon: fields.number("layer_norm_eps", 1e-5),
      positions: readRope(fields, {
        theta: "rotary_emb_base",
        share: "rotary_pct",
        fallback: 0.25,
      }),
      tiedEmbedding: fields.flag("tie_word_embeddings", false),
    };
  },
  write: (config) => ({
    vocab_size: config.vocabularySize,
    max_position_embeddings: config.contextLength,
    hidden_size: config.width,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    intermediate_size: config.feedForward,
    hidden_act: config.activation === "gelu" ? "gelu" : "gelu_pytorch_tanh",
    attention_bias: config.biases.includes("q_proj"),
    use_parallel_residual: config.residual === "parallel",
    layer_norm_eps: config.normEpsilon,
    ...(config.positions !== "learned" && {
      rotary_pct: config.positions.share,
      rotary_emb_base: config.positions.theta,
      rope_scaling: writeRopeScaling(config.positions),
    }),
    tie_word_embeddings: config.tiedEmbedding,
  }),
  naming: {
    outside: {
      "model.embed_tokens": "gpt_neox.embed_in",
      "model.norm": "gpt_neox.final_layer_norm",
      "lm_head": "embed_out",
    },
    layer: "gpt_neox.layers.#.",
    inLayer: {
      "input_layernorm": "input_layernorm",
      "self_attn.o_proj": "attention.dense",
      "post_attention_layernorm": "post_attention_layernorm",
      "mlp.up_proj": "mlp.dense_h_to_4h",
      "mlp.down_proj": "mlp.dense_4h_to_h",
    },
    joined: { name: "attention.query_key_value", rows: "by_head" },
  },
};
