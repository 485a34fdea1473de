// Exercises of lesson 2: loads, memory, and a logarithm that keeps its digits.

import { kernel } from "../../gpu/kernel.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { Program } from "../../gpu/program.ts";
import { type Exercise, exercise, near, shown } from "../exercise.ts";

/** 2.1: vector loads for each multiply-add of a tile of 4 r x 4 c elements. */
export const loadsPerMultiplyAdd: Exercise<(r: number, c: number) => number> = exercise(
  "2.1",
  (answer) => {
    for (const [r, c] of [[1, 1], [2, 1], [2, 2], [4, 3]] as const) {
      const found = answer(r, c), wanted = (4 * r + 4 * c) / (64 * r * c);
      if (near(found, wanted)) continue;
      return `For ${r} x ${c} blocks it is ${shown(wanted)}, not ${
        shown(found)
      }. A step over four k loads one vec4f ` +
        "for each of the 4 r rows and 4 c columns, and does 4 r * 4 c * 4 multiply-adds with them.";
    }
    return undefined;
  },
  "Doubling both sides of the tile halves the loads, until its sums no longer fit the registers.",
);

/** 2.2: bytes of logits that a loss with gradients holds at once. */
export const logitBytes: Exercise<
  (shape: { tokens: number; vocabulary: number; chunkRows: number }) => {
    unfused: number;
    fused: number;
  }
> = exercise(
  "2.2",
  (answer) => {
    for (
      const shape of [
        { tokens: 2048, vocabulary: 50_304, chunkRows: 64 },
        { tokens: 32, vocabulary: 1000, chunkRows: 64 },
      ]
    ) {
      const { tokens, vocabulary, chunkRows } = shape;
      const wanted = {
        unfused: 2 * 4 * tokens * vocabulary,
        fused: 4 * Math.min(chunkRows, tokens) * vocabulary,
      };
      const found = answer(shape);
      for (const key of ["unfused", "fused"] as const) {
        if (near(found[key], wanted[key])) continue;
        return `For ${shown(shape)} "${key}" holds ${wanted[key]} bytes, not ${found[key]}. ` +
          "A float takes 4 bytes; unfused, logits and their gradient are two arrays, fused the one overwrites the other, " +
          "and a chunk is never larger than what there is.";
      }
    }
    return undefined;
  },
  "At the paper's vocabulary that is the difference between 786 MiB and 12 MiB.",
);

const inputs = [0, 1e-9, 1e-4, 0.01, 0.5, 1];

/** 2.3: WGSL for log(1 + x), x from 0 to 1, with a relative error below 1e-5 in float32. */
export function accurateLog1p(gpu: Gpu): Exercise<string> {
  return exercise(
    "2.3",
    async (body) => {
      const code = kernel(
        "log1p",
        `@group(0) @binding(0) var<storage, read> xs: array<f32>;
@group(0) @binding(1) var<storage, read_write> ys: array<f32>;
fn log1p(x: f32) -> f32 {
${body}
}
@compute @workgroup_size(1)
fn run(@builtin(global_invocation_id) id: vec3u) { ys[id.x] = log1p(xs[id.x]); }`,
        "run",
      );
      const xs = gpu.allocate("xs", [inputs.length]), ys = gpu.allocate("ys", [inputs.length]);
      try {
        gpu.write(xs, Float32Array.from(inputs));
        using program = new Program(gpu, "log1p");
        program.dispatch({ kernel: code, tensors: { xs, ys }, workgroups: [inputs.length] });
        program.replay();
        const found = await gpu.read(ys);
        for (const [i, x] of inputs.entries()) {
          const exact = Math.log1p(Math.fround(x));
          if (Math.abs(found[i]! - exact) <= 1e-5 * exact) continue;
          return `At x = ${x} it gives ${shown(found[i]!)}, and log(1 + x) is ${shown(exact)}. ` +
            "In float32 1 + x has forgotten a small x; the series x - x²/2 + x³/3 - … has not.";
        }
        return undefined;
      } finally {
        gpu.free(xs);
        gpu.free(ys);
      }
    },
    "A loss of 1e-9 is still a loss: a sum of many of them is what training reports.",
  );
}
