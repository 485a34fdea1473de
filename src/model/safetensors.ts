// The safetensors format: u64 little-endian header length, a JSON header {name: {dtype, shape,
// data_offsets}}, then the tensors' bytes without gaps. Files come from strangers, so every number of
// the header is checked before it is used. A tensor is read by its offset, so that memory holds one at
// a time, and becomes float32 whatever its dtype. The host is taken to be little-endian, as WebGPU's are.

import { CannotError } from "../base/errors.ts";
import { readJson, writeFileAtomic } from "../base/files.ts";
import type { HostTensor } from "./config.ts";
import { openToRead, readFully } from "./read_fully.ts";
import { show } from "../base/show.ts";

/** The element types that are read and written. */
export type Dtype = "F32" | "F16" | "BF16";

/** Where a tensor lies. */
export interface TensorEntry {
  file: string;
  dtype: Dtype;
  shape: number[];
  /** First byte of the tensor, counted from the start of the file. */
  offset: number;
}

/** What a safetensors file, or all shards of an index, contain. */
export interface TensorDirectory {
  metadata: Map<string, string>;
  tensors: Map<string, TensorEntry>;
}

const BYTES: Readonly<Record<Dtype, number>> = { F32: 4, F16: 2, BF16: 2 };
const LONGEST_HEADER = 100_000_000; // the limit of the format's own library
const CHUNK = 1 << 20; // elements converted at a time

/**
 * Reads and checks the header of a safetensors file.
 *
 * @throws {CannotError} naming the file, and the tensor if it is one tensor's fault.
 */
export async function readSafetensorsHeader(path: string): Promise<TensorDirectory> {
  using file = await openToRead(path);
  const fileSize = (await file.stat()).size;
  if (fileSize < 8) throw malformed(path, `it has ${fileSize} bytes, fewer than the 8 of a header`);

  const prefix = new Uint8Array(8);
  await readFully(file, prefix, path);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > LONGEST_HEADER) {
    throw malformed(path, `its header claims ${length} bytes, the limit is ${LONGEST_HEADER}`);
  }
  const dataStart = 8 + Number(length);
  if (dataStart > fileSize) {
    throw malformed(path, `its header claims ${length} bytes, but the file has ${fileSize}`);
  }
  const header = new Uint8Array(Number(length));
  await readFully(file, header, path);
  return parseHeader(header, path, dataStart, fileSize - dataStart);
}

function parseHeader(
  bytes: Uint8Array,
  path: string,
  dataStart: number,
  dataSize: number,
): TensorDirectory {
  const json = parseObject(bytes, path);
  const metadata = new Map<string, string>();
  const tensors = new Map<string, TensorEntry>();
  const ranges: Range[] = [];
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") {
      for (const [key, text] of Object.entries(asObject(value, path, "its __metadata__"))) {
        if (typeof text !== "string") {
          throw malformed(path, `metadata ${show(key)} is not a string`);
        }
        metadata.set(key, text);
      }
      continue;
    }
    const { dtype, shape, begin, end } = parseEntry(name, value, path, dataSize);
    tensors.set(name, { file: path, dtype, shape, offset: dataStart + begin });
    ranges.push({ name, begin, end });
  }
  checkLayout(ranges, dataSize, path);
  return { metadata, tensors };
}

function parseObject(bytes: Uint8Array, path: string): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed(path, "its header is not UTF-8");
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw malformed(path, `its header is not JSON (${(cause as Error).message})`);
  }
  const object = asObject(json, path, "its header");
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) throw malformed(path, `its header has ${show(duplicate)} twice`);
  return object;
}

/** The first key that an object of valid JSON has twice; `JSON.parse` would keep the last without a word. */
function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = []; // the keys of each object we are in
  for (let i = 0; i < json.length; i++) {
    if (json[i] === "{") open.push(new Set());
    else if (json[i] === "}") open.pop();
    if (json[i] !== '"') continue;

    const start = i;
    for (i++; json[i] !== '"'; i++) if (json[i] === "\\") i++;
    let next = i + 1;
    while (/\s/.test(json[next]!)) next++;
    if (json[next] !== ":") continue;
    const key = JSON.parse(json.slice(start, i + 1));
    if (open.at(-1)!.has(key)) return key;
    open.at(-1)!.add(key);
  }
  return undefined;
}

interface Range {
  name: string;
  begin: number;
  end: number;
}

function parseEntry(
  name: string,
  value: unknown,
  path: string,
  dataSize: number,
): { dtype: Dtype; shape: number[]; begin: number; end: number } {
  const fail = (why: string) => malformed(path, `tensor ${show(name)} ${why}`);
  const { dtype, shape, data_offsets: offsets } = asObject(value, path, `tensor ${show(name)}`);

  if (!isDtype(dtype)) {
    throw new CannotError(
      `read "${path}"`,
      `tensor ${show(name)} has dtype ${show(dtype)}`,
      `Convert it to one of ${Object.keys(BYTES).join(", ")}`,
    );
  }
  if (!isSizes(shape)) throw fail(`has shape ${show(shape)}, not a list of sizes`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw fail(`has data_offsets ${show(offsets)}, not a begin and an end`);
  }
  let size = BYTES[dtype];
  for (const length of shape) {
    size *= length;
    if (!Number.isSafeInteger(size)) throw fail(`has shape ${show(shape)}, too large to exist`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw fail(`begins at byte ${begin}, after its end ${end}`);
  if (end > dataSize) throw fail(`ends at byte ${end}, but the file has ${dataSize} bytes of data`);
  if (end - begin !== size) {
    throw fail(`has ${end - begin} bytes, but ${dtype} ${show(shape)} needs ${size}`);
  }
  return { dtype, shape, begin, end };
}

/** Every byte of the data belongs to exactly one tensor: nothing hides in a hole, nothing is read twice. */
function checkLayout(ranges: Range[], dataSize: number, path: string): void {
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of ranges) {
    if (begin < covered) throw malformed(path, `tensor ${show(name)} overlaps the one before it`);
    if (begin > covered) {
      throw malformed(path, `${begin - covered} bytes before tensor ${show(name)} belong to none`);
    }
    covered = end;
  }
  if (covered < dataSize) {
    throw malformed(path, `${dataSize - covered} bytes after its last tensor belong to none`);
  }
}

/**
 * Reads `model.safetensors.index.json` and the headers of all its shards.
 *
 * @throws {CannotError} when the index and the shards disagree about what there is, or when a shard's
 *   name leads out of the folder.
 */
export async function readSafetensorsIndex(path: string): Promise<TensorDirectory> {
  const json = asObject(await readJson(path), path, "it");
  const weightMap = asObject(json.weight_map, path, "its weight_map");
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const merged: TensorDirectory = { metadata: new Map(), tensors: new Map() };

  const shards = new Set(Object.values(weightMap));
  for (const shard of shards) {
    if (typeof shard !== "string" || !/^[^/\\:\0]+$/.test(shard) || /^\.+$/.test(shard)) {
      throw malformed(path, `shard ${show(shard)} is not the name of a file beside it`);
    }
    const { metadata, tensors } = await readSafetensorsHeader(folder + shard);
    for (const [key, text] of metadata) merged.metadata.set(key, text);
    for (const [name, entry] of tensors) {
      if (!Object.hasOwn(weightMap, name) || weightMap[name] !== shard) {
        throw malformed(
          path,
          `tensor ${show(name)} is in shard ${show(shard)}, but not in the index`,
        );
      }
      merged.tensors.set(name, entry);
    }
  }
  for (const [name, shard] of Object.entries(weightMap)) {
    if (!merged.tensors.has(name)) {
      throw malformed(path, `tensor ${show(name)} is not in shard ${show(shard)}`);
    }
  }
  return merged;
}

/**
 * Reads one tensor as float32.
 *
 * @throws {CannotError} when the file has become shorter than its header says.
 */
export async function readTensor(entry: TensorEntry): Promise<HostTensor> {
  const data = new Float32Array(elementCount(entry.shape));
  using file = await openToRead(entry.file);
  await file.seek(entry.offset, Deno.SeekMode.Start);
  if (entry.dtype === "F32") {
    await readFully(file, new Uint8Array(data.buffer), entry.file);
    return { shape: [...entry.shape], data };
  }
  const halves = new Uint16Array(Math.min(CHUNK, data.length));
  for (let start = 0; start < data.length; start += CHUNK) {
    const chunk = halves.subarray(0, Math.min(CHUNK, data.length - start));
    await readFully(file, bytesOf(chunk), entry.file);
    data.set(entry.dtype === "F16" ? fromF16(chunk) : fromBF16(chunk), start);
  }
  return { shape: [...entry.shape], data };
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
    end += data.length * BYTES[dtype];
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
    for (let start = 0; start < data.length; start += CHUNK) {
      const chunk = data.subarray(start, start + CHUNK);
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

function fromF16(bits: Uint16Array<ArrayBuffer>): Float16Array {
  return new Float16Array(bits.buffer, bits.byteOffset, bits.length);
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

function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(BYTES, value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function bytesOf(array: ArrayBufferView<ArrayBufferLike>): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function asObject(value: unknown, path: string, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw malformed(path, `${what} is not a JSON object`);
}

function malformed(path: string, why: string): CannotError {
  return new CannotError(`read "${path}"`, why, "Download or export it again");
}
