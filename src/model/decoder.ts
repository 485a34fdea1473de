// The decoder of OLMo and Llama, written once and forwards:
//   x = embed(tokens);  per layer  x += W_o · attend(norm(x)),  x += W_down · (silu(W_gate h) · W_up h), h = norm(x);
//   hidden = norm(x)
// Training attends within the batch, decoding against a cache: that step is passed in.

import * as op from "../nn/operations.ts";
import type { Parameter, Parameters } from "../nn/parameters.ts";
import type { Tape, Variable } from "../nn/tape.ts";
import type { DecoderConfig } from "./config.ts";

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
  rotary: op.RotaryInputs;
  attend: Attend;
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
  let x = op.embedding(tape, inputs.tokens, parameters.get("model.embed_tokens.weight"));
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
  { rotary, attend }: DecoderInputs,
  index: number,
  x: Variable,
): Variable {
  const prefix = `model.layers.${index}`;
  const layer = `layer${index}`;
  const weight = (name: string): Parameter => parameters.get(`${prefix}.${name}.weight`);
  const linear = (name: string, input: Variable): Variable =>
    op.linear(tape, `${layer}/${name.split(".")[1]}`, input, weight(name));

  const attentionInput = norm(tape, config, parameters, `${prefix}.input_layernorm`, x);
  const q = op.rotary(tape, linear("self_attn.q_proj", attentionInput), rotary);
  const k = op.rotary(tape, linear("self_attn.k_proj", attentionInput), rotary);
  const v = linear("self_attn.v_proj", attentionInput);
  const attended = attend(index, `${layer}/attention`, q, k, v);
  const middle = op.linear(tape, `${layer}/middle`, attended, weight("self_attn.o_proj"), x);

  const feedForwardNorm = `${prefix}.post_attention_layernorm`;
  const feedForwardInput = norm(tape, config, parameters, feedForwardNorm, middle);
  const up = linear("mlp.up_proj", feedForwardInput);
  const activated = config.activation === "swiglu"
    ? op.swiglu(tape, `${layer}/swiglu`, linear("mlp.gate_proj", feedForwardInput), up)
    : op.gelu(tape, `${layer}/gelu`, up);
  return op.linear(tape, `${layer}/output`, activated, weight("mlp.down_proj"), middle);
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
): Variable {
  return op.norm(tape, name.replace("model.", "").replace("layers.", "layer"), x, {
    centered: config.norm !== "rms",
    epsilon: config.normEpsilon,
    ...(config.norm !== "layer" && { weight: parameters.get(`${name}.weight`) }),
    ...(config.norm === "layer_affine" && { bias: parameters.get(`${name}.bias`) }),
  });
}
