// Two layers of OLMo 1B in Hugging Face's layout: an embedding of 393 MiB, which many adapters cannot bind at once. Takes
// minutes, 8 GB of memory and 2 GB of disk, so it runs only where it is asked for; tests/views_test.ts tests the same
// with small models.
//   SLUNG_LARGE=1 deno test -A tests/large_model_test.ts

import { fileURLToPath } from "node:url";
import { readJson } from "../src/base/files.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { elements } from "../src/gpu/tensor.ts";
import { generate } from "../src/model/generate.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { loadModel, saveModel } from "../src/model/weights.ts";
import { crossEntropy, type Objective, unlikelihood } from "../src/slung/objective.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertClose, assertEquals } from "./assert.ts";

/** What make_large.py found in float64. */
interface Large {
  tokens: number[][];
  classes: number[][];
  training: {
    learningRate: number;
    beta1: number;
    beta2: number;
    epsilon: number;
    weightDecay: number;
    clipNorm: number;
  };
  /** Tokens of the first row that are continued, and how. */
  prompt: number;
  written: number[];
  loss: number;
  gradientNorm: number;
  lossAfter: number;
  /** By parameter, sorted: its shape, the norm of its gradient, and some elements of that by their position. */
  gradients: Record<string, { shape: number[]; norm: number; at: number[]; values: number[] }>;
}

// As in the folder of allenai/OLMo-1B-hf, but for the number of layers.
const config = {
  architectures: ["OlmoForCausalLM"],
  attention_bias: false,
  attention_dropout: 0.0,
  clip_qkv: null,
  eos_token_id: 50279,
  hidden_act: "silu",
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 8192,
  max_position_embeddings: 2048,
  model_type: "olmo",
  num_attention_heads: 16,
  num_hidden_layers: 2,
  num_key_value_heads: 16,
  pad_token_id: 1,
  rope_scaling: null,
  rope_theta: 10000.0,
  tie_word_embeddings: true,
  torch_dtype: "float32",
  use_cache: true,
  vocab_size: 50304,
};

// The weights of make_large.py, from a hash of their positions.
function mixed(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

function weight(index: number, length: number): Float32Array<ArrayBuffer> {
  const seed = mixed(index + 1);
  const width = config.initializer_range * 12 ** 0.5;
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    values[i] = ((mixed(i + seed | 0) + 0.5) / 2 ** 32 - 0.5) * width;
  }
  return values;
}

// The file as the safetensors library writes it: tensors by name, none of this project's code.
async function writeFolder(folder: string, { gradients }: Large): Promise<void> {
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config, null, 2));
  let end = 0;
  const entries = Object.entries(gradients).map(([name, { shape }]) => {
    const start = end;
    end += 4 * elements(shape);
    return [name, { dtype: "F32", shape, data_offsets: [start, end] }] as const;
  });
  const text = JSON.stringify({
    __metadata__: { format: "pt" },
    ...Object.fromEntries(entries),
  });
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  using file = await Deno.create(`${folder}/model.safetensors`);
  const write = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  };
  await write(new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer));
  await write(header);
  for (const [index, [, { shape }]] of entries.entries()) {
    await write(new Uint8Array(weight(index, elements(shape)).buffer));
  }
}

async function assertSameBytes(left: string, right: string): Promise<void> {
  const [{ size }, other] = [await Deno.stat(left), await Deno.stat(right)];
  assertEquals(other.size, size);
  using a = await Deno.open(left);
  using b = await Deno.open(right);
  const [x, y] = [new Uint8Array(2 ** 24), new Uint8Array(2 ** 24)];
  const fill = async (file: Deno.FsFile, bytes: Uint8Array) => {
    let at = 0;
    for (let n: number | null; (n = await file.read(bytes.subarray(at))) !== null && n > 0;) {
      at += n;
    }
    return bytes.subarray(0, at);
  };
  for (let at = 0; at < size; at += 2 ** 24) {
    const [p, q] = [await fill(a, x), await fill(b, y)];
    const differs = p.findIndex((byte, i) => byte !== q[i]);
    assert(differs < 0, `byte ${at + differs} of ${right} differs`);
  }
}

const wanted = Deno.env.get("SLUNG_LARGE") !== undefined;

Deno.test({
  name:
    "two layers of OLMo 1B load, decode, train a step as PyTorch does, and are written back byte by byte" +
    (wanted ? "" : " (SKIPPED: set SLUNG_LARGE=1; minutes and 8 GB of memory)"),
  ignore: !wanted,
  fn: async () => {
    const path = fileURLToPath(new URL("golden/large.json", import.meta.url));
    const large = await readJson(path) as Large;
    const { training } = large;
    const folder = await Deno.makeTempDir();
    try {
      await writeFolder(folder, large);
      using gpu = await Gpu.open();
      const source = await loadModel(folder);
      using model = new LanguageModel(gpu, source.config, source.weights, { gradients: true });
      source.weights.clear();

      await saveModel(`${folder}/again`, source.config, await model.download());
      await assertSameBytes(`${folder}/model.safetensors`, `${folder}/again/model.safetensors`);

      const prompt = Uint32Array.from(large.tokens[0]!.slice(0, large.prompt));
      const maxNewTokens = large.written.length;
      const [written] = await generate(model, [prompt], { maxNewTokens });
      assertEquals([...written!], large.written);

      const [rows, time] = [large.tokens.length, large.tokens[0]!.length - 1];
      const batch = {
        tokens: Uint32Array.from(large.tokens.flatMap((row) => row.slice(0, -1))),
        targets: Uint32Array.from(large.tokens.flatMap((row) => row.slice(1))),
        classes: Uint8Array.from(large.classes.flat()),
        weights: new Float32Array(rows * time).fill(1),
        predicted: new Uint8Array(rows * time).fill(1),
        firstKey: new Uint32Array(rows * time),
        firstTokens: [0, rows, 0, 0],
      };
      const objective: Objective = {
        name: "unlikelihood",
        terms: [undefined, crossEntropy, crossEntropy, unlikelihood],
        denominator: "active",
      };
      using trainer = new Trainer(model, {
        ...{ rows, time, objective },
        optimiser: {
          betas: [training.beta1, training.beta2],
          epsilon: training.epsilon,
          weightDecay: training.weightDecay,
          maxGradientNorm: training.clipNorm,
        },
      });
      trainer.accumulate(0, [batch]);
      const gradients = await model.parameters.download("gradient");
      for (const [name, { norm, at, values }] of Object.entries(large.gradients)) {
        const { data } = gradients.get(name)!;
        const found = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0));
        assertClose(found / norm, 1, 1e-4, `the norm of d(${name})`);
        const scale = Math.max(...values.map(Math.abs));
        assertClose(at.map((i) => data[i]! / scale), values.map((v) => v / scale), 1e-4, name);
      }
      gradients.clear();
      model.parameters.clearGradients();

      trainer.step(0, [batch], training.learningRate);
      trainer.step(1, [batch], 0);
      const [first, second] = await trainer.drain();
      assertClose(first!.loss / large.loss, 1, 1e-4, "loss");
      assertClose(first!.gradientNorm / large.gradientNorm, 1, 1e-4, "gradient norm");
      assertClose(second!.loss / large.lossAfter, 1, 1e-4, "loss after the step");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
