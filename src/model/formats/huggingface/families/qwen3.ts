// Qwen 3 (Qwen/Qwen3-0.6B): Llama with an RMS norm on every head of queries and keys.

import type { FamilyFormat } from "../format.ts";
import { attentionBiases, readLlamaLike, withinWindow, writeLlamaLike } from "./llama_like.ts";
import { slidingWindow } from "./qwen2.ts";

/** See {@linkcode FamilyFormat}. */
export const qwen3: FamilyFormat = {
  architecture: "Qwen3ForCausalLM",
  read(fields) {
    const epsilon = fields.number("rms_norm_eps", 1e-6);
    const biases = fields.flag("attention_bias", false) ? attentionBiases : [];
    const defaults = { contextLength: 32768, kvHeads: 32, headWidth: 128 };
    const config = readLlamaLike(fields, "qwen3", epsilon, biases, defaults);
    return withinWindow(config, slidingWindow(fields, config.layers));
  },
  write: (config) =>
    writeLlamaLike(config, {
      head_dim: config.headWidth,
      attention_bias: config.biases.includes("q_proj"),
      rms_norm_eps: config.normEpsilon,
      use_sliding_window: false,
    }),
};
