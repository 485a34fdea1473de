// A tensor is a named, shaped view of a GPU buffer: row-major, no strides.
// Views of one arena (all parameters, all gradients) let a kernel sweep the whole arena in one dispatch.

/** How kernels store numbers; they compute in f32 whatever is stored. */
export type Precision = "f32" | "f16";

/** The element types that kernels read and write. */
export type ElementType = Precision | "u32";

/** A named, shaped range of a GPU buffer. */
export interface Tensor {
  /** For errors and the memory inventory. */
  readonly name: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** Of every element. */
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

/** Bytes of one element. */
export function bytesPerElement(type: ElementType): number {
  return type === "f16" ? 2 : 4;
}

/** Bytes of a tensor, in whole words of four: WebGPU copies nothing smaller, and buffers end on such a word. */
export function byteLength({ length, type }: Tensor): number {
  return Math.ceil(length * bytesPerElement(type) / 4) * 4;
}

/** Writes a shape as `[8, 128, 64]` for messages. */
export function describeShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}
