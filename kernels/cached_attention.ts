// One decoding step of attention against a key-value cache.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { rowLanes, spread } from "./grid.ts";
import cached_attention from "./cached_attention.wgsl" with { type: "text" };
import rows from "./rows.wgsl" with { type: "text" };

const mostVectors = 64; // of a head: lanes that share one add up a vector of the output each

/** Records storing the step's k and v in the cache and `out = attention(q, cache)`. */
export function cachedAttention(
  program: Program,
  request: {
    batch: number;
    heads: number;
    kvHeads: number;
    headWidth: number;
    /** Positions that the cache holds. */
    capacity: number;
    /** [B] u32: the position of each sequence's new token, below the capacity. */
    positions: Tensor;
    q: Tensor;
    k: Tensor;
    v: Tensor;
    keys: Tensor;
    values: Tensor;
    out: Tensor;
  },
): void {
  const { batch, heads, kvHeads, headWidth, capacity, positions, keys, values } = request;
  const { q, k, v, out } = request;
  const vectors = headWidth / 4;
  const lanes = rowLanes(program.gpu, vectors <= mostVectors ? program.gpu.lanesPerRow : 1);
  const source = { rows, cached_attention };
  const constants = { D4: vectors, ...lanes };
  const types = { Stored: q.type };
  const dims = [batch, heads, kvHeads, capacity, f32(1 / Math.sqrt(headWidth))];
  program.dispatch({
    kernel: kernel("cached_attention", source, "append", constants, types),
    tensors: { positions, k, v, keys, values },
    dims,
    workgroups: [Math.ceil(batch * kvHeads * headWidth / 4 / 64)],
  });
  program.dispatch({
    kernel: kernel("cached_attention", source, "attend", constants, types),
    tensors: { positions, q, keys, values, out },
    dims,
    workgroups: spread(batch * heads, lanes.ROWS),
  });
}
