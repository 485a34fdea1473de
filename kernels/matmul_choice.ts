// Which variant of the matrix product an adapter uses: as set (`matmul_tuning.ts`), else as committed for adapters that
// were measured. The variants differ by float rounding at most; an adapter always gets the same one, so that the same
// seed gives the same bytes.

import type { Gpu } from "../src/gpu/gpu.ts";
import committed from "./matmul_choices.json" with { type: "json" };

/** A way to compute matrix products; they differ by float rounding at most. */
export interface MatmulVariant {
  /** Where operands are read from; `workgroup` stages tiles of 64 × 64 and has 2 × 2 blocks and 8 lines. */
  memory: "buffer" | "texture" | "workgroup";
  /** What a texture holds of an operand at one time, in bytes, which bounds the memory that textures cost. */
  panelBytes?: number;
  /** Blocks of 4 × 4 that an invocation owns along rows. */
  rowBlocks: number;
  /** Blocks of 4 × 4 that an invocation owns along columns. */
  columnBlocks: number;
  /** Invocations of a workgroup across the eight that lie side by side. */
  lines: number;
}

/** The variants of one adapter. */
export interface MatmulChoices {
  /** For products of which both sides are long and whose operands textures can hold. */
  square: MatmulVariant;
  /** For all others; never `texture`. */
  thin: MatmulVariant;
}

/** What a choice depends on. */
export interface MatmulShape {
  /** Of the product. */
  rows: number;
  /** Of the product. */
  columns: number;
  /** Whether both operands consist of whole texels. */
  texturesFit: boolean;
}

const smallTiles: MatmulVariant = { memory: "buffer", rowBlocks: 2, columnBlocks: 2, lines: 8 };
const untuned: MatmulChoices = { square: smallTiles, thin: smallTiles };

// Below this many rows or columns copying an operand into a texture costs more than it saves.
const shortSide = 16;
const choices = new WeakMap<Gpu, MatmulChoices>();

/** The variant for a product on an adapter. */
export function chooseMatmul(gpu: Gpu, { rows, columns, texturesFit }: MatmulShape): MatmulVariant {
  const { square, thin } = matmulChoices(gpu);
  const isThin = Math.min(rows, columns) < shortSide ||
    (square.memory === "texture" && !texturesFit);
  return isThin ? thin : square;
}

/** What an adapter uses now: what was set, else what is committed for it, else the smallest tiles. */
export function matmulChoices(gpu: Gpu): MatmulChoices {
  return choices.get(gpu) ?? committedChoices(gpu) ?? untuned;
}

/** Sets what is used from now on, in programs that are recorded later. */
export function setMatmulChoices(gpu: Gpu, chosen: MatmulChoices): void {
  choices.set(gpu, chosen);
}

/** What is committed for an adapter, if it was measured. */
export function committedChoices({ adapter }: Gpu): MatmulChoices | undefined {
  return (committed as (MatmulChoices & { adapter: string })[])
    .find((entry) => adapter.software && adapter.name.includes(entry.adapter));
}

/** One variant in words, such as `texture 4 × 3`. */
export function describeVariant({ memory, rowBlocks, columnBlocks }: MatmulVariant): string {
  return `${memory} ${rowBlocks} × ${columnBlocks}`;
}
