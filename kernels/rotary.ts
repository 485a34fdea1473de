// Rotary position embedding, both pairings.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { spread } from "./grid.ts";
import source from "./rotary.wgsl" with { type: "text" };

/** theta^(−2i/R) for each of the R/2 pairs of entries that turn. */
export function rotaryFrequencies(turned: number, theta: number): Float64Array {
  return Float64Array.from({ length: turned / 2 }, (_, i) => theta ** (-2 * i / turned));
}

/** [length, R/2] pairs of (cos, sin) of `position · frequency`, computed in float64. */
export function rotaryAngles(length: number, frequencies: Float64Array): Float32Array {
  const half = frequencies.length;
  const angles = new Float32Array(length * half * 2);
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i]!;
      angles[2 * (position * half + i)] = Math.cos(angle);
      angles[2 * (position * half + i) + 1] = Math.sin(angle);
    }
  }
  return angles;
}

/** Records turning `x` [N, H·D] in place by `angles` [length, R/2, 2], forward or (for gradients) backward. */
export function rotary(
  program: Program,
  request: {
    x: Tensor;
    positions: Tensor;
    angles: Tensor;
    heads: number;
    headWidth: number;
    pairing: "half" | "interleaved";
    backward?: boolean;
  },
): void {
  const { x, positions, angles, heads, headWidth, pairing, backward = false } = request;
  const rows = x.length / (heads * headWidth);
  const pairs = angles.shape.at(-2)!;
  program.dispatch({
    kernel: kernel("rotary", source, "rotate", { INTERLEAVED: pairing === "interleaved" }, {
      Stored: x.type,
    }),
    tensors: { positions, angles, x },
    dims: [rows, heads, headWidth, 2 * pairs, f32(backward ? -1 : 1)],
    workgroups: spread(rows * heads * pairs),
  });
}
