// Qwen 2 and 2.5 (Qwen/Qwen2.5-0.5B): Llama with biases on queries, keys and values.

import { architectures } from "../../../families.ts";
import type { Fields } from "../fields.ts";
import type { FamilyFormat } from "../format.ts";
import { readLlamaLike, withinWindow, writeLlamaLike } from "./llama_like.ts";

/** See {@linkcode FamilyFormat}. */
export const qwen2: FamilyFormat = {
  architecture: "Qwen2ForCausalLM",
  read(fields) {
    const epsilon = fields.number("rms_norm_eps", 1e-6);
    const { biases } = architectures.qwen2;
    const defaults = { contextLength: 32768, kvHeads: 32 };
    const config = readLlamaLike(fields, "qwen2", epsilon, biases, defaults);
    return withinWindow(config, slidingWindow(fields, config.layers));
  },
  write: (config) =>
    writeLlamaLike(config, {
      ...(config.headWidth !== config.width / config.heads && { head_dim: config.headWidth }),
      rms_norm_eps: config.normEpsilon,
      use_sliding_window: false,
    }),
};

/** The window of Qwen's layers from `max_window_layers` on; `undefined` where none has one. */
export function slidingWindow(fields: Fields, layers: number): number | undefined {
  const isUsed = fields.flag("use_sliding_window", false);
  const window = fields.number("sliding_window", 4096);
  const full = fields.number("max_window_layers", 28);
  const kinds = fields.value("layer_types") ?? [];
  const isWindowed = isUsed && full < layers;
  const allowed = isWindowed ? ["full_attention", "sliding_attention"] : ["full_attention"];
  if (!Array.isArray(kinds) || !kinds.every((kind) => allowed.includes(kind))) {
    const supported = allowed.map((kind) => `"${kind}"`).join(" and ");
    throw fields.refuse("layer_types", `supported: ${supported}`, "Choose another model");
  }
  return isWindowed ? window : undefined;
}
