// The global L2 norm of all gradients, the clip factor, and the halt flag.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { spread } from "./grid.ts";
import source from "./gradient_norm.wgsl" with { type: "text" };

const block = 256;

/**
 * Records `status = [norm, clip factor, halted]` over all gradient arenas.
 *
 * @param maxNorm The norm to clip to; 0 never clips.
 */
export function gradientNorm(
  program: Program,
  { gradients, status, maxNorm }: { gradients: Tensor[]; status: Tensor; maxNorm: number },
): void {
  const blocks = gradients.map(({ length }) => Math.ceil(length / block));
  const total = blocks.reduce((sum, count) => sum + count, 0);
  const partials = program.borrow("gradient_norm/partials", [total]);
  let first = 0;
  gradients.forEach((gradient, i) => {
    program.dispatch({
      kernel: kernel("gradient_norm", source, "sum_squares", { BLOCK: block }),
      tensors: { gradient, partials },
      dims: [gradient.length, blocks[i]!, first, f32(maxNorm)],
      workgroups: spread(blocks[i]!),
    });
    first += blocks[i]!;
  });
  program.dispatch({
    kernel: kernel("gradient_norm", source, "finish", { BLOCK: block }),
    tensors: { partials, status },
    dims: [0, total, 0, f32(maxNorm)],
    workgroups: [1],
  });
  program.release(partials);
}
