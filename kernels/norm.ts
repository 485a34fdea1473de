// Layer norm (non-parametric as in OLMo, or affine) and RMS norm over the rows of [N, C], forward and backward.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { rowLanes, spread } from "./grid.ts";
import { sumRows } from "./sum_rows.ts";
import source from "./norm.wgsl" with { type: "text" };
import cells from "./cells.wgsl" with { type: "text" };
import rows from "./rows.wgsl" with { type: "text" };

/** What forward and backward of one norm share. */
export interface NormRequest {
  /** [N, C] */
  x: Tensor;
  /** [N, 2]: mean and reciprocal deviation of each row, written by forward. */
  statistics: Tensor;
  /** [C]; absent in OLMo's norm. */
  weight?: Tensor;
  /** [C] */
  bias?: Tensor;
  /** Subtract the mean (layer norm) or not (RMS norm). */
  centered: boolean;
  epsilon: number;
}

const rowsPerBlock = 64;

/** Records `y = norm(x)`. */
export function normForward(program: Program, request: NormRequest & { y: Tensor }): void {
  const { x, y, statistics, weight, bias } = request;
  record(program, request, "forward", { x, statistics, y, ...present({ weight, bias }) });
}

/** Records `dx += dnorm/dx · dy`, and adds the gradients of weight and bias where there are any. */
export function normBackward(
  program: Program,
  request: NormRequest & { dy: Tensor; dx: Tensor; dweight?: Tensor; dbias?: Tensor },
): void {
  const { x, dy, dx, statistics, weight, bias, dweight, dbias } = request;
  record(program, request, "backward", { x, statistics, dy, dx, ...present({ weight }) });
  if (!dweight) return;
  const [height, width] = x.shape as [number, number];
  const blocks = Math.ceil(height / rowsPerBlock);
  const partialWeight = program.borrow("norm/partial_weight", [blocks, width]);
  const partialBias = dbias && program.borrow("norm/partial_bias", [blocks, width]);
  program.dispatch({
    kernel: specialised(program, "backward_parameters", request),
    tensors: {
      x,
      statistics,
      dy,
      partial_weight: partialWeight,
      ...(partialBias && { partial_bias: partialBias }),
    },
    dims: [height, width, f32(request.epsilon)],
    workgroups: [Math.ceil(width / 64), blocks],
  });
  sumRows(program, partialWeight, dweight);
  program.release(partialWeight);
  if (bias && partialBias) {
    sumRows(program, partialBias, dbias);
    program.release(partialBias);
  }
}

function record(
  program: Program,
  request: NormRequest,
  entryPoint: string,
  tensors: Record<string, Tensor>,
): void {
  const [height, width] = request.x.shape as [number, number];
  program.dispatch({
    kernel: specialised(program, entryPoint, request),
    tensors,
    dims: [height, width, f32(request.epsilon)],
    workgroups: spread(height, rowLanes(program.gpu).ROWS),
  });
}

function specialised(program: Program, entryPoint: string, request: NormRequest) {
  return kernel("norm", { rows, cells, norm: source }, entryPoint, {
    ...rowLanes(program.gpu),
    CENTERED: request.centered,
    WEIGHT: request.weight !== undefined,
    BIAS: request.bias !== undefined,
    BLOCK: rowsPerBlock,
    VECTORS: request.x.shape[1]! % 4 === 0,
  }, { Stored: request.x.type });
}

function present(tensors: Record<string, Tensor | undefined>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(tensors).filter(([, tensor]) => tensor)) as Record<
    string,
    Tensor
  >;
}
