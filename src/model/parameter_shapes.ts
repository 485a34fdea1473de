// The name and shape of every parameter of a decoder, from its configuration. Parameters are named as in Hugging Face's
// Llama (and OLMo 2, where its norms stand elsewhere), whatever family they come from.

import type { Architecture, DecoderConfig, Projection } from "./config.ts";

/**
 * The shape of every parameter by its name, in the order in which the model uses them.
 * Projections are `[out, in]`.
 */
export function parameterShapes(config: DecoderConfig): Map<string, number[]> {
  const { width, headWidth, feedForward, vocabularySize } = config;
  const queries = config.heads * headWidth;
  const keys = config.kvHeads * headWidth;
  const shapes = new Map<string, number[]>();
  const addNorm = (name: string, channels = width) => {
    if (config.norm !== "layer") shapes.set(`${name}.weight`, [channels]);
    if (config.norm === "layer_affine") shapes.set(`${name}.bias`, [channels]);
  };

  shapes.set("model.embed_tokens.weight", [vocabularySize, width]);
  if (config.positions === "learned") {
    shapes.set("model.embed_positions.weight", [config.contextLength, width]);
  }
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    const addProjection = (part: string, name: Projection, shape: [number, number]) => {
      shapes.set(`${layer}.${part}.${name}.weight`, shape);
      if (config.biases.includes(name)) shapes.set(`${layer}.${part}.${name}.bias`, [shape[0]]);
    };
    const [first, second] = normNames(config);
    if (config.residual !== "post_norm") addNorm(`${layer}.${first}`);
    addProjection("self_attn", "q_proj", [queries, width]);
    addProjection("self_attn", "k_proj", [keys, width]);
    addProjection("self_attn", "v_proj", [keys, width]);
    if (config.queryKeyNorm !== "none") {
      const each = config.queryKeyNorm === "each_head";
      addNorm(`${layer}.self_attn.q_norm`, each ? headWidth : queries);
      addNorm(`${layer}.self_attn.k_norm`, each ? headWidth : keys);
    }
    addProjection("self_attn", "o_proj", [width, queries]);
    if (config.residual === "post_norm") addNorm(`${layer}.${first}`);
    if (config.residual !== "post_norm") addNorm(`${layer}.${second}`);
    if (config.activation === "swiglu") addProjection("mlp", "gate_proj", [feedForward, width]);
    addProjection("mlp", "up_proj", [feedForward, width]);
    addProjection("mlp", "down_proj", [width, feedForward]);
    if (config.residual === "post_norm") addNorm(`${layer}.${second}`);
  }
  addNorm("model.norm");
  if (!config.tiedEmbedding) shapes.set("lm_head.weight", [vocabularySize, width]);
  return shapes;
}

/** What the norms of attention and of the feed-forward network are called in a layer. */
export function normNames({ residual }: Architecture): readonly [string, string] {
  return residual === "post_norm"
    ? ["post_attention_layernorm", "post_feedforward_layernorm"]
    : ["input_layernorm", "post_attention_layernorm"];
}

/** The number of parameters; a tied embedding counts once. */
export function countParameters(config: DecoderConfig): number {
  let count = 0;
  for (const shape of parameterShapes(config).values()) {
    count += shape.reduce((product, size) => product * size, 1);
  }
  return count;
}
