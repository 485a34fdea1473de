// A collection made into shards once, so that training reads it by position:
//   out/train/      shards of what is trained on
//   out/held_out/   shards of what is held out

import { CannotError } from "../base/errors.ts";
import { exists } from "../base/files.ts";
import type { Collection } from "./collection.ts";
import { buildShards, type ShardSettings } from "./shards/build.ts";
import { manifestFile, type ShardManifest } from "./shards/format.ts";
import { openShards, type Shards } from "./shards/open.ts";

/** What a prepared collection holds. */
export interface PreparedCollection {
  /** What is trained on. */
  train: ShardManifest;
  /** What is held out, if anything was to be. */
  heldOut: ShardManifest | undefined;
}

/** The folders of a prepared collection. */
export const preparedFolders = { train: "train", heldOut: "held_out" } as const;

/**
 * Makes a collection into shards, or goes on with it.
 *
 * @returns `undefined` when it was stopped, or while other processes have not finished theirs.
 * @throws {CannotError} as {@linkcode buildShards} does, and when no text is left to train on.
 */
export async function prepareCollection(
  { train, heldOut }: Collection,
  out: string,
  settings: ShardSettings,
): Promise<PreparedCollection | undefined> {
  const trained = await buildShards(`${out}/${preparedFolders.train}`, train, settings);
  if (trained?.documents === 0) throw await nothingLeft(out, trained);
  if (settings.signal?.aborted) return undefined;
  const held = heldOut &&
    await buildShards(`${out}/${preparedFolders.heldOut}`, heldOut, settings);
  if (trained === undefined || (heldOut && held === undefined)) return undefined;
  return { train: trained, heldOut: held };
}

/** A prepared collection, open for reading. */
export interface OpenCollection extends Disposable {
  /** What is trained on. */
  train: Shards;
  /** What is held out. */
  heldOut: Shards;
}

/** Whether a folder holds a prepared collection with held-out text, finished. */
export async function isPrepared(folder: string): Promise<boolean> {
  const { train, heldOut } = preparedFolders;
  return await exists(`${folder}/${train}/${manifestFile}`) &&
    await exists(`${folder}/${heldOut}/${manifestFile}`);
}

/** Opens a prepared collection. @throws {CannotError} naming the file that is missing or damaged. */
export async function openPrepared(folder: string): Promise<OpenCollection> {
  const train = await openShards(`${folder}/${preparedFolders.train}`);
  const heldOut = await openShards(`${folder}/${preparedFolders.heldOut}`);
  return {
    train,
    heldOut,
    [Symbol.dispose]() {
      train[Symbol.dispose]();
      heldOut[Symbol.dispose]();
    },
  };
}

// Without the manifest, other filters can be tried in the same folder.
async function nothingLeft(out: string, { leftOut }: ShardManifest): Promise<CannotError> {
  await Deno.remove(`${out}/${preparedFolders.train}/${manifestFile}`);
  return new CannotError(
    `make shards in "${out}"`,
    `no text is left (${describeCounts(leftOut) || "there were none"})`,
    "Give more texts, or filters that fit them",
  );
}

/** Counts by name, the largest first. */
export function describeCounts(counts: Record<string, number>): string {
  return Object.entries(counts).sort((a, b) => b[1] - a[1])
    .map(([name, count]) => `${name}: ${count}`).join(", ");
}
