// The folder of what was fetched, as Hugging Face's own programs lay it out and find it:
//   models--org--name/blobs/DIGEST              a file; DIGEST.incomplete while it is fetched
//   models--org--name/refs/main                 the commit that a branch or tag was
//   models--org--name/snapshots/COMMIT/PATH     links to the blobs
//   models--org--name/.no_exist/COMMIT/PATH     empty: a file that was looked for and is not in the commit
//   .locks/models--org--name/DIGEST.lock        held by whoever fetches the blob; snapshot.lock by whoever links

import { CannotError } from "../base/errors.ts";
import { exists, makeFolder, writeFileAtomic } from "../base/files.ts";
import { isCommit } from "./client.ts";
import type { HubName } from "./name.ts";

/** The part of the cache that belongs to a repository. */
export interface RepositoryCache {
  /** Where blobs lie. */
  blobs: string;
  /** Does something while no other process does what has the same name. */
  exclusively<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  /** The folder of a commit. */
  snapshot(commit: string): string;
  /** The commit that a revision was when last asked, as far as is known here. */
  commitOf(revision: string): Promise<string | undefined>;
  /** Keeps it. */
  remember(revision: string, commit: string): Promise<void>;
  /** Puts a blob into the folder of a commit. */
  link(digest: string, commit: string, path: string): Promise<void>;
  /** Whether it is known that a commit does not have a file. */
  isAbsent(commit: string, path: string): Promise<boolean>;
  /** Keeps it. */
  rememberAbsent(commit: string, path: string): Promise<void>;
}

/** The part of a cache that belongs to a repository; nothing is written before there is something to keep. */
export function repositoryCache(cache: string, { kind, repo }: HubName): RepositoryCache {
  const name = `${kind}s--${repo.replaceAll("/", "--")}`;
  const root = `${cache}/${name}`;
  const snapshot = (commit: string) => `${root}/snapshots/${commit}`;
  const absent = (commit: string, path: string) => `${root}/.no_exist/${commit}/${path}`;
  return {
    blobs: `${root}/blobs`,
    snapshot,
    async exclusively(what, work) {
      await makeFolder(`${cache}/.locks/${name}`);
      using lock = await openToWrite(`${cache}/.locks/${name}/${what}.lock`);
      await lock.lock(true);
      try {
        return await work();
      } finally {
        await lock.unlock();
      }
    },
    async commitOf(revision) {
      if (isCommit(revision)) return revision;
      const text = await Deno.readTextFile(`${root}/refs/${revision}`).catch(() => "");
      return isCommit(text.trim()) ? text.trim() : undefined;
    },
    async remember(revision, commit) {
      if (revision !== commit) await write(`${root}/refs/${revision}`, commit);
    },
    async link(digest, commit, path) {
      const target = `${snapshot(commit)}/${path}`;
      if (await exists(target)) return;
      await makeFolder(folderOf(target));
      await Deno.remove(target).catch(() => {}); // a link to nothing
      const up = "../".repeat(path.split("/").length + 1);
      try {
        await Deno.symlink(`${up}blobs/${digest}`, target);
      } catch { // Windows allows links only to some
        await Deno.copyFile(`${root}/blobs/${digest}`, target).catch((cause) => {
          throw unwritable(target, cause);
        });
      }
    },
    isAbsent: (commit, path) => exists(absent(commit, path)),
    async rememberAbsent(commit, path) {
      if (!await exists(absent(commit, path))) await write(absent(commit, path), "");
    },
  };
}

async function write(path: string, content: string): Promise<void> {
  await makeFolder(folderOf(path));
  await writeFileAtomic(path, content);
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** Opens a file to read and write, made if it is not there. @throws {CannotError} naming it. */
export async function openToWrite(path: string): Promise<Deno.FsFile> {
  return await Deno.open(path, { read: true, write: true, create: true }).catch((cause) => {
    throw unwritable(path, cause);
  });
}

/** What is said of a file that cannot be written. */
export function unwritable(path: string, cause: Error): CannotError {
  const remedy = "Free some space, or set HF_HOME to another folder; the same command goes on";
  return new CannotError(`write "${path}"`, cause.message, remedy, { cause });
}
