// The bytes of safetensors files. A tensor is read by its offset and a piece at a time, so that memory holds one tensor
// and little more, and becomes float32 whatever its type. The host is taken to be little-endian, as WebGPU's are.

import { crc32 } from "node:zlib";
import { CannotError } from "../../base/errors.ts";
import { openToRead, writeFileAtomic } from "../../base/files.ts";
import { show } from "../../base/show.ts";
import type { HostTensor } from "../config.ts";
import { readFully } from "./read_fully.ts";
import { fromBF16, fromF16, toBF16 } from "./halves.ts";
import { checksumKey, dtypeBytes, type StoredDtype, type TensorEntry } from "./safetensors.ts";

/** The element types of weights: read from files, and written. */
export type Dtype = "F32" | "F16" | "BF16";

const readable: readonly Dtype[] = ["F32", "F16", "BF16"];

const chunkLength = 1 << 20; // elements converted at a time

/**
 * Reads one tensor as float32.
 *
 * @throws {CannotError} when it is of a type that has no place in a model, when its checksum is not that of its bytes, or
 *   when the file has become shorter than its header says.
 */
export async function readTensor(entry: TensorEntry): Promise<HostTensor> {
  const data = new Float32Array(elementCount(entry.shape));
  using reader = await openTensor(entry);
  for (let start = 0; start < data.length; start += chunkLength) {
    await reader.next(data.subarray(start, start + chunkLength));
  }
  if (entry.crc32 === undefined || entry.crc32 === reader.crc32()) {
    return { shape: [...entry.shape], data };
  }
  throw new CannotError(
    `read "${entry.file}"`,
    `tensor ${show(entry.name)} is damaged: its checksum is another one`,
    "Copy or make it again",
  );
}

/** Whether two tensors have the same values, bit by bit; reads both a piece at a time. */
export async function sameContent(a: TensorEntry, b: TensorEntry): Promise<boolean> {
  if (a.shape.join() !== b.shape.join()) return false;
  using ours = await openTensor(a);
  using theirs = await openTensor(b);
  const left = new Uint32Array(chunkLength), right = new Uint32Array(chunkLength);
  let missing = elementCount(a.shape);
  for (; missing > 0; missing -= chunkLength) {
    const count = Math.min(missing, chunkLength);
    await ours.next(new Float32Array(left.buffer, 0, count));
    await theirs.next(new Float32Array(right.buffer, 0, count));
    for (let i = 0; i < count; i++) if (left[i] !== right[i]) return false;
  }
  return true;
}

/** Reads the values of a tensor in order. */
interface TensorReader extends Disposable {
  /** Fills `values`, of at most `chunkLength`, with those that follow. */
  next(values: Float32Array<ArrayBuffer>): Promise<void>;
  /** Of the bytes read so far. */
  crc32(): string;
}

async function openTensor({ name, file: path, dtype, offset }: TensorEntry): Promise<TensorReader> {
  if (!isReadable(dtype)) {
    throw new CannotError(
      `read "${path}"`,
      `tensor ${show(name)} has dtype ${show(dtype)}`,
      `Convert it to one of ${readable.join(", ")}`,
    );
  }
  const file = await openToRead(path);
  await file.seek(offset, Deno.SeekMode.Start);
  const halves = new Uint16Array(dtype === "F32" ? 0 : chunkLength);
  let sum = 0;
  return {
    crc32: () => hexadecimal(sum),
    async next(values) {
      const bits = halves.subarray(0, values.length);
      const bytes = bytesOf(dtype === "F32" ? values : bits);
      await readFully(file, bytes, path);
      sum = crc32(bytes, sum);
      if (dtype === "F32") return;
      if (dtype === "F16") fromF16(bits, values);
      else fromBF16(bits, values);
    },
    [Symbol.dispose]: () => file.close(),
  };
}

/**
 * Writes a safetensors file, whole or not at all, its tensors by name, as Hugging Face's own writer does. Halves are
 * rounded to the nearest, ties to even.
 *
 * @param options.checksums Put a CRC-32 of each tensor into the metadata, which is checked when it is read.
 * @throws {CannotError} when the file cannot be written, or when a finite value would become infinite.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, HostTensor>,
  options: {
    dtype?: Dtype | undefined;
    metadata?: Readonly<Record<string, string>>;
    checksums?: boolean | undefined;
  } = {},
): Promise<void> {
  const dtype = options.dtype ?? "F32";
  const header: Record<string, unknown> = {};
  const metadata: Record<string, string> = { ...options.metadata };
  if (options.metadata || options.checksums) header.__metadata__ = metadata;
  let end = 0;
  const sorted = [...tensors].sort(([left], [right]) => left < right ? -1 : 1);
  for (const [name, tensor] of sorted) {
    const { shape, data } = tensor;
    checkWritable(path, name, shape, data, dtype);
    if (options.checksums) metadata[checksumKey + name] = checksumOf(tensor, dtype);
    const begin = end;
    end += data.length * dtypeBytes[dtype];
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20); // aligns the data
  padded.set(json);
  const length = new BigUint64Array([BigInt(padded.length)]);

  const inOrder = sorted.map(([, tensor]) => tensor);
  await writeFileAtomic(path, encode([bytesOf(length), padded], inOrder, dtype));
}

function checksumOf(tensor: HostTensor, dtype: Dtype): string {
  let sum = 0;
  for (const bytes of encodeValues(tensor.data, dtype)) sum = crc32(bytes, sum);
  return hexadecimal(sum);
}

function* encode(
  header: Uint8Array[],
  tensors: Iterable<HostTensor>,
  dtype: Dtype,
): Generator<Uint8Array> {
  yield* header;
  for (const { data } of tensors) yield* encodeValues(data, dtype);
}

/** The bytes of values, a piece at a time; halves are rounded to the nearest, ties to even. */
export function* encodeValues(data: Float32Array, dtype: Dtype): Generator<Uint8Array> {
  for (let start = 0; start < data.length; start += chunkLength) {
    const chunk = data.subarray(start, start + chunkLength);
    if (dtype === "F32") yield bytesOf(chunk);
    else yield bytesOf(dtype === "F16" ? new Float16Array(chunk) : toBF16(chunk));
  }
}

/** The smallest magnitudes that round to infinity: half a step above the largest finite value. */
const OVERFLOW: Readonly<Record<Dtype, number>> = {
  F32: Infinity,
  F16: 65520,
  BF16: 2 ** 128 - 2 ** 119,
};

/**
 * Checks that a tensor can be written.
 *
 * @throws {CannotError} naming the file and the tensor, when a finite value would become infinite.
 */
export function checkWritable(
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

function hexadecimal(sum: number): string {
  return sum.toString(16).padStart(8, "0");
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
