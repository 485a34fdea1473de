// Reading a given number of bytes: a file read may return fewer, and a file may end early.

import { CannotError } from "../../base/errors.ts";
import { unreadable } from "../../base/files.ts";

/** Fills `bytes` from where the file stands. @throws {CannotError} when the file ends before. */
export async function readFully(file: Deno.FsFile, bytes: Uint8Array, path: string): Promise<void> {
  for (let filled = 0; filled < bytes.length;) {
    const count = await file.read(bytes.subarray(filled)).catch((cause) => {
      throw unreadable(path, cause);
    });
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
