// Frozen parts: what is learned learns as if nothing were frozen, what is frozen keeps every bit, and neither its gradients
// nor what only they need is computed or held.

import { fileURLToPath } from "node:url";
import { packSequences } from "../src/data/packing.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import type { DecoderConfig, Weights } from "../src/model/config.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { parametersOf } from "../src/model/parts.ts";
import { loadModel } from "../src/model/weights.ts";
import { objective } from "../src/slung/objective.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";
import { testHalves } from "./fixtures/halves.ts";
import { adamw, llama, olmo, randomSequences } from "./fixtures/tiny.ts";

const families = fileURLToPath(new URL("golden/families", import.meta.url));
const goal = objective("unlikelihood");
const shape = { rows: 3, time: 12 };
const deep: DecoderConfig = { ...llama, layers: 4 };

function batchOf({ vocabularySize }: DecoderConfig) {
  const sequences = randomSequences(3, { seed: 5, longest: 12 }).map(({ tokens, classes }) => ({
    tokens: tokens.map((token) => token % vocabularySize),
    classes,
  }));
  return packSequences(sequences, shape).batches;
}

async function gradientsOf(model: LanguageModel, recompute: boolean): Promise<Weights> {
  using trainer = new Trainer(model, { ...shape, objective: goal, optimiser: adamw, recompute });
  trainer.accumulate(0, batchOf(model.config));
  return await model.parameters.download("gradient");
}

const cases: [name: string, parts: string[]][] = [
  ["olmo2", ["embeddings"]],
  ["olmo2", ["norms", "attention"]],
  ["llama3", ["embeddings", "layers:0"]],
  ["qwen2", ["feed_forward"]],
  ["gpt_neox", ["attention", "unembedding"]],
  ["gpt2", ["embeddings", "norms"]],
  ["gpt2", ["embeddings", "attention", "feed_forward"]],
];
for (const [name, parts] of cases) {
  for (const recompute of [false, true]) {
    const how = recompute ? "computed again" : "kept";
    Deno.test(`${name} without ${parts.join(" and ")}: the other gradients are the same bytes, activations ${how}`, async () => {
      using gpu = await Gpu.open();
      const { config, weights } = await loadModel(`${families}/${name}`);
      using whole = new LanguageModel(gpu, config, weights, { gradients: true });
      using part = new LanguageModel(gpu, config, weights, { gradients: true, freeze: parts });
      const expected = await gradientsOf(whole, recompute);
      const gradients = await gradientsOf(part, recompute);
      const frozen = parametersOf(config, parts);
      assertEquals(
        [...gradients.keys()].sort(),
        [...expected.keys()].filter((name) => !frozen.has(name)).sort(),
      );
      for (const [name, { data }] of gradients) assertEquals(data, expected.get(name)!.data, name);
      assert([...gradients.values()].some(({ data }) => data.some((x) => x !== 0)));
    });
  }
}

Deno.test("training changes what is learned and not one bit of what is frozen", async () => {
  using gpu = await Gpu.open();
  const weights = initialise(llama, 1);
  const freeze = ["attention", "norms"];
  using model = new LanguageModel(gpu, llama, weights, { gradients: true, freeze });
  using trainer = new Trainer(model, { ...shape, objective: goal, optimiser: adamw });
  for (let step = 0; step < 3; step++) trainer.step(step, batchOf(llama), 0.01);
  await trainer.drain();
  const frozen = parametersOf(llama, freeze);
  for (const [name, { data }] of await model.download()) {
    assertEquals(data.join() === weights.get(name)!.data.join(), frozen.has(name), name);
  }
});

Deno.test("below the first learned layer nothing goes back, and no activation is kept", async () => {
  using gpu = await Gpu.open();
  const heldBy = (freeze: string[]) => {
    const weights = initialise(deep, 1);
    using model = new LanguageModel(gpu, deep, weights, { gradients: true, freeze });
    const before = gpu.bytes;
    using trainer = new Trainer(model, { ...shape, objective: goal, optimiser: adamw });
    const { length } = trainer.pass.program;
    const moments = trainer.optimiser.moments.reduce((n, { first }) => n + 8 * first.length, 0);
    return { bytes: gpu.bytes - before - moments, length };
  };
  const whole = heldBy([]), half = heldBy(["embeddings", "layers:0-2"]);
  // Three of four layers: forward alone is less than half of forward and backward.
  assert(half.length < 0.6 * whole.length, `${half.length} of ${whole.length} commands`);
  assert(half.bytes < 0.65 * whole.bytes, `${half.bytes} of ${whole.bytes} bytes`);
});

testHalves("in f16 frozen weights are held in f16 alone, rounded to the nearest", async () => {
  using gpu = await Gpu.open();
  const weights = initialise(llama, 1);
  using model = new LanguageModel(gpu, llama, weights, {
    gradients: true,
    precision: "f16",
    freeze: ["feed_forward"],
  });
  const after = await model.download();
  for (const [name, { data }] of weights) {
    const expected = name.includes(".mlp.") ? new Float32Array(new Float16Array(data)) : data;
    assertEquals(after.get(name)!.data, expected, name);
  }
});

Deno.test("parts are found by name, and what is none is refused", async () => {
  const names = (config: DecoderConfig, ...parts: string[]) => [...parametersOf(config, parts)];
  assertEquals(names(olmo, "embeddings"), ["model.embed_tokens.weight"]);
  assertEquals(names(llama, "unembedding"), ["lm_head.weight"]);
  assertEquals(names(llama, "norms").length, 2 * llama.layers + 1);
  assertEquals(names(deep, "layers:1-2"), names(deep, "layers:1", "layers:2"));
  assert(names(deep, "layers:1-2").every((name) => /^model\.layers\.[12]\./.test(name)));
  assertEquals(names(deep, "layers:0-3", "embeddings", "unembedding", "norms").length, 39);
  for (
    const [config, part, message] of [
      [llama, "head", 'Cannot choose the part "head": this llama has none of this name. Give emb'],
      [llama, "layers:2", "or layers:FROM-TO below 2"],
      [llama, "layers:1-0", "has none of this name"],
      [llama, "layers:0-9", "has none of this name"],
      [llama, "toString", "has none of this name"],
      [olmo, "unembedding", 'it is the embedding here. Give "embeddings"'],
      [olmo, "norms", "this olmo has none of this name"],
    ] as const
  ) assertThrows(() => parametersOf(config, [part]), message);
  using gpu = await Gpu.open();
  const all = ["embeddings", "attention", "feed_forward"];
  assertThrows(
    () => new LanguageModel(gpu, olmo, undefined, { gradients: true, freeze: all }),
    "Cannot freeze parts of a model: nothing is left to be learned. Freeze fewer parts.",
  );
  assertThrows(
    () => new LanguageModel(gpu, olmo, undefined, { freeze: all }),
    "without gradients nothing is learned",
  );
});
