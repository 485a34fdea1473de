// Files are written whole or not at all: first beside the target, flushed, then renamed over it.

import { describeBytes } from "./bytes.ts";
import { CannotError } from "./errors.ts";
import { parseJson } from "./json.ts";

/**
 * Writes a file atomically: a reader sees the old content or the new, never a part.
 * If writing fails (a full disk, a missing folder) the old file is untouched.
 *
 * @throws {CannotError} naming the file, when it cannot be written.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const partial = `${path}.partial`;
  try {
    using file = await Deno.open(partial, { write: true, create: true, truncate: true });
    for await (const chunk of chunksOf(content)) await writeAll(file, chunk);
    await file.sync();
    await Deno.rename(partial, path);
  } catch (cause) {
    await Deno.remove(partial).catch(() => {});
    if (cause instanceof CannotError) throw cause;
    throw new CannotError(
      `write "${path}"`,
      (cause as Error).message,
      "Free some space or choose another folder; what was there before is unchanged",
      { cause },
    );
  }
}

/**
 * Reads a JSON file.
 *
 * @param longest Bytes that it may have; parsing takes several times as much memory.
 * @throws {CannotError} naming the file, when it is missing, malformed, too long or nested too deep.
 */
export async function readJson(path: string, longest = 256 * 2 ** 20): Promise<unknown> {
  const size = (await Deno.stat(path).catch((cause) => {
    throw unreadable(path, cause);
  })).size;
  if (size > longest) {
    throw new CannotError(
      `read "${path}"`,
      `it has ${describeBytes(size)}, and such a file at most ${describeBytes(longest)}`,
      "Check that it is the right file",
    );
  }
  const text = await readText(path);
  try {
    return parseJson(text);
  } catch (cause) {
    throw new CannotError(`read "${path}"`, (cause as Error).message, "Check that it is JSON");
  }
}

/**
 * Reads a UTF-8 text file; a byte order mark is dropped.
 *
 * @throws {CannotError} naming the file, when it cannot be read, and the line that is not UTF-8.
 */
export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    const line = bytes.subarray(0, zero).reduce(
      (lines, byte) => byte === 0x0a ? lines + 1 : lines,
      1,
    );
    const why = "it holds a NUL, as UTF-16 and binary files do";
    throw new CannotError(`read "${path}" line ${line}`, why, "Save the file as UTF-8");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CannotError(
      `read "${path}" line ${firstBadLine(bytes)}`,
      "it is not UTF-8",
      "Save the file as UTF-8",
      { cause },
    );
  }
}

/** Reads a binary file. @throws {CannotError} naming the file, when it cannot be read. */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await Deno.readFile(path).catch((cause) => {
    throw unreadable(path, cause);
  });
}

/** Makes a folder, and those above it, unless it is there. @throws {CannotError} naming it, when that fails. */
export async function makeFolder(path: string): Promise<void> {
  await Deno.mkdir(path, { recursive: true }).catch((cause) => {
    throw new CannotError(`make the folder "${path}"`, cause.message, "Choose another folder", {
      cause,
    });
  });
}

/** Whether a file or folder exists. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.NotADirectory) return false; // what is above it is a file
    throw unreadable(path, error);
  });
}

// Counted from 1. A line feed is part of no other character in UTF-8, so that lines can be decoded one by one.
function firstBadLine(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    try {
      decoder.decode(bytes.subarray(start, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end < 0) break;
    start = end + 1;
  }
  return line;
}

function unreadable(path: string, cause: Error): CannotError {
  const why = cause instanceof Deno.errors.NotFound ? "there is no such file" : cause.message;
  return new CannotError(`read "${path}"`, why, "Check the path and its permissions", { cause });
}

async function* chunksOf(
  content: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (typeof content === "string") yield new TextEncoder().encode(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
}
