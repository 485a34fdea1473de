// Which variant of the matrix product an adapter uses.

import type { Gpu } from "../src/gpu/gpu.ts";
import { prefersTextures } from "./textures.ts";

/** A way to compute matrix products; they differ by float rounding at most. */
export interface MatmulVariant {
  /** Where operands are read from. */
  memory: "buffer" | "texture";
  /** What a texture holds of an operand at one time, in bytes, which bounds the memory that textures cost. */
  panelBytes?: number;
  /** Blocks of 4 × 4 that an invocation owns, along rows and along columns. */
  rowBlocks: number;
  columnBlocks: number;
  /** Invocations of a workgroup across the eight that lie side by side. */
  lines: number;
}

/** What a choice depends on. */
export interface MatmulShape {
  rows: number;
  columns: number;
  /** Whether the lines of both operands can be rows of a texture. */
  texturesFit: boolean;
}

// Copying an operand into a texture pays once each of its elements is used this often.
const reuseForTextures = 16;

/** The variant for a product on an adapter. */
export function chooseMatmul(gpu: Gpu, shape: MatmulShape): MatmulVariant {
  if (!prefersTextures(gpu)) return { memory: "buffer", rowBlocks: 2, columnBlocks: 2, lines: 8 };
  if (!shape.texturesFit || Math.min(shape.rows, shape.columns) < reuseForTextures) {
    return { memory: "buffer", rowBlocks: 3, columnBlocks: 2, lines: 8 };
  }
  return { memory: "texture", rowBlocks: 4, columnBlocks: 3, lines: 2 };
}
