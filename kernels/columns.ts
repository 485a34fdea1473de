// Columns of a matrix taken out and put back, for products with a matrix that is bound in views.

import { kernel } from "../src/gpu/kernel.ts";
import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { spread } from "./grid.ts";
import source from "./columns.wgsl" with { type: "text" };

/** The columns `first` … of a matrix [R, C] beside a matrix [R, count] for them. */
export interface ColumnsRequest {
  whole: Tensor;
  part: Tensor;
  first: number;
  /** Asked at every replay: whether to copy at all. */
  active?: (() => boolean) | undefined;
}

/** Records `part = whole[:, first …]`. */
export function takeColumns(program: Program, request: ColumnsRequest): void {
  record(program, request, { PLACE: false, ACCUMULATE: false, ADDEND: false });
}

/** Records `whole[:, first …] = part`, or adds to it, or puts the sum of `part` and the addend's columns there. */
export function placeColumns(
  program: Program,
  request: ColumnsRequest & { accumulate?: boolean; addend?: Tensor | undefined },
): void {
  const { accumulate = false, addend } = request;
  const constants = { PLACE: true, ACCUMULATE: accumulate, ADDEND: addend !== undefined };
  record(program, request, constants, addend && { addend });
}

function record(
  program: Program,
  { whole, part, first, active }: ColumnsRequest,
  constants: Record<string, boolean>,
  others: Record<string, Tensor> = {},
): void {
  const [rows, count] = part.shape as [number, number];
  const groups = spread(rows * count);
  program.dispatch({
    kernel: kernel("columns", source, "columns", constants, { Whole: whole.type, Part: part.type }),
    tensors: { whole, part, ...others },
    dims: [rows, whole.shape[1]!, first, count],
    workgroups: active ? () => active() ? groups : [0] : groups,
  });
}
