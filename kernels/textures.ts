// When operands are read through textures. Mesa's software adapter checks and loads the floats of a buffer lane by lane,
// about 6 cycles each; a texel of four floats costs a third of that, copying included once it is read some ten times.

import type { Gpu } from "../src/gpu/gpu.ts";
import { textureWidth } from "../src/gpu/program.ts";

/** Whether reading textures is faster than reading buffers. */
export function prefersTextures(gpu: Gpu): boolean {
  return gpu.adapter.software;
}

/** Whether a texture can hold so many elements. */
export function fitsTexture(gpu: Gpu, elements: number): boolean {
  return elements % 4 === 0 &&
    elements / 4 <= textureWidth * gpu.adapter.limits.maxTextureDimension2D!;
}
