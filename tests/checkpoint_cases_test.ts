// What a configuration or a header says and a reader may pass over: each is computed, refused by name, or told. Losses
// come from an independent pass in float64 over the same folder.

import { encodePrompt } from "../src/data/spans.ts";
import { perplexity } from "../src/eval/perplexity.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { fromHuggingFace } from "../src/model/formats/huggingface/config.ts";
import { readSafetensorsHeader } from "../src/model/formats/safetensors.ts";
import { openModel } from "../src/model/pretrained.ts";
import { loadModel, openModelFiles, saveModel } from "../src/model/weights.ts";
import { assert, assertClose, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { changeHeader, mill, tinyLlama, tinyLlamaWith } from "./fixtures/tiny_llama.ts";

const gpu = await Gpu.open();

async function lossOf(folder: string): Promise<number> {
  const { model, tokenizer } = await openModel(gpu, folder);
  const { nll, tokens } = await perplexity(model, encodePrompt(tokenizer, mill));
  model.destroy();
  assertEquals(tokens, 21);
  return nll;
}

const plain = 6.767938;
const llama3 = {
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 16,
};
const computed: [string, Record<string, unknown>, number][] = [
  ["the folder as it is", {}, plain],
  ["hidden_act swish, another name of silu", { hidden_act: "swish" }, plain],
  ["no rope_scaling", { rope_scaling: null }, plain],
  ["the default rope_scaling", { rope_scaling: { rope_type: "default" } }, plain],
  ["one base in two places", { rope_scaling: { type: "default", rope_theta: 10000 } }, plain],
  [
    "the base in rope_scaling",
    { rope_theta: undefined, rope_scaling: { rope_type: "default", rope_theta: 500000 } },
    6.914675,
  ],
  [
    "the base in rope_parameters",
    { rope_theta: undefined, rope_parameters: { rope_type: "default", rope_theta: 500000 } },
    6.914675,
  ],
  ["llama3 scaling", { rope_scaling: { rope_type: "llama3", ...llama3 } }, 6.939833],
  [
    "llama3 scaling in the older spelling",
    { rope_scaling: { type: "llama3", ...llama3 } },
    6.939833,
  ],
  [
    "llama3 scaling where transformers 5 keeps it",
    { rope_theta: null, rope_parameters: { rope_type: "llama3", rope_theta: 10000, ...llama3 } },
    6.939833,
  ],
  ["linear scaling by 4", { rope_scaling: { type: "linear", factor: 4 } }, 7.21512],
  ["bookkeeping", { torch_dtype: "float16", use_cache: false, pretraining_tp: 2 }, plain],
  [
    "fields of other families that are off",
    {
      ...{
        sliding_window: null,
        final_logit_softcapping: null,
        logits_scaling: 1,
        use_mrope: false,
      },
      ...{ pruned_heads: {}, layer_types: ["full_attention"], is_encoder_decoder: false },
    },
    plain,
  ],
];
for (const [what, change, nll] of computed) {
  Deno.test(`config.json with ${what} gives ${nll} nats`, async () => {
    assertClose(await lossOf(await tinyLlamaWith(change)), nll, 1e-5, what);
  });
}

const refused: [string, Record<string, unknown>, string][] = [
  [
    "a factor without a type",
    { rope_scaling: { factor: 4 } },
    'field "rope_scaling.factor" is 4, and no rope_type says what for',
  ],
  [
    "a section for each kind of layer",
    { rope_parameters: { full_attention: { rope_type: "default", rope_theta: 1e6 } } },
    'field "rope_parameters.full_attention" is {…}',
  ],
  [
    "the same in rope_scaling",
    { rope_scaling: { sliding_attention: { rope_theta: 1e4 } } },
    'field "rope_scaling.sliding_attention" is {…}',
  ],
  [
    "two bases",
    { rope_scaling: { rope_type: "default", rope_theta: 500000 } },
    'field "rope_theta" is 10000, and field "rope_scaling.rope_theta" is 500000',
  ],
  [
    "two sections",
    { rope_scaling: { type: "default" }, rope_parameters: { rope_type: "default" } },
    'field "rope_scaling" is {…}, beside "rope_parameters"',
  ],
  [
    "two types",
    { rope_scaling: { type: "linear", rope_type: "llama3", ...llama3 } },
    'field "rope_scaling.type" is "linear", and rope_type is "llama3"',
  ],
  [
    "yarn",
    { rope_scaling: { rope_type: "yarn", factor: 4 } },
    'field "rope_scaling.rope_type" is "yarn", supported: "default" and "linear" and "llama3"',
  ],
  [
    "a factor of the default type",
    { rope_scaling: { rope_type: "default", factor: 4 } },
    'field "rope_scaling.factor" is 4, which rope_type "default" does not have',
  ],
  [
    "linear scaling with more to it",
    { rope_scaling: { rope_type: "linear", factor: 4, attention_factor: 1.2 } },
    'field "rope_scaling.attention_factor" is 1.2',
  ],
  [
    "llama3 scaling with less to it",
    { rope_scaling: { rope_type: "llama3", factor: 4, low_freq_factor: 1 } },
    'field "rope_scaling.high_freq_factor" is missing',
  ],
  [
    "a factor of 0",
    { rope_scaling: { rope_type: "linear", factor: 0 } },
    "positions.scaling.factor is 0, not a number, above 0",
  ],
  [
    "half a head that turns",
    { partial_rotary_factor: 0.5 },
    'field "partial_rotary_factor" is 0.5',
  ],
  [
    "soft caps",
    { final_logit_softcapping: 30 },
    'field "final_logit_softcapping" is 30, which "llama" does not have',
  ],
  [
    "a sliding window",
    { sliding_window: 2 },
    'field "sliding_window" is 2, which "llama" does not',
  ],
  ["multipliers", { embedding_multiplier: 12 }, 'field "embedding_multiplier" is 12'],
  ["layers of another kind", { layer_types: ["linear_attention"] }, 'field "layer_types" is ["lin'],
  ["pruned heads", { pruned_heads: { 0: [1] } }, 'field "pruned_heads" is {…}'],
];
for (const [what, change, message] of refused) {
  Deno.test(`config.json with ${what} is refused by name`, async () => {
    await assertRejects(async () => await openModelFiles(await tinyLlamaWith(change)), message);
  });
}

Deno.test("a field that nobody knows is told, and computes what it computes elsewhere: nothing", async () => {
  const { describe } = await openModelFiles(await tinyLlamaWith({ unsloth_fixed: true }));
  assert(describe.endsWith("config.json: unsloth_fixed passed over, as by transformers"), describe);
});

const windows: [string, Record<string, unknown>, number | string][] = [
  ["mistral, none", { model_type: "mistral", sliding_window: null }, 64],
  ["mistral, wider than the context", { model_type: "mistral", sliding_window: 128 }, 64],
  ["mistral, narrower", { model_type: "mistral", sliding_window: 16 }, 16],
  ["mistral, its default", { model_type: "mistral", max_position_embeddings: 8192 }, 4096],
  ["qwen2, not used", { model_type: "qwen2", sliding_window: 16 }, 64],
  [
    "qwen2, used by layers that it does not have",
    { model_type: "qwen2", sliding_window: 16, use_sliding_window: true, max_window_layers: 1 },
    64,
  ],
  [
    "qwen2, used",
    { model_type: "qwen2", sliding_window: 16, use_sliding_window: true, max_window_layers: 0 },
    16,
  ],
  [
    "qwen3, in a list",
    { model_type: "qwen3", layer_types: ["sliding_attention"] },
    'field "layer_types" is ["sliding_attention"], supported: "full_attention"',
  ],
];
for (const [what, change, expected] of windows) {
  Deno.test(`a sliding window (${what}) limits the context or is refused`, async () => {
    const json = JSON.parse(await Deno.readTextFile(`${tinyLlama}/config.json`));
    const read = () => fromHuggingFace({ ...json, head_dim: 8, ...change }, "config.json");
    if (typeof expected === "string") assertThrows(read, expected);
    else assertEquals(read().contextLength, expected);
  });
}

Deno.test("what the defaults of transformers are, is read where a file says nothing", () => {
  const sizes = { vocab_size: 64, hidden_size: 512, num_hidden_layers: 1, intermediate_size: 32 };
  const heads = { num_attention_heads: 32 };
  const read = (model_type: string, more = {}) =>
    fromHuggingFace({ model_type, ...sizes, ...heads, ...more }, "config.json");
  const told = (model_type: string) => {
    const { contextLength, kvHeads, headWidth, normEpsilon, tiedEmbedding } = read(model_type);
    return [contextLength, kvHeads, headWidth, normEpsilon, tiedEmbedding];
  };
  assertEquals(told("olmo"), [2048, 32, 16, 1e-5, false]);
  assertEquals(told("olmo2"), [2048, 32, 16, 1e-5, false]);
  assertEquals(told("llama"), [2048, 32, 16, 1e-6, false]);
  assertEquals(told("mistral"), [4096, 8, 16, 1e-6, false]);
  assertEquals(told("qwen2"), [32768, 32, 16, 1e-6, false]);
  assertEquals(told("qwen3"), [32768, 32, 128, 1e-6, false]);
  assertEquals(told("gpt_neox"), [2048, 32, 16, 1e-5, false]);
  assertEquals(read("mistral", { num_key_value_heads: null }).kvHeads, 32);
  const neox = read("gpt_neox");
  assertEquals(neox.positions, { theta: 10000, pairing: "half", share: 0.25 });
  const partial = { rope_parameters: { rope_theta: 500, partial_rotary_factor: 0.5 } };
  const { positions } = read("gpt_neox", partial);
  assertEquals(positions, { theta: 500, pairing: "half", share: 0.5 });
  const gpt2 = fromHuggingFace(
    { model_type: "gpt2", vocab_size: 64, n_embd: 32, n_layer: 1, n_head: 4 },
    "config.json",
  );
  assertEquals([gpt2.contextLength, gpt2.feedForward, gpt2.tiedEmbedding], [1024, 128, true]);
});

const harmless: [string, string, number[], number][] = [
  ["rotary frequencies in doubles", "model.layers.0.self_attn.rotary_emb.inv_freq", [4], 8],
  ["position ids", "model.embeddings.position_ids", [1, 8], 8],
  ["a causal mask", "model.layers.0.attn.bias", [1, 1, 3, 3], 1],
  ["what masked scores are", "model.layers.0.attn.masked_bias", [], 4],
];
const dtypes: Record<number, string> = { 8: "F64", 4: "F32", 1: "BOOL" };
for (const [what, name, shape, bytes] of harmless) {
  Deno.test(`a buffer (${what}) that follows from the configuration changes nothing`, async () => {
    const folder = await tinyLlamaWith({});
    const size = shape.reduce((product, length) => product * length, bytes);
    await changeHeader(folder, (header, end) => {
      header[name] = { dtype: dtypes[bytes], shape, data_offsets: [end, end + size] };
    }, new Uint8Array(size));
    assertClose(await lossOf(folder), plain, 1e-5, what);
  });
}

Deno.test("a bias that is no mask is not passed over for its name", async () => {
  const folder = await tinyLlamaWith({});
  await changeHeader(folder, (header, end) => {
    const entry = { dtype: "F32", shape: [16], data_offsets: [end, end + 64] };
    header["model.layers.0.attention.bias"] = entry;
  }, new Uint8Array(64));
  await assertRejects(
    () => openModelFiles(folder),
    'tensor "model.layers.0.attention.bias" [16] is not part of the model',
  );
});

Deno.test("metadata that are null are none", async () => {
  const folder = await tinyLlamaWith({});
  await changeHeader(folder, (header) => header.__metadata__ = null);
  assertClose(await lossOf(folder), plain, 1e-5, "nll");
});

Deno.test("a needed tensor of doubles is refused, and so are values that are no numbers", async () => {
  const folder = await tinyLlamaWith({});
  await changeHeader(folder, (header, end) => {
    const entry = { dtype: "F64", shape: [16], data_offsets: [end, end + 128] };
    const old = header["model.norm.weight"];
    header["model.norm.weight"] = entry;
    header["model.position_ids"] = old; // its bytes must belong to something
  }, new Uint8Array(128));
  await assertRejects(() => lossOf(folder), 'tensor "model.norm.weight" has dtype "F64"');

  for (const [value, shown] of [[0x7fc00000, "NaN"], [0xff800000, "-Infinity"]] as const) {
    const broken = await tinyLlamaWith({});
    const { tensors } = await readSafetensorsHeader(`${broken}/model.safetensors`);
    const { offset } = tensors.get("model.layers.0.mlp.up_proj.weight")!;
    using file = await Deno.open(`${broken}/model.safetensors`, { write: true });
    await file.seek(offset + 4 * 5, Deno.SeekMode.Start);
    await file.write(new Uint8Array(Uint32Array.of(value).buffer));
    await assertRejects(
      () => lossOf(broken),
      `tensor "model.layers.0.mlp.up_proj.weight" has the value ${shown} at element 5`,
    );
  }
});

const ends: [string, unknown, unknown, number[] | string][] = [
  ["a list for generation", 1, [121, 1], [1, 121]],
  ["one for generation", 1, 7, [7]],
  ["a list of the model", [3, 2], undefined, [2, 3]],
  ["one of the model", 5, undefined, [5]],
  ["nothing", null, undefined, [1]],
  ["nothing but files that could", null, null, [1]],
  ["what is no id", 1, [1, -1], 'field "eos_token_id" is [1, -1], neither a token id nor a list'],
  ["text", "</s>", undefined, 'field "eos_token_id" is "</s>", neither'],
];
for (const [what, ofModel, forGeneration, expected] of ends) {
  Deno.test(`what ends a text, where the files name ${what}`, async () => {
    const folder = await tinyLlamaWith(
      { eos_token_id: ofModel },
      forGeneration === undefined
        ? {}
        : { "generation_config.json": { eos_token_id: forGeneration } },
    );
    if (typeof expected === "string") {
      await assertRejects(() => openModel(gpu, folder), expected);
      return;
    }
    const { ends, description, model } = await openModel(gpu, folder);
    model.destroy();
    assertEquals(ends, expected);
    const contradicts = /texts end at token .* not at/.test(description);
    assertEquals(contradicts, expected.join() !== "1", description);
  });
}

Deno.test("what ends a text is written as it was read: one id as a number, several as a list", async () => {
  for (const ends of [[7], [3, 121]]) {
    const { config, weights } = await loadModel(tinyLlama);
    const folder = await Deno.makeTempDir();
    await saveModel(folder, config, weights, { special: { eos: 1, pad: 2 }, ends });
    const { eos_token_id, pad_token_id } = JSON.parse(
      await Deno.readTextFile(`${folder}/config.json`),
    );
    assertEquals([eos_token_id, pad_token_id], [ends.length === 1 ? 7 : ends, 2]);
    assertEquals((await loadModel(folder)).ends, ends);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("gpt2's names are read with and without their first word", async () => {
  const source = `${import.meta.dirname}/golden/families/gpt2`;
  const folder = await Deno.makeTempDir();
  for (const name of ["config.json", "model.safetensors"]) {
    await Deno.copyFile(`${source}/${name}`, `${folder}/${name}`);
  }
  await changeHeader(folder, (header) => {
    for (const name of Object.keys(header)) {
      if (!name.startsWith("transformer.")) continue;
      header[name.slice("transformer.".length)] = header[name];
      delete header[name];
    }
  });
  const read = async (path: string) =>
    await Array.fromAsync(
      (await openModelFiles(path)).tensors(),
      ([name, { data }]) => [name, data],
    );
  assertEquals(await read(folder), await read(source));
  await Deno.remove(folder, { recursive: true });
});
