// What a library must offer to be compared. Operands come as host arrays, so that all libraries compute the same thing,
// and results can be fetched, so that this is checked and not believed.

import type { Batch } from "../../src/data/packing.ts";
import type { DecoderConfig, OptimiserSettings } from "../../mod.ts";
import type { Weights } from "../../src/model/config.ts";
import type { Subject } from "../measure.ts";

/** A matrix product `A[rows, depth] · B[depth, columns]` in f32. */
export interface Product {
  rows: number;
  columns: number;
  depth: number;
  /** A is stored as [depth, rows]. */
  transposeA: boolean;
  /** B is stored as [columns, depth]. */
  transposeB: boolean;
  /** A and B as they are stored. */
  a: Float32Array<ArrayBuffer>;
  b: Float32Array<ArrayBuffer>;
}

/** Causal attention, forward alone or with the gradients of q, k and v. */
export interface Attention {
  batch: number;
  time: number;
  heads: number;
  headWidth: number;
  /** [B, T, H, D] each; `dout` is the gradient of the output. */
  q: Float32Array<ArrayBuffer>;
  k: Float32Array<ArrayBuffer>;
  v: Float32Array<ArrayBuffer>;
  dout: Float32Array<ArrayBuffer>;
  backward: boolean;
}

/** The weighted mean cross-entropy of hidden states · unembeddingᵀ, with the gradients of both. */
export interface Loss {
  rows: number;
  width: number;
  vocabulary: number;
  /** [N, C] */
  hidden: Float32Array<ArrayBuffer>;
  /** [V, C] */
  unembedding: Float32Array<ArrayBuffer>;
  /** [N] */
  targets: Uint32Array<ArrayBuffer>;
  /** [N] 1, or 0 for a masked row. */
  weights: Float32Array<ArrayBuffer>;
}

/** A training step of a decoder: forward, loss, backward, clipped AdamW. */
export interface TrainingStep {
  config: DecoderConfig;
  weights: Weights;
  batch: Batch;
  /** B and T of the batch. */
  rows: number;
  time: number;
  optimiser: OptimiserSettings;
  learningRate: number;
}

/** A subject whose last result can be fetched. */
export interface Computation extends Subject {
  /** What was computed last: the product, the attention output or the gradient of q, or the loss. */
  result(): Promise<Float32Array>;
}

/** A library that was loaded and found its device. */
export interface Peer {
  /** Library and backend, e.g. `jax-js webgpu`. */
  readonly name: string;
  /** Package and version, e.g. `@jax-js/jax 0.1.25`. */
  readonly version: string;
  /** What its buffers are on; nothing when it computes on the CPU. */
  readonly device: GPUDevice | undefined;
  product?(request: Product): Computation;
  attention?(request: Attention): Computation;
  loss?(request: Loss): Computation;
  /** `result` is the loss of the last step, before its update. */
  trainingStep?(request: TrainingStep): Computation;
}

/** Listens to a device whose library only prints its errors; the returned function throws the first one since. */
export function failOnGpuErrors(device: GPUDevice): () => void {
  let failure: string | undefined;
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    failure ??= (event as GPUUncapturedErrorEvent).error.message;
  });
  device.lost.then(({ message }) => failure ??= `the device was lost (${message})`);
  return () => {
    const message = failure;
    failure = undefined; // what comes next may fit
    if (message) throw new Error(message);
  };
}
