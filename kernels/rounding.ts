// Rounds a tensor on the GPU, so that weights that were loaded and weights that AdamW wrote are rounded alike.

import { kernel } from "../src/gpu/kernel.ts";
import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { runsOf } from "../src/gpu/views.ts";
import { spread } from "./grid.ts";
import source from "./rounding.wgsl" with { type: "text" };

/** Records `y = x` for `x` in f32, rounded to what `y` stores. */
export function rounding(program: Program, x: Tensor, y: Tensor): void {
  for (const run of runsOf(program.gpu, { x, y })) {
    program.dispatch({
      kernel: kernel("rounding", source, "rounding", {}, { Stored: y.type }),
      tensors: run,
      dims: [run.x.length],
      workgroups: spread(run.x.length),
    });
  }
}
