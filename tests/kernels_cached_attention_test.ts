// Attention against the cache, fed one position at a time, is attention over the whole sequence.

import { cachedAttention } from "../kernels/cached_attention.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { assertClose } from "./assert.ts";
import { type Host, normals } from "./launch.ts";
import { attention } from "./reference.ts";

// Heads shared and not shared; 17 × 4 query heads pass one workgroup of 64, and so do the vectors of a key. Positions pass
// the tile of 64 that lanes walk together; of heads of 132 and 260 their vectors do not divide it, and are too many.
const cases = [
  ...[[1, 5, 1, 1, 4], [17, 35, 4, 2, 8], [3, 9, 3, 1, 12], [2, 131, 2, 1, 12]],
  ...[[2, 3, 2, 1, 132], [1, 3, 1, 1, 256], [1, 2, 1, 1, 260]],
] as [number, number, number, number, number][];
const lanes = [1, 64] as const;

for (
  const [[B, T, H, G, D], lanesPerRow] of cases.flatMap((sizes) =>
    lanes.map((n) => [sizes, n] as const)
  )
) {
  Deno.test(`cached attention [B ${B}, T ${T}, H ${H}, G ${G}, D ${D}] agrees with the whole, ${lanesPerRow} lanes`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    using program = new Program(gpu, "test");
    const positions = program.allocate("positions", [B], "u32");
    const q = program.allocate("q", [B, H, D]), out = program.allocate("out", [B, H, D]);
    const k = program.allocate("k", [B, G, D]), v = program.allocate("v", [B, G, D]);
    const capacity = T + 2;
    const keys = program.allocate("keys", [B, capacity, G, D]);
    const values = program.allocate("values", [B, capacity, G, D]);
    const sizes = { batch: B, heads: H, kvHeads: G, headWidth: D, capacity };
    cachedAttention(program, { ...sizes, positions, q, k, v, keys, values, out });

    const all = {
      q: normals("q", B, T, H, D),
      k: normals("k", B, T, G, D),
      v: normals("v", B, T, G, D),
    };
    const whole = attention(all.q.data, all.k.data, all.v.data, { B, T, H, G, D }).out;
    // What an earlier batch left in the cache must not be seen.
    for (const cache of [keys, values]) gpu.write(cache, new Float32Array(cache.length).fill(1e9));
    // Every other sequence is one step behind.
    for (let step = 0; step <= T; step++) {
      const times = Array.from({ length: B }, (_, b) => Math.min(T - 1, Math.max(0, step - b % 2)));
      gpu.write(positions, Uint32Array.from(times));
      gpu.write(q, at(all.q, times));
      gpu.write(k, at(all.k, times));
      gpu.write(v, at(all.v, times));
      program.replay();
      const expected = at({ shape: all.q.shape, data: Float32Array.from(whole) }, times);
      assertClose(await gpu.read(out), expected, 2e-6, `step ${step}`);
    }
  });
}

// The rows of [B, T, heads, D] at each sequence's time.
function at({ shape, data }: Host, times: readonly number[]): Float32Array {
  const [batch, time, heads, width] = shape as [number, number, number, number];
  const size = heads * width;
  return Float32Array.from({ length: batch * size }, (_, i) => {
    const b = Math.floor(i / size);
    return data[(b * time + times[b]!) * size + i % size]!;
  });
}
