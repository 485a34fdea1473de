// Mistral (mistralai/Mistral-7B-v0.3): Llama; the sliding window of the first version limits the context here.

import type { FamilyFormat } from "../format.ts";
import { readLlamaLike, withinWindow, writeLlamaLike } from "./llama_like.ts";

/** See {@linkcode FamilyFormat}. */
export const mistral: FamilyFormat = {
  architecture: "MistralForCausalLM",
  read(fields) {
    const epsilon = fields.number("rms_norm_eps", 1e-6);
    const window = fields.optionalNumber("sliding_window");
    const config = readLlamaLike(fields, "mistral", epsilon, [], {
      contextLength: 4096 * 32,
      kvHeads: 8,
    });
    return withinWindow(config, fields.has("sliding_window") ? window : 4096);
  },
  write: (config) =>
    writeLlamaLike(config, {
      head_dim: config.headWidth,
      rms_norm_eps: config.normEpsilon,
      sliding_window: null,
    }),
};
