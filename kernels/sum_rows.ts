// Adds the rows of a matrix to a vector.

import { kernel } from "../src/gpu/kernel.ts";
import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import source from "./sum_rows.wgsl" with { type: "text" };

/** Records `out[C] += Σ_r x[r, C]`. */
export function sumRows(program: Program, x: Tensor, out: Tensor): void {
  const [height, width] = x.shape as [number, number];
  program.dispatch({
    kernel: kernel("sum_rows", source, "sum_rows"),
    tensors: { x, out },
    dims: [height, width],
    workgroups: [Math.ceil(width / 64)],
  });
}
