// Rows of parquet files, as Hugging Face's data sets are kept: one row group after another, which is what memory holds.
// Whole numbers of 64 bits become numbers where a double holds them, as JSON would have them.

import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { CannotError } from "../base/errors.ts";
import { importPackage } from "../base/packages.ts";
import type { ReadingOptions } from "./lines.ts";

/** One row of a file. */
export interface ParquetRow {
  /** Its values by column; lists and structures as arrays and objects. */
  fields: Record<string, unknown>;
  /** Where it is, for messages: `"train.parquet" row 7`. */
  where: string;
}

// What is used here of hyparquet.
interface AsyncBuffer {
  byteLength: number;
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}
interface Metadata {
  row_groups: { num_rows: bigint }[];
}
interface ParquetPackage {
  parquetMetadataAsync(file: AsyncBuffer): Promise<Metadata>;
  parquetReadObjects(options: {
    file: AsyncBuffer;
    metadata: Metadata;
    rowStart: number;
    rowEnd: number;
    compressors: Record<string, (input: Uint8Array) => Uint8Array>;
  }): Promise<Record<string, unknown>[]>;
}

// Snappy is in the package.
const compressors = {
  GZIP: (input: Uint8Array) => gunzipSync(input),
  BROTLI: (input: Uint8Array) => brotliDecompressSync(input),
  ZSTD: (input: Uint8Array) => zstdDecompressSync(input),
};

/**
 * The rows of a parquet file.
 *
 * @throws {CannotError} naming the file, when it cannot be read, is damaged, or compressed in another way.
 */
export async function* readParquet(
  path: string,
  { onRead }: ReadingOptions = {},
): AsyncGenerator<ParquetRow> {
  const { parquetMetadataAsync, parquetReadObjects } = await importPackage<ParquetPackage>(
    "parquetReader",
  );
  using handle = await Deno.open(path).catch((cause) => {
    const why = cause instanceof Deno.errors.NotFound ? "there is no such file" : cause.message;
    throw new CannotError(`read "${path}"`, why, "Check the path and its permissions", { cause });
  });
  const file = bufferOf(handle, (await handle.stat()).size);
  const attempt = async <Result>(read: () => Promise<Result>): Promise<Result> => {
    try {
      return await read();
    } catch (cause) {
      const why = (cause as Error).message.replace(/\.$/, "");
      const remedy = "Check that it is a parquet file, and download or copy it again";
      throw new CannotError(`read "${path}"`, why, remedy, { cause });
    }
  };
  const metadata = await attempt(() => parquetMetadataAsync(file));
  let row = 0;
  for (const [i, { num_rows }] of metadata.row_groups.entries()) {
    const rowEnd = row + Number(num_rows);
    const rows = await attempt(() =>
      parquetReadObjects({ ...{ file, metadata, compressors }, rowStart: row, rowEnd })
    );
    for (const fields of rows) {
      yield { fields: asJson(fields) as ParquetRow["fields"], where: `"${path}" row ${++row}` };
    }
    onRead?.(Math.round(file.byteLength * (i + 1) / metadata.row_groups.length));
  }
}

// One read at a time, since a handle has one position.
function bufferOf(handle: Deno.FsFile, byteLength: number): AsyncBuffer {
  let before: Promise<unknown> = Promise.resolve();
  const read = async (start: number, end: number) => {
    const bytes = new Uint8Array(Math.max(0, end - start));
    await handle.seek(start, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) {
      const count = await handle.read(bytes.subarray(done));
      if (count === null) throw new Error("it ends too early");
      done += count;
    }
    return bytes.buffer;
  };
  return {
    byteLength,
    slice(start, end = byteLength) {
      const from = start < 0 ? byteLength + start : start;
      const result = before.then(() => read(from, Math.min(end, byteLength)));
      before = result.catch(() => {});
      return result;
    },
  };
}

function asJson(value: unknown): unknown {
  if (typeof value === "bigint") {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  if (Array.isArray(value)) return value.map(asJson);
  if (value === null || typeof value !== "object") return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value; // dates and bytes
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, asJson(each)]));
}
