// Reading a given number of bytes: a file read may return fewer, and a file may end early.

import { CannotError } from "../../base/errors.ts";

/** Opens a file for reading. @throws {CannotError} naming the file. */
export async function openToRead(path: string): Promise<Deno.FsFile> {
  return await Deno.open(path).catch((cause) => {
    const why = cause instanceof Deno.errors.NotFound ? "there is no such file" : cause.message;
    throw new CannotError(`read "${path}"`, why, "Check the path and its permissions", { cause });
  });
}

/** Fills `bytes` from where the file stands. @throws {CannotError} when the file ends before. */
export async function readFully(file: Deno.FsFile, bytes: Uint8Array, path: string): Promise<void> {
  for (let filled = 0; filled < bytes.length;) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) {
      throw new CannotError(
        `read "${path}"`,
        `it ends ${bytes.length - filled} bytes early`,
        "Download or copy it again",
      );
    }
    filled += count;
  }
}
