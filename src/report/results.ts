// results.json: what a run did, with what, and what came out; enough to run it again.
// Keys are sorted and numbers printed by JSON alone, so equal results are equal bytes and two files
// can be compared with diff. The file appears whole or not at all.

import { CannotError } from "../base/errors.ts";
import { readJson, writeFileAtomic } from "../base/files.ts";
import type { ProcessRecord } from "../base/process.ts";
import { show } from "../base/show.ts";

/** Anything JSON can hold. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The GPU a run used. */
export interface AdapterRecord {
  /** As the driver describes it. */
  name: string;
  /** Whether the adapter computes on the CPU, so that its timings say nothing about a GPU. */
  software: boolean;
  /** Optional WebGPU features that it has. */
  features: string[];
  /** In bytes or counts, by WebGPU name. */
  limits: { [name: string]: number };
}

/** A prompt and what the model wrote after it. */
export interface Generation {
  /** What the model was given. */
  prompt: string;
  /** What it wrote. */
  text: string;
  /** What else is known about it, e.g. the method, or the names it leaked. */
  [field: string]: Json;
}

/** Everything `results.json` holds. */
export interface Results extends ProcessRecord {
  /** Every option of the run, defaults included. */
  config: { [option: string]: Json };
  /** The seed of each random stream, by label. */
  seeds: { [label: string]: number };
  /** The adapter, or `null` when the run used none. */
  adapter: AdapterRecord | null;
  /** Numbers that came out, possibly nested; one that is not finite is written as `null`. */
  metrics: { [name: string]: Json };
  /** What the model wrote. */
  generations: Generation[];
  /** Wall-clock seconds, by phase. */
  timing: { [phase: string]: number };
}

const fileName = "results.json";
const fields = [
  "config",
  "seeds",
  "adapter",
  "versions",
  "commandLine",
  "metrics",
  "generations",
  "timing",
] as const satisfies readonly (keyof Results)[];

/**
 * Writes `results.json` into a folder, which is made if it does not exist.
 *
 * @returns The path of the file.
 * @throws {CannotError} naming the file, when it cannot be written; an older one is then untouched.
 */
export async function writeResults(folder: string, results: Results): Promise<string> {
  const path = `${folder}/${fileName}`;
  await Deno.mkdir(folder, { recursive: true }).catch((cause) => {
    throw new CannotError(`make "${folder}"`, cause.message, "Choose another folder", { cause });
  });
  await writeFileAtomic(path, `${JSON.stringify(sortKeys(results), null, 2)}\n`);
  return path;
}

/**
 * Reads `results.json` from a folder.
 *
 * @throws {CannotError} naming the file, and the field that is missing or of another kind.
 */
export async function readResults(folder: string): Promise<Results> {
  const path = `${folder}/${fileName}`;
  const value = Object(await readJson(path)) as Record<string, unknown>;
  for (const field of fields) {
    const found = value[field];
    const isSound = Object.hasOwn(value, field) &&
      (lists.has(field)
        ? Array.isArray(found)
        : field === "adapter" && found === null || isRecord(found));
    if (isSound) continue;
    const why = !Object.hasOwn(value, field)
      ? "is missing"
      : `is ${show(found)}, not ${lists.has(field) ? "a list" : "an object"}`;
    throw new CannotError(
      `read "${path}"`,
      `field "${field}" ${why}`,
      "Run the task again to write the file anew",
    );
  }
  return value as unknown as Results;
}

const lists: ReadonlySet<string> = new Set<keyof Results>(["commandLine", "generations"]);

function isRecord(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]));
}
