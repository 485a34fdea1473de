// The three products of a linear layer y = x · Wᵀ, with W [M, K] of any size: where W or its gradient is larger than one
// binding it is taken in views of rows, which are columns of y.

import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { rowViews } from "../src/gpu/views.ts";
import { placeColumns, takeColumns } from "./columns.ts";
import { matmul } from "./matmul.ts";

/** Asked at every replay: whether the product is to be computed at all. */
type Active = (() => boolean) | undefined;

/** Records `y (+)= x · Wᵀ (+ addend)`: x [N, K], W [M, K], y and addend [N, M]. */
export function linearForward(
  program: Program,
  { x, weight, y, addend, accumulate = false, active }: {
    x: Tensor;
    weight: Tensor;
    y: Tensor;
    addend?: Tensor | undefined;
    accumulate?: boolean;
    active?: Active;
  },
): void {
  const [rows, depth] = x.shape as [number, number];
  const product = { a: x, rows, depth, transposeB: true, ...(active && { active }) };
  const views = rowViews(program.gpu, weight);
  if (views.length === 1) {
    const columns = weight.shape[0]!;
    const into = { out: y, accumulate, ...(addend && { addend }) };
    return matmul(program, { ...product, b: weight, columns, ...into });
  }
  for (const { tensor, first, count } of views) {
    const part = program.borrow("linear/columns", [rows, count]); // f32, rounded once, on its way into y
    matmul(program, { ...product, b: tensor, out: part, columns: count });
    placeColumns(program, { whole: y, part, first, accumulate, addend, active });
    program.release(part);
  }
}

/** Records `dx (+)= dy · W`: dy [N, M], W [M, K], dx [N, K]. */
export function linearInputGradient(
  program: Program,
  { dy, weight, dx, accumulate = false, active }: {
    dy: Tensor;
    weight: Tensor;
    dx: Tensor;
    accumulate?: boolean;
    active?: Active;
  },
): void {
  const [rows, columns] = dx.shape as [number, number];
  const product = { rows, columns, ...(active && { active }) };
  const views = rowViews(program.gpu, weight);
  if (views.length === 1) {
    const depth = weight.shape[0]!;
    return matmul(program, { ...product, a: dy, b: weight, out: dx, depth, accumulate });
  }
  const sum = program.borrow("linear/input_gradient", [rows, columns]); // f32 until it is complete
  for (const { tensor, first, count } of views) {
    const part = columnsOf(program, dy, { first, count, active });
    const more = first > 0;
    matmul(program, { ...product, a: part, b: tensor, out: sum, depth: count, accumulate: more });
    program.release(part);
  }
  placeColumns(program, { whole: dx, part: sum, first: 0, accumulate, active });
  program.release(sum);
}

/** Records `dW += dyᵀ · x`: dy [N, M], x [N, K], dW [M, K]. */
export function linearWeightGradient(
  program: Program,
  { dy, x, dweight, active }: { dy: Tensor; x: Tensor; dweight: Tensor; active?: Active },
): void {
  const [depth, columns] = x.shape as [number, number];
  const product = {
    ...{ b: x, columns, depth, transposeA: true, accumulate: true },
    ...(active && { active }),
  };
  const views = rowViews(program.gpu, dweight);
  if (views.length === 1) {
    return matmul(program, { ...product, a: dy, out: dweight, rows: dweight.shape[0]! });
  }
  for (const { tensor, first, count } of views) {
    const part = columnsOf(program, dy, { first, count, active });
    matmul(program, { ...product, a: part, out: tensor, rows: count });
    program.release(part);
  }
}

// The columns of y that a view of W has made, to be released by the caller.
function columnsOf(
  program: Program,
  whole: Tensor,
  { first, count, active }: { first: number; count: number; active: Active },
): Tensor {
  const storage = whole.type === "f16" ? "f16" : "f32";
  const part = program.borrow("linear/columns", [whole.shape[0]!, count], storage);
  takeColumns(program, { whole, part, first, active });
  return part;
}
