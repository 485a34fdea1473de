// A llama model taken out of a GGUF file: `gguf_metadata.json` holds its key-value pairs, one
// safetensors file its tensors, dequantised, under llama.cpp's names. Query and key rows are in
// llama.cpp's order, in which rotary pairs are interleaved. Every key under `llama.` is known or refused.

import { CannotError } from "../../base/errors.ts";
import { readJson } from "../../base/files.ts";
import { show } from "../../base/show.ts";
import { checkConfig } from "../check_config.ts";
import { checkTensors } from "../check_parameters.ts";
import type { DecoderConfig, RotaryScaling } from "../config.ts";
import { architectures } from "../families.ts";
import { type ModelFiles, readStored } from "./model_files.ts";
import { type Naming, storedTensors } from "./naming.ts";
import { readSafetensorsHeader } from "./safetensors.ts";

const longestMetadata = 64 * 2 ** 20; // they may list the tokens

/** What llama.cpp calls the tensors of a llama. */
export const ggufNaming: Naming = {
  outside: {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
  },
  layer: "blk.#.",
  inLayer: {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
  },
};

/**
 * Opens a folder with `gguf_metadata.json` and a safetensors file.
 *
 * @param tensorFile The safetensors file.
 * @throws {CannotError} naming the file and the key, when the metadata ask for what is not implemented,
 *   or the tensor that does not fit.
 */
export async function openGguf(metadataFile: string, tensorFile: string): Promise<ModelFiles> {
  const { tensors } = await readSafetensorsHeader(tensorFile);
  const metadata = new Metadata(await readJson(metadataFile, longestMetadata), metadataFile);
  const config = parseMetadata(metadata, !tensors.has("output.weight"), metadataFile);
  const stored = storedTensors(config, ggufNaming);
  checkTensors(stored.map(({ name, shape }) => [name, shape]), tensors, tensorFile);
  const ends = ["eos", "eot"].map((name) => `tokenizer.ggml.${name}_token_id`)
    .filter((key) => metadata.value(key) != null)
    .map((key) => {
      const id = metadata.number(key);
      if (Number.isInteger(id) && id >= 0 && id < config.vocabularySize) return id;
      throw metadata.refuse(key, `and ids end at ${config.vocabularySize - 1}`);
    });
  return {
    config,
    tensors: () => readStored(stored, tensors, tensorFile),
    ...(ends.length > 0 && { ends }),
    notes: [],
  };
}

function parseMetadata(
  metadata: Metadata,
  tiedEmbedding: boolean,
  where: string,
): DecoderConfig {
  metadata.choice("general.architecture", ["llama"]);
  const width = metadata.number("llama.embedding_length");
  const heads = metadata.number("llama.attention.head_count");
  const headWidth = metadata.number("llama.attention.key_length", Math.floor(width / heads));
  metadata.choice("llama.attention.value_length", [headWidth], headWidth);
  metadata.choice("llama.rope.dimension_count", [headWidth], headWidth);
  metadata.choice("llama.expert_count", [0], 0);
  metadata.choice("llama.expert_used_count", [0], 0);
  metadata.choice("llama.tensor_data_layout", ["Meta AI original pth"], "Meta AI original pth");
  const scaling = readScaling(metadata);
  const config: DecoderConfig = {
    family: "llama",
    vocabularySize: metadata.number("llama.vocab_size"),
    contextLength: metadata.number("llama.context_length"),
    width,
    layers: metadata.number("llama.block_count"),
    heads,
    kvHeads: metadata.number("llama.attention.head_count_kv", heads),
    headWidth,
    feedForward: metadata.number("llama.feed_forward_length"),
    ...architectures.llama,
    // GGUF stores a float32: 9.999999974752427e-07 was 1e-6.
    normEpsilon: Number(metadata.number("llama.attention.layer_norm_rms_epsilon").toPrecision(7)),
    positions: {
      theta: metadata.number("llama.rope.freq_base", 10000),
      pairing: "interleaved",
      share: 1,
      ...(scaling && { scaling }),
    },
    tiedEmbedding,
  };
  metadata.refuseUnread(/^llama\./);
  checkConfig(config, `"${where}"`);
  return config;
}

/** The keys of llama.cpp: the kind and its factor, or the older factor alone, which it takes for a linear one. */
function readScaling(metadata: Metadata): RotaryScaling | undefined {
  const older = metadata.number("llama.rope.scale_linear", 0); // 0 and 1 are none
  const factor = metadata.number("llama.rope.scaling.factor", older);
  if (older !== 0 && factor !== older) {
    throw metadata.refuse("llama.rope.scale_linear", "and llama.rope.scaling.factor is another");
  }
  const kind = metadata.choice(
    "llama.rope.scaling.type",
    ["none", "linear"],
    factor === 0 ? "none" : "linear",
  );
  metadata.value("llama.rope.scaling.finetuned"); // how it was trained
  metadata.value("llama.rope.scaling.original_context_length"); // which only other kinds read
  return kind === "none" || factor === 0 || factor === 1 ? undefined : { kind, factor };
}

/** Keys and values by name; it remembers which were read. */
class Metadata {
  readonly #values: Map<string, unknown>;
  readonly #where: string;
  readonly #read = new Set<string>();

  constructor(json: unknown, where: string) {
    this.#values = new Map(Object.entries(json ?? {}));
    this.#where = where;
  }

  value(key: string): unknown {
    this.#read.add(key);
    return this.#values.get(key);
  }

  number(key: string, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value === "number") return value;
    throw this.refuse(key, "it must be a number");
  }

  choice<const T>(key: string, allowed: readonly T[], fallback?: NoInfer<T>): T {
    const value = this.value(key) ?? fallback;
    if (allowed.includes(value as T)) return value as T;
    throw this.refuse(key, `only ${allowed.map((one) => show(one)).join(" and ")} is supported`);
  }

  refuseUnread(pattern: RegExp): void {
    for (const key of this.#values.keys()) {
      if (pattern.test(key) && !this.#read.has(key)) {
        throw this.refuse(key, "which is not supported");
      }
    }
  }

  refuse(key: string, why: string): CannotError {
    const found = this.#values.has(key) ? show(this.#values.get(key)) : "missing";
    return new CannotError(
      `read "${this.#where}"`,
      `"${key}" is ${found}, ${why}`,
      "Choose a plain llama model",
    );
  }
}
