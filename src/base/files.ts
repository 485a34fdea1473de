// Files are written whole or not at all: first beside the target, flushed, then renamed over it.

import { describeBytes } from "./bytes.ts";
import { CannotError } from "./errors.ts";
import { parseJson } from "./json.ts";
import { openLocked } from "./lock.ts";

/** What is written to a file: at once, or in chunks as they come. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes a file atomically: a reader sees the old content or the new, never a part.
 * If writing fails (a full disk, a missing folder) the old file is untouched. Of two that write one file at the same
 * time, the one that ends last has its content there.
 *
 * @throws {CannotError} naming the file, when it cannot be written; what the content throws passes.
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  await writeTogether([[path, content]]);
}

/**
 * Writes the files of a folder, and makes the folders that they need. None takes its place before all are written, so
 * that a full disk leaves none of them.
 *
 * @param files Contents by name, e.g. "pages/index.html".
 * @throws {CannotError} naming the file, when one cannot be written.
 */
export async function writeFolder(
  folder: string,
  files: ReadonlyMap<string, FileContent>,
): Promise<void> {
  const withPaths = Array.from(files, ([name, content]) => [`${folder}/${name}`, content] as const);
  for (const above of new Set(withPaths.map(([path]) => path.slice(0, path.lastIndexOf("/"))))) {
    await makeFolder(above);
  }
  await writeTogether(withPaths);
}

// Partial files stay open, and so locked, until they have taken their places.
async function writeTogether(files: Iterable<readonly [string, FileContent]>): Promise<void> {
  const begun: { file: Deno.FsFile; partial: string; path: string }[] = [];
  try {
    for (const [path, content] of files) {
      const { file, partial } = await openPartial(path).catch(refusal(path));
      begun.push({ file, partial, path });
      for await (const chunk of chunksOf(content)) await writeAll(file, chunk).catch(refusal(path));
      await file.sync().catch(refusal(path));
    }
    for (const { partial, path } of begun) await Deno.rename(partial, path).catch(refusal(path));
  } catch (error) {
    for (const { partial } of begun) await Deno.remove(partial).catch(() => {});
    throw error;
  } finally {
    for (const { file } of begun) file.close();
  }
}

const refusal = (path: string) => (cause: Error) => {
  throw new CannotError(
    `write "${path}"`,
    cause.message,
    "Free some space or choose another folder; what was there before is unchanged",
    { cause },
  );
};

// One that a kill left behind is used again; while another process writes it, this one gets a name of its own.
async function openPartial(path: string): Promise<{ file: Deno.FsFile; partial: string }> {
  const usual = `${path}.partial`;
  const locked = await openLocked(usual).catch((error) => {
    if (error instanceof Deno.errors.NotSupported) return undefined; // a file system without locks
    throw error;
  });
  if (locked) {
    await locked.truncate();
    return { file: locked, partial: usual };
  }
  const partial = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  return { file: await Deno.open(partial, { write: true, createNew: true }), partial };
}

/**
 * Reads a JSON file.
 *
 * @param longest Bytes that it may have; parsing takes several times as much memory.
 * @throws {CannotError} naming the file, when it is missing, malformed, too long or nested too deep.
 */
export async function readJson(path: string, longest = 2 ** 26): Promise<unknown> {
  const text = await readText(path, longest);
  try {
    return parseJson(text);
  } catch (cause) {
    throw new CannotError(`read "${path}"`, (cause as Error).message, "Check that it is JSON");
  }
}

const compressedBegin = [[0x1f, 0x8b], [0x28, 0xb5, 0x2f, 0xfd]]; // gzip and Zstandard

/**
 * Reads a UTF-8 text file; a byte order mark is dropped.
 *
 * @param longest Bytes that it may have.
 * @throws {CannotError} naming the file, when it cannot be read or is longer, and the line that is not UTF-8.
 */
export async function readText(path: string, longest = 2 ** 28): Promise<string> {
  const bytes = await readBytes(path, longest);
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    const line = bytes.subarray(0, zero).reduce(
      (lines, byte) => byte === 0x0a ? lines + 1 : lines,
      1,
    );
    const isCompressed = compressedBegin.some((begin) =>
      begin.every((byte, i) => bytes[i] === byte)
    );
    if (isCompressed) throw new CannotError(`read "${path}"`, "it is compressed", "Decompress it");
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

/**
 * Reads a binary file.
 *
 * @param longest Bytes that it may have, which are known before any are read; devices that never end have none.
 * @throws {CannotError} naming the file, when it cannot be read or is longer.
 */
export async function readBytes(
  path: string,
  longest = 2 ** 31,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (size > longest) throw tooLong(path, describeBytes(size), longest);
    return isFile ? await Deno.readFile(path) : await readStream(path, longest);
  } catch (cause) {
    if (cause instanceof CannotError) throw cause;
    throw unreadable(path, cause as Error);
  }
}

// A pipe or a device, whose length nobody knows.
async function readStream(path: string, longest: number): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let length = 0;;) {
    const chunk = new Uint8Array(2 ** 16);
    const count = await file.read(chunk);
    if (count === null) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(chunk.subarray(0, count));
    if ((length += count) > longest) throw tooLong(path, "more", longest);
  }
}

function tooLong(path: string, size: string, longest: number): CannotError {
  return new CannotError(
    `read "${path}"`,
    `it has ${size}, and such a file at most ${describeBytes(longest)}`,
    "Check that it is the right file",
  );
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

/** Opens a file for reading. @throws {CannotError} naming the file. */
export async function openToRead(path: string): Promise<Deno.FsFile> {
  return await Deno.open(path).catch((cause) => {
    throw unreadable(path, cause);
  });
}

/** The error of a file that cannot be read, its cause in plain words. */
export function unreadable(path: string, cause: Error): CannotError {
  const why = cause instanceof Deno.errors.NotFound
    ? "there is no such file"
    : cause instanceof Deno.errors.IsADirectory
    ? "it is a folder"
    : cause.message;
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
