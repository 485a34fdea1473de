// A kernel binds a limited part of a buffer, 128 MiB where an adapter offers no more, while a tensor may be as large as a
// buffer. What is larger than a binding is worked on in views, one dispatch each: of whole rows, or of runs of elements.
// Views begin where bindings may (`viewAlignment`).

import { CannotError } from "../base/errors.ts";
import { type Gpu, megabytes, viewAlignment } from "./gpu.ts";
import { bytesPerElement, describeShape, type Tensor } from "./tensor.ts";

/** Some rows of a matrix, as a tensor that can be bound. */
export interface RowView {
  /** The matrix's row that is the view's first. */
  readonly first: number;
  /** How many rows. */
  readonly count: number;
  /** [count, C] */
  readonly tensor: Tensor;
}

/** Elements by which runs are divided: whole alignments in f16 and f32, and whole blocks of `gradient_norm.ts`. */
const runUnit = 256;

/**
 * The rows of a matrix [R, C] in views that can be bound: the matrix itself where it fits, else as few as are needed, of
 * nearly the same height.
 *
 * @throws {CannotError} where not even the fewest rows that can be aligned fit a binding.
 */
export function rowViews(gpu: Gpu, tensor: Tensor): RowView[] {
  const [height, width] = tensor.shape as [number, number];
  const rowBytes = width * bytesPerElement(tensor.type);
  if (height * rowBytes <= gpu.bindingLimit) return [{ first: 0, count: height, tensor }];
  const unit = viewAlignment / commonDivisor(viewAlignment, rowBytes);
  const most = Math.floor(gpu.bindingLimit / rowBytes / unit) * unit;
  if (most === 0) {
    throw new CannotError(
      `bind rows of "${tensor.name}" ${describeShape(tensor.shape)}`,
      `${unit} of them need ${megabytes(unit * rowBytes)} and ${gpu.adapter.name} binds at most ` +
        megabytes(gpu.bindingLimit),
      `Use rows of at most ${Math.floor(gpu.bindingLimit / rowBytes * width / unit)} elements`,
    );
  }
  const each = Math.ceil(height / Math.ceil(height / most) / unit) * unit;
  return Array.from({ length: Math.ceil(height / each) }, (_, i) => {
    const first = i * each;
    const count = Math.min(each, height - first);
    return { first, count, tensor: part(tensor, [count, width], first * width) };
  });
}

/**
 * Tensors of one length in runs of the same elements that can be bound, such as an arena of weights with its gradients:
 * for every run the parts of all of them.
 */
export function runsOf<Tensors extends Readonly<Record<string, Tensor>>>(
  gpu: Gpu,
  tensors: Tensors,
): Tensors[] {
  const all = Object.entries(tensors);
  const length = all[0]![1].length;
  const most = gpu.bindingLimit / Math.max(...all.map(([, { type }]) => bytesPerElement(type)));
  if (length <= most) return [tensors];
  const each = Math.floor(most / runUnit) * runUnit;
  return Array.from({ length: Math.ceil(length / each) }, (_, i) => {
    const first = i * each;
    const count = Math.min(each, length - first);
    const parts = all.map(([name, tensor]) => [name, part(tensor, [count], first)]);
    return Object.fromEntries(parts) as Tensors;
  });
}

function part(tensor: Tensor, shape: readonly number[], start: number): Tensor {
  const offset = tensor.offset + start * bytesPerElement(tensor.type);
  return { ...tensor, shape, offset, length: shape.reduce((product, size) => product * size, 1) };
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
