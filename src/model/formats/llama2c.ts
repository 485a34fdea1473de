// The legacy checkpoint of karpathy/llama2.c (export.py, version 0): seven int32 (dim, hidden_dim,
// n_layers, n_heads, n_kv_heads, vocab_size, seq_len), then float32 tensors without names, each kind
// stacked over the layers. A negative vocab_size says that the unembedding is a tensor of its own.

import { CannotError } from "../../base/errors.ts";
import { openToRead } from "../../base/files.ts";
import { checkConfig } from "../check_config.ts";
import { checkFinite } from "../check_parameters.ts";
import type { DecoderConfig } from "../config.ts";
import { architectures } from "../families.ts";
import type { NamedTensor } from "../model.ts";
import { countParameters, parameterShapes } from "../parameter_shapes.ts";
import type { ModelFiles } from "./model_files.ts";
import { readFully } from "./read_fully.ts";

const HEADER_BYTES = 28;
const MAGIC = 0x616b3432; // "ak42": versions 1 and later
const BOS = 1, EOS = 2; // run.c ends a text where it would begin another

/**
 * Opens a legacy llama2.c checkpoint; its rotary pairs are interleaved.
 *
 * @throws {CannotError} naming the file, when its header is impossible or its size is not exactly what
 *   the header asks for.
 */
export async function openLlama2c(path: string): Promise<ModelFiles> {
  using file = await openToRead(path);
  const fileSize = (await file.stat()).size;
  const config = parseHeader(await readHeader(file, path, fileSize), path);
  const expected = HEADER_BYTES + 4 * countParameters(config) + rotaryTableBytes(config);
  if (fileSize !== expected) {
    throw refuse(path, `it has ${fileSize} bytes, its header asks for ${expected}`);
  }
  return { config, tensors: () => readTensors(path, config), ends: [BOS, EOS], notes: [] };
}

async function* readTensors(path: string, config: DecoderConfig): AsyncGenerator<NamedTensor> {
  using file = await openToRead(path);
  await file.seek(HEADER_BYTES, Deno.SeekMode.Start);
  const shapes = parameterShapes(config);
  for (const name of legacyOrder(config.layers)) {
    if (name === "lm_head.weight") {
      await file.seek(rotaryTableBytes(config), Deno.SeekMode.Current);
    }
    const shape = shapes.get(name);
    if (!shape) continue; // a tied lm_head
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    await readFully(file, new Uint8Array(data.buffer), path);
    checkFinite(`use the weights of "${path}"`, name, data);
    yield [name, { shape, data }];
  }
}

/** Cosines and sines of D/2 angles for every position, which nobody needs. */
function rotaryTableBytes({ contextLength, headWidth }: DecoderConfig): number {
  return 4 * contextLength * headWidth;
}

async function readHeader(file: Deno.FsFile, path: string, fileSize: number): Promise<Int32Array> {
  if (fileSize < HEADER_BYTES) {
    throw refuse(path, `it has ${fileSize} bytes, fewer than the ${HEADER_BYTES} of a header`);
  }
  const header = new Int32Array(HEADER_BYTES / 4);
  await readFully(file, new Uint8Array(header.buffer), path);
  if (header[0] === MAGIC) {
    throw new CannotError(
      `read "${path}"`,
      `it is a llama2.c export of version ${header[1]}, and only version 0 is read`,
      "Export it again with --version 0",
    );
  }
  return header;
}

function parseHeader(header: Int32Array, path: string): DecoderConfig {
  const [width, feedForward, layers, heads, kvHeads, vocabulary, contextLength] = header;
  const config: DecoderConfig = {
    family: "llama",
    vocabularySize: Math.abs(vocabulary!),
    contextLength: contextLength!,
    width: width!,
    layers: layers!,
    heads: heads!,
    kvHeads: kvHeads!,
    headWidth: Math.floor(width! / heads!), // if it is no whole number, checkConfig says so
    feedForward: feedForward!,
    ...architectures.llama,
    normEpsilon: 1e-5,
    positions: { theta: 10000, pairing: "interleaved", share: 1 },
    tiedEmbedding: vocabulary! > 0,
  };
  checkConfig(config, `"${path}"`);
  return config;
}

/** The tensors in file order; the two rotary tables stand before `lm_head.weight`. */
function* legacyOrder(layers: number): Generator<string> {
  const kinds = [
    "input_layernorm",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_proj", // w1
    "mlp.down_proj", // w2
    "mlp.up_proj", // w3
  ];
  yield "model.embed_tokens.weight";
  for (const kind of kinds) {
    for (let i = 0; i < layers; i++) yield `model.layers.${i}.${kind}.weight`;
  }
  yield "model.norm.weight";
  yield "lm_head.weight";
}

function refuse(path: string, why: string): CannotError {
  return new CannotError(
    `read "${path}"`,
    why,
    "Check that it is a complete llama2.c checkpoint, not a tokenizer",
  );
}
