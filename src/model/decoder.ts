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

/** Records the decoder and returns the hidden states [N, C] after the final norm. */
export function decoder(
  tape: Tape,
  config: DecoderConfig,
  parameters: Parameters,
  inputs: { tokens: op.TokenInputs; rotary: op.RotaryInputs; attend: Attend },
): Variable {
  let x = op.embedding(tape, inputs.tokens, parameters.get("model.embed_tokens.weight"));
  for (let i = 0; i < config.layers; i++) {
    const prefix = `model.layers.${i}`;
    const weight = (name: string): Parameter => parameters.get(`${prefix}.${name}.weight`);
    const linear = (name: string, input: Variable): Variable =>
      op.linear(tape, `layer${i}/${name.split(".")[1]}`, input, weight(name));

    const attentionInput = norm(tape, config, parameters, `${prefix}.input_layernorm`, x);
    const q = op.rotary(tape, linear("self_attn.q_proj", attentionInput), inputs.rotary);
    const k = op.rotary(tape, linear("self_attn.k_proj", attentionInput), inputs.rotary);
    const v = linear("self_attn.v_proj", attentionInput);
    const attended = inputs.attend(i, `layer${i}/attention`, q, k, v);
    x = op.add(tape, `layer${i}/middle`, x, linear("self_attn.o_proj", attended));

    const feedForwardInput = norm(
      tape,
      config,
      parameters,
      `${prefix}.post_attention_layernorm`,
      x,
    );
    const up = linear("mlp.up_proj", feedForwardInput);
    const activated = config.activation === "swiglu"
      ? op.swiglu(tape, `layer${i}/swiglu`, linear("mlp.gate_proj", feedForwardInput), up)
      : op.gelu(tape, `layer${i}/gelu`, up);
    x = op.add(tape, `layer${i}/output`, x, linear("mlp.down_proj", activated));
  }
  return norm(tape, config, parameters, "model.norm", x);
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
