import { Random } from "../src/base/random.ts";
import type { DecoderConfig, HostTensor, RotaryPositions, Weights } from "../src/model/config.ts";
import { architectures, presets } from "../src/model/families.ts";
import { ggufNaming } from "../src/model/formats/gguf.ts";
import { storedTensors } from "../src/model/formats/naming.ts";
import { initialise } from "../src/model/initialise.ts";
import { writeSafetensors } from "../src/model/formats/tensor_data.ts";
import { countParameters } from "../src/model/parameter_shapes.ts";
import {
  loadModel,
  type Model,
  openModelFiles,
  saveModel,
  withRotaryPairing,
} from "../src/model/weights.ts";
import { assert, assertClose, assertEquals, assertRejects } from "./assert.ts";
import { sharedData } from "./data.ts";

const root = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));
let folders = 0;

async function newFolder(): Promise<string> {
  const folder = `${root}/${folders++}`;
  await Deno.mkdir(folder);
  return folder;
}

const LLAMA: DecoderConfig = {
  ...presets.tiny,
  family: "llama",
  norm: "rms",
  kvHeads: 2,
  vocabularySize: 32,
  positions: { theta: 10000, pairing: "interleaved", share: 1 },
};

const rotaryOf = (config: DecoderConfig) => config.positions as RotaryPositions;

/** `W x` for `W` [out, in], in float64. */
function project(matrix: HostTensor, x: ArrayLike<number>): Float64Array {
  const [rows, columns] = matrix.shape as [number, number];
  const y = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) y[r]! += matrix.data[r * columns + c]! * x[c]!;
  }
  return y;
}

function rotate(x: Float64Array, position: number, config: DecoderConfig): Float64Array {
  const D = config.headWidth;
  const turned = x.slice();
  for (let head = 0; head < x.length; head += D) {
    for (let j = 0; j < D / 2; j++) {
      const isHalf = rotaryOf(config).pairing === "half";
      const a = head + (isHalf ? j : 2 * j), b = isHalf ? a + D / 2 : a + 1;
      const angle = position / rotaryOf(config).theta ** (2 * j / D);
      turned[a] = x[a]! * Math.cos(angle) - x[b]! * Math.sin(angle);
      turned[b] = x[a]! * Math.sin(angle) + x[b]! * Math.cos(angle);
    }
  }
  return turned;
}

function normalise(x: Float64Array, weight: HostTensor, epsilon: number): Float64Array {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return x.map((value, i) => value / Math.sqrt(meanSquare + epsilon) * weight.data[i]!);
}

/** Mean negative log-likelihood of `ids` after the first under a tied llama, in float64. */
function meanLoss({ config, weights }: Model, ids: number[]): number {
  const at = (name: string) => weights.get(`${name}.weight`)!;
  const { width: C, headWidth: D, normEpsilon } = config;
  const embedding = at("model.embed_tokens");
  let rows = ids.map((id) => Float64Array.from(embedding.data.subarray(id * C, (id + 1) * C)));
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    const inputs = rows.map((x) => normalise(x, at(`${layer}.input_layernorm`), normEpsilon));
    const turned = (kind: string) =>
      inputs.map((x, t) => rotate(project(at(`${layer}.self_attn.${kind}`), x), t, config));
    const q = turned("q_proj"), k = turned("k_proj");
    const v = inputs.map((x) => project(at(`${layer}.self_attn.v_proj`), x));
    rows = rows.map((x, t) => {
      const mixed = new Float64Array(config.heads * D);
      for (let h = 0; h < config.heads; h++) {
        const own = h * D, shared = Math.floor(h * config.kvHeads / config.heads) * D;
        const scores = Float64Array.from({ length: t + 1 }, (_, s) => {
          let dot = 0;
          for (let d = 0; d < D; d++) dot += q[t]![own + d]! * k[s]![shared + d]!;
          return Math.exp(dot / Math.sqrt(D));
        });
        const total = scores.reduce((a, b) => a + b);
        for (let s = 0; s <= t; s++) {
          for (let d = 0; d < D; d++) mixed[own + d]! += scores[s]! / total * v[s]![shared + d]!;
        }
      }
      const attended = project(at(`${layer}.self_attn.o_proj`), mixed);
      const middle = x.map((value, c) => value + attended[c]!);
      const input = normalise(middle, at(`${layer}.post_attention_layernorm`), normEpsilon);
      const gate = project(at(`${layer}.mlp.gate_proj`), input);
      const up = project(at(`${layer}.mlp.up_proj`), input);
      const hidden = gate.map((g, f) => g / (1 + Math.exp(-g)) * up[f]!);
      const fed = project(at(`${layer}.mlp.down_proj`), hidden);
      return middle.map((value, c) => value + fed[c]!);
    });
  }
  let loss = 0;
  for (let t = 0; t + 1 < ids.length; t++) {
    const logits = project(embedding, normalise(rows[t]!, at("model.norm"), normEpsilon));
    loss += Math.log(logits.reduce((sum, z) => sum + Math.exp(z), 0)) - logits[ids[t + 1]!]!;
  }
  return loss / (ids.length - 1);
}

/** "One day, a little girl named Lily found a needle in her room. …" in the tokens of tok512.bin, BOS first. */
// deno-fmt-ignore
const STORY_512 = [
  1, 385, 328, 432, 261, 376, 298, 315, 421, 395, 317, 272, 277, 264, 261, 404, 266, 305, 322,
  311, 352, 414, 287, 426, 338, 409, 416, 411, 424, 312, 286, 279, 417, 431, 431, 417, 429, 425,
  421, 413, 267, 337, 335, 312, 329, 429, 412, 425, 372, 312, 286, 262, 415, 295, 427, 426, 317,
  391, 266, 267, 262, 415, 412, 276, 265, 404, 266, 305, 335, 311, 357, 432, 384, 358, 280, 389,
  262, 411, 424, 261, 398, 413, 289, 353, 311, 262, 415, 315, 413, 426, 13, 13, 438, 310, 263,
  377, 267, 311, 357, 269, 336, 432, 313, 446, 287, 432, 359, 272, 277, 264, 308, 293, 404, 266,
  305, 426, 410, 457, 303, 364, 262, 415, 412, 276, 312, 335, 284, 411, 269, 262, 411, 424, 284,
  422, 262, 415, 315, 413, 450, 436, 320, 285, 357, 262, 423, 290, 266, 269, 336, 432, 313, 452,
  406, 432, 317, 432, 382, 280, 303, 262, 415, 412, 276, 265, 404, 266, 305, 269, 272, 417, 444,
  364, 420, 262, 415, 315, 413, 426, 436, 13, 13, 434, 414, 428, 316, 386, 432, 366, 262, 415,
  295, 266, 265, 404, 266, 305, 269, 262, 411, 424, 266, 265, 398, 413, 289, 353, 317, 439, 419,
  262, 415, 315, 413, 426, 359, 413, 286, 297, 309, 279, 417, 431, 431, 417, 429, 425, 421, 413,
  387, 265, 423, 329, 429, 412, 425, 372, 366, 382, 276, 262, 415, 295, 299, 269, 281, 421, 427,
  299, 344, 412, 402, 410, 309, 386, 426, 410, 447, 431, 413, 285, 366, 272, 271, 293, 260, 418,
  432, 317, 308, 303, 355, 311, 357, 387, 262, 415, 295, 299, 265, 404, 266, 305, 269, 272, 417,
  444, 299, 311, 262, 415, 315, 413, 426, 342, 268, 309, 415, 272, 411, 421, 413, 393, 329, 429,
  412, 425, 372, 366, 381, 262, 415, 295, 266, 269, 263, 304, 355, 267, 428, 316, 386, 426, 13,
  441, 416, 331, 407, 261, 378, 432, 383, 286, 261, 376, 280, 295, 395, 368, 411, 411, 427, 426,
  368, 411, 411, 427, 401, 396, 267, 298, 414, 272, 412, 356, 269, 337, 322, 265, 262, 379, 426,
  368, 411, 411, 427, 286, 261, 281, 412, 421, 413, 415, 422, 280, 295, 329, 429, 412, 425, 372,
  281, 261, 421, 424, 283, 419, 381, 298, 347, 418, 272, 425, 411, 421, 426, 410, 463, 347, 418,
  272,
];

/** The same story in the tokens of tinystories-656k. */
// deno-fmt-ignore
const STORY_2048 = [
  1, 429, 598, 303, 489, 1148, 177, 1051, 652, 163, 641, 478, 535, 58, 275, 737, 64, 364, 580,
  167, 617, 478, 519, 68, 921, 265, 519, 573, 1148, 177, 628, 333, 886, 1896, 178, 75, 104, 1745,
  88, 754, 1430, 169, 1325, 122, 3, 303, 761, 1469, 624, 583, 1235, 371, 736, 1148, 161, 84, 1690,
  1279, 167, 284,
];

Deno.test("stories260K predicts a story as an independent forward pass says, before and after saving", async () => {
  const folder = sharedData("models/stories260K");
  if (folder === undefined) return;
  const model = await loadModel(folder);
  assertEquals(rotaryOf(model.config).pairing, "interleaved");
  assertEquals([model.config.feedForward, model.config.kvHeads, model.config.layers], [172, 4, 5]);
  assertEquals(countValues(model.weights), 260_032);
  assertEquals(countParameters(model.config), 260_032);
  // An independent float64 forward pass over the same 400 ids gave 1.41633 nats.
  assertClose(meanLoss(model, STORY_512), 1.41633, 1e-5, "loss");

  const start = STORY_512.slice(0, 60);
  const loss = meanLoss(model, start);
  const again = await savedAndLoaded(model);
  assertEquals(again.config, withRotaryPairing(model, "half").config);
  assertClose(meanLoss(again, start), loss, 1e-12, "loss after saving");
  assertEquals(withRotaryPairing(again, "interleaved").weights, model.weights);
  const misread = { ...again, config: model.config };
  assert(meanLoss(misread, start) > loss + 0.1, "the permutation does not matter?");
});

async function savedAndLoaded(model: Model): Promise<Model> {
  const folder = await newFolder();
  await saveModel(folder, model.config, model.weights);
  return await loadModel(folder);
}

Deno.test("tinystories-656k is read under llama.cpp's names and saved under Hugging Face's", async () => {
  const folder = sharedData("models/tinystories-656k");
  if (folder === undefined) return;
  const model = await loadModel(folder);
  assertEquals(countValues(model.weights), 656_000);
  assertEquals(model.config.normEpsilon, 1e-6);
  assertEquals(rotaryOf(model.config).pairing, "interleaved");
  assert(model.describe.includes("656,000 parameters"), model.describe);

  // Uniform guessing costs ln 2048 = 7.62 nats; rotary pairs read the wrong way cost more than 4.
  const loss = meanLoss(model, STORY_2048);
  assert(loss < 2.7, `the story costs ${loss} nats a token`);
  const misread: Model = { ...model, config: withRotaryPairing(model, "half").config };
  assert(meanLoss(misread, STORY_2048) > 4, "the pairing does not matter?");
  const again = await savedAndLoaded(model);
  assertClose(meanLoss(again, STORY_2048), loss, 1e-12, "loss after saving");
  assertEquals(withRotaryPairing(again, "interleaved").weights, model.weights);
});

function countValues(weights: Weights): number {
  return [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
}

Deno.test("the other pairing has the same attention scores, and there and back the same bits", () => {
  const model: Model = { config: LLAMA, weights: initialise(LLAMA, 3) };
  const half = withRotaryPairing(model, "half");
  const random = new Random(4);
  const x = Float64Array.from({ length: LLAMA.width }, () => random.normal());
  const y = Float64Array.from({ length: LLAMA.width }, () => random.normal());
  const scores = ({ config, weights }: Model) => {
    const q = project(weights.get("model.layers.1.self_attn.q_proj.weight")!, x);
    const k = project(weights.get("model.layers.1.self_attn.k_proj.weight")!, y);
    const turnedQ = rotate(q, 11, config), turnedK = rotate(k, 4, config);
    const D = config.headWidth;
    return Float64Array.from({ length: config.heads }, (_, h) => {
      const shared = Math.floor(h * config.kvHeads / config.heads) * D;
      let score = 0;
      for (let d = 0; d < D; d++) score += turnedQ[h * D + d]! * turnedK[shared + d]!;
      return score;
    });
  };
  assertClose(scores(half), scores(model), 1e-14, "scores");
  assertEquals(rotaryOf(half.config).pairing, "half");
  assertEquals(withRotaryPairing(half, "interleaved"), model);
});

Deno.test("in halves, row j of a head is the interleaved row 2j, and row j + D/2 is 2j + 1", () => {
  const config: DecoderConfig = { ...LLAMA, width: 12, heads: 2, kvHeads: 2, headWidth: 6 };
  const rows = { shape: [12, 1], data: Float32Array.from({ length: 12 }, (_, i) => i) };
  const weights = new Map([["model.layers.0.self_attn.q_proj.weight", rows]]);
  const half = withRotaryPairing({ config, weights }, "half");
  const permuted = half.weights.get("model.layers.0.self_attn.q_proj.weight")!;
  assertEquals([...permuted.data], [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
});

Deno.test("an OLMo survives saving bit by bit, in halves to their precision", async () => {
  const config = presets.tiny;
  const weights = initialise(config, 1);
  const folder = await newFolder();
  await saveModel(folder, config, weights, { special: { eos: 2 } });
  const loaded = await loadModel(folder);
  assertEquals(loaded.config, config);
  assertEquals(loaded.weights, weights);
  assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/config.json`)).eos_token_id, 2);
  const beyond = { eos_token_id: [2, config.vocabularySize] };
  await Deno.writeTextFile(`${folder}/generation_config.json`, JSON.stringify(beyond));
  await assertRejects(
    () => openModelFiles(folder),
    `[2, ${config.vocabularySize}], neither a token id nor a list of such; the model's ids are below`,
  );
  await Deno.writeTextFile(`${folder}/generation_config.json`, "{}");

  for (const [dtype, tolerance] of [["F16", 2 ** -11], ["BF16", 2 ** -8]] as const) {
    await saveModel(folder, config, weights, { dtype });
    const { data } = (await loadModel(folder)).weights.get("model.embed_tokens.weight")!;
    assertClose(data, weights.get("model.embed_tokens.weight")!.data, tolerance, dtype);
  }
});

Deno.test("a GELU model with affine norms survives saving too", async () => {
  const config: DecoderConfig = { ...presets.tiny, norm: "layer_affine", activation: "gelu" };
  const weights = initialise(config, 1);
  const folder = await newFolder();
  await saveModel(folder, config, weights);
  assertEquals((await loadModel(folder)).weights, weights);
});

Deno.test("a sharded checkpoint is read through its index", async () => {
  const weights = initialise(presets.tiny, 1);
  const folder = await newFolder();
  await saveModel(folder, presets.tiny, weights);
  await Deno.remove(`${folder}/model.safetensors`);
  const names = [...weights.keys()];
  const weightMap: Record<string, string> = {};
  for (const [shard, part] of [names.slice(0, 3), names.slice(3)].entries()) {
    const file = `model-0000${shard + 1}-of-00002.safetensors`;
    for (const name of part) weightMap[name] = file;
    await writeSafetensors(
      `${folder}/${file}`,
      new Map(part.map((name) => [name, weights.get(name)!])),
    );
  }
  const index = `${folder}/model.safetensors.index.json`;
  await Deno.writeTextFile(index, JSON.stringify({ metadata: {}, weight_map: weightMap }));
  assertEquals((await loadModel(folder)).weights, weights);
});

/** A saved tiny OLMo whose tensors were then changed. */
async function tampered(change: (tensors: Weights) => void): Promise<string> {
  const folder = await newFolder();
  const weights = initialise(presets.tiny, 1);
  await saveModel(folder, presets.tiny, weights);
  change(weights);
  await writeSafetensors(`${folder}/model.safetensors`, weights);
  return folder;
}
const EMBEDDING = "model.embed_tokens.weight";

Deno.test("a tied checkpoint may repeat its embedding as lm_head, and carry rotary buffers", async () => {
  const folder = await tampered((tensors) => {
    tensors.set("lm_head.weight", tensors.get(EMBEDDING)!);
    const buffer = { shape: [8], data: new Float32Array(8) };
    tensors.set("model.layers.0.self_attn.rotary_emb.inv_freq", buffer);
  });
  assertEquals((await loadModel(folder)).weights, initialise(presets.tiny, 1));
});

Deno.test("a tied checkpoint with another lm_head is refused", async () => {
  const folder = await tampered((tensors) => {
    const { shape, data } = tensors.get(EMBEDDING)!;
    tensors.set("lm_head.weight", { shape, data: data.map((value) => value + 1) });
  });
  await assertRejects(() => loadModel(folder), `"lm_head.weight" differs from "${EMBEDDING}"`);
});

Deno.test("a missing, an unknown and a misshapen tensor are refused by name and shape", async () => {
  const name = "model.layers.1.mlp.up_proj.weight";
  const missing = await tampered((tensors) => tensors.delete(name));
  await assertRejects(() => loadModel(missing), `tensor "${name}" [256, 64] is missing`);

  const unknown = await tampered((tensors) =>
    tensors.set("model.norm.weight", { shape: [64], data: new Float32Array(64) })
  );
  await assertRejects(
    () => loadModel(unknown),
    'tensor "model.norm.weight" [64] is not part of the model',
  );

  const misshapen = await tampered((tensors) =>
    tensors.set(name, { shape: [64, 256], data: tensors.get(name)!.data })
  );
  await assertRejects(
    () => loadModel(misshapen),
    `tensor "${name}" has shape [64, 256], the configuration needs [256, 64]`,
  );
});

Deno.test("weights that do not fit are not saved, and leave no folder", async () => {
  const folder = `${root}/never`;
  const weights = initialise(presets.tiny, 1);
  const config: DecoderConfig = { ...presets.tiny, layers: 1 };
  await assertRejects(() => saveModel(folder, config, weights), "is not part of the model");
  await assertRejects(() => Deno.stat(folder), "No such file");
});

Deno.test("folders without a model say what they hold and what was wanted", async () => {
  const folder = await newFolder();
  await assertRejects(() => loadModel(folder), "it holds no files");
  await Deno.writeTextFile(`${folder}/notes.txt`, "");
  await assertRejects(() => loadModel(folder), "it holds notes.txt");
  await assertRejects(() => loadModel(`${folder}/none`), `Cannot read the folder "${folder}/none"`);
  await Deno.writeTextFile(`${folder}/config.json`, '{"model_type": "olmo"');
  await assertRejects(() => loadModel(folder), `${folder}/config.json`);
});

Deno.test("a config.json without safetensors is refused", async () => {
  const folder = await newFolder();
  await saveModel(folder, presets.tiny, initialise(presets.tiny, 1));
  await Deno.remove(`${folder}/model.safetensors`);
  await assertRejects(
    () => loadModel(folder),
    "neither model.safetensors nor model.safetensors.in",
  );
});

/** A llama2.c file: dim 8, hidden 6, 1 layer, 2 heads, 1 KV head, 5 tokens, 3 positions, untied. */
function llama2c(changes: Record<number, number> = {}): Float32Array<ArrayBuffer> {
  const header = [8, 6, 1, 2, 1, -5, 3];
  for (const [i, value] of Object.entries(changes)) header[Number(i)] = value;
  const sizes = [
    5 * 8,
    8,
    8 * 8,
    4 * 8,
    4 * 8,
    8 * 8,
    8,
    6 * 8,
    8 * 6,
    6 * 8,
    8,
    3 * 2,
    3 * 2,
    5 * 8,
  ];
  const values = sizes.flatMap((size, kind) => Array<number>(size).fill(kind));
  const file = new Float32Array(7 + values.length);
  new Int32Array(file.buffer).set(header);
  file.set(values, 7);
  return file;
}

async function writeBin(content: Float32Array<ArrayBuffer>): Promise<string> {
  const folder = await newFolder();
  await Deno.writeFile(`${folder}/model.bin`, new Uint8Array(content.buffer));
  await Deno.writeFile(`${folder}/tokenizer.bin`, new Uint8Array(4));
  return folder;
}

Deno.test("an untied llama2.c checkpoint is read in its order, past the rotary tables", async () => {
  const { config, weights } = await loadModel(await writeBin(llama2c()));
  assertEquals([config.tiedEmbedding, config.vocabularySize, config.headWidth], [false, 5, 4]);
  const kinds: Record<string, number> = {};
  for (const [name, { data }] of weights) {
    assert(data.every((value) => value === data[0]), `${name} mixes tensors`);
    kinds[name.replace("model.layers.0.", "").replace(".weight", "")] = data[0]!;
  }
  assertEquals(kinds, {
    "model.embed_tokens": 0,
    "input_layernorm": 1,
    "self_attn.q_proj": 2,
    "self_attn.k_proj": 3,
    "self_attn.v_proj": 4,
    "self_attn.o_proj": 5,
    "post_attention_layernorm": 6,
    "mlp.gate_proj": 7,
    "mlp.down_proj": 8,
    "mlp.up_proj": 9,
    "model.norm": 10,
    "lm_head": 13,
  });
});

const badBins: [string, Float32Array<ArrayBuffer>, string][] = [
  ["is cut", llama2c().slice(0, -1), "its header asks for"],
  ["has a tail", Float32Array.from([...llama2c(), 0]), "its header asks for"],
  ["has no whole header", llama2c().slice(0, 6), "it has 24 bytes"],
  ["says it is tied but holds a head", llama2c({ 5: 5 }), "its header asks for"],
  ["has three heads", llama2c({ 3: 3 }), "width 8 is not a multiple of heads 3"],
  ["has no layers", llama2c({ 2: 0 }), "layers is 0"],
  ["has two billion layers", llama2c({ 2: 2e9 }), "layers is 2000000000"],
  ["is of a later version", llama2c({ 0: 0x616b3432, 1: 1 }), "export of version 1"],
];
for (const [what, content, message] of badBins) {
  Deno.test(`a llama2.c file that ${what} is refused`, async () => {
    const folder = await writeBin(content);
    await assertRejects(() => loadModel(folder), message);
  });
}

const GGUF = {
  "general.architecture": "llama",
  "llama.block_count": 2,
  "llama.context_length": 128,
  "llama.embedding_length": 64,
  "llama.feed_forward_length": 256,
  "llama.attention.head_count": 4,
  "llama.attention.layer_norm_rms_epsilon": 1e-5,
  "llama.vocab_size": 32,
};
const badGgufs: [string, Record<string, unknown>, string][] = [
  ["of another architecture", { "general.architecture": "mamba" }, 'is "mamba"'],
  ["with scaled rotary positions", { "llama.rope.scaling.type": "yarn" }, 'is "yarn"'],
  ["with partial rotary", { "llama.rope.dimension_count": 8 }, '"llama.rope.dimension_count" is 8'],
  ["with experts", { "llama.expert_count": 4 }, '"llama.expert_count" is 4'],
  ["with values of another width", { "llama.attention.value_length": 8 }, 'value_length" is 8'],
  ["with a key that nobody knows", { "llama.attention.sliding_window": 8 }, 'window" is 8, which'],
  [
    "with a rotary key that nobody knows",
    { "llama.rope.scaling.attn_factor": 1.5 },
    '"llama.rope.scaling.attn_factor" is 1.5, which is not supported',
  ],
  [
    "with two factors",
    { "llama.rope.scale_linear": 2, "llama.rope.scaling.factor": 4 },
    '"llama.rope.scale_linear" is 2, and llama.rope.scaling.factor is another',
  ],
  ["without a size", { "llama.vocab_size": undefined }, '"llama.vocab_size" is missing'],
  ["without its tensors", {}, 'tensor "token_embd.weight" [32, 64] is missing'],
];
for (const [what, change, message] of badGgufs) {
  Deno.test(`a llama.cpp folder ${what} is refused`, async () => {
    const folder = await newFolder();
    const metadata = JSON.stringify({ ...GGUF, ...change });
    await Deno.writeTextFile(`${folder}/gguf_metadata.json`, metadata);
    await writeSafetensors(`${folder}/model.safetensors`, new Map());
    await assertRejects(() => loadModel(folder), message);
  });
}

const ggufTensors = storedTensors({
  ...presets.tiny,
  ...architectures.llama,
  family: "llama",
  vocabularySize: 32,
}, ggufNaming);
const scalings: [string, Record<string, unknown>, number | undefined][] = [
  ["none", {}, undefined],
  [
    "none by name",
    { "llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 4 },
    undefined,
  ],
  ["the older factor alone", { "llama.rope.scale_linear": 4 }, 4],
  ["a factor of 1", { "llama.rope.scale_linear": 1 }, undefined],
  ["linear", { "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.5 }, 2.5],
  ["a factor without a type, which is linear there", { "llama.rope.scaling.factor": 8 }, 8],
  ["no experts", { "llama.expert_count": 0, "llama.expert_used_count": 0 }, undefined],
];
for (const [what, keys, factor] of scalings) {
  Deno.test(`a llama.cpp folder says how frequencies are scaled: ${what}`, async () => {
    const folder = await newFolder();
    const metadata = { ...GGUF, ...keys, "tokenizer.ggml.eos_token_id": 2 };
    await Deno.writeTextFile(`${folder}/gguf_metadata.json`, JSON.stringify(metadata));
    const zeros = (shape: number[]) => new Float32Array(shape.reduce((a, b) => a * b));
    await writeSafetensors(
      `${folder}/model.safetensors`,
      new Map(ggufTensors.map(({ name, shape }) => [name, { shape, data: zeros(shape) }])),
    );
    const { config, ends } = await openModelFiles(folder);
    const scaling = factor === undefined ? undefined : { kind: "linear" as const, factor };
    assertEquals(rotaryOf(config).scaling, scaling);
    assertEquals(ends, [2]);
  });
}
