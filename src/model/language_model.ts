// A language model on the GPU: its configuration, its parameters, and the two programs that everything is built from,
// `recordBatch` for training and scoring and `recordStep` for decoding one token per sequence.

import { cachedAttention } from "../../kernels/cached_attention.ts";
import { rotaryAngles } from "../../kernels/rotary.ts";
import { CannotError } from "../base/errors.ts";
import { checkOptions, flag, listOf, object, oneOf, text } from "../base/options.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Program } from "../gpu/program.ts";
import type { Precision, Tensor } from "../gpu/tensor.ts";
import * as op from "../nn/operations.ts";
import { type HostParameters, type Parameter, Parameters } from "../nn/parameters.ts";
import { Tape, type Variable } from "../nn/tape.ts";
import type { BatchTensors } from "./batch_tensors.ts";
import { checkConfig } from "./check_config.ts";
import { checkFinite } from "./check_parameters.ts";
import type { DecoderConfig } from "./config.ts";
import { decoder, type DecoderInputs, type Observe, unembedding } from "./decoder.ts";
import type { ModelSource } from "./model.ts";
import { checkLora, isLora, loraScale, type LoraSettings, loraShapes } from "./lora.ts";
import { parameterShapes } from "./parameter_shapes.ts";
import { parametersOf } from "./parts.ts";
import { rotaryFrequencies } from "./rotary.ts";

/** Keys and values of each layer for decoding, and where the next token goes. */
export interface Cache {
  /** Sequences decoded together, B. */
  batch: number;
  /** Positions for which there is room. */
  capacity: number;
  /** [B] u32: where each sequence is. */
  positions: Tensor;
  /** [B] u32: the tokens there. */
  current: Tensor;
}

/** What a {@linkcode LanguageModel} is made for. */
export interface LanguageModelOptions {
  /** Allocate gradients, for training; not unless given. */
  gradients?: boolean;
  /** Of weights and activations; `f32` unless given. See `choosePrecision`. */
  precision?: Precision;
  /** Parts that are not learned, by the names of `modelParts` or as `layers:0-7`; none unless given. */
  freeze?: readonly string[];
  /** Learn low-rank changes instead of the weights; the values must then have those of the changes (`withLora`). */
  lora?: LoraSettings;
}

/**
 * A decoder with its parameters on a GPU.
 *
 * @example A new model
 * ```ts
 * import { Gpu, initialise, LanguageModel, smallOlmo } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const config = smallOlmo({ width: 16, layers: 1, heads: 2, vocabularySize: 320 });
 * using model = new LanguageModel(gpu, config, initialise(config, 0), { gradients: true });
 * const weights = await model.download(); // to be kept with saveModel
 * ```
 */
export class LanguageModel {
  /** By their Hugging Face names. */
  readonly parameters: Parameters;
  /** What weights and activations are stored in while the model runs; it computes, learns and saves in f32. */
  readonly precision: Precision;
  /** The changes that it has beside its weights, if any. */
  readonly lora?: LoraSettings;

  /**
   * Makes a model of weights that are read one tensor at a time, so that the host never holds more than one.
   *
   * @param source From `openModelFiles`, for instance.
   * @param options As of the constructor.
   * @throws {CannotError} as the constructor.
   */
  static async load(
    gpu: Gpu,
    source: ModelSource,
    options: LanguageModelOptions = {},
  ): Promise<LanguageModel> {
    const model = new LanguageModel(gpu, source.config, undefined, options);
    try {
      await model.parameters.uploadFrom(source.tensors());
    } catch (error) {
      model.destroy();
      throw error;
    }
    return model;
  }

  /**
   * Allocates the parameters and uploads their values.
   *
   * @param weights Initial values of all parameters; zeros where left out, until they are uploaded.
   * @throws {CannotError} for an inconsistent configuration or weights that do not fit it, and for f16 where the adapter
   * does not have it.
   */
  constructor(
    readonly gpu: Gpu,
    readonly config: DecoderConfig,
    weights?: HostParameters,
    options: LanguageModelOptions = {},
  ) {
    checkOptions("make a language model", options, {
      gradients: flag,
      precision: oneOf("f32", "f16"),
      freeze: listOf(text),
      lora: object,
    });
    checkConfig(config);
    const { lora } = options;
    if (lora) this.lora = lora;
    for (const [name, { data }] of weights ?? []) checkFinite("make a language model", name, data);
    this.precision = options.precision ?? "f32";
    if (this.precision === "f16" && !gpu.storesHalves) {
      throw new CannotError(
        "run a model in f16",
        `${gpu.adapter.name} has no shader-f16`,
        "Use f32, or another adapter",
      );
    }
    const shapes = parameterShapes(config);
    const learned = learnedParameters(config, options);
    for (const [name, shape] of lora ? loraShapes(config, lora) : []) shapes.set(name, shape);
    this.parameters = new Parameters(gpu, shapes, {
      learned: (name) => learned.has(name),
      precision: this.precision,
      decays: (name) => name.endsWith("_proj.weight") || name === "lm_head.weight" || isLora(name),
    });
    if (weights) this.parameters.upload(weights);
  }

  /** The matrix [V, C] that turns hidden states into logits. */
  get unembedding(): Parameter {
    return unembedding(this.config, this.parameters);
  }

  /**
   * Records the forward pass over a batch of `batch` rows; returns the tape and the hidden states [B·T, C]. With
   * `recompute` the layers' activations are not kept but computed again in the backward pass. `observe` is shown the
   * states that enter each layer and the final hidden ones, and may record operations on them.
   */
  recordBatch(
    program: Program,
    tensors: BatchTensors,
    { batch, training, recompute = false, observe }: {
      batch: number;
      training: boolean;
      recompute?: boolean;
      observe?: Observe;
    },
  ): { tape: Tape; hidden: Variable } {
    const { contextLength, headWidth } = this.config;
    const time = tensors.positions.length / batch;
    if (time > contextLength) throw tooLong(time, contextLength);
    const tape = new Tape(program, training, this.precision);
    const { tokens, positions, firstKey } = tensors;
    const hidden = decoder(tape, this.config, this.parameters, {
      ...(this.lora && { loraScale: loraScale(this.lora) }),
      tokens,
      positions: this.#positions(program, positions, time, () => tensors.documentPositions()),
      attend: (_, name, q, k, v) =>
        op.attention(tape, name, { q, k, v, firstKey, batch, headWidth }),
      recompute,
      ...(observe && { observe }),
    });
    return { tape, hidden };
  }

  /** Records one decoding step of `cache.batch` sequences; returns the logits [B, V], in f32. */
  recordStep(program: Program, cache: Cache): Tensor {
    const { heads, kvHeads, headWidth, contextLength } = this.config;
    const { batch, capacity, positions, current } = cache;
    if (capacity > contextLength) throw tooLong(capacity, contextLength);
    const tape = new Tape(program, false, this.precision);
    const hidden = decoder(tape, this.config, this.parameters, {
      ...(this.lora && { loraScale: loraScale(this.lora) }),
      tokens: { tokens: current },
      positions: this.#positions(program, positions, capacity, () => ({ tokens: positions })),
      attend: (layer, name, q, k, v) => {
        const out = tape.variable(name, q.value.shape, [q, k, v]);
        const shape = [batch, capacity, kvHeads, headWidth];
        cachedAttention(program, {
          batch,
          heads,
          kvHeads,
          headWidth,
          capacity,
          positions,
          q: q.value,
          k: k.value,
          v: v.value,
          keys: program.allocate(`layer${layer}/keys`, shape, this.precision),
          values: program.allocate(`layer${layer}/values`, shape, this.precision),
          out: out.value,
        });
        return out;
      },
    });
    return op.logits(tape, hidden, this.unembedding);
  }

  /** Copies the parameters, or those that are learned, back to the host. */
  async download(
    which: "value" | "learned" = "value",
  ): Promise<Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>> {
    return await this.parameters.download(which);
  }

  /** Frees the parameters. */
  destroy(): void {
    this.parameters.destroy();
  }

  /** Frees the parameters at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  // How the model takes positions below `length`, with the angles of rotary ones in memory of the program.
  #positions(
    program: Program,
    positions: Tensor,
    length: number,
    learned: () => op.TokenInputs,
  ): DecoderInputs["positions"] {
    const { positions: kind, headWidth } = this.config;
    if (kind === "learned") return { learned: learned() };
    const frequencies = rotaryFrequencies(kind, headWidth);
    const angles = program.allocate("rotary_angles", [length, frequencies.length, 2]);
    this.gpu.write(angles, rotaryAngles(length, frequencies));
    return { rotary: { positions, angles, headWidth, pairing: kind.pairing } };
  }
}

// The parameters that have gradients.
function learnedParameters(
  config: DecoderConfig,
  { gradients = false, freeze = [], lora }: LanguageModelOptions,
): Set<string> {
  if (lora) checkLora(config, lora);
  if (!gradients && freeze.length === 0) return new Set();
  const refuse = (why: string, remedy: string) =>
    new CannotError("freeze parts of a model", why, remedy);
  if (!gradients) throw refuse("without gradients nothing is learned", "Leave freeze out");
  if (lora) {
    if (freeze.length === 0) return new Set(loraShapes(config, lora).keys());
    throw refuse("with LoRA all of its weights are frozen already", "Leave one of them out");
  }
  const frozen = parametersOf(config, freeze);
  const learned = [...parameterShapes(config).keys()].filter((name) => !frozen.has(name));
  if (learned.length > 0) return new Set(learned);
  throw refuse("nothing is left to be learned", "Freeze fewer parts");
}

function tooLong(length: number, contextLength: number): CannotError {
  return new CannotError(
    `run sequences of ${length} tokens`,
    `the model's context holds ${contextLength}`,
    "Use shorter texts, fewer new tokens, or a model with a longer context",
  );
}
