// When operands can be read through textures. Mesa's software adapter checks and loads the floats of a buffer lane by
// lane; a texel of four floats of a storage texture costs a quarter of that, and copying into it next to nothing.

import type { Gpu } from "../src/gpu/gpu.ts";
import { textureWidth } from "../src/gpu/program.ts";
import type { ElementType } from "../src/gpu/tensor.ts";

/** Whether a texture can hold so many elements. */
export function fitsTexture(gpu: Gpu, elements: number): boolean {
  return gpu.readsTextures && elements % 4 === 0 &&
    elements / 4 <= textureWidth * gpu.adapter.limits.maxTextureDimension2D!;
}

/** A WGSL text with `TEXEL`, or another word, replaced by the format of texels that hold four of a type. */
export function withTexels(wgsl: string, type: ElementType, word = "TEXEL"): string {
  return wgsl.replaceAll(word, type === "f16" ? "rgba16float" : "rgba32float");
}
