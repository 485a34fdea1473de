// Weights that are read one tensor at a time: the same model as from memory, and nothing else is taken for it.

import { Gpu } from "../src/gpu/gpu.ts";
import type { DecoderConfig, HostTensor } from "../src/model/config.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import type { ModelSource, NamedTensor } from "../src/model/model.ts";
import { openModel } from "../src/model/pretrained.ts";
import { readIntoMemory } from "../src/model/formats/model_files.ts";
import { openModelFiles, saveModel } from "../src/model/weights.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { testHalves } from "./fixtures/halves.ts";
import { assertSame } from "./fixtures/same.ts";
import { llama, olmo, weightBytes } from "./fixtures/tiny.ts";
import { tinyLlama, tinyLlamaWith } from "./fixtures/tiny_llama.ts";

function sourceOf(config: DecoderConfig, tensors: Iterable<NamedTensor>): ModelSource {
  return {
    config,
    async *tensors() {
      yield* tensors;
    },
  };
}

Deno.test("a model that is read tensor by tensor has the bytes of one from memory", async () => {
  using gpu = await Gpu.open();
  const weights = initialise(llama, 1);
  const largest = Math.max(...Array.from(weights.values(), ({ data }) => data.length));
  // One buffer for all of them, so that whoever kept a tensor while the next is read would see it change.
  const buffer = new Float32Array(largest);
  async function* oneByOne(): AsyncGenerator<NamedTensor> {
    for (const [name, { shape, data }] of [...weights].reverse()) {
      buffer.fill(NaN).set(data);
      yield [name, { shape, data: buffer.subarray(0, data.length) }];
    }
  }
  using streamed = await LanguageModel.load(gpu, { config: llama, tensors: oneByOne });
  using whole = new LanguageModel(gpu, llama, weights);
  assertSame(await weightBytes(streamed), await weightBytes(whole));
});

const wrong: [string, (tensors: NamedTensor[]) => NamedTensor[], string][] = [
  ["lacks a tensor", (tensors) => tensors.slice(1), 'Cannot load parameter "model.embed_tokens.we'],
  ["has one twice", (tensors) => [...tensors, tensors[0]!], "it came twice"],
  ["has one too many", (tensors) => [...tensors, ["x", tensors[0]![1]]], "has none of this name"],
  [
    "has one of another shape",
    (tensors) => {
      const [name, { data }] = tensors[0]!;
      return [[name, { shape: [data.length], data }], ...tensors.slice(1)];
    },
    "its shape is [848]. Give a checkpoint in which it is [53, 16]",
  ],
];
for (const [what, change, message] of wrong) {
  Deno.test(`a source that ${what} is refused, and leaves nothing on the adapter`, async () => {
    using gpu = await Gpu.open();
    const before = gpu.bytes;
    const tensors = change([...initialise(olmo, 1)]);
    await assertRejects(() => LanguageModel.load(gpu, sourceOf(olmo, tensors)), message);
    assertEquals(gpu.bytes, before);
  });
}

Deno.test("a weight that is no number is refused from memory, from a folder, and on its way to a folder", async () => {
  using gpu = await Gpu.open();
  const weights = initialise(olmo, 1);
  weights.get("model.layers.1.mlp.up_proj.weight")!.data[7] = NaN;
  const why = 'tensor "model.layers.1.mlp.up_proj.weight" has the value NaN at element 7';
  assertThrows(() => new LanguageModel(gpu, olmo, weights), why);
  const folder = await Deno.makeTempDir();
  await assertRejects(() => saveModel(folder, olmo, weights), `Cannot save a model in "${folder}"`);
  await assertRejects(() => saveModel(folder, olmo, weights), why);
  assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("options of opening and saving that are impossible are refused by name", async () => {
  using gpu = await Gpu.open();
  const open = (options: Record<string, unknown>) => () => openModel(gpu, tinyLlama, options);
  await assertRejects(open({ precision: "f64" }), 'option "precision" is "f64". Give one of "f32"');
  await assertRejects(open({ gradient: true }), 'Perhaps you meant "gradients"');
  await assertRejects(open({ gradients: 1 }), 'option "gradients" is 1. Give true or false');
  const save = (options: Record<string, unknown>) => () =>
    saveModel("nowhere", olmo, initialise(olmo, 1), options);
  await assertRejects(save({ dtype: "F64" }), 'option "dtype" is "F64". Give one of "F32", "F16"');
  const make = { precison: "f16" } as Record<string, unknown>;
  assertThrows(
    () => new LanguageModel(gpu, olmo, initialise(olmo, 1), make),
    'there is no option "precison". Perhaps you meant "precision"',
  );
});

testHalves(
  "a weight beyond f16 is refused by name, and those that f16 takes for 0 are counted",
  async () => {
    using gpu = await Gpu.open();
    const folder = await tinyLlamaWith({});
    const { config, weights } = await readIntoMemory(await openModelFiles(folder));
    const { data } = weights.get("model.norm.weight") as HostTensor;
    data.set([1e-8, -1e-9, 2 ** -25, 2 ** -24, 0]);
    await saveModel(folder, config, weights);
    const { description, model } = await openModel(gpu, folder, { precision: "f16" });
    model.destroy();
    assert(description.endsWith("; 3 weights are too small for f16 and become 0"), description);
    assert(!(await openModel(gpu, folder)).description.includes("f16"));

    data[3] = -65520;
    await saveModel(folder, config, weights, { dtype: "BF16" }); // which holds it
    await assertRejects(
      () => openModel(gpu, folder, { precision: "f16" }),
      'Cannot load parameter "model.norm.weight" in f16: its value -65536 is beyond 65,504',
    );
  },
);
