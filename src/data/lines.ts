// Lines of text files that may be compressed, read and written as streams, so that memory does not
// grow with the file. Gzip and Zstandard are recognised by their first bytes when read and chosen by
// the extension (.gz, .zst) when written. Corpora have a bad line among a million: it is reported
// with file and line to whoever asks for it, and ends the reading only when nobody does.

import { pipeline, Readable, type Transform } from "node:stream";
import { constants, createGunzip, createGzip, createZstdCompress } from "node:zlib";
import { describeBytes } from "../base/bytes.ts";
import { CannotError } from "../base/errors.ts";
import { openToRead, unreadable, writeFileAtomic } from "../base/files.ts";
import { unzstd } from "./zstd.ts";

/** How a long file is read. */
export interface ReadingOptions {
  /** Gets each malformed line, which is then left out; without it the first one is thrown. */
  onMalformed?: ((error: CannotError) => void) | undefined;
  /** Gets the bytes of the file that have been read so far, for progress. */
  onRead?: ((bytes: number) => void) | undefined;
}

/** One line of a file. */
export interface TextLine {
  /** Without its line end. */
  text: string;
  /** Counted from 1. */
  line: number;
  /** Where this is, for messages: `"reddit.jsonl.zst" line 7`. */
  where: string;
}

const LONGEST_LINE = 2 ** 26; // bytes; as a record it takes some ten times as much memory
const CHUNK = 1 << 16;
const ZSTD_LEVEL = 3;

/**
 * The lines of a UTF-8 file, plain, gzip or Zstandard. A byte order mark and CRLF are tolerated.
 *
 * @throws {CannotError} naming the file when it cannot be read, is truncated or damaged; naming the
 * line when it is not UTF-8 and there is no `onMalformed`.
 */
export async function* readLines(
  path: string,
  options: ReadingOptions = {},
): AsyncGenerator<TextLine> {
  const decoder = new TextDecoder("utf-8", { fatal: true }); // drops a byte order mark
  let line = 0;
  for await (const bytes of byteLines(path, options.onRead)) {
    const where = `"${path}" line ${++line}`;
    if (bytes.includes(0)) {
      malformed(options, where, "it holds a NUL, as UTF-16 and binary files do");
      continue;
    }
    let text: string;
    try {
      text = decoder.decode(bytes.at(-1) === 0x0d ? bytes.subarray(0, -1) : bytes);
    } catch (cause) {
      malformed(options, where, "it is not UTF-8", cause);
      continue;
    }
    yield { text, line, where };
  }
}

/**
 * Writes lines to a file, compressed as its extension says, whole or not at all.
 *
 * @throws {CannotError} naming the file, when it cannot be written; what the lines throw passes.
 */
export async function writeLines(
  path: string,
  lines: Iterable<string> | AsyncIterable<string>,
): Promise<void> {
  const params = {
    [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL,
    [constants.ZSTD_c_checksumFlag]: 1, // gzip always has one
  };
  const chunks = encode(lines);
  await writeFileAtomic(
    path,
    path.endsWith(".gz")
      ? through(chunks, createGzip())
      : path.endsWith(".zst")
      ? through(chunks, createZstdCompress({ params }))
      : chunks,
  );
}

/** Hands a malformed line to `onMalformed`, or throws it. */
export function malformed(
  { onMalformed }: ReadingOptions,
  where: string,
  why: string,
  cause?: unknown,
): void {
  const error = new CannotError(`read ${where}`, why, "Correct or remove the line", { cause });
  if (onMalformed === undefined) throw error;
  onMalformed(error);
}

/** The lines of a file as bytes, without their line feeds. */
async function* byteLines(
  path: string,
  onRead: ReadingOptions["onRead"],
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [], length = 0, line = 1; // of a line that spans several chunks
  for await (const chunk of decompressed(path, onRead)) {
    let start = 0;
    for (let end; (end = chunk.indexOf(0x0a, start)) >= 0; start = end + 1) {
      const piece = chunk.subarray(start, end);
      yield parts.length === 0 ? piece : joined([...parts, piece], length + piece.length);
      parts = [];
      length = 0;
      line++;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > LONGEST_LINE) {
      const why = `it is longer than ${describeBytes(LONGEST_LINE)}`;
      throw new CannotError(`read "${path}" line ${line}`, why, "Write one record a line");
    }
  }
  if (parts.length > 0) yield joined(parts, length);
}

async function* decompressed(
  path: string,
  onRead: ReadingOptions["onRead"],
): AsyncGenerator<Uint8Array> {
  const format = await formatOf(path);
  const chunks = fileChunks(path, onRead);
  if (format === "plain") return yield* chunks;
  try {
    yield* format === "zstd" ? unzstd(chunks) : through(chunks, createGunzip());
  } catch (cause) {
    if (cause instanceof CannotError) throw cause;
    const why = (cause as Error).message;
    throw new CannotError(`read "${path}"`, why, "Download or copy it again", { cause });
  }
}

async function formatOf(path: string): Promise<"plain" | "gzip" | "zstd"> {
  using file = await openToRead(path);
  const head = new Uint8Array(4);
  await readSome(file, head, path);
  const [a, b, c, d] = head;
  if (a === 0x1f && b === 0x8b) return "gzip";
  const frame = a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd;
  const skippable = a! >> 4 === 5 && b === 0x2a && c === 0x4d && d === 0x18; // pzstd begins so
  return frame || skippable ? "zstd" : "plain";
}

async function* fileChunks(
  path: string,
  onRead: ReadingOptions["onRead"],
): AsyncGenerator<Uint8Array> {
  using file = await openToRead(path);
  let total = 0;
  while (true) {
    const chunk = new Uint8Array(CHUNK);
    const length = await readSome(file, chunk, path);
    if (length === null) return;
    yield chunk.subarray(0, length);
    onRead?.(total += length);
  }
}

// A folder can be opened, and not be read.
async function readSome(
  file: Deno.FsFile,
  into: Uint8Array,
  path: string,
): Promise<number | null> {
  return await file.read(into).catch((cause) => {
    throw unreadable(path, cause);
  });
}

/** Bytes through a compressor or decompressor; an error on either side ends both. */
function through(
  chunks: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncIterable<Uint8Array> {
  const source = Readable.from(chunks, { highWaterMark: 1 });
  return pipeline(source, transform, () => {}); // errors also reach whoever reads the result
}

async function* encode(
  lines: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  let gathered: string[] = [], units = 0;
  for await (const line of lines) {
    gathered.push(line, "\n");
    units += line.length + 1;
    if (units < CHUNK) continue;
    yield encoder.encode(gathered.join(""));
    gathered = [];
    units = 0;
  }
  if (units > 0) yield encoder.encode(gathered.join(""));
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
