// One folder, one process: a file that the system keeps locked for whoever works in a folder. The system lets go of it when
// the process ends, however it ends, so that what a kill leaves behind is taken over.

import { CannotError } from "./errors.ts";

/** The file's name in a folder that is being worked in. */
export const lockFile = ".lock";

/**
 * Holds a folder for this process until it is disposed of.
 *
 * @param options.file The name of the lock, where several parts of a folder can be held apart.
 * @param options.remedy What to do when another process holds it.
 * @throws {CannotError} when another process, or another call in this one, holds it.
 */
export async function holdFolder(
  folder: string,
  { file = lockFile, remedy = "Wait for it, or choose another folder" } = {},
): Promise<Disposable> {
  const path = `${folder}/${file}`;
  const fail = (why: string, what: string, cause?: unknown) =>
    new CannotError(`work in "${folder}"`, why, what, { cause });
  let held: Deno.FsFile | undefined;
  try {
    held = await openLocked(path);
  } catch (cause) {
    const why = (cause as Error).message;
    throw fail(why, "Choose a folder that can be written, where files can be locked", cause);
  }
  if (!held) throw fail("another process is at work there", remedy);
  return {
    [Symbol.dispose]() {
      try {
        Deno.removeSync(path); // while it is held, so that it is surely this one
      } catch { /* the folder went, or Windows keeps open files */ }
      held.close();
    },
  };
}

/**
 * Opens a file for writing that nobody else writes, or makes it; what is in it stays.
 *
 * @returns `undefined` while another one holds it.
 * @throws When it cannot be opened or locked.
 */
export async function openLocked(path: string): Promise<Deno.FsFile | undefined> {
  while (true) {
    const file = await Deno.open(path, { write: true, create: true });
    try {
      if (!await file.tryLock(true)) {
        file.close();
        return undefined;
      }
      if (await isAt(path, file)) return file;
    } catch (error) {
      file.close();
      throw error;
    }
    file.close(); // between opening and locking, its holder removed or renamed it
  }
}

async function isAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const { ino, dev } = await file.stat();
  const there = await Deno.stat(path).catch(() => undefined);
  return there !== undefined && there.ino === ino && there.dev === dev;
}
