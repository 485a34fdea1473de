// Lines of text files that may be compressed, read and written as streams, so that memory does not
// grow with the file. Gzip and Zstandard are recognised by their first bytes when read and chosen by
// the extension (.gz, .zst) when written. Corpora have a bad line among a million: it is reported
// with file and line to whoever asks for it, and ends the reading only when nobody does.

import { pipeline, Readable, type Transform } from "node:stream";
import {
  constants,
  createGunzip,
  createGzip,
  createZstdCompress,
  createZstdDecompress,
} from "node:zlib";
import { CannotError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { zstdFramePieces } from "./zstd_frames.ts";

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

const LONGEST_LINE = 1 << 28; // bytes; a JavaScript string ends at 2^29 units
const CHUNK = 1 << 16;
const ZSTD_LEVEL = 3, ZSTD_LONGEST_WINDOW = 31; // Pushshift's dumps need windows of 2 GB

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
  const zstd = { params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } };
  const chunks = encode(lines);
  await writeFileAtomic(
    path,
    path.endsWith(".gz")
      ? through(chunks, createGzip())
      : path.endsWith(".zst")
      ? through(chunks, createZstdCompress(zstd))
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
  let parts: Uint8Array[] = [], length = 0; // of a line that spans several chunks
  for await (const chunk of decompressed(path, onRead)) {
    let start = 0;
    for (let end; (end = chunk.indexOf(0x0a, start)) >= 0; start = end + 1) {
      const piece = chunk.subarray(start, end);
      yield parts.length === 0 ? piece : joined([...parts, piece], length + piece.length);
      parts = [];
      length = 0;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > LONGEST_LINE) {
      const why = `it has a line of more than ${LONGEST_LINE} bytes`;
      throw new CannotError(`read "${path}"`, why, "Check that it is a text file with line ends");
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
  try {
    if (format === "zstd") yield* unzstd(chunks);
    else yield* format === "gzip" ? through(chunks, createGunzip()) : chunks;
  } catch (cause) {
    if (cause instanceof CannotError) throw cause;
    const why = (cause as Error).message;
    throw new CannotError(`read "${path}"`, why, "Download or copy it again", { cause });
  }
}

async function formatOf(path: string): Promise<"plain" | "gzip" | "zstd"> {
  using file = await open(path);
  const head = new Uint8Array(4);
  await file.read(head);
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
  using file = await open(path);
  let total = 0;
  while (true) {
    const chunk = new Uint8Array(CHUNK);
    const length = await file.read(chunk);
    if (length === null) return;
    yield chunk.subarray(0, length);
    onRead?.(total += length);
  }
}

async function open(path: string): Promise<Deno.FsFile> {
  return await Deno.open(path).catch((cause) => {
    const why = cause instanceof Deno.errors.NotFound ? "there is no such file" : cause.message;
    throw new CannotError(`read "${path}"`, why, "Check the path and its permissions", { cause });
  });
}

async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces = zstdFramePieces(chunks);
  try {
    for (let done = false; !done;) {
      const frame = async function* () {
        for (let piece; !(piece = await pieces.next()).done;) {
          yield piece.value.bytes;
          if (piece.value.last) return;
        }
        done = true;
      };
      const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_LONGEST_WINDOW };
      yield* through(frame(), createZstdDecompress({ params }));
    }
  } finally {
    await pieces.return(undefined);
  }
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
