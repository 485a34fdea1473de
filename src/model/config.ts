// What a decoder is made of: sizes, norm, rotary pairing; and from that the name and shape of every
// parameter. Names are those of Hugging Face `transformers`, so that a checkpoint needs no renaming.
// Anything the model code does not compute (a scaled rotary, a clipped query) is refused by name.

import { CannotError } from "../base/errors.ts";
import { show } from "../base/show.ts";

/** The architecture of a decoder-only transformer: pre-norm blocks, rotary attention, no projection biases. */
export interface DecoderConfig {
  /** Which Hugging Face architecture it is stored as. */
  family: "olmo" | "llama";
  /** V, the rows of the embedding; may exceed the tokenizer's. */
  vocabularySize: number;
  /** Positions at most. */
  contextLength: number;
  /** C, the width of the residual stream. */
  width: number;
  /** Decoder blocks. */
  layers: number;
  /** Heads of queries. */
  heads: number;
  /** Heads of keys and values; fewer than `heads` is grouped-query attention. */
  kvHeads: number;
  /** D, the width of one head. */
  headWidth: number;
  /** F, the width of the gate and of the up projection each. */
  feedForward: number;
  /** `layer` is OLMo's non-parametric layer norm; `layer_affine` adds a weight and a bias. */
  norm: "layer" | "layer_affine" | "rms";
  /** Added to the variance, or to the mean square (`rms`). */
  normEpsilon: number;
  /** SiLU of a gate times the up projection, or GELU of the up projection alone. */
  activation: "swiglu" | "gelu";
  /** Base of the rotary frequencies, usually 10 000. */
  rotaryTheta: number;
  /** Which entries of a head turn together: j and j + D/2 (`half`), or 2j and 2j + 1 (`interleaved`). */
  rotaryPairing: "half" | "interleaved";
  /** Whether the unembedding is the embedding. */
  tiedEmbedding: boolean;
}

/** A tensor in host memory, row-major. */
export interface HostTensor {
  /** Outermost dimension first; weights are [out, in]. */
  shape: number[];
  /** As many elements as the shape has, whatever the checkpoint's dtype. */
  data: Float32Array;
}

/** Every parameter of a model by its Hugging Face name. */
export type Weights = Map<string, HostTensor>;

/** Token ids with a meaning of their own, written to `config.json` for generation. */
export interface SpecialTokens {
  /** Begins a text. */
  bos?: number;
  /** Ends a text. */
  eos?: number;
  /** Fills rows up elsewhere; packing here needs none. */
  pad?: number;
}

/** A parsed `config.json`. */
export type HuggingFaceConfig = Record<string, unknown>;

function olmo(width: number, layers: number, heads: number): DecoderConfig {
  return {
    family: "olmo",
    vocabularySize: 50304, // 50,280 tokens, padded to a multiple of 128
    contextLength: 4096,
    width,
    layers,
    heads,
    kvHeads: heads,
    headWidth: width / heads,
    feedForward: 4 * width,
    norm: "layer",
    normEpsilon: 1e-5,
    activation: "swiglu",
    rotaryTheta: 10000,
    rotaryPairing: "half",
    tiedEmbedding: false,
  };
}

/**
 * Configurations by name. `tiny` is for tests; `olmo20M` to `olmo150M` are allenai/OLMo's `configs/tiny`,
 * whose names count one of the two embedding tables; `olmo1B` is the model of the paper, and `olmo7B` its sibling.
 */
export const presets = {
  tiny: {
    ...olmo(64, 2, 4),
    vocabularySize: 512,
    contextLength: 128,
    tiedEmbedding: true,
  },
  olmo20M: olmo(256, 8, 8),
  olmo60M: olmo(512, 8, 8),
  olmo150M: olmo(768, 12, 12),
  olmo1B: { ...olmo(2048, 16, 16), contextLength: 2048, tiedEmbedding: true },
  olmo7B: { ...olmo(4096, 32, 32), contextLength: 2048, feedForward: 11008 },
} satisfies Record<string, DecoderConfig> as Readonly<
  Record<"tiny" | "olmo20M" | "olmo60M" | "olmo150M" | "olmo1B" | "olmo7B", DecoderConfig>
>;

const SIZES = [
  "vocabularySize",
  "contextLength",
  "width",
  "layers",
  "heads",
  "kvHeads",
  "headWidth",
  "feedForward",
] as const;
const CHOICES = {
  family: ["olmo", "llama"],
  norm: ["layer", "layer_affine", "rms"],
  activation: ["swiglu", "gelu"],
  rotaryPairing: ["half", "interleaved"],
} as const;
const MOST_LAYERS = 4096; // a corrupt file must not make us list 2^31 layers
const LARGEST_SIZE = 2 ** 31 - 1;

/**
 * Checks that a configuration describes a model that can exist.
 *
 * @param where What to call the configuration in the error, e.g. `"models/a/config.json"`.
 * @throws {CannotError} naming every inconsistency, not only the first.
 */
export function checkConfig(config: DecoderConfig, where = "the model configuration"): void {
  const problems = problemsOf(config);
  if (problems.length === 0) return;
  throw new CannotError(`use ${where}`, problems.join("; "), "Correct these values");
}

function problemsOf(config: DecoderConfig): string[] {
  const problems: string[] = [];
  const expect = (holds: boolean, problem: string) => {
    if (!holds) problems.push(problem);
  };
  for (const size of SIZES) {
    const value = config[size];
    const largest = size === "layers" ? MOST_LAYERS : LARGEST_SIZE;
    expect(
      Number.isInteger(value) && value >= 1 && value <= largest,
      `${size} is ${value}, not an integer from 1 to ${largest}`,
    );
  }
  for (const [field, allowed] of Object.entries(CHOICES)) {
    const value = config[field as keyof typeof CHOICES];
    const choices: readonly string[] = allowed;
    expect(choices.includes(value), `${field} is ${show(value)}, not one of ${choices.join(", ")}`);
  }
  const { width, heads, kvHeads, headWidth, normEpsilon, rotaryTheta } = config;
  expect(
    normEpsilon > 0 && normEpsilon < 1,
    `normEpsilon is ${normEpsilon}, not between 0 and 1`,
  );
  expect(
    rotaryTheta > 0 && Number.isFinite(rotaryTheta),
    `rotaryTheta is ${rotaryTheta}, not a positive number`,
  );
  expect(
    typeof config.tiedEmbedding === "boolean",
    `tiedEmbedding is ${show(config.tiedEmbedding)}, not true or false`,
  );
  if (problems.length > 0) return problems; // the rest divides by these sizes

  expect(width % heads === 0, `width ${width} is not a multiple of heads ${heads}`);
  expect(heads % kvHeads === 0, `heads ${heads} is not a multiple of kvHeads ${kvHeads}`);
  expect(
    headWidth % 4 === 0,
    `headWidth ${headWidth} is not a multiple of 4, and attention reads vectors of 4`,
  );
  expect(
    config.family !== "olmo" || heads * headWidth === width,
    `heads ${heads} times headWidth ${headWidth} is not width ${width}`,
  );
  return problems;
}

/**
 * The shape of every parameter by its name, in the order in which the model uses them.
 * Projections are `[out, in]`.
 */
export function parameterShapes(config: DecoderConfig): Map<string, number[]> {
  const { width, feedForward, vocabularySize } = config;
  const queries = config.heads * config.headWidth;
  const keys = config.kvHeads * config.headWidth;
  const shapes = new Map<string, number[]>();
  const addNorm = (name: string) => {
    if (config.norm !== "layer") shapes.set(`${name}.weight`, [width]);
    if (config.norm === "layer_affine") shapes.set(`${name}.bias`, [width]);
  };

  shapes.set("model.embed_tokens.weight", [vocabularySize, width]);
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    addNorm(`${layer}.input_layernorm`);
    shapes.set(`${layer}.self_attn.q_proj.weight`, [queries, width]);
    shapes.set(`${layer}.self_attn.k_proj.weight`, [keys, width]);
    shapes.set(`${layer}.self_attn.v_proj.weight`, [keys, width]);
    shapes.set(`${layer}.self_attn.o_proj.weight`, [width, queries]);
    addNorm(`${layer}.post_attention_layernorm`);
    if (config.activation === "swiglu") {
      shapes.set(`${layer}.mlp.gate_proj.weight`, [feedForward, width]);
    }
    shapes.set(`${layer}.mlp.up_proj.weight`, [feedForward, width]);
    shapes.set(`${layer}.mlp.down_proj.weight`, [width, feedForward]);
  }
  addNorm("model.norm");
  if (!config.tiedEmbedding) shapes.set("lm_head.weight", [vocabularySize, width]);
  return shapes;
}

/** The number of parameters; a tied embedding counts once. */
export function countParameters(config: DecoderConfig): number {
  let count = 0;
  for (const shape of parameterShapes(config).values()) {
    count += shape.reduce((product, size) => product * size, 1);
  }
  return count;
}

/** The `model_type` under which a decoder is saved that no Hugging Face family can describe. */
const OWN_TYPE = "slung_decoder";

/**
 * Reads a Hugging Face `config.json` of model_type `olmo` or `llama`, or one that {@linkcode toHuggingFace} wrote.
 * Absent fields have the defaults of `transformers`' `OlmoConfig` and `LlamaConfig`.
 *
 * @param where The file, for errors.
 * @throws {CannotError} naming the file, the field and its value, when it asks for what is not implemented.
 */
export function fromHuggingFace(json: unknown, where: string): DecoderConfig {
  const fields = new Fields(json, where);
  const type = fields.choice("model_type", ["olmo", "llama", OWN_TYPE]);
  const config = type === OWN_TYPE
    ? ownConfig(fields)
    : transformersConfig(fields, type as DecoderConfig["family"]);
  checkConfig(config, `"${where}"`);
  return config;
}

function transformersConfig(fields: Fields, family: DecoderConfig["family"]): DecoderConfig {
  fields.choice("hidden_act", ["silu"], "silu");
  fields.choice("attention_bias", [false], false);
  fields.choice("quantization_config", [null], null); // its weights are packed integers
  if (family === "olmo") fields.choice("clip_qkv", [null], null);
  if (family === "llama") fields.choice("mlp_bias", [false], false);

  const width = fields.number("hidden_size");
  const heads = fields.number("num_attention_heads");
  return {
    family,
    vocabularySize: fields.number("vocab_size"),
    contextLength: fields.number("max_position_embeddings", 2048),
    width,
    layers: fields.number("num_hidden_layers"),
    heads,
    kvHeads: fields.number("num_key_value_heads", heads),
    headWidth: fields.number("head_dim", Math.floor(width / heads)),
    feedForward: fields.number("intermediate_size"),
    norm: family === "olmo" ? "layer" : "rms",
    normEpsilon: family === "olmo" ? 1e-5 : fields.number("rms_norm_eps", 1e-6),
    activation: "swiglu",
    rotaryTheta: rotaryTheta(fields),
    rotaryPairing: "half",
    tiedEmbedding: fields.choice("tie_word_embeddings", [true, false], false),
  };
}

/** `transformers` up to 4 keeps `rope_theta` and `rope_scaling` apart; 5 joins them in `rope_parameters`. */
function rotaryTheta(fields: Fields): number {
  fields.choice("partial_rotary_factor", [1], 1);
  for (const section of ["rope_scaling", "rope_parameters"]) {
    const rope = fields.section(section);
    rope.choice("rope_type", ["default"], "default");
    rope.choice("type", ["default"], "default");
    rope.choice("partial_rotary_factor", [1], 1);
  }
  return fields.section("rope_parameters").number("rope_theta", fields.number("rope_theta", 10000));
}

function ownConfig(fields: Fields): DecoderConfig {
  const own = fields.section("decoder");
  const config: Record<string, unknown> = {};
  for (const [field, example] of Object.entries(presets.tiny)) {
    config[field] = own.like(example, field);
  }
  return config as unknown as DecoderConfig; // its sizes and choices are checked by the caller
}

/**
 * The `config.json` with which `transformers` reads the model. What none of its families can describe
 * (GELU, an affine layer norm) gets a model_type of our own, which `transformers` refuses rather than misreads.
 *
 * @throws {CannotError} for interleaved rotary pairs, which `transformers` does not know:
 *   permute the weights first with `withRotaryPairing`, as `saveModel` does.
 */
export function toHuggingFace(
  config: DecoderConfig,
  special: SpecialTokens = {},
): HuggingFaceConfig {
  checkConfig(config);
  if (config.rotaryPairing !== "half") {
    throw new CannotError(
      "describe the model as a Hugging Face config.json",
      `its rotary pairing is "${config.rotaryPairing}"`,
      'Convert config and weights with withRotaryPairing(model, "half")',
    );
  }
  if (!isTransformersModel(config)) return { model_type: OWN_TYPE, decoder: { ...config } };

  const isOlmo = config.family === "olmo";
  return {
    architectures: [isOlmo ? "OlmoForCausalLM" : "LlamaForCausalLM"],
    model_type: config.family,
    vocab_size: config.vocabularySize,
    max_position_embeddings: config.contextLength,
    hidden_size: config.width,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    ...(isOlmo ? { clip_qkv: null } : {
      head_dim: config.headWidth,
      mlp_bias: false,
      rms_norm_eps: config.normEpsilon,
    }),
    intermediate_size: config.feedForward,
    hidden_act: "silu",
    attention_bias: false,
    rope_theta: config.rotaryTheta,
    rope_scaling: null,
    tie_word_embeddings: config.tiedEmbedding,
    // Written even when unknown: the defaults of `transformers` are another tokenizer's ids.
    bos_token_id: special.bos ?? null,
    eos_token_id: special.eos ?? null,
    pad_token_id: special.pad ?? null,
  };
}

function isTransformersModel(config: DecoderConfig): boolean {
  if (config.activation !== "swiglu") return false;
  if (config.family === "llama") return config.norm === "rms";
  return config.norm === "layer" && config.normEpsilon === 1e-5;
}

/** A JSON object whose fields are read by name and checked; `path` leads to it inside the file. */
class Fields {
  #json: Record<string, unknown>;
  #where: string;
  #path: string;

  constructor(json: unknown, where: string, path = "") {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      throw new CannotError(
        `read "${where}"`,
        `${path === "" ? "it" : `field "${path.slice(0, -1)}"`} is not a JSON object`,
        "Check that it is a model's config.json",
      );
    }
    this.#json = json as Record<string, unknown>;
    this.#where = where;
    this.#path = path;
  }

  /** The nested object `name`; an empty one when it is absent or null. */
  section(name: string): Fields {
    return new Fields(this.#own(name) ?? {}, this.#where, `${this.#path}${name}.`);
  }

  number(name: string, fallback?: number): number {
    return this.like(0, name, fallback) as number;
  }

  like(example: unknown, name: string, fallback?: unknown): unknown {
    const value = this.#own(name) ?? fallback;
    if (typeof value === typeof example) return value;
    throw this.#refuse(name, value, `it must be a ${typeof example}`, "Correct the field");
  }

  choice<T>(name: string, allowed: readonly T[], fallback?: T): T {
    const value = this.#own(name) ?? fallback;
    if (allowed.includes(value as T)) return value as T;
    const supported = allowed.map((value) => show(value)).join(" and ");
    throw this.#refuse(name, value, `supported: ${supported}`, "Choose another model");
  }

  #own(name: string): unknown {
    return Object.hasOwn(this.#json, name) ? this.#json[name] : undefined;
  }

  #refuse(name: string, value: unknown, why: string, remedy: string): CannotError {
    const found = value === undefined ? "missing" : show(value);
    return new CannotError(
      `read "${this.#where}"`,
      `field "${this.#path}${name}" is ${found}, ${why}`,
      remedy,
    );
  }
}
