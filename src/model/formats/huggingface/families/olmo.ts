// OLMo (allenai/OLMo-1B-hf): Llama with a layer norm that has no parameters, and ε fixed in the code.

import type { FamilyFormat } from "../format.ts";
import { attentionBiases, readLlamaLike, writeLlamaLike } from "./llama_like.ts";

/** See {@linkcode FamilyFormat}. */
export const olmo: FamilyFormat = {
  architecture: "OlmoForCausalLM",
  read(fields) {
    fields.choice("clip_qkv", [null], null);
    const biases = fields.flag("attention_bias", false) ? attentionBiases : [];
    return readLlamaLike(fields, "olmo", 1e-5, biases);
  },
  write: (config) =>
    writeLlamaLike(config, {
      ...(config.headWidth !== config.width / config.heads && { head_dim: config.headWidth }),
      clip_qkv: null,
      attention_bias: config.biases.includes("q_proj"),
    }),
};
