// A llama model taken out of a GGUF file: `gguf_metadata.json` holds its key-value pairs, one
// safetensors file its tensors, dequantised, under llama.cpp's names. Query and key rows are in
// llama.cpp's order, in which rotary pairs are interleaved.

import { CannotError } from "../base/errors.ts";
import { readJson } from "../base/files.ts";
import { checkConfig, type DecoderConfig } from "./config.ts";
import { readParameters } from "./check_parameters.ts";
import type { Model } from "./rotary_pairing.ts";
import { readSafetensorsHeader } from "./safetensors.ts";
import { show } from "../base/show.ts";

/**
 * Reads a folder with `gguf_metadata.json` and a safetensors file.
 *
 * @param tensorFile The safetensors file.
 * @throws {CannotError} naming the file and the key, when the metadata ask for what is not implemented,
 *   or the tensor that does not fit.
 */
export async function readGgufFolder(metadataFile: string, tensorFile: string): Promise<Model> {
  const { tensors } = await readSafetensorsHeader(tensorFile);
  const metadata = await readJson(metadataFile);
  const config = parseMetadata(metadata, !tensors.has("output.weight"), metadataFile);
  return { config, weights: await readParameters(config, tensors, tensorFile, ggufName) };
}

function parseMetadata(json: unknown, tiedEmbedding: boolean, where: string): DecoderConfig {
  const metadata = new Map(Object.entries(json ?? {}));
  const fail = (key: string, why: string) =>
    new CannotError(
      `read "${where}"`,
      `"${key}" is ${metadata.has(key) ? show(metadata.get(key)) : "missing"}, ${why}`,
      "Choose a plain llama model",
    );
  const number = (key: string, fallback?: number): number => {
    const value = metadata.get(key) ?? fallback;
    if (typeof value !== "number") throw fail(key, "it must be a number");
    return value;
  };

  if (metadata.get("general.architecture") !== "llama") {
    throw fail("general.architecture", 'only "llama" is supported');
  }
  for (const key of metadata.keys()) {
    if (/^llama\.(rope\.scaling|expert|attention\.sliding)/.test(key)) {
      throw fail(key, "which is not supported");
    }
  }
  const width = number("llama.embedding_length");
  const heads = number("llama.attention.head_count");
  const headWidth = number("llama.attention.key_length", Math.floor(width / heads));
  if (number("llama.rope.dimension_count", headWidth) !== headWidth) {
    throw fail("llama.rope.dimension_count", `only the head width, ${headWidth}, is supported`);
  }
  const config: DecoderConfig = {
    family: "llama",
    vocabularySize: number("llama.vocab_size"),
    contextLength: number("llama.context_length"),
    width,
    layers: number("llama.block_count"),
    heads,
    kvHeads: number("llama.attention.head_count_kv", heads),
    headWidth,
    feedForward: number("llama.feed_forward_length"),
    norm: "rms",
    // GGUF stores a float32: 9.999999974752427e-07 was 1e-6.
    normEpsilon: Number(number("llama.attention.layer_norm_rms_epsilon").toPrecision(7)),
    activation: "swiglu",
    rotaryTheta: number("llama.rope.freq_base", 10000),
    rotaryPairing: "interleaved",
    tiedEmbedding,
  };
  checkConfig(config, `"${where}"`);
  return config;
}

const GGUF_NAMES: Readonly<Record<string, string>> = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  "lm_head": "output",
  "input_layernorm": "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "post_attention_layernorm": "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

/** llama.cpp's name of a parameter: `model.layers.0.mlp.up_proj.weight` is `blk.0.ffn_up.weight`. */
function ggufName(parameter: string): string {
  const [, layer, kind] = /^(?:model\.layers\.(\d+)\.)?(.*)\.weight$/.exec(parameter)!;
  const name = `${GGUF_NAMES[kind!]}.weight`;
  return layer === undefined ? name : `blk.${layer}.${name}`;
}
