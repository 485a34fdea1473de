// GPT-2 (openai-community/gpt2): learned positions, biases everywhere, matrices stored [in, out].

import type { DecoderConfig } from "../../../config.ts";
import { architectures } from "../../../families.ts";
import type { FamilyFormat } from "../format.ts";
import { readGelu } from "../gelu.ts";

/** See {@linkcode FamilyFormat}. */
export const gpt2: FamilyFormat = {
  architecture: "GPT2LMHeadModel",
  read(fields): DecoderConfig {
    fields.choice("scale_attn_weights", [true], true);
    fields.choice("scale_attn_by_inverse_layer_idx", [false], false);
    const width = fields.number("n_embd");
    const heads = fields.number("n_head");
    return {
      family: "gpt2",
      vocabularySize: fields.number("vocab_size"),
      contextLength: fields.number("n_positions", 1024),
      width,
      layers: fields.number("n_layer"),
      heads,
      kvHeads: heads,
      headWidth: Math.floor(width / heads),
      feedForward: fields.number("n_inner", 4 * width),
      ...architectures.gpt2,
      activation: readGelu(fields, "activation_function", "gelu_new"),
      normEpsilon: fields.number("layer_norm_epsilon", 1e-5),
      positions: "learned",
      tiedEmbedding: fields.flag("tie_word_embeddings", true),
    };
  },
  write: (config) => ({
    vocab_size: config.vocabularySize,
    n_positions: config.contextLength,
    n_embd: config.width,
    n_layer: config.layers,
    n_head: config.heads,
    n_inner: config.feedForward,
    activation_function: config.activation === "gelu" ? "gelu" : "gelu_new",
    layer_norm_epsilon: config.normEpsilon,
    scale_attn_weights: true,
    scale_attn_by_inverse_layer_idx: false,
    tie_word_embeddings: config.tiedEmbedding,
  }),
  naming: {
    outside: {
      "model.embed_tokens": "transformer.wte",
      "model.embed_positions": "transformer.wpe",
      "model.norm": "transformer.ln_f",
      "lm_head": "lm_head",
    },
    layer: "transformer.h.#.",
    inLayer: {
      "input_layernorm": "ln_1",
      "self_attn.o_proj": "attn.c_proj",
      "post_attention_layernorm": "ln_2",
      "mlp.up_proj": "mlp.c_fc",
      "mlp.down_proj": "mlp.c_proj",
    },
    joined: { name: "attn.c_attn", rows: "whole" },
    transposed: true,
  },
};
