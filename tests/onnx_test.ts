// Exports to ONNX: the files themselves, read by a parser of their own, and what transformers.js computes with them,
// against PyTorch's logits and our own tokens.

import { readJson } from "../src/base/files.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { saveOnnx } from "../src/model/formats/onnx/folder.ts";
import { readSafetensorsHeader } from "../src/model/formats/safetensors.ts";
import { readTensor } from "../src/model/formats/tensor_data.ts";
import { generate } from "../src/model/generate.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { inMemory, type Model, openModelFiles } from "../src/model/weights.ts";
import { withRotaryPairing } from "../src/model/rotary_pairing.ts";
import { assert, assertEquals, assertRejects, relativeError } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";
import { olmo } from "./fixtures/tiny.ts";
import { runTransformers, testTransformers } from "./fixtures/transformers.ts";
import type { Job } from "./fixtures/transformers_program.ts";
import { loadGolden } from "./golden/golden.ts";

const project = decodeURIComponent(new URL("../", import.meta.url).pathname);
const invented = `${project}models/invented-base`;
const goldenFamilies = `${project}tests/golden/families`;
const families = [
  ...["olmo2", "llama3", "llama_linear", "mistral", "qwen2", "qwen3"],
  ...["gpt_neox", "gpt_neox_sequential", "gpt2"],
];

async function inFolder(fn: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "slung-onnx-" });
  try {
    await fn(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A golden model with room for 100 tokens more, its rotary pairs in either order. */
async function longGolden(name: "olmo" | "llama"): Promise<Model> {
  const golden = await loadGolden(name);
  return { config: { ...golden.config, contextLength: 128 }, weights: golden.group("initial") };
}

testTransformers(
  "transformers.js computes PyTorch's logits for every family, in f32 and f16",
  async () => {
    await inFolder(async (folder) => {
      const jobs: Job[] = [], expected: Float32Array[] = [];
      for (const name of families) {
        const source = await openModelFiles(`${goldenFamilies}/${name}`);
        await saveOnnx(`${folder}/${name}`, source, { precisions: ["f32", "f16"] });
        const { tensors } = await readSafetensorsHeader(
          `${goldenFamilies}/${name}/golden.safetensors`,
        );
        const { shape: [rows, length], data } = await readTensor(tensors.get("tokens")!);
        const texts = Array.from(
          { length: rows! },
          (_, row) => Array.from(data.subarray(row * length!, (row + 1) * length! - 1)),
        );
        const { data: logits } = await readTensor(tensors.get("logits")!);
        for (const dtype of ["fp32", "fp16"] as const) {
          jobs.push({ folder: `${folder}/${name}`, dtype, texts });
          expected.push(logits);
        }
      }
      const computed = await runTransformers(jobs) as number[][];
      for (const [i, { folder, dtype }] of jobs.entries()) {
        const error = relativeError(Float32Array.from(computed[i]!), expected[i]!);
        assert(error < (dtype === "fp32" ? 1e-5 : 5e-3), `${folder} ${dtype}: ${error}`);
      }
    });
  },
);

testTransformers(
  "transformers.js chooses our 100 tokens: OLMo, Llama with grouped heads, in pieces, in f16",
  async () => {
    await inFolder(async (folder) => {
      const texts = [[7, 3, 11, 30], [42, 9, 5, 1]], tokens = 100;
      const models = { olmo: await longGolden("olmo"), llama: await longGolden("llama") };
      assert(models.llama.config.kvHeads < models.llama.config.heads);
      const turned = withRotaryPairing(models.llama, "interleaved");
      const save = async (name: string, model: Model, longestFile?: number) => {
        const precisions = ["f32"] as const;
        await saveOnnx(`${folder}/${name}`, inMemory(model), { precisions, longestFile });
        return { folder: `${folder}/${name}`, texts, tokens };
      };
      const trained = await openModelFiles(invented);
      await saveOnnx(`${folder}/trained`, trained, { precisions: ["f16"] });
      const chosen = await runTransformers([
        await save("olmo", models.olmo),
        await save("llama", models.llama),
        await save("interleaved", turned),
        await save("pieces", models.llama, 5000),
        { folder: `${folder}/trained`, texts, tokens },
      ]) as number[][][];
      using gpu = await Gpu.open();
      const ours = async (model: LanguageModel) => {
        const prompts = texts.map((text) => Uint32Array.from(text));
        return (await generate(model, prompts, { maxNewTokens: tokens })).map((row) => [...row]);
      };
      const of = async ({ config, weights }: Model) => {
        using model = new LanguageModel(gpu, config, weights);
        return await ours(model);
      };
      const llama = await of(models.llama);
      assertEquals(new Set(llama.flat()).size > 10, true, "a text that says nothing else");
      assertEquals(chosen[0], await of(models.olmo));
      assertEquals(chosen[1], llama);
      assertEquals(chosen[2], llama);
      assertEquals(chosen[3], llama);
      using half = await LanguageModel.load(gpu, trained, {
        precision: gpu.storesHalves ? "f16" : "f32",
      });
      assertEquals(chosen[4], await ours(half));
    });
  },
);

testTransformers("padding on the left changes nothing of a text", async () => {
  await inFolder(async (folder) => {
    const model = await longGolden("llama");
    const V = model.config.vocabularySize;
    await saveOnnx(folder, inMemory(model), { precisions: ["f32"] });
    const [padded, alone] = await runTransformers([
      {
        folder,
        texts: [[0, 0, 5, 6, 7], [1, 2, 3, 4, 5]],
        mask: [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]],
      },
      { folder, texts: [[5, 6, 7]] },
    ]) as [number[], number[]];
    const own = Float32Array.from(padded.slice(2 * V, 5 * V));
    assert(relativeError(own, Float32Array.from(alone)) < 1e-5);
    assert(padded.every(Number.isFinite));
  });
});

testTransformers(
  'deno task export onnx writes what pipeline("text-generation", folder) runs',
  async () => {
    await inFolder(async (folder) => {
      const out = `${folder}/out`;
      const { code, text } = await runTask("export", ["onnx", "--model", invented, "--out", out]);
      assertEquals(code, 0, text);
      const [written] = await runTransformers([{ folder: out, prompt: "Question:", tokens: 100 }]);
      const said = await runTask("generate", [
        "--model",
        invented,
        "--prompt",
        "Question:",
        "--json",
      ]);
      assertEquals(written, JSON.parse(said.stdout).generations[0].completion);
    });
  },
);

Deno.test("a graph makes every value once and before it is used, and holds every weight, in either precision", async () => {
  await inFolder(async (folder) => {
    for (const name of families) {
      const source = await openModelFiles(`${goldenFamilies}/${name}`);
      await saveOnnx(`${folder}/${name}`, source, { precisions: ["f32", "f16"] });
      for (const file of ["model.onnx", "model_fp16.onnx"]) {
        const { inputs, outputs, nodes, tensors } = await readOnnx(
          `${folder}/${name}/onnx/${file}`,
        );
        const made = new Set([...inputs, ...tensors.keys()]);
        for (const node of nodes) {
          for (const input of node.inputs) assert(made.has(input), `${file}: ${input}`);
          for (const output of node.outputs) {
            assert(!made.has(output), `${file}: ${output} twice`);
            made.add(output);
          }
        }
        for (const output of outputs) assert(made.has(output), output);
        const used = new Set(nodes.flatMap(({ inputs }) => inputs));
        assertEquals([...tensors.keys(), ...inputs].filter((name) => !used.has(name)), []);
        assertEquals(inputs.slice(0, 3), ["input_ids", "attention_mask", "position_ids"]);
        assertEquals(inputs.slice(3, 5), ["past_key_values.0.key", "past_key_values.0.value"]);
        assertEquals(outputs.slice(0, 3), ["logits", "present.0.key", "present.0.value"]);
      }
    }
  });
});

Deno.test("weights beyond the size of a file lie beside it, in files that end before it, byte for byte", async () => {
  await inFolder(async (folder) => {
    const config = { ...olmo, tiedEmbedding: false };
    const model = { config, weights: initialise(config, 3) };
    const longestFile = 10_000;
    const written = await saveOnnx(folder, inMemory(model), { precisions: ["f32"], longestFile });
    assert(written.length > 2, "no more than one file of weights");
    const { tensors } = await readOnnx(`${folder}/onnx/model.onnx`);
    for (const [name, { data }] of model.weights) {
      const { external } = tensors.get(name)!;
      const bytes = await Deno.readFile(`${folder}/onnx/${external!.location}`);
      const offset = Number(external!.offset), length = Number(external!.length);
      assertEquals(offset % 4096, 0);
      assertEquals(bytes.slice(offset, offset + length), new Uint8Array(data.buffer));
    }
    for (const { path, bytes } of written) {
      assertEquals((await Deno.stat(path)).size, bytes);
      if (!path.endsWith(".onnx")) assert(bytes <= longestFile, path);
    }
    const json = await readJson(`${folder}/config.json`) as Record<string, unknown>;
    assertEquals(json["transformers.js_config"], {
      dtype: "fp32",
      kv_cache_dtype: { fp16: "float16" },
      use_external_data_format: { "model.onnx": written.length - 1 },
    });
  });
});

Deno.test("a model that is not exported leaves no folder that looks like one", async () => {
  await inFolder(async (folder) => {
    const precisions = ["f16"] as const;
    const save = (config: typeof olmo, weights = initialise(config, 1)) =>
      saveOnnx(`${folder}/out`, inMemory({ config, weights }), { precisions });
    const odd = { ...olmo, activation: "gelu" } as const;
    const family = "Cannot export the model for transformers.js: it is no olmo as that family's";
    await assertRejects(() => save(odd), family);
    const weights = initialise(olmo, 1);
    weights.get("model.embed_tokens.weight")!.data[5] = 1e5;
    await assertRejects(() => save(olmo, weights), "is too large for F16");
    weights.get("model.embed_tokens.weight")!.data[5] = NaN;
    await assertRejects(() => save(olmo, weights), "embed_tokens");
    await assertRejects(() => Deno.stat(`${folder}/out/config.json`), "No such file");
    await save(olmo);
    await assertRejects(() => save(olmo), "it holds a model already");
  });
});

// What a `.onnx` file says, by the field numbers of onnx.proto, read apart from the code that writes it.

interface Tensor {
  external?: { location: string; offset: string; length: string };
}

async function readOnnx(path: string) {
  const graph = parse(parse(await Deno.readFile(path)).get(7)![0] as Uint8Array);
  const messages = (field: number) =>
    (graph.get(field) ?? []).map((bytes) => parse(bytes as Uint8Array));
  const texts = (message: Message, field: number) => (message.get(field) ?? []).map(text);
  const tensors = new Map<string, Tensor>();
  for (const message of messages(5)) {
    const entries = (message.get(13) ?? []).map((bytes) => {
      const entry = parse(bytes as Uint8Array);
      return [text(entry.get(1)![0]!), text(entry.get(2)![0]!)];
    });
    const external = entries.length > 0 ? Object.fromEntries(entries) : undefined;
    assert(external !== undefined || message.has(9));
    tensors.set(text(message.get(8)![0]!), { external });
  }
  return {
    inputs: messages(11).map((message) => texts(message, 1)[0]!),
    outputs: messages(12).map((message) => texts(message, 1)[0]!),
    nodes: messages(1).map((node) => ({ inputs: texts(node, 1), outputs: texts(node, 2) })),
    tensors,
  };
}

type Message = Map<number, (Uint8Array | bigint)[]>;

function text(bytes: Uint8Array | bigint): string {
  return new TextDecoder().decode(bytes as Uint8Array);
}

function parse(bytes: Uint8Array): Message {
  const fields: Message = new Map();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n;; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const wireType = key & 7;
    assert([0, 2, 5].includes(wireType), `wire type ${wireType}`);
    const value = wireType === 0 ? varint() : (() => {
      const length = wireType === 5 ? 4 : Number(varint());
      at += length;
      return bytes.subarray(at - length, at);
    })();
    fields.set(key >> 3, [...fields.get(key >> 3) ?? [], value]);
  }
  assertEquals(at, bytes.length);
  return fields;
}
