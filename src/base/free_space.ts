// How much room a disk has left. It stands apart from the other files, since only Node knows.

import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** Bytes that may still be written where a folder is or will be; undefined where the system does not tell. */
export async function freeSpace(path: string): Promise<number | undefined> {
  for (let folder = resolve(path);; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) return undefined;
      if (folder === dirname(folder)) return undefined;
    }
  }
}
