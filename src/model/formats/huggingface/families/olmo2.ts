// OLMo 2 (allenai/OLMo-2-0425-1B): RMS norms after attention and feed-forward network, and on all queries and keys.

import type { FamilyFormat } from "../format.ts";
import { attentionBiases, readLlamaLike, writeLlamaLike } from "./llama_like.ts";

/** See {@linkcode FamilyFormat}. */
export const olmo2: FamilyFormat = {
  architecture: "Olmo2ForCausalLM",
  read(fields) {
    const biases = fields.flag("attention_bias", false) ? attentionBiases : [];
    return readLlamaLike(fields, "olmo2", fields.number("rms_norm_eps", 1e-5), biases);
  },
  write: (config) =>
    writeLlamaLike(config, {
      head_dim: config.headWidth,
      attention_bias: config.biases.includes("q_proj"),
      rms_norm_eps: config.normEpsilon,
    }),
};
