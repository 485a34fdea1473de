// LoRA beside frozen weights: what it computes is what the merged weights compute, and what it sends back to A and B is
// what the weights' own gradients say.

import { fileURLToPath } from "node:url";
import { packSequences } from "../src/data/packing.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { generate } from "../src/model/generate.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import {
  initialiseLora,
  loraNames,
  loraScale,
  type LoraSettings,
  loraShapes,
  mergeLora,
  withLora,
} from "../src/model/lora.ts";
import { openModel } from "../src/model/pretrained.ts";
import { openModelFiles, readIntoMemory, withRotaryPairing } from "../src/model/weights.ts";
import type { DecoderConfig, Weights } from "../src/model/config.ts";
import { initialise } from "../src/model/initialise.ts";
import { objective } from "../src/slung/objective.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertClose, assertEquals, assertThrows, relativeError } from "./assert.ts";
import { allTargets, changesOf } from "./fixtures/lora.ts";
import { testHalves } from "./fixtures/halves.ts";
import { adamw, llama, logitsOf, olmo, randomSequences, weightBytes } from "./fixtures/tiny.ts";
import { tinyLlama } from "./fixtures/tiny_llama.ts";

const families = fileURLToPath(new URL("golden/families", import.meta.url));
const goal = objective("unlikelihood");
const shape = { rows: 3, time: 12 };

function batchOf(config: DecoderConfig, seed = 5) {
  const sequences = randomSequences(3, { seed, longest: 12 }).map(({ tokens, classes }) => ({
    tokens: tokens.map((token) => token % config.vocabularySize),
    classes,
  }));
  return packSequences(sequences, shape).batches;
}

// Loss, and the gradients of all that is learned.
async function gradientsOf(
  model: LanguageModel,
  { recompute = false } = {},
): Promise<{ loss: number; gradients: Weights }> {
  using trainer = new Trainer(model, { ...shape, objective: goal, optimiser: adamw, recompute });
  const batches = batchOf(model.config);
  trainer.step(0, batches, 0);
  const [report] = await trainer.drain();
  trainer.accumulate(0, batches);
  return { loss: report!.loss, gradients: await model.parameters.download("gradient") };
}

async function lossOf(gpu: Gpu, config: DecoderConfig, weights: Weights, lora: LoraSettings) {
  using model = new LanguageModel(gpu, config, weights, { gradients: true, lora });
  return (await gradientsOf(model)).loss;
}

// [R, K] · [K, C], in float64.
function product(a: number[][], b: number[][]): number[][] {
  return a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
}
function transposed(a: number[][]): number[][] {
  return a[0]!.map((_, j) => a.map((row) => row[j]!));
}
function matrix({ shape: [rows, columns], data }: { shape: number[]; data: Float32Array }) {
  return Array.from(
    { length: rows! },
    (_, i) => [...data.subarray(i * columns!, (i + 1) * columns!)],
  );
}

for (const name of ["olmo2", "llama3", "qwen2", "qwen3", "gpt_neox", "gpt2"]) {
  for (const recompute of [false, true]) {
    const how = recompute ? "computed again" : "kept";
    Deno.test(`${name}: gradients of A and B are those of the merged weights by the chain rule, activations ${how}`, async () => {
      using gpu = await Gpu.open();
      const source = await openModelFiles(`${families}/${name}`);
      const { config } = source;
      const lora: LoraSettings = { rank: 3, alpha: 5, targets: allTargets(config) };
      const changes = changesOf(config, lora);
      const scale = loraScale(lora);
      using apart = await LanguageModel.load(gpu, withLora(source, changes), {
        gradients: true,
        lora,
      });
      using merged = await LanguageModel.load(gpu, mergeLora(source, changes, scale), {
        gradients: true,
      });
      const ours = await gradientsOf(apart, { recompute });
      const whole = await gradientsOf(merged);
      assertClose(ours.loss, whole.loss, 1e-5, "loss");
      assertEquals([...ours.gradients.keys()], [...changes.keys()]);
      for (const weight of whole.gradients.keys()) {
        const { a, b } = loraNames(weight);
        if (!changes.has(a)) continue;
        const dW = matrix(whole.gradients.get(weight)!);
        const A = matrix(changes.get(a)!), B = matrix(changes.get(b)!);
        const scaled = (values: number[][]) => values.flat().map((x) => scale * x);
        const expected = {
          [a]: scaled(product(transposed(B), dW)),
          [b]: scaled(product(dW, transposed(A))),
        };
        for (const [name, values] of Object.entries(expected)) {
          const error = relativeError(ours.gradients.get(name)!.data, values);
          assert(error < 1e-4, `${name}: relative error ${error}`);
        }
      }
    });
  }
}

Deno.test("gradients of A and B are slopes of the loss", async () => {
  using gpu = await Gpu.open();
  const lora: LoraSettings = { rank: 2, alpha: 3, targets: ["q_proj", "down_proj"] };
  const weights = new Map([...initialise(llama, 1), ...changesOf(llama, lora)]);
  using model = new LanguageModel(gpu, llama, weights, { gradients: true, lora });
  const { gradients } = await gradientsOf(model);
  const step = 0.02;
  for (const [name, { data }] of gradients) {
    const at = data.indexOf(data.reduce((most, x) => Math.abs(x) > Math.abs(most) ? x : most, 0));
    const moved = async (by: number) => {
      const { shape, data } = weights.get(name)!;
      const changed = data.slice();
      changed[at]! += by;
      return await lossOf(gpu, llama, new Map(weights).set(name, { shape, data: changed }), lora);
    };
    const slope = (await moved(step) - await moved(-step)) / (2 * step);
    assertClose(data[at]!, slope, Math.abs(slope) * 0.02 + 1e-4, name);
  }
});

for (const config of [olmo, llama]) {
  Deno.test(`${config.family}: merged and apart, LoRA gives the same logits and the same text`, async () => {
    using gpu = await Gpu.open();
    const weights = initialise(config, 1);
    const source = {
      config,
      tensors: async function* () {
        yield* weights;
      },
    };
    const lora: LoraSettings = { rank: 4, alpha: 8, targets: ["q_proj", "v_proj", "up_proj"] };
    const changes = changesOf(config, lora);
    using plain = new LanguageModel(gpu, config, weights);
    using apart = await LanguageModel.load(gpu, withLora(source, changes), { lora });
    using merged = await LanguageModel.load(gpu, mergeLora(source, changes, loraScale(lora)));
    const [text] = randomSequences(1, { longest: 16 });
    const flat = async (model: LanguageModel) =>
      (await logitsOf(model, text!.tokens)).flatMap((z) => [...z]);
    const expected = await flat(merged);
    const error = relativeError(await flat(apart), expected);
    assert(error < 1e-5, `relative error ${error}`);
    assert(relativeError(await flat(plain), expected) > 1e-2, "the change changes nothing?");
    const options = { maxNewTokens: 12 };
    assertEquals(
      await generate(apart, [text!.tokens], options),
      await generate(merged, [text!.tokens], options),
    );
  });
}

Deno.test("a change begins as none, the same for a seed and another for each tensor", async () => {
  using gpu = await Gpu.open();
  const lora: LoraSettings = { rank: 4, alpha: 8, targets: ["q_proj", "v_proj"] };
  const changes = initialiseLora(olmo, lora, 7);
  assertEquals([...changes.keys()], [...loraShapes(olmo, lora).keys()]);
  assertEquals(changes, initialiseLora(olmo, lora, 7));
  const [first, , second] = [...changes.values()];
  assert(first!.data.join() !== second!.data.join());
  assert(first!.data.join() !== [...initialiseLora(olmo, lora, 8).values()][0]!.data.join());
  for (const [name, { data }] of changes) {
    if (name.includes("lora_B")) assert(data.every((value) => value === 0));
    else assert(data.every((value) => Math.abs(value) <= 1 / 4)); // 1 / √16
  }
  const weights = initialise(olmo, 1);
  using plain = new LanguageModel(gpu, olmo, weights);
  using changed = new LanguageModel(gpu, olmo, new Map([...weights, ...changes]), { lora });
  const tokens = Uint32Array.of(3, 1, 4, 1, 5);
  assertEquals(await logitsOf(changed, tokens), await logitsOf(plain, tokens));
});

Deno.test("training LoRA changes A and B and not one bit of the weights", async () => {
  using gpu = await Gpu.open();
  const lora: LoraSettings = { rank: 2, alpha: 4, targets: ["k_proj", "o_proj", "gate_proj"] };
  using model = (await openModel(gpu, tinyLlama, { gradients: true, lora, seed: 1 })).model;
  const before = await model.download();
  using trainer = new Trainer(model, { ...shape, objective: goal, optimiser: adamw });
  const batches = batchOf(model.config);
  for (let step = 0; step < 6; step++) trainer.step(step, batches, 0.02);
  const reports = await trainer.drain();
  assert(reports.at(-1)!.loss < reports[0]!.loss - 0.05, "nothing was learned");
  const after = await model.download();
  for (const [name, { data }] of before) {
    const same = data.join() === after.get(name)!.data.join();
    assertEquals(same, !name.includes("lora"), name);
  }
  assertEquals([...(await model.download("learned")).keys()], [
    ...loraShapes(model.config, lora).keys(),
  ]);
});

testHalves("in f16 the frozen weights are held once, and A and B learn as in f32", async () => {
  using gpu = await Gpu.open();
  const lora: LoraSettings = { rank: 2, alpha: 4, targets: ["q_proj", "v_proj"] };
  const weights = new Map([...initialise(llama, 1), ...changesOf(llama, lora)]);
  const bytesBefore = gpu.bytes;
  using half = new LanguageModel(gpu, llama, weights, { gradients: true, lora, precision: "f16" });
  const bytes = gpu.bytes - bytesBefore;
  const count = (names: Iterable<string>) =>
    [...names].reduce((sum, name) => sum + weights.get(name)!.data.length, 0);
  const changed = count(loraShapes(llama, lora).keys());
  const frozen = count(weights.keys()) - changed;
  // f16 of what is frozen; value, gradient and copy of what is learned; views begin every 256 bytes.
  const padding = weights.size * 256 * 5;
  assert(bytes < 2 * frozen + 10 * changed + padding, `${bytes} bytes`);
  assert(bytes >= 2 * frozen + 10 * changed, `${bytes} bytes`);
  using single = new LanguageModel(gpu, llama, weights, { gradients: true, lora });
  const { gradients } = await gradientsOf(half);
  const expected = (await gradientsOf(single)).gradients;
  // Scaled by 2^16 against vanishing.
  for (const [name, { data }] of expected) {
    const ours = gradients.get(name)!.data.map((x) => x / 2 ** 16);
    const error = relativeError(ours, data);
    assert(error < 2e-2, `${name}: relative error ${error}`);
  }
});

Deno.test("changes turn with the rotary pairing of their base", async () => {
  using gpu = await Gpu.open();
  const lora: LoraSettings = { rank: 2, alpha: 4, targets: ["q_proj", "k_proj"] };
  const weights = initialise(llama, 1), changes = changesOf(llama, lora);
  const both = { config: llama, weights: new Map([...weights, ...changes]) };
  const turned = withRotaryPairing(both, "half");
  using one = new LanguageModel(gpu, llama, both.weights, { lora });
  using other = new LanguageModel(gpu, turned.config, turned.weights, { lora });
  const tokens = Uint32Array.of(3, 1, 4, 1, 5, 9, 2, 6);
  const flat = async (model: LanguageModel) =>
    (await logitsOf(model, tokens)).flatMap((z) => [...z]);
  const error = relativeError(await flat(other), await flat(one));
  assert(error < 1e-5, `relative error ${error}`);
});

Deno.test("merging leaves a model's other tensors alone, and its source as it was", async () => {
  const weights = initialise(olmo, 1);
  const source = {
    config: olmo,
    tensors: async function* () {
      yield* weights;
    },
  };
  const lora: LoraSettings = { rank: 1, alpha: 1, targets: ["v_proj"] };
  const before = weights.get("model.layers.0.self_attn.v_proj.weight")!.data.slice();
  const merged = await readIntoMemory(mergeLora(source, changesOf(olmo, lora), 1));
  assertEquals(weights.get("model.layers.0.self_attn.v_proj.weight")!.data, before);
  for (const [name, { data }] of merged.weights) {
    assertEquals(data.join() === weights.get(name)!.data.join(), !name.includes("v_proj"), name);
  }
});

Deno.test("scaling is α / r, and α / √r where it is stabilised", () => {
  const lora: LoraSettings = { rank: 16, alpha: 8, targets: ["v_proj"] };
  assertEquals(loraScale(lora), 0.5);
  assertEquals(loraScale({ ...lora, rankStabilised: true }), 2);
});

const lora: LoraSettings = { rank: 2, alpha: 4, targets: ["q_proj"] };
const impossible: [Partial<LoraSettings> | object, string][] = [
  [{ rank: 0 }, 'option "lora.rank" is 0'],
  [{ rank: 1.5 }, 'option "lora.rank" is 1.5'],
  [{ rank: 17 }, "its rank 17 is above that of q_proj, 16"],
  [{ alpha: 0 }, 'option "lora.alpha" is 0'],
  [{ targets: [] }, "it has no targets"],
  [{ targets: ["lm_head"] }, 'option "lora.targets" is'],
  [{ aplha: 1 }, 'Perhaps you meant "lora.alpha"'],
];
Deno.test("settings of LoRA that are impossible are refused by name", async () => {
  using gpu = await Gpu.open();
  for (const [change, message] of impossible) {
    const options = { gradients: true, lora: { ...lora, ...change } as LoraSettings };
    assertThrows(() => new LanguageModel(gpu, olmo, undefined, options), message);
  }
  const gelu = { ...olmo, activation: "gelu" as const };
  assertThrows(
    () => initialiseLora(gelu, { ...lora, targets: ["gate_proj"] }, 0),
    "a olmo has no gate_proj. Choose among q_proj, k_proj, v_proj, o_proj, up_proj, down_proj",
  );
  assertThrows(
    () => new LanguageModel(gpu, olmo, undefined, { gradients: true, lora, freeze: ["norms"] }),
    "with LoRA all of its weights are frozen already",
  );
  using _model = new LanguageModel(gpu, olmo, undefined, { gradients: true, lora });
  assertThrows(
    () => new LanguageModel(gpu, olmo, initialise(olmo, 1), { lora }),
    "lora_A.weight",
  );
  assert((await weightBytes(_model)).every((byte) => byte === 0));
});
