// How far the making of shards has come, as files in their folder, so that a kill at any moment loses no finished part and
// several processes need not talk to each other. Each works at a slice of the files: of n, slice i takes every n-th file
// from the i-th on, and gives its parts every n-th number. All of this is gone once the manifest is there.
//
//   plan.json            what everybody has to agree on
//   part_0003.json       a finished part, and where in the texts the next one begins
//   slice_1_of_2.json    a finished slice
//   slice_1_of_2.lock    held by the process that works at it; a kill lets it go

import { CannotError } from "../../base/errors.ts";
import { exists, readJson, writeFileAtomic } from "../../base/files.ts";
import { holdFolder } from "../../base/lock.ts";
import {
  lastPart,
  manifestFile,
  partDigits,
  readManifest,
  type ShardManifest,
  type ShardPart,
} from "./format.ts";

/** One of several processes that make shards side by side. */
export interface Slice {
  /** From 1. */
  number: number;
  /** How many there are. */
  of: number;
}

/** Where in the texts of a slice something begins. */
export interface TextPosition {
  /** Among the files of the slice. */
  file: number;
  /** Texts of this file that are done, those that were left out included. */
  texts: number;
}

/** A finished part. */
export interface PartRecord {
  /** What it holds. */
  part: ShardPart;
  /** Where the next one begins. */
  next: TextPosition;
  /** Texts that were left out on the way, by reason. */
  leftOut: Record<string, number>;
}

/** All but the parts and what follows from them. */
export type ShardPlan = Pick<ShardManifest, "format" | "version" | "tokenizer" | "dtype"> & {
  madeFrom: { partTokens: number; slices: number; source: unknown; columns: string[] };
};

/**
 * Says what is made in a folder, or checks that it is the same.
 *
 * @returns The manifest, where everything is finished.
 * @throws {CannotError} when other shards are in the folder, or something else is being made there.
 */
export async function agree(
  folder: string,
  plan: ShardPlan,
  { number, of }: Slice,
): Promise<ShardManifest | undefined> {
  const other = (what: string) =>
    new CannotError(
      `make shards in "${folder}"`,
      `${what} of other texts, or with another tokenizer or other settings`,
      "Choose another folder, or remove this one",
    );
  if (await exists(`${folder}/${manifestFile}`)) {
    const manifest = await readManifest(folder);
    const { format, version, tokenizer, dtype, madeFrom } = manifest;
    if (same({ format, version, tokenizer, dtype, madeFrom }, plan)) return manifest;
    throw other("it holds shards");
  }
  const path = `${folder}/plan.json`;
  if (!await exists(path)) {
    const own = `${folder}/plan-${number}-of-${of}.json`; // others may be writing theirs
    await writeFileAtomic(own, JSON.stringify(plan, null, 2));
    await Deno.rename(own, path);
  }
  if (!same(await readJson(path), plan)) throw other("shards are being made there");
  return undefined;
}

/** Holds a slice for this process. @throws {CannotError} when another one holds it. */
export async function holdSlice(folder: string, slice: Slice): Promise<Disposable> {
  return await holdFolder(folder, {
    file: `${sliceName(slice)}.lock`,
    remedy: `Wait for it, or give this one another part than ${slice.number}/${slice.of}`,
  });
}

/** The finished parts of a slice, in order. */
export async function finishedParts(folder: string, { number, of }: Slice): Promise<PartRecord[]> {
  const records: PartRecord[] = [];
  for (let part = number - 1; part <= lastPart; part += of) {
    const path = `${folder}/part_${partDigits(part)}.json`;
    if (!await exists(path)) break;
    records.push(await readJson(path) as PartRecord);
  }
  return records;
}

/** The number of the part that a slice makes after some. @throws {CannotError} when there is no number left. */
export function nextPart(folder: string, { number, of }: Slice, finished: number): number {
  const part = number - 1 + finished * of;
  if (part <= lastPart) return part;
  throw new CannotError(
    `make more shards in "${folder}"`,
    `parts have numbers up to ${lastPart}`,
    "Choose another folder and larger parts",
  );
}

/** Notes a finished part. */
export async function notePart(folder: string, record: PartRecord): Promise<void> {
  const path = `${folder}/part_${partDigits(record.part.number)}.json`;
  await writeFileAtomic(path, JSON.stringify(record));
}

/** Notes that a slice is finished, with the texts that were left out after its last part. */
export async function noteSlice(
  folder: string,
  slice: Slice,
  leftOut: Record<string, number>,
): Promise<void> {
  await writeFileAtomic(`${folder}/${sliceName(slice)}.json`, JSON.stringify(leftOut));
}

/** Whether a slice is finished. */
export async function isFinished(folder: string, slice: Slice): Promise<boolean> {
  return await exists(`${folder}/${sliceName(slice)}.json`);
}

/**
 * Writes the manifest once all slices are finished, and removes the notes.
 *
 * @returns The manifest; `undefined` while slices are missing.
 */
export async function complete(
  folder: string,
  plan: ShardPlan,
  slice: Slice,
): Promise<ShardManifest | undefined> {
  const all = Array.from({ length: slice.of }, (_, i) => ({ number: i + 1, of: slice.of }));
  try {
    const records: PartRecord[] = [];
    const leftOut: Record<string, number> = {};
    for (const each of all) {
      if (!await isFinished(folder, each)) return await written(folder);
      const finished = await finishedParts(folder, each);
      const rest = await readJson(`${folder}/${sliceName(each)}.json`) as Record<string, number>;
      records.push(...finished);
      for (const counts of [...finished.map((record) => record.leftOut), rest]) {
        addCounts(leftOut, counts);
      }
    }
    const manifest = manifestOf(plan, records.map(({ part }) => part), leftOut);
    const own = `${folder}/manifest-${slice.number}.json`; // another process may be writing the same
    await writeFileAtomic(own, JSON.stringify(manifest, null, 2) + "\n");
    await Deno.rename(own, `${folder}/${manifestFile}`);
  } catch (error) {
    const manifest = await written(folder); // by another process, which has removed the notes
    if (manifest === undefined) throw error;
  }
  await removeNotes(folder);
  return await readManifest(folder);
}

/** Adds counts to others of the same names. */
export function addCounts(sums: Record<string, number>, counts: Record<string, number>): void {
  for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
}

/** Removes what a kill may have left between the manifest and the end. */
export async function removeNotes(folder: string): Promise<void> {
  const note = /^(plan|part_\d+|slice_\d+_of_\d+|manifest-\d+|plan-.*)\.(json|lock)(\.partial)?$/;
  for await (const { name } of Deno.readDir(folder)) {
    if (note.test(name)) await Deno.remove(`${folder}/${name}`).catch(() => {});
  }
}

function manifestOf(
  plan: ShardPlan,
  parts: readonly ShardPart[],
  leftOut: Record<string, number>,
): ShardManifest {
  const sum = (count: (part: ShardPart) => number) =>
    parts.reduce((total, part) => total + count(part), 0);
  const { madeFrom, ...rest } = plan;
  return {
    ...rest,
    tokens: sum(({ tokens }) => tokens),
    documents: sum(({ documents }) => documents),
    tokensByClass: [0, 1, 2, 3].map((risk) => sum(({ tokensByClass }) => tokensByClass[risk]!)),
    leftOut,
    parts: parts.toSorted((a, b) => a.number - b.number),
    madeFrom,
  };
}

async function written(folder: string): Promise<ShardManifest | undefined> {
  return await exists(`${folder}/${manifestFile}`) ? await readManifest(folder) : undefined;
}

function sliceName({ number, of }: Slice): string {
  return `slice_${number}_of_${of}`;
}

function same(found: unknown, expected: unknown): boolean {
  return JSON.stringify(found) === JSON.stringify(expected);
}
