// One decoding step of attention against a key-value cache.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import source from "./cached_attention.wgsl" with { type: "text" };

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
  const constants = { D4: headWidth / 4 };
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
    workgroups: [Math.ceil(batch * heads / 64)],
  });
}
