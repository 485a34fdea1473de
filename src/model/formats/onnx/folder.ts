// A folder as transformers.js reads it: config.json, generation_config.json, the tokenizer's files, and the decoder in
// onnx/. Weights beyond the size that one protocol buffer may have lie in files of their own beside the graph, which are
// written one tensor at a time.

import { CannotError } from "../../../base/errors.ts";
import { exists, makeFolder, writeFileAtomic } from "../../../base/files.ts";
import { checkFinite } from "../../check_parameters.ts";
import type { Model, ModelSource, NamedTensor } from "../../model.ts";
import type { Tokenizer } from "../../../tokenizers/tokenizer.ts";
import { withRotaryPairing } from "../../rotary_pairing.ts";
import { isOwnType, toHuggingFace } from "../huggingface/config.ts";
import { generationConfig, withEnds } from "../huggingface/ends.ts";
import { checkWritable, encodeValues } from "../tensor_data.ts";
import { decoderGraph, type OnnxPrecision } from "./decoder.ts";
import { encodeModel, type Location } from "./messages.ts";
import { lengthOf } from "./protobuf.ts";

/** What transformers.js calls the precisions, and what it puts behind a file's name. */
const kinds = {
  f32: { name: "fp32", suffix: "", dtype: "F32", bytes: 4 },
  f16: { name: "fp16", suffix: "_fp16", dtype: "F16", bytes: 2 },
} as const;

/** How a model is exported. */
export interface OnnxOptions {
  /** One file for each. */
  precisions: readonly OnnxPrecision[];
  /** What goes with it: its files, and its ids in the configuration. */
  tokenizer?: Tokenizer;
  /** The token ids that end a text, where they are others than the tokenizer's. */
  ends?: readonly number[] | undefined;
  /** Bytes that a file may have: 2 GB, of protocol buffers and of arrays in browsers, unless given. */
  longestFile?: number | undefined;
}

/** A file that was written, and how large it is. */
export interface WrittenFile {
  path: string;
  bytes: number;
}

/**
 * Writes a model for transformers.js. Its config.json comes last, so that a folder without it is no model.
 *
 * @returns The files in `onnx/`.
 * @throws {CannotError} when the folder holds a model already, for a model that no Hugging Face family describes, for a
 * tokenizer of another kind than transformers.js reads, for a weight that is not finite or too large for f16, and when a
 * file cannot be written.
 */
export async function saveOnnx(
  folder: string,
  source: ModelSource,
  { precisions, tokenizer, ends = [], longestFile = 2e9 }: OnnxOptions,
): Promise<WrittenFile[]> {
  if (await exists(`${folder}/config.json`)) {
    const why = "it holds a model already";
    throw new CannotError(`export into "${folder}"`, why, "Choose another output folder");
  }
  const { config } = inHalves(source);
  const json = withEnds(toHuggingFace(config, tokenizer?.special), ends);
  if (isOwnType(json)) {
    throw new CannotError(
      "export the model for transformers.js",
      `it is no ${config.family} as that family's configuration describes it`,
      "Export a model of one of the published families",
    );
  }
  if (tokenizer && !tokenizer.save) {
    throw new CannotError(
      `export the tokenizer ${tokenizer.name}`,
      "transformers.js reads tokenizer.json, and this one is of another kind",
      "Give the folder of a tokenizer that has it",
    );
  }
  await makeFolder(`${folder}/onnx`);
  const written: WrittenFile[] = [];
  const dataFiles: Record<string, number> = {};
  for (const precision of precisions) {
    const file = `model${kinds[precision].suffix}.onnx`;
    const files = await writeModel(`${folder}/onnx`, file, source, precision, longestFile);
    if (files.length > 1) dataFiles[file] = files.length - 1;
    written.push(...files);
  }
  await tokenizer?.save?.(folder);
  await writeJson(`${folder}/generation_config.json`, generationConfig(json));
  const settings = {
    dtype: kinds[precisions[0]!].name,
    kv_cache_dtype: { fp16: "float16" }, // for transformers.js 3; later ones read it from the graph
    ...(Object.keys(dataFiles).length > 0 && { use_external_data_format: dataFiles }),
  };
  await writeJson(`${folder}/config.json`, { ...json, "transformers.js_config": settings });
  return written;
}

async function writeModel(
  folder: string,
  file: string,
  source: ModelSource,
  precision: OnnxPrecision,
  longestFile: number,
): Promise<WrittenFile[]> {
  const graph = decoderGraph(inHalves(source).config, precision);
  const { bytes } = kinds[precision];
  const sizes = [...graph.weights.values()].map((shape) => elementsOf(shape) * bytes);
  const inside = sizes.reduce((sum, size) => sum + size, 0) < longestFile;
  const tensors = encodedTensors(`${folder}/${file}`, source, precision);
  const locations = new Map<string, Location>();
  const written = inside ? [] : await writeData(folder, file, tensors, locations, longestFile);
  if (inside) {
    for await (const { name, pieces } of tensors) locations.set(name, { pieces: [...pieces()] });
  }
  const pieces = encodeModel(graph, locations, "slung");
  await writeFileAtomic(`${folder}/${file}`, pieces);
  return [{ path: `${folder}/${file}`, bytes: lengthOf(pieces) }, ...written];
}

/** A tensor and its bytes, which are made a piece at a time when they are asked for. */
interface EncodedTensor {
  name: string;
  length: number;
  pieces(): Iterable<Uint8Array>;
}

async function* encodedTensors(
  path: string,
  source: ModelSource,
  precision: OnnxPrecision,
): AsyncGenerator<EncodedTensor> {
  const { dtype, bytes } = kinds[precision];
  for await (const [name, given] of source.tensors()) {
    const { data, shape } = inHalves(source, [name, given]).weights.get(name)!;
    checkFinite(`write "${path}"`, name, data);
    checkWritable(path, name, shape, data, dtype);
    yield { name, length: data.length * bytes, pieces: () => encodeValues(data, dtype) };
  }
}

// As Hugging Face's families pair the entries that turn.
function inHalves({ config }: ModelSource, ...tensors: NamedTensor[]): Model {
  return withRotaryPairing({ config, weights: new Map(tensors) }, "half");
}

const alignment = 4096; // as ONNX advises, for files that are mapped into memory

// Fills one file after the other, and notes where each tensor went. A tensor is never cut.
async function writeData(
  folder: string,
  model: string,
  tensors: AsyncGenerator<EncodedTensor>,
  locations: Map<string, Location>,
  longestFile: number,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  let next = await tensors.next();
  while (!next.done) {
    const file = `${model}_data${written.length === 0 ? "" : `_${written.length}`}`;
    let end = 0;
    await writeFileAtomic(
      `${folder}/${file}`,
      (async function* () {
        while (!next.done) {
          const { name, length, pieces } = next.value;
          const offset = Math.ceil(end / alignment) * alignment;
          if (end > 0 && offset + length > longestFile) break;
          if (offset > end) yield new Uint8Array(offset - end);
          yield* pieces();
          locations.set(name, { file, offset, length });
          end = offset + length;
          next = await tensors.next();
        }
      })(),
    );
    written.push({ path: `${folder}/${file}`, bytes: end });
  }
  return written;
}

async function writeJson(path: string, value: object): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(value, null, 2) + "\n");
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
