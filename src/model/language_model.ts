// A language model on the GPU: its configuration, its parameters, and the two programs that everything is built from,
// `recordBatch` for training and scoring and `recordStep` for decoding one token per sequence.

import { cachedAttention } from "../../kernels/cached_attention.ts";
import { rotaryAngles } from "../../kernels/rotary.ts";
import { CannotError } from "../base/errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Program } from "../gpu/program.ts";
import type { Precision, Tensor } from "../gpu/tensor.ts";
import * as op from "../nn/operations.ts";
import { type HostParameters, type Parameter, Parameters } from "../nn/parameters.ts";
import { Tape, type Variable } from "../nn/tape.ts";
import type { BatchTensors } from "./batch_tensors.ts";
import { checkConfig, type DecoderConfig, parameterShapes } from "./config.ts";
import { decoder, type Observe, unembedding } from "./decoder.ts";

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
  readonly #angles: Tensor;

  /**
   * Allocates the parameters and uploads their values.
   *
   * @param weights Initial values of all parameters.
   * @param options.gradients Allocate gradients, for training.
   * @param options.precision `f32` unless given; see `choosePrecision`.
   * @throws {CannotError} for an inconsistent configuration or weights that do not fit it, and for f16 where the adapter
   * does not have it.
   */
  constructor(
    readonly gpu: Gpu,
    readonly config: DecoderConfig,
    weights: HostParameters,
    options: { gradients?: boolean; precision?: Precision } = {},
  ) {
    checkConfig(config);
    this.precision = options.precision ?? "f32";
    if (this.precision === "f16" && !gpu.storesHalves) {
      throw new CannotError(
        "run a model in f16",
        `${gpu.adapter.name} has no shader-f16`,
        "Use f32, or another adapter",
      );
    }
    this.parameters = new Parameters(gpu, parameterShapes(config), {
      gradients: options.gradients ?? false,
      precision: this.precision,
      decays: (name) => name.endsWith("_proj.weight") || name === "lm_head.weight",
    });
    this.parameters.upload(weights);
    const { contextLength, headWidth, rotaryTheta } = config;
    this.#angles = gpu.allocate("rotary_angles", [contextLength, headWidth / 2, 2]);
    gpu.write(this.#angles, rotaryAngles(contextLength, headWidth, rotaryTheta));
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
    const time = tensors.tokens.length / batch;
    if (time > contextLength) throw tooLong(time, contextLength);
    const tape = new Tape(program, training, this.precision);
    const { tokens, order, starts, groups, positions, firstKey } = tensors;
    const hidden = decoder(tape, this.config, this.parameters, {
      tokens: { tokens, order, starts, groups },
      rotary: this.#rotary(positions),
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
      tokens: { tokens: current },
      rotary: this.#rotary(positions),
      attend: (layer, name, q, k, v) => {
        const out = tape.variable(name, q.value.shape);
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

  /** Copies the parameters back to the host. */
  async download(): Promise<Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>> {
    return await this.parameters.download();
  }

  /** Frees the parameters. */
  destroy(): void {
    this.parameters.destroy();
    this.gpu.free(this.#angles);
  }

  /** Frees the parameters at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  #rotary(positions: Tensor): op.RotaryInputs {
    const { headWidth, rotaryPairing } = this.config;
    return { positions, angles: this.#angles, headWidth, pairing: rotaryPairing };
  }
}

function tooLong(length: number, contextLength: number): CannotError {
  return new CannotError(
    `run sequences of ${length} tokens`,
    `the model's context holds ${contextLength}`,
    "Use shorter texts, fewer new tokens, or a model with a longer context",
  );
}
