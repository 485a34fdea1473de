// What a decoder is made of, as data: sizes, what its layers do, and how it knows positions. `decoder.ts` and
// `parameter_shapes.ts` read it, `families.ts` shows what the published families are made of, side by side,
// and `formats/` reads and writes it as their files say it.

/** The families that can be read, in the words of their `model_type`. */
export const families = [
  "olmo",
  "olmo2",
  "llama",
  "mistral",
  "qwen2",
  "qwen3",
  "gpt_neox",
  "gpt2",
] as const;

/** One of {@linkcode families}. */
export type Family = typeof families[number];

/** `layer` is OLMo's layer norm without parameters, `layer_affine` has a weight and a bias, `rms` a weight. */
export type Norm = "layer" | "layer_affine" | "rms";

/** All matrices of a layer, in the order of use; the last three are the feed-forward network's. */
export const projections = [
  "q_proj",
  "k_proj",
  "v_proj",
  "o_proj",
  "gate_proj",
  "up_proj",
  "down_proj",
] as const;

/** A matrix of a layer. */
export type Projection = typeof projections[number];

/** What the layers of a decoder do. */
export interface Architecture {
  /** Of which kind all norms are. */
  norm: Norm;
  /**
   * How a layer adds attention A and feed-forward network F to the stream x:
   * `pre_norm` x + A(norm x), then x + F(norm x); `post_norm` x + norm A(x), then x + norm F(x);
   * `parallel` x + A(norm x) + F(norm x), with two norms of the same x.
   */
  residual: "pre_norm" | "post_norm" | "parallel";
  /** Norms of queries and keys, before they turn: over all heads together, or over each. */
  queryKeyNorm: "none" | "all_heads" | "each_head";
  /** The projections that have a bias. */
  biases: readonly Projection[];
  /** SiLU of a gate times the up projection; or GELU of the up projection alone, exact or GPT-2's by tanh. */
  activation: "swiglu" | "gelu" | "gelu_tanh";
}

/** Rotary positions (Su et al., 2021): pairs of entries of queries and keys turn, faster or slower, with the position. */
export interface RotaryPositions {
  /** Base of the frequencies, usually 10 000. */
  theta: number;
  /** Which of the R entries that turn belong together: j and j + R/2 (`half`), or 2j and 2j + 1 (`interleaved`). */
  pairing: "half" | "interleaved";
  /** The share of a head's entries that turn, the first ones: R = share · D, usually all of them. */
  share: number;
  /** How the frequencies were changed for a longer context. */
  scaling?: RotaryScaling;
}

/**
 * `linear` divides every frequency by the factor; `llama3` only those that turn less than `lowFrequencyFactor` times
 * in the original context, none that turn more than `highFrequencyFactor` times, and those between in part.
 */
export type RotaryScaling =
  | { kind: "linear"; factor: number }
  | {
    kind: "llama3";
    factor: number;
    lowFrequencyFactor: number;
    highFrequencyFactor: number;
    /** Positions at most before the change. */
    originalContext: number;
  };

/**
 * A decoder-only transformer.
 *
 * @example
 * ```ts
 * import { type DecoderConfig, initialise, presets } from "@slung/slung";
 *
 * const shallow: DecoderConfig = { ...presets.tiny, layers: 1, vocabularySize: 300 };
 * console.log(initialise(shallow, 0).get("model.embed_tokens.weight")?.shape); // [ 300, 64 ]
 * ```
 */
export interface DecoderConfig extends Architecture {
  /** Which Hugging Face architecture it is stored as. */
  family: Family;
  /** V, the rows of the embedding; may exceed the tokenizer's. */
  vocabularySize: number;
  /** Positions at most. */
  contextLength: number;
  /** C, the width of the residual stream. */
  width: number;
  /** Decoder layers. */
  layers: number;
  /** H, heads of queries. */
  heads: number;
  /** G, heads of keys and values; fewer than `heads` is grouped-query attention. */
  kvHeads: number;
  /** D, the width of one head. */
  headWidth: number;
  /** F, the width of the up projection, and of the gate. */
  feedForward: number;
  /** Added to the variance, or to the mean square (`rms`). */
  normEpsilon: number;
  /** Rotary, or a learned vector for each position that is added to the token's embedding. */
  positions: RotaryPositions | "learned";
  /** Whether the unembedding is the embedding. */
  tiedEmbedding: boolean;
}

/** Token ids with a meaning of their own, written to `config.json` for generation. */
export interface SpecialTokens {
  /** Begins a text. */
  bos?: number;
  /** Ends a text. */
  eos?: number;
  /** Fills rows up elsewhere; packing here needs none. */
  pad?: number;
}

/** A tensor in host memory, row-major. */
export interface HostTensor {
  /** Outermost dimension first; weights are [out, in]. */
  shape: number[];
  /** As many elements as the shape has, whatever the checkpoint's dtype. */
  data: Float32Array;
}

/** Every parameter of a model by its name. */
export type Weights = Map<string, HostTensor>;
