// Matrix products in the three layouts that training needs, each with the transposition folded into the loads:
//   forward   y[N, M]  = x[N, K]  · W[M, K]ᵀ     b is stored transposed
//   inputs    dx[N, K] = dy[N, M] · W[M, K]      nothing transposed
//   weights   dW[M, K] = dy[N, M]ᵀ · x[N, K]     a is stored transposed

import { kernel } from "../src/gpu/kernel.ts";
import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import source from "./matmul.wgsl" with { type: "text" };

/** One product `out[rows, columns] (+)= A[rows, depth] · B[depth, columns]`. */
export interface MatmulRequest {
  a: Tensor;
  b: Tensor;
  out: Tensor;
  rows: number;
  columns: number;
  depth: number;
  /** `a` is stored as [depth, rows]. */
  transposeA?: boolean;
  /** `b` is stored as [columns, depth]. */
  transposeB?: boolean;
  /** Add to `out` instead of overwriting it. */
  accumulate?: boolean;
  /** Asked at every replay: whether the product is to be computed at all. */
  active?: () => boolean;
}

// Blocks of 4 × 4 per invocation. Measured on the software adapter: 3 × 2 is 10 to 25 % faster than 2 × 2; a GPU's
// registers hold fewer.
const blocks = (software: boolean) => ({ ROW_BLOCKS: software ? 3 : 2, COLUMN_BLOCKS: 2 });

/** Records a matrix product. @throws {RangeError} when a tensor's size does not fit the dimensions. */
export function matmul(program: Program, request: MatmulRequest): void {
  const { a, b, out, rows, columns, depth, active } = request;
  const { transposeA = false, transposeB = false, accumulate = false } = request;
  expectLength(a, rows * depth);
  expectLength(b, depth * columns);
  expectLength(out, rows * columns);
  const { ROW_BLOCKS, COLUMN_BLOCKS } = blocks(program.gpu.adapter.software);
  const groups = [
    Math.ceil(columns / (32 * COLUMN_BLOCKS)), // 8 invocations of 4 columns per block
    Math.ceil(rows / (32 * ROW_BLOCKS)),
  ] as const;
  program.dispatch({
    kernel: kernel("matmul", source, "multiply", {
      A_TRANSPOSED: transposeA,
      B_TRANSPOSED: transposeB,
      A_VECTORS: (transposeA ? rows : depth) % 4 === 0,
      B_VECTORS: (transposeB ? depth : columns) % 4 === 0,
      OUT_VECTORS: columns % 4 === 0,
      RAGGED_DEPTH: depth % 4 !== 0,
      ACCUMULATE: accumulate,
      ROW_BLOCKS,
      COLUMN_BLOCKS,
    }),
    tensors: { a, b, out },
    dims: [rows, columns, depth],
    workgroups: active ? () => active() ? groups : [0] : groups,
  });
}

function expectLength(tensor: Tensor, length: number): void {
  if (tensor.length < length) {
    throw new RangeError(
      `Cannot multiply: "${tensor.name}" has ${tensor.length} elements, the product needs ${length}`,
    );
  }
}
