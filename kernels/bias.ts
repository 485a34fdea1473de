// Biases of projections: added to the rows of [N, M] in place; their gradient is the sum of the rows of dy.

import { type Kernel, kernel } from "../src/gpu/kernel.ts";
import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { spread } from "./grid.ts";
import { sumRows } from "./sum_rows.ts";
import source from "./bias.wgsl" with { type: "text" };
import cells from "./cells.wgsl" with { type: "text" };

const rowsPerBlock = 64;

/** Records `x[n, :] += bias` for every row of `x` [N, M]. */
export function biasForward(program: Program, { x, bias }: { x: Tensor; bias: Tensor }): void {
  const [height, width] = x.shape as [number, number];
  program.dispatch({
    kernel: specialised("forward", x),
    tensors: { x, bias },
    dims: [height, width],
    workgroups: spread(x.length / cellOf(x)),
  });
}

/** Records `dbias += Σ_n dy[n, :]` for `dy` [N, M]. */
export function biasBackward(
  program: Program,
  { dy, dbias }: { dy: Tensor; dbias: Tensor },
): void {
  const [height, width] = dy.shape as [number, number];
  const blocks = Math.ceil(height / rowsPerBlock);
  const partial = program.borrow("bias/partial", [blocks, width]);
  program.dispatch({
    kernel: specialised("backward", dy),
    tensors: { dy, partial },
    dims: [height, width],
    workgroups: [Math.ceil(width / cellOf(dy) / 64), blocks],
  });
  sumRows(program, partial, dbias);
  program.release(partial);
}

function specialised(entryPoint: string, rows: Tensor): Kernel {
  const constants = { BLOCK: rowsPerBlock, VECTORS: cellOf(rows) === 4 };
  return kernel("bias", { cells, bias: source }, entryPoint, constants, { Stored: rows.type });
}

function cellOf({ shape }: Tensor): 1 | 4 {
  return shape[1]! % 4 === 0 ? 4 : 1;
}
