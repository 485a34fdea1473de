// Llama (meta-llama/Llama-3.2-1B), and the many models that take its name.

import type { FamilyFormat } from "../format.ts";
import { attentionBiases, mlpBiases, readLlamaLike, writeLlamaLike } from "./llama_like.ts";

/** See {@linkcode FamilyFormat}. */
export const llama: FamilyFormat = {
  architecture: "LlamaForCausalLM",
  read(fields) {
    const biases = [
      ...(fields.flag("attention_bias", false) ? attentionBiases : []),
      ...(fields.flag("mlp_bias", false) ? mlpBiases : []),
    ];
    return readLlamaLike(fields, "llama", fields.number("rms_norm_eps", 1e-6), biases);
  },
  write: (config) =>
    writeLlamaLike(config, {
      head_dim: config.headWidth,
      attention_bias: config.biases.includes("q_proj"),
      mlp_bias: config.biases.includes("up_proj"),
      rms_norm_eps: config.normEpsilon,
    }),
};
