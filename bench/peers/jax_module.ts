// The part of jax-js that the benchmark uses, as types: importing the package's own would make it a dependency of
// everything that is checked.

import type { Computation } from "./peer.ts";

/** Where jax-js computes. */
export type JaxBackend = "webgpu" | "wasm";

/** An array of jax-js; methods consume it unless called through `ref`. */
export interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  sum(axis?: number): JaxArray;
  mean(): JaxArray;
  reshape(shape: number[]): JaxArray;
  transpose(): JaxArray;
  data(): Promise<Float32Array>;
  gpuBuffer(): Promise<GPUBuffer>;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
}

/** Named arrays. */
export type Tree = Record<string, JaxArray>;

/** The module. */
export interface JaxModule {
  init(...backends: JaxBackend[]): Promise<JaxBackend[]>;
  defaultDevice(backend: JaxBackend): void;
  getWebGPUDevice(): GPUDevice;
  jit<Inputs extends unknown[], Output>(
    compute: (...inputs: Inputs) => Output,
    options: { device: JaxBackend },
  ): (...inputs: Inputs) => Output;
  vjp<Inputs extends unknown[]>(
    compute: (...inputs: Inputs) => JaxArray,
    inputs: Inputs,
  ): [JaxArray, (gradient: JaxArray) => Inputs];
  valueAndGrad<Rest extends unknown[]>(
    compute: (variables: Tree, ...rest: Rest) => JaxArray,
  ): (variables: Tree, ...rest: Rest) => [JaxArray, Tree];
  tree: {
    ref<T>(tree: T): T;
    dispose(tree: unknown): void;
  };
  numpy: {
    int32: unknown;
    array(
      values: number | Float32Array | Int32Array,
      options: { shape?: number[]; dtype?: unknown; device: JaxBackend },
    ): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    take(table: JaxArray, indices: JaxArray, axis: number): JaxArray;
    split(x: JaxArray, parts: number, axis: number): JaxArray[];
    concatenate(parts: JaxArray[], axis: number): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    reciprocal(x: JaxArray): JaxArray;
    minimum(x: JaxArray, y: number): JaxArray;
  };
  nn: {
    standardize(x: JaxArray, axis: number, options: { epsilon: number }): JaxArray;
    silu(x: JaxArray): JaxArray;
    oneHot(x: JaxArray, classes: number): JaxArray;
    logsumexp(x: JaxArray, axis: number): JaxArray;
    dotProductAttention(
      q: JaxArray,
      k: JaxArray,
      v: JaxArray,
      options: { isCausal: boolean },
    ): JaxArray;
  };
}

/** jax-js on one backend. */
export interface Jax {
  readonly module: JaxModule;
  readonly backend: JaxBackend;
  /** An array of floats. */
  array(values: Float32Array, shape: number[]): JaxArray;
  /** An array of integers, [n]. */
  integers(values: ArrayLike<number>): JaxArray;
  /** Compiles a function of trees of arrays. */
  compile<Inputs extends unknown[], Output>(
    compute: (...inputs: Inputs) => Output,
  ): (...inputs: Inputs) => Output;
  /** What `compute` returns anew at every call, the result first; `kept` is freed with it. */
  computation(kept: unknown[], compute: () => JaxArray[]): Computation;
}
