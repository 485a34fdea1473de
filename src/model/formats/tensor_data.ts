// The bytes of safetensors files. A tensor is read by its offset and a piece at a time, so that memory holds one tensor
// and little more, and becomes float32 whatever its type. The host is taken to be little-endian, as WebGPU's are.

import { CannotError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import { show } from "../../base/show.ts";
import type { HostTensor } from "../config.ts";
import { openToRead, readFully } from "./read_fully.ts";
import { dtypeBytes, type StoredDtype, type TensorEntry } from "./safetensors.ts";

/** The element types of weights: read from files, and written. */
export type Dtype = "F32" | "F16" | "BF16";

const readable: readonly Dtype[] = ["F32", "F16", "BF16"];

const chunkLength = 1 << 20; // elements converted at a time

/**
 * Reads one tensor as float32.
 *
 * @throws {CannotError} when it is of a type that has no place in a model, or when the file has become shorter than its
 *   header says.
 */
export async function readTensor(entry: TensorEntry): Promise<HostTensor> {
  const data = new Float32Array(elementCount(entry.shape));
  let start = 0;
  for await (const chunk of readChunks(entry)) {
    data.set(chunk, start);
    start += chunk.length;
  }
  return { shape: [...entry.shape], data };
}

/** Whether two tensors have the same values, bit by bit; reads both a piece at a time. */
export async function sameContent(a: TensorEntry, b: TensorEntry): Promise<boolean> {
  if (a.shape.join() !== b.shape.join()) return false;
  const others = readChunks(b);
  for await (const chunk of readChunks(a)) {
    const words = new Uint32Array(chunk.buffer, chunk.byteOffset, chunk.length);
    const { value: other } = await others.next() as { value: Float32Array };
    const theirs = new Uint32Array(other.buffer, other.byteOffset, other.length);
    if (words.some((word, i) => word !== theirs[i])) return false;
  }
  return true;
}

// The values of a tensor in order; the memory of a chunk is used again for the next.
async function* readChunks(entry: TensorEntry): AsyncGenerator<Float32Array> {
  const { dtype, file: path } = entry;
  if (!isReadable(dtype)) {
    throw new CannotError(
      `read "${path}"`,
      `tensor ${show(entry.name)} has dtype ${show(dtype)}`,
      `Convert it to one of ${readable.join(", ")}`,
    );
  }
  const length = elementCount(entry.shape);
  using file = await openToRead(path);
  await file.seek(entry.offset, Deno.SeekMode.Start);
  const size = Math.min(chunkLength, length);
  const bytes = new Uint8Array(size * dtypeBytes[dtype]);
  for (let start = 0; start < length; start += size) {
    const count = Math.min(size, length - start);
    await readFully(file, bytes.subarray(0, count * dtypeBytes[dtype]), path);
    if (dtype === "F32") yield new Float32Array(bytes.buffer, 0, count);
    else if (dtype === "F16") yield new Float32Array(new Float16Array(bytes.buffer, 0, count));
    else yield fromBF16(new Uint16Array(bytes.buffer, 0, count));
  }
}

/**
 * Writes a safetensors file, whole or not at all. Halves are rounded to the nearest, ties to even.
 *
 * @throws {CannotError} when the file cannot be written, or when a finite value would become infinite.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, HostTensor>,
  options: { dtype?: Dtype; metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const dtype = options.dtype ?? "F32";
  const header: Record<string, unknown> = {};
  if (options.metadata) header.__metadata__ = options.metadata;
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    checkWritable(path, name, shape, data, dtype);
    const begin = end;
    end += data.length * dtypeBytes[dtype];
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20); // aligns the data
  padded.set(json);
  const length = new BigUint64Array([BigInt(padded.length)]);

  await writeFileAtomic(path, encode([bytesOf(length), padded], tensors.values(), dtype));
}

function* encode(
  header: Uint8Array[],
  tensors: Iterable<HostTensor>,
  dtype: Dtype,
): Generator<Uint8Array> {
  yield* header;
  for (const { data } of tensors) {
    for (let start = 0; start < data.length; start += chunkLength) {
      const chunk = data.subarray(start, start + chunkLength);
      if (dtype === "F32") yield bytesOf(chunk);
      else yield bytesOf(dtype === "F16" ? new Float16Array(chunk) : toBF16(chunk));
    }
  }
}

/** The smallest magnitudes that round to infinity: half a step above the largest finite value. */
const OVERFLOW: Readonly<Record<Dtype, number>> = {
  F32: Infinity,
  F16: 65520,
  BF16: 2 ** 128 - 2 ** 119,
};

function checkWritable(
  path: string,
  name: string,
  shape: number[],
  data: Float32Array,
  dtype: Dtype,
): void {
  if (name === "__metadata__" || elementCount(shape) !== data.length) {
    throw new Error(`tensor ${show(name)} [${shape}] with ${data.length} values is not a tensor`);
  }
  const limit = OVERFLOW[dtype];
  for (let i = 0; i < data.length; i++) {
    const magnitude = Math.abs(data[i]!);
    if (magnitude < limit || magnitude === Infinity || Number.isNaN(magnitude)) continue;
    throw new CannotError(
      `write "${path}"`,
      `value ${data[i]} of tensor ${show(name)} is too large for ${dtype}`,
      "Write it as F32",
    );
  }
}

/** A bfloat16 is the upper half of a float32. */
function fromBF16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

function toBF16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    // Adding 0x7fff, or 0x8000 if the kept part is odd, carries exactly when rounding goes up;
    // a NaN would carry into infinity and keeps its upper half with the quiet bit instead.
    bits[i] = isNaN ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function bytesOf(array: ArrayBufferView<ArrayBufferLike>): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function isReadable(dtype: StoredDtype): dtype is Dtype {
  return (readable as readonly string[]).includes(dtype);
}
