import { checkConfig } from "../src/model/check_config.ts";
import type { DecoderConfig, RotaryPositions, SpecialTokens } from "../src/model/config.ts";
import { architectures, presets } from "../src/model/families.ts";
import { fromHuggingFace, toHuggingFace } from "../src/model/formats/huggingface/config.ts";
import { initialise } from "../src/model/initialise.ts";
import { countParameters, parameterShapes } from "../src/model/parameter_shapes.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";

/** The config.json of allenai/OLMo-1B-hf. */
const OLMO_1B = {
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
  num_hidden_layers: 16,
  num_key_value_heads: 16,
  pad_token_id: 1,
  rope_scaling: null,
  rope_theta: 10000.0,
  tie_word_embeddings: true,
  vocab_size: 50304,
};
const LLAMA = {
  model_type: "llama",
  vocab_size: 100,
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  head_dim: 16,
  intermediate_size: 172,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
};

const rotaryOf = (config: DecoderConfig) => config.positions as RotaryPositions;

Deno.test("OLMo-1B's config.json is the olmo1B preset, with 1,176,764,416 parameters", () => {
  assertEquals(fromHuggingFace(OLMO_1B, "config.json"), presets.olmo1B);
  assertEquals(countParameters(presets.olmo1B), 1_176_764_416);
});

Deno.test("every preset is consistent and survives the way through config.json", () => {
  for (const preset of Object.values(presets)) {
    checkConfig(preset);
    assertEquals(fromHuggingFace(toHuggingFace(preset), "config.json"), preset);
  }
});

Deno.test("the small presets have the sizes of their names, counting one embedding table of two", () => {
  const millions = (config: DecoderConfig) =>
    Math.round((countParameters(config) - config.vocabularySize * config.width) / 1e6);
  assertEquals(millions(presets.olmo20M), 21);
  assertEquals(millions(presets.olmo60M), 59);
  assertEquals(millions(presets.olmo150M), 152);
});

Deno.test("a llama with grouped queries, a head_dim of its own and defaults is read", () => {
  const config = fromHuggingFace(LLAMA, "config.json");
  assertEquals(config, {
    family: "llama",
    vocabularySize: 100,
    contextLength: 2048,
    width: 64,
    layers: 2,
    heads: 8,
    kvHeads: 2,
    headWidth: 16,
    feedForward: 172,
    ...architectures.llama,
    normEpsilon: 1e-5,
    positions: { theta: 500000, pairing: "half", share: 1 },
    tiedEmbedding: false,
  });
  const shapes = parameterShapes(config);
  assertEquals(shapes.get("model.layers.1.self_attn.q_proj.weight"), [128, 64]);
  assertEquals(shapes.get("model.layers.1.self_attn.k_proj.weight"), [32, 64]);
  assertEquals(shapes.get("model.layers.1.self_attn.o_proj.weight"), [64, 128]);
  assertEquals(shapes.get("lm_head.weight"), [100, 64]);
  assertEquals(fromHuggingFace(toHuggingFace(config), "config.json"), config);
});

Deno.test("rope_theta is also found where transformers 5 keeps it", () => {
  const { rope_theta: _, ...rest } = LLAMA;
  const json = { ...rest, rope_parameters: { rope_type: "default", rope_theta: 250000 } };
  assertEquals(rotaryOf(fromHuggingFace(json, "config.json")).theta, 250000);
});

const refusals: [string, Record<string, unknown>, string][] = [
  ["another family", { model_type: "hf_olmo" }, 'field "model_type" is "hf_olmo"'],
  ["no family", { model_type: undefined }, 'field "model_type" is missing'],
  ["clipped queries", { clip_qkv: 8 }, 'field "clip_qkv" is 8'],
  ["another activation", { hidden_act: "gelu" }, 'field "hidden_act" is "gelu"'],
  ["packed weights", { quantization_config: { bits: 4 } }, 'field "quantization_config" is {…}'],
  [
    "scaled rotary positions that are not computed",
    { rope_scaling: { rope_type: "dynamic", factor: 2 } },
    'field "rope_scaling.rope_type" is "dynamic"',
  ],
  [
    "scaled rotary positions in the old spelling",
    { rope_scaling: { type: "yarn" } },
    'field "rope_scaling.type" is "yarn"',
  ],
  [
    "rotary on part of a head",
    { rope_parameters: { partial_rotary_factor: 0.5 } },
    'field "rope_parameters.partial_rotary_factor" is 0.5',
  ],
  ["a missing size", { hidden_size: undefined }, 'field "hidden_size" is missing'],
  ["a size that is text", { vocab_size: "50304" }, 'field "vocab_size" is "50304"'],
  [
    "sizes that do not fit",
    { num_attention_heads: 12 },
    "width 2048 is not a multiple of heads 12",
  ],
  ["two billion layers", { num_hidden_layers: 2e9 }, "layers is 2000000000"],
];
for (const [what, change, message] of refusals) {
  Deno.test(`config.json with ${what} is refused by file, field and value`, () => {
    const read = () => fromHuggingFace({ ...OLMO_1B, ...change }, "models/x/config.json");
    assertThrows(read, message);
    assertThrows(read, "models/x/config.json");
  });
}

Deno.test("JSON that is no object is refused", () => {
  assertThrows(() => fromHuggingFace([], "config.json"), "it is not a JSON object");
  assertThrows(() => fromHuggingFace(null, "config.json"), "it is not a JSON object");
});

Deno.test("a config.json with a field inherited from Object is not fooled by it", () => {
  const json = JSON.parse('{"__proto__": {"model_type": "olmo"}}');
  assertThrows(() => fromHuggingFace(json, "config.json"), 'field "model_type" is missing');
});

function rotary(change: Record<string, unknown>): RotaryPositions {
  return { theta: 10000, pairing: "half", share: 1, ...change } as RotaryPositions;
}

const inconsistencies: [Partial<DecoderConfig>, string][] = [
  [{ width: 0 }, "width is 0"],
  [{ layers: 1.5 }, "layers is 1.5"],
  [{ vocabularySize: -512 }, "vocabularySize is -512"],
  [{ contextLength: NaN }, "contextLength is NaN"],
  [{ heads: 5 }, "width 64 is not a multiple of heads 5"],
  [{ kvHeads: 3 }, "heads 4 is not a multiple of kvHeads 3"],
  [{ headWidth: 15 }, "headWidth 15 is not a multiple of 4"],
  [{ normEpsilon: 0 }, "normEpsilon is 0"],
  [{ norm: "batch" as "rms" }, 'norm is "batch", not one of "layer", "layer_affine", "rms"'],
  [{ biases: ["q"] as unknown as [] }, 'biases is ["q"], not a list of q_proj, k_proj'],
  [{ tiedEmbedding: 1 as unknown as true }, "tiedEmbedding is 1, not true or false"],
  [{ positions: "absolute" as "learned" }, 'positions is "absolute", not "learned", or an object'],
  [
    { positions: rotary({ theta: Infinity }) },
    "positions.theta is Infinity, not a number, above 0",
  ],
  [
    { positions: rotary({ pairing: "both" }) },
    'positions.pairing is "both", not one of "half", "i',
  ],
  [
    { positions: rotary({ share: 0 }) },
    "positions.share is 0, not a number, above 0 and at most 1",
  ],
  [{ positions: rotary({ share: 0.2 }) }, "share 0.2 of headWidth 16 is 3, not an even number"],
  [{ positions: rotary({ shares: 1 }) }, "there is no positions.shares, perhaps share is meant"],
  [{ positions: rotary({ scaling: { kind: "yarn" } }) }, 'positions.scaling.kind is "yarn"'],
  [{ positions: rotary({ scaling: { kind: "linear" } }) }, "positions.scaling.factor is missing"],
  [
    {
      positions: rotary({
        scaling: {
          kind: "llama3",
          factor: 8,
          lowFrequencyFactor: 4,
          highFrequencyFactor: 4,
          originalContext: 64,
        },
      }),
    },
    "positions.scaling.lowFrequencyFactor 4 is not below highFrequencyFactor 4",
  ],
  [{ witdh: 3 } as Partial<DecoderConfig>, "there is no witdh, perhaps width is meant"],
  [{ activation: undefined }, "activation is missing"],
];
for (const [change, message] of inconsistencies) {
  Deno.test(`checkConfig says that ${message}`, () => {
    assertThrows(() => checkConfig({ ...presets.tiny, ...change }), message);
  });
}

Deno.test("checkConfig names all inconsistencies at once", () => {
  const check = () => checkConfig({ ...presets.tiny, heads: 5, kvHeads: 3, headWidth: 15 });
  assertThrows(check, "width 64 is not a multiple of heads 5");
  assertThrows(check, "heads 5 is not a multiple of kvHeads 3");
  assertThrows(check, "headWidth 15 is not a multiple of 4");
});

Deno.test("parameters stand in the order of use; a non-parametric norm has none", () => {
  assertEquals([...parameterShapes({ ...presets.tiny, layers: 1 })], [
    ["model.embed_tokens.weight", [512, 64]],
    ["model.layers.0.self_attn.q_proj.weight", [64, 64]],
    ["model.layers.0.self_attn.k_proj.weight", [64, 64]],
    ["model.layers.0.self_attn.v_proj.weight", [64, 64]],
    ["model.layers.0.self_attn.o_proj.weight", [64, 64]],
    ["model.layers.0.mlp.gate_proj.weight", [256, 64]],
    ["model.layers.0.mlp.up_proj.weight", [256, 64]],
    ["model.layers.0.mlp.down_proj.weight", [64, 256]],
  ]);
  const affine = parameterShapes({ ...presets.tiny, norm: "layer_affine", activation: "gelu" });
  assertEquals(affine.get("model.layers.1.post_attention_layernorm.bias"), [64]);
  assertEquals(affine.get("model.norm.weight"), [64]);
  assert(!affine.has("model.layers.0.mlp.gate_proj.weight"), "GELU has no gate");
});

Deno.test("what transformers cannot describe gets a model_type that it refuses, and comes back", () => {
  for (
    const change of [
      { activation: "gelu" },
      { norm: "layer_affine" },
      { normEpsilon: 1e-6 },
      { residual: "parallel" },
      { queryKeyNorm: "each_head" },
      { positions: "learned" },
      { positions: rotary({ share: 0.5 }) },
    ] as const
  ) {
    const config: DecoderConfig = { ...presets.tiny, ...change };
    const json = JSON.parse(JSON.stringify(toHuggingFace(config)));
    assertEquals(json.model_type, "slung_decoder");
    assertEquals(fromHuggingFace(json, "config.json"), config);
    delete json.decoder.heads;
    assertThrows(() => fromHuggingFace(json, "config.json"), "heads is missing");
  }
});

Deno.test("config.json carries the tokenizer's special ids, and null for what it lacks", () => {
  const json = toHuggingFace(presets.olmo1B, { eos: 50279, pad: 1 });
  assertEquals(json.eos_token_id, 50279);
  assertEquals(json.pad_token_id, 1);
  assertEquals(json.bos_token_id, null);
});

Deno.test("special ids that are no tokens of the model are refused", () => {
  for (
    const [special, message] of [
      [
        { eos: 50304 },
        'option "special.eos" is 50304. Give a whole number, at least 0 and at most 50303',
      ],
      [{ bos: -1 }, 'option "special.bos" is -1'],
      [{ pad: true }, 'option "special.pad" is true'],
      [{ eso: 1 }, 'there is no option "special.eso". Perhaps you meant "special.eos"'],
    ] as const
  ) {
    assertThrows(() => toHuggingFace(presets.olmo1B, special as SpecialTokens), message);
  }
});

const tooLarge: [Partial<DecoderConfig>, string][] = [
  [
    { width: 2 ** 20, heads: 2 ** 12, kvHeads: 2 ** 12, headWidth: 256 },
    "take 32 TiB in f32, and at most 64 GiB are supported",
  ],
  [
    { vocabularySize: 2 ** 31 - 1 },
    "its 137,439,084,480 parameters take 512 GiB in f32, and at most 64 GiB are supported",
  ],
  [{ layers: 4096 }, "layers is 4096, not a whole number, at least 1 and at most 1024"],
  [{ layers: 1024, width: 4096, heads: 4, kvHeads: 4, headWidth: 1024 }, "GiB in f32, and at most"],
];
for (const [change, message] of tooLarge) {
  Deno.test(`a model that nobody can hold is refused before any of it is made: ${message}`, () => {
    const config = { ...presets.tiny, ...change };
    assertThrows(() => checkConfig(config), message);
    assertThrows(() => initialise(config, 0), message);
  });
}

Deno.test("an interleaved model is not described as if it were a Hugging Face one", () => {
  const config: DecoderConfig = { ...presets.tiny, positions: rotary({ pairing: "interleaved" }) };
  assertThrows(() => toHuggingFace(config), 'withRotaryPairing(model, "half")');
});
