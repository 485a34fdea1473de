// Token embedding: a row gather forward, a deterministic grouped sum backward.

import { kernel } from "../src/gpu/kernel.ts";
import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { rowViews } from "../src/gpu/views.ts";
import { spread } from "./grid.ts";
import source from "./embedding.wgsl" with { type: "text" };

/** Records `y[N, C] = table[tokens[N], C]`, or with `add` that it is added to `y`. */
export function embeddingForward(
  program: Program,
  { tokens, table, y, add = false }: { tokens: Tensor; table: Tensor; y: Tensor; add?: boolean },
): void {
  const [height, width] = y.shape as [number, number];
  for (const { tensor, first, count } of rowViews(program.gpu, table)) {
    program.dispatch({
      kernel: kernel("embedding", source, "forward", { ADD: add }, {
        Table: table.type,
        Row: y.type,
      }),
      tensors: { tokens, table: tensor, y },
      dims: [height, width, first, first + count],
      workgroups: spread(height * width),
    });
  }
}

/** The rows of a batch grouped by token, as the backward pass wants them. */
export interface TokenGroups {
  /** [N] row numbers, grouped by token, ascending within a group. */
  order: Uint32Array;
  /** [N + 1] group g is `order[starts[g] .. starts[g + 1])`. */
  starts: Uint32Array;
  /** The number of different tokens. */
  count: number;
}

/** Groups the rows of a batch by token. */
export function groupByToken(tokens: Uint32Array): TokenGroups {
  const order = new Uint32Array(tokens.length).map((_, row) => row)
    .sort((left, right) => tokens[left]! - tokens[right]! || left - right);
  const starts = new Uint32Array(tokens.length + 1);
  let count = 0;
  for (let i = 0; i < order.length; i++) {
    if (i === 0 || tokens[order[i]!] !== tokens[order[i - 1]!]) starts[count++] = i;
  }
  starts.fill(tokens.length, count);
  return { order, starts, count };
}

/** Records `dtable[V, C] += Σ dy` by token; `groups()` tells at every replay how many tokens there are. */
export function embeddingBackward(
  program: Program,
  request: {
    tokens: Tensor;
    order: Tensor;
    starts: Tensor;
    dy: Tensor;
    dtable: Tensor;
    groups: () => number;
  },
): void {
  const { tokens, order, starts, dy, dtable, groups } = request;
  const [height, width] = dy.shape as [number, number];
  for (const { tensor, first, count } of rowViews(program.gpu, dtable)) {
    program.dispatch({
      kernel: kernel("embedding", source, "backward", { ADD: false }, {
        Table: dtable.type,
        Row: dy.type,
      }),
      tensors: { tokens, order, groups_of_rows: starts, dy, dtable: tensor },
      dims: [height, width, first, first + count],
      workgroups: () => [Math.ceil(width / 64), groups()],
    });
  }
}
