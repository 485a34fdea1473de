// Models and classifiers: whatever is accepted has finite numbers in the shapes of its configuration.

import { architectures } from "../src/model/families.ts";
import { checkConfig } from "../src/model/check_config.ts";
import type { DecoderConfig, HostTensor } from "../src/model/config.ts";
import { ggufNaming } from "../src/model/formats/gguf.ts";
import { fromHuggingFace } from "../src/model/formats/huggingface/config.ts";
import { storedTensors } from "../src/model/formats/naming.ts";
import { readSafetensorsHeader, readSafetensorsIndex } from "../src/model/formats/safetensors.ts";
import { readTensor, writeSafetensors } from "../src/model/formats/tensor_data.ts";
import { parameterShapes } from "../src/model/parameter_shapes.ts";
import { loadModel, openModelFiles } from "../src/model/weights.ts";
import { readJson } from "../src/base/files.ts";
import type { Random } from "../src/base/random.ts";
import { fastTextClassifier } from "../src/label/fasttext.ts";
import {
  linearClassifier,
  loadLinearModel,
  saveLinearModel,
  trainLinearClassifier,
} from "../src/label/linear_classifier.ts";
import { mutateBytes, mutateJson } from "./mutate.ts";
import { bytesOf, type Files, type Reader } from "./reader.ts";

const tests = new URL("../tests/", import.meta.url).pathname;

const gguf = {
  "general.architecture": "llama",
  "llama.block_count": 1,
  "llama.context_length": 16,
  "llama.embedding_length": 8,
  "llama.feed_forward_length": 12,
  "llama.attention.head_count": 2,
  "llama.attention.layer_norm_rms_epsilon": 1e-5,
  "llama.rope.freq_base": 10000,
  "llama.vocab_size": 12,
  "tokenizer.ggml.eos_token_id": 2,
};
const small: DecoderConfig = {
  family: "llama",
  vocabularySize: 12,
  contextLength: 16,
  width: 8,
  layers: 1,
  heads: 2,
  kvHeads: 2,
  headWidth: 4,
  feedForward: 12,
  ...architectures.llama,
  normEpsilon: 1e-5,
  positions: { theta: 10000, pairing: "interleaved", share: 1 },
  tiedEmbedding: true,
};

/** The readers of models. */
export const models: readonly Reader[] = [
  {
    name: "safetensors",
    files: async () => ({ "a.safetensors": await safetensors(2) }),
    damage: { "a.safetensors": damagedHeader },
    async read(folder) {
      const { tensors } = await readSafetensorsHeader(`${folder}/a.safetensors`);
      for (const entry of tensors.values()) {
        const { shape, data } = await readTensor(entry);
        if (data.length !== shape.reduce((a, b) => a * b, 1)) {
          return `${data.length} for [${shape}]`;
        }
      }
      return undefined;
    },
  },
  {
    name: "safetensors index",
    files: async () => ({
      "a.safetensors": await safetensors(2),
      "b.safetensors": await safetensors(2, 2),
      "model.safetensors.index.json": JSON.stringify({
        metadata: { total_size: 96 },
        weight_map: {
          t0: "a.safetensors",
          t1: "a.safetensors",
          t2: "b.safetensors",
          t3: "b.safetensors",
        },
      }),
    }),
    damage: { "model.safetensors.index.json": "json", "a.safetensors": damagedHeader },
    async read(folder) {
      const { tensors } = await readSafetensorsIndex(`${folder}/model.safetensors.index.json`);
      for (const { file } of tensors.values()) {
        if (!file.startsWith(folder) || file.includes("..")) return `it reads ${file}`;
      }
      return undefined;
    },
  },
  {
    name: "config",
    files: async () => ({
      "config.json": await Deno.readTextFile(`${tests}fixtures/tiny_llama/config.json`),
    }),
    damage: { "config.json": "json" },
    async read(folder) {
      const config = fromHuggingFace(
        await readJson(`${folder}/config.json`),
        `${folder}/config.json`,
      );
      checkConfig(config);
      for (const [name, shape] of parameterShapes(config)) {
        if (!shape.every((size) => Number.isSafeInteger(size) && size > 0)) {
          return `${name} [${shape}]`;
        }
      }
      return undefined;
    },
  },
  {
    name: "model folder",
    files: () => filesOf(`${tests}fixtures/tiny_llama`, ["config.json", "model.safetensors"]),
    damage: { "config.json": "json", "model.safetensors": damagedHeader },
    read: finiteModel,
  },
  {
    name: "llama2.c",
    files: () => ({ "model.bin": llama2c() }),
    damage: { "model.bin": "bytes" },
    read: finiteModel,
  },
  {
    name: "gguf",
    files: async () => {
      const zeros = (shape: number[]) => new Float32Array(shape.reduce((a, b) => a * b));
      const tensors = storedTensors(small, ggufNaming)
        .map(({ name, shape }): [string, HostTensor] => {
          return [name, { shape: [...shape], data: zeros([...shape]) }];
        });
      return {
        "gguf_metadata.json": JSON.stringify(gguf),
        "model.safetensors": await written((path) => writeSafetensors(path, new Map(tensors))),
      };
    },
    damage: { "gguf_metadata.json": "json", "model.safetensors": damagedHeader },
    read: finiteModel,
  },
  {
    name: "fastText",
    files: () => filesOf(`${tests}golden/fasttext`, ["softmax.bin", "ova.bin", "hs.bin"]),
    damage: { "softmax.bin": "bytes", "ova.bin": "bytes", "hs.bin": "bytes" },
    async read(folder) {
      for (const name of ["softmax", "ova", "hs"]) {
        const { score } = fastTextClassifier(`${folder}/${name}.bin`, "__label__rude");
        const [found] = await score(["krund krund of the kettle"]);
        if (!(found! >= -1e-6 && found! <= (1 + 1e-5) ** 3 + 1e-7)) return `the score ${found}`; // as fastText, which adds 1e-5 to every factor
      }
      return undefined;
    },
  },
  {
    name: "linear classifier",
    files: async () => ({
      "a.linear": await written((path) => {
        const texts = [{ text: "krund", risky: true }, { text: "kettle", risky: false }];
        return saveLinearModel(path, trainLinearClassifier("small", texts, { seed: 0, bits: 8 }));
      }),
    }),
    damage: { "a.linear": "bytes" },
    async read(folder) {
      const { score } = linearClassifier(await loadLinearModel(`${folder}/a.linear`));
      const [found] = await score(["krund krund of the kettle"]);
      if (!(found! >= 0 && found! <= 1)) return `the score ${found}`;
      return undefined;
    },
  },
];

async function finiteModel(folder: string): Promise<string | undefined> {
  const { config, weights } = await loadModel(folder);
  for (const [name, { data }] of weights) {
    if (!data.every((value) => Number.isFinite(value))) return `${name} is not finite`;
  }
  const { ends = [] } = await openModelFiles(folder);
  const wrong = ends.find((id) => !(Number.isInteger(id) && id >= 0 && id < config.vocabularySize));
  return wrong === undefined ? undefined : `texts end in the id ${wrong}`;
}

async function safetensors(count: number, first = 0): Promise<Uint8Array> {
  const tensors = Array.from({ length: count }, (_, i) => {
    const data = Float32Array.from({ length: 6 }, (_, j) => i + j / 8);
    return [`t${first + i}`, { shape: [2, 3], data }] as [string, HostTensor];
  });
  return await written((path) =>
    writeSafetensors(path, new Map(tensors), { metadata: { a: "b" } })
  );
}

// The header is what there is to get wrong: three times in four it is its JSON that is damaged, and its length fits.
function damagedHeader(content: string | Uint8Array, random: Random): Uint8Array {
  const bytes = bytesOf(content);
  if (random.below(4) === 0) return mutateBytes(bytes, random);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = Number(view.getBigUint64(0, true));
  const json = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  const header = new TextEncoder().encode(mutateJson(json, random));
  const result = new Uint8Array(8 + header.length + bytes.length - 8 - length);
  new DataView(result.buffer).setBigUint64(0, BigInt(header.length), true);
  result.set(header, 8);
  result.set(bytes.subarray(8 + length), 8 + header.length);
  return result;
}

// Dim 8, hidden 6, 1 layer, 2 heads, 1 KV head, 5 tokens, 3 positions, untied.
function llama2c(): Uint8Array {
  const sizes = [40, 8, 64, 32, 32, 64, 8, 48, 48, 48, 8, 6, 6, 40];
  const values = sizes.flatMap((size, kind) => Array<number>(size).fill(kind / 8));
  const file = new Float32Array(7 + values.length);
  new Int32Array(file.buffer).set([8, 6, 1, 2, 1, -5, 3]);
  file.set(values, 7);
  return new Uint8Array(file.buffer);
}

async function filesOf(folder: string, names: readonly string[]): Promise<Files> {
  const contents = names.map(async (name) =>
    [name, await Deno.readFile(`${folder}/${name}`)] as const
  );
  return Object.fromEntries(await Promise.all(contents));
}

/** What a function writes to a file. */
async function written(write: (path: string) => unknown): Promise<Uint8Array> {
  const path = await Deno.makeTempFile();
  await write(path);
  const bytes = await Deno.readFile(path);
  await Deno.remove(path);
  return bytes;
}
