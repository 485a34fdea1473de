// One file from the hub into the cache: continued where an earlier attempt ended, its digest checked before it appears
// under its name, and fetched once however many processes ask for it.

import { createHash } from "node:crypto";
import { CannotError } from "../base/errors.ts";
import { contentDigest } from "../base/content_digest.ts";
import { exists, makeFolder } from "../base/files.ts";
import { openToWrite, type RepositoryCache, unwritable } from "./cache.ts";
import {
  describeFile,
  type HubFile,
  Interrupted,
  openFile,
  persistently,
  type Surroundings,
} from "./client.ts";
import type { HubName } from "./name.ts";
import type { HubSettings } from "./settings.ts";

/** Where a blob comes from and goes to. */
export interface BlobSource {
  /** The repository. */
  name: HubName;
  /** The commit in which it is. */
  commit: string;
  /** Where it goes. */
  cache: RepositoryCache;
  /** How the hub is reached. */
  settings: HubSettings;
  /** What requests go through. */
  surroundings: Surroundings;
  /** Gets the bytes of it that are here. */
  onBytes?(bytes: number): void;
}

/** The bytes of a file that are in the cache, whole or not. */
export async function bytesHere(
  { digest, size }: HubFile,
  cache: RepositoryCache,
): Promise<number> {
  const blob = `${cache.blobs}/${digest}`;
  if (await exists(blob)) return size;
  return Math.min(size, (await Deno.stat(`${blob}.incomplete`).catch(() => ({ size: 0 }))).size);
}

/**
 * Fetches a file into the blobs of the cache, unless it is there.
 *
 * @throws {CannotError} when it cannot be had, cannot be written, or is not what its digest says, after what was kept of
 * an earlier attempt has been fetched anew.
 */
export async function fetchBlob(file: HubFile, source: BlobSource): Promise<void> {
  const { cache, onBytes } = source;
  const blob = `${cache.blobs}/${file.digest}`;
  const partial = `${blob}.incomplete`;
  await makeFolder(cache.blobs);
  await cache.exclusively(file.digest, async () => {
    if (await exists(blob)) return;
    const isContinued = await fill(partial, file, source);
    if (!await isIntact(partial, file)) {
      await Deno.remove(partial);
      if (!isContinued) throw damaged(file, source.name);
      await fill(partial, file, source); // what it was continued from may have been the fault
      if (!await isIntact(partial, file)) {
        await Deno.remove(partial);
        throw damaged(file, source.name);
      }
    }
    await Deno.rename(partial, blob);
  });
  onBytes?.(file.size);
}

/** Fetches what a partial file lacks; tells whether it went on from an earlier attempt. */
async function fill(path: string, file: HubFile, source: BlobSource): Promise<boolean> {
  const { name, commit, settings, surroundings, onBytes } = source;
  using partial = await openToWrite(path);
  let { size } = await partial.stat(), furthest = 0;
  const startAgain = () => partial.truncate(size = 0);
  if (size > file.size) await startAgain();
  const isContinued = size > 0;
  const attempt = async () => {
    if (size === file.size) return;
    using stream = await openFile(file, size, commit, name, settings, surroundings);
    if (stream.from === 0) await startAgain();
    if (stream.from !== size) throw new Interrupted("another part came than was asked for");
    await partial.seek(size, Deno.SeekMode.Start);
    for await (const chunk of stream.chunks) {
      const bytes = chunk.subarray(0, file.size - size); // more is an error, which the digest finds
      await writeAll(partial, bytes, path);
      onBytes?.(size += bytes.length);
      furthest = Math.max(furthest, size);
      if (size === file.size) return;
    }
    if (size < file.size) throw new Interrupted("the connection ended too early");
  };
  await persistently(describeFile(file.path, name), surroundings, attempt, {
    progress: () => furthest,
  });
  await partial.sync();
  return isContinued;
}

async function isIntact(path: string, { size, digest }: HubFile): Promise<boolean> {
  const hash = digest.length === 64
    ? createHash("sha256")
    : createHash("sha1").update(`blob ${size}\0`); // as Git does
  return await contentDigest(path, hash) === digest;
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array, path: string): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written)).catch((cause) => {
      throw unwritable(path, cause);
    });
  }
}

function damaged({ path, digest }: HubFile, name: HubName): CannotError {
  const kind = digest.length === 64 ? "SHA-256" : "SHA-1";
  return new CannotError(
    `fetch ${describeFile(path, name)}`,
    `what came does not have the ${kind} that the hub gives for it`,
    "Try again, and look for a proxy that changes files; nothing of it was kept",
  );
}
