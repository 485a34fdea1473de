// A tensor is a named, shaped view of a GPU buffer: row-major, 32-bit elements, no strides.
// Views of one arena (all parameters, all gradients) let a kernel sweep the whole arena in one dispatch.

/** The element types that kernels read and write. */
export type ElementType = "f32" | "u32";

/** A named, shaped range of a GPU buffer. */
export interface Tensor {
  /** For errors and the memory inventory. */
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** All elements have 4 bytes. */
  readonly type: ElementType;
  /** Shared by all views of an arena. */
  readonly buffer: GPUBuffer;
  /** First byte of the view in its buffer. */
  readonly offset: number;
  /** Number of elements. */
  readonly length: number;
}

/** The number of elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Writes a shape as `[8, 128, 64]` for messages. */
export function describeShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}
