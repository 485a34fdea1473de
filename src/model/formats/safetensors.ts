// The safetensors format: u64 little-endian header length, a JSON header {name: {dtype, shape,
// data_offsets}}, then the tensors' bytes without gaps. Files come from strangers, so every number of
// the header is checked before it is used. `tensor_data.ts` reads and writes the bytes.

import { describeBytes } from "../../base/bytes.ts";
import { CannotError } from "../../base/errors.ts";
import { openToRead, readJson } from "../../base/files.ts";
import { parseJson } from "../../base/json.ts";
import { show } from "../../base/show.ts";
import { readFully } from "./read_fully.ts";

/** Bytes of an element, by its type in a file. */
export const dtypeBytes = {
  F32: 4,
  F16: 2,
  BF16: 2,
  F64: 8,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  BOOL: 1,
} as const;

/** The types that a file may have; weights are read from the first three. */
export type StoredDtype = keyof typeof dtypeBytes;

/** Where a tensor lies. */
export interface TensorEntry {
  name: string;
  file: string;
  dtype: StoredDtype;
  shape: number[];
  /** First byte of the tensor, counted from the start of the file. */
  offset: number;
  /** Of its bytes, in hexadecimal, where the file was written here. */
  crc32?: string;
}

/** What a safetensors file, or all shards of an index, contain. */
export interface TensorDirectory {
  metadata: Map<string, string>;
  tensors: Map<string, TensorEntry>;
}

/** What stands before a tensor's name in the metadata, for its checksum: the format has none of its own. */
export const checksumKey = "crc32.";

const LONGEST_HEADER = 10 * 2 ** 20; // 80,000 tensors; the format's own limit of 100 MB takes 1.5 GB to parse
const LONGEST_INDEX = 10 * 2 ** 20;

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
  const dataStart = 8 + Number(length);
  if (dataStart > fileSize) {
    throw malformed(path, `its header claims ${length} bytes, but the file has ${fileSize}`);
  }
  if (length > LONGEST_HEADER) {
    throw malformed(
      path,
      `its header claims ${describeBytes(Number(length))}, which take ` +
        `${describeBytes(15 * Number(length))} to parse, and at most ` +
        `${describeBytes(LONGEST_HEADER)} are read`,
    );
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
      const entries = asObject(value ?? {}, path, "its __metadata__"); // null is none
      for (const [key, text] of Object.entries(entries)) {
        if (typeof text !== "string") {
          throw malformed(path, `metadata ${show(key)} is not a string`);
        }
        metadata.set(key, text);
      }
      continue;
    }
    const { dtype, shape, begin, end } = parseEntry(name, value, path, dataSize);
    tensors.set(name, { name, file: path, dtype, shape, offset: dataStart + begin });
    ranges.push({ name, begin, end });
  }
  checkLayout(ranges, dataSize, path);
  for (const [name, entry] of tensors) {
    const crc32 = metadata.get(checksumKey + name);
    if (crc32 !== undefined) entry.crc32 = crc32;
    metadata.delete(checksumKey + name);
  }
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
    json = parseJson(text);
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
): { dtype: StoredDtype; shape: number[]; begin: number; end: number } {
  const fail = (why: string) => malformed(path, `tensor ${show(name)} ${why}`);
  const { dtype, shape, data_offsets: offsets } = asObject(value, path, `tensor ${show(name)}`);

  if (!isDtype(dtype)) {
    throw new CannotError(
      `read "${path}"`,
      `tensor ${show(name)} has dtype ${show(dtype)}`,
      "Convert it to one of F32, F16, BF16",
    );
  }
  if (!isSizes(shape)) throw fail(`has shape ${show(shape)}, not a list of sizes`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw fail(`has data_offsets ${show(offsets)}, not a begin and an end`);
  }
  let size: number = dtypeBytes[dtype];
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
  const json = asObject(await readJson(path, LONGEST_INDEX), path, "it");
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

function isDtype(value: unknown): value is StoredDtype {
  return typeof value === "string" && Object.hasOwn(dtypeBytes, value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
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
