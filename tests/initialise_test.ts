import type { DecoderConfig } from "../src/model/config.ts";
import { presets } from "../src/model/families.ts";
import { initialise } from "../src/model/initialise.ts";
import { parameterShapes } from "../src/model/parameter_shapes.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";

/** A normal truncated at 3 sigma has variance 1 - 6 phi(3) / (2 Phi(3) - 1), so this deviation. */
const TRUNCATED = 0.98658;

const config: DecoderConfig = { ...presets.tiny, width: 128, headWidth: 32, tiedEmbedding: false };
const F = config.feedForward;

function moments(data: Float32Array): { mean: number; deviation: number; largest: number } {
  let sum = 0, squares = 0, largest = 0;
  for (const value of data) {
    sum += value;
    squares += value ** 2;
    largest = Math.max(largest, Math.abs(value));
  }
  const mean = sum / data.length;
  return { mean, deviation: Math.sqrt(squares / data.length - mean ** 2), largest };
}

Deno.test("mitchell gives every tensor OLMo's deviation, truncated at three sigma", () => {
  const weights = initialise(config, 6198, "mitchell");
  const expected: [string, number][] = [
    ["model.embed_tokens.weight", 1 / Math.sqrt(128)],
    ["lm_head.weight", 1 / Math.sqrt(128)],
    ["model.layers.1.self_attn.q_proj.weight", 1 / Math.sqrt(128)],
    ["model.layers.1.self_attn.v_proj.weight", 1 / Math.sqrt(128)],
    ["model.layers.1.mlp.gate_proj.weight", 1 / Math.sqrt(128)],
    ["model.layers.1.mlp.up_proj.weight", 1 / Math.sqrt(128)],
    ["model.layers.0.self_attn.o_proj.weight", 1 / Math.sqrt(2 * 128)],
    ["model.layers.1.self_attn.o_proj.weight", 1 / Math.sqrt(2 * 2 * 128)],
    ["model.layers.0.mlp.down_proj.weight", 1 / Math.sqrt(2 * F)],
    ["model.layers.1.mlp.down_proj.weight", 1 / Math.sqrt(2 * 2 * F)],
  ];
  for (const [name, sigma] of expected) {
    const { data } = weights.get(name)!;
    const { mean, deviation, largest } = moments(data);
    const error = 4 / Math.sqrt(data.length); // four standard errors of the mean, in sigmas
    assertClose(mean / sigma, 0, error, `mean of ${name}`);
    assertClose(deviation / sigma, TRUNCATED, error, `deviation of ${name}`);
    assert(largest <= 3 * sigma * (1 + 1e-6), `${name} reaches ${largest / sigma} sigma`);
    assert(largest > 2.9 * sigma, `${name} only reaches ${largest / sigma} sigma`);
  }
});

Deno.test("normal has deviation 0.02 everywhere and keeps its tails", () => {
  for (const [name, { data }] of initialise(config, 1, "normal")) {
    const { mean, deviation, largest } = moments(data);
    const error = 4 / Math.sqrt(data.length);
    assertClose(mean / 0.02, 0, error, `mean of ${name}`);
    assertClose(deviation / 0.02, 1, error, `deviation of ${name}`);
    assert(largest > 3.2 * 0.02, `${name} only reaches ${largest / 0.02} sigma`);
  }
});

Deno.test("norm weights are one, biases zero, and the tensors are those of the configuration", () => {
  const affine: DecoderConfig = { ...presets.tiny, norm: "layer_affine" };
  const weights = initialise(affine, 1);
  assertEquals([...weights].map(([name, { shape }]) => [name, shape]), [
    ...parameterShapes(affine),
  ]);
  assert(weights.get("model.norm.weight")!.data.every((value) => value === 1));
  assert(weights.get("model.layers.1.input_layernorm.bias")!.data.every((value) => value === 0));
});

Deno.test("a seed gives the same bits again, another seed others", () => {
  assertEquals(initialise(presets.tiny, 5), initialise(presets.tiny, 5));
  const name = "model.embed_tokens.weight";
  const a = initialise(presets.tiny, 5).get(name)!, b = initialise(presets.tiny, 6).get(name)!;
  assert(a.data.some((value, i) => value !== b.data[i]));
});

Deno.test("a deeper, untied model keeps the weights that it shares with the smaller one", () => {
  const larger: DecoderConfig = { ...presets.tiny, layers: 3, tiedEmbedding: false };
  const weights = initialise(larger, 5);
  for (const [name, tensor] of initialise(presets.tiny, 5)) assertEquals(weights.get(name), tensor);
});

Deno.test("two tensors of one shape differ", () => {
  const weights = initialise(presets.tiny, 5);
  const q = weights.get("model.layers.0.self_attn.q_proj.weight")!.data;
  const k = weights.get("model.layers.0.self_attn.k_proj.weight")!.data;
  let product = 0;
  for (let i = 0; i < q.length; i++) product += q[i]! * k[i]! * presets.tiny.width;
  assertClose(product / q.length, 0, 4 / Math.sqrt(q.length), "correlation of q and k");
});

Deno.test("an impossible seed or scheme is refused by name", () => {
  assertThrows(() => initialise(presets.tiny, 0.5), 'option "seed" is 0.5. Give a whole number');
  const scheme = "xavier" as "normal";
  assertThrows(
    () => initialise(presets.tiny, 1, scheme),
    'is "xavier". Give one of "mitchell", "n',
  );
});

Deno.test("an impossible configuration is refused", () => {
  assertThrows(() => initialise({ ...presets.tiny, heads: 3 }, 1), "multiple of heads 3");
});
