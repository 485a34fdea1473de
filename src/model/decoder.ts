// The decoder, written once and forwards, as its configuration says:
//   x = embed(tokens) (+ embed(positions));  each layer adds attention A and a feed-forward network F to it;
//   hidden = norm(x)
// Training attends within the batch, decoding against a cache: that step is passed in.

import * as op from "../nn/operations.ts";
import type { Parameter, Parameters } from "../nn/parameters.ts";
import type { Tape, Variable } from "../nn/tape.ts";
import type { DecoderConfig, Projection } from "./config.ts";
import { loraNames } from "./lora.ts";
import { normNames } from "./parameter_shapes.ts";

/** How a layer turns queries [N, H·D], keys and values [N, G·D] into [N, H·D]. */
export type Attend = (
  layer: number,
  name: string,
  q: Variable,
  k: Variable,
  v: Variable,
) => Variable;

/** What a decoder reads, and how. */
export interface DecoderInputs {
  tokens: op.TokenInputs;
  /** Where each token stands: angles by which queries and keys turn, or rows of a learned table. */
  positions: { rotary: op.RotaryInputs } | { learned: op.TokenInputs };
  attend: Attend;
  /** By what the changes of projections are multiplied that have A and B. */
  loraScale?: number;
  /** Compute the activations of each layer again in the backward pass instead of keeping them. */
  recompute?: boolean;
  /** Called while recording. */
  observe?: Observe;
}

/** Is shown the states [N, C] that enter each layer and, last, the final hidden ones, right after they are recorded. */
export type Observe = (tape: Tape, state: Variable) => void;

/** Records the decoder and returns the hidden states [N, C] after the final norm. */
export function decoder(
  tape: Tape,
  config: DecoderConfig,
  parameters: Parameters,
  inputs: DecoderInputs,
): Variable {
  const table = (name: string) => parameters.get(`model.${name}.weight`);
  let x = op.embedding(tape, "embedding", inputs.tokens, table("embed_tokens"));
  if ("learned" in inputs.positions) {
    const { learned } = inputs.positions;
    x = op.embedding(tape, "position_embedding", learned, table("embed_positions"), x);
  }
  for (let i = 0; i < config.layers; i++) {
    const stream = x;
    inputs.observe?.(tape, stream);
    const layer = () => decoderLayer(tape, config, parameters, inputs, i, stream);
    x = tape.segment(layer, { recompute: inputs.recompute ?? false });
  }
  const hidden = norm(tape, config, parameters, "model.norm", x);
  inputs.observe?.(tape, hidden);
  return hidden;
}

function decoderLayer(
  tape: Tape,
  config: DecoderConfig,
  parameters: Parameters,
  inputs: DecoderInputs,
  index: number,
  x: Variable,
): Variable {
  const prefix = `model.layers.${index}`;
  const layer = `layer${index}`;
  const [attentionNorm, feedForwardNorm] = normNames(config);
  const normed = (name: string, input: Variable, width?: number) =>
    norm(tape, config, parameters, `${prefix}.${name}`, input, width);

  // Every projection of the model is made here: x · Wᵀ, with its bias, its change of low rank, and added to `stream` where
  // one is given.
  const project = (name: Projection, input: Variable, stream?: Variable): Variable => {
    const isAttention = /^[qkvo]_/.test(name);
    const parameter = `${prefix}.${isAttention ? "self_attn" : "mlp"}.${name}`;
    const y = op.linear(tape, `${layer}/${name}`, input, {
      weight: parameters.get(`${parameter}.weight`),
      ...(config.biases.includes(name) && { bias: parameters.get(`${parameter}.bias`) }),
      ...(stream && { stream }),
    });
    const { a, b } = loraNames(`${parameter}.weight`);
    if (inputs.loraScale !== undefined && parameters.has(a)) {
      const change = { a: parameters.get(a), b: parameters.get(b), scale: inputs.loraScale };
      op.addLowRank(tape, `${layer}/${name}/lora`, y, input, change);
    }
    return y;
  };

  /** Queries or keys, normed and turned as the configuration says. */
  const placed = (name: "q" | "k", input: Variable): Variable => {
    let y = project(`${name}_proj`, input);
    const { queryKeyNorm, headWidth } = config;
    if (queryKeyNorm !== "none") {
      y = normed(`self_attn.${name}_norm`, y, queryKeyNorm === "each_head" ? headWidth : undefined);
    }
    return "rotary" in inputs.positions ? op.rotary(tape, y, inputs.positions.rotary) : y;
  };

  const attend = (input: Variable): Variable => {
    const q = placed("q", input), k = placed("k", input), v = project("v_proj", input);
    return inputs.attend(index, `${layer}/attention`, q, k, v);
  };

  const activate = (input: Variable): Variable => {
    const up = project("up_proj", input);
    const { activation } = config;
    if (activation !== "swiglu") {
      return op.gelu(tape, `${layer}/gelu`, up, activation === "gelu" ? "exact" : "tanh");
    }
    return op.swiglu(tape, `${layer}/swiglu`, project("gate_proj", input), up);
  };

  if (config.residual === "post_norm") {
    const attended = normed(attentionNorm, project("o_proj", attend(x)));
    const middle = op.add(tape, `${layer}/middle`, x, attended);
    const fed = normed(feedForwardNorm, project("down_proj", activate(middle)));
    return op.add(tape, `${layer}/output`, middle, fed);
  }
  if (config.residual === "parallel") {
    const attended = attend(normed(attentionNorm, x));
    const activated = activate(normed(feedForwardNorm, x));
    return project("down_proj", activated, project("o_proj", attended, x));
  }
  const middle = project("o_proj", attend(normed(attentionNorm, x)), x);
  return project("down_proj", activate(normed(feedForwardNorm, middle)), middle);
}

/** The matrix [V, C] that turns hidden states into logits. */
export function unembedding(config: DecoderConfig, parameters: Parameters): Parameter {
  return parameters.get(config.tiedEmbedding ? "model.embed_tokens.weight" : "lm_head.weight");
}

function norm(
  tape: Tape,
  config: DecoderConfig,
  parameters: Parameters,
  name: string,
  x: Variable,
  width?: number,
): Variable {
  return op.norm(tape, name.replace("model.", "").replace("layers.", "layer"), x, {
    centered: config.norm !== "rms",
    epsilon: config.normEpsilon,
    ...(width !== undefined && { width }),
    ...(config.norm !== "layer" && { weight: parameters.get(`${name}.weight`) }),
    ...(config.norm === "layer_affine" && { bias: parameters.get(`${name}.bias`) }),
  });
}
