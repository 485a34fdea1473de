// What a run measured, kept in git: one JSON and one CSV file for each adapter. A run replaces the cases that it measured
// and leaves the others, each with the date and versions of its own run; the CSV has one number in a line.

import { CannotError } from "../mod.ts";
import type { KernelChoices } from "../src/gpu/choices.ts";
import type { AdapterDescription } from "../src/gpu/gpu.ts";
import { writeFileAtomic } from "../src/base/files.ts";

/** One number. */
export interface Measurement {
  /** What was computed, with its sizes, e.g. `512 x 512 x 512`. */
  what: string;
  /** Who computed it, e.g. `slung` or `jax-js webgpu`. */
  subject: string;
  /** What was measured, e.g. `time`. */
  metric: string;
  /** Its unit; empty for ratios. */
  unit: string;
  /** The number. */
  value: number;
}

/** What one case measured, and under which conditions. */
export interface CaseResult {
  /** ISO 8601, to the minute. */
  date: string;
  /** Of Deno and of every peer that took part. */
  versions: Record<string, string>;
  /** How the adapter computed what it can compute in several ways. */
  kernels: KernelChoices;
  /** Multiply-adds the adapter did in the same run, in GFLOP/s. */
  ceilingGflops: number;
  /** Turns of each subject. */
  rounds: number;
  /** In the order in which they were printed. */
  measurements: Measurement[];
  /** Peers that were absent, sizes that were left out. */
  notes: string[];
}

type Adapter = Pick<AdapterDescription, "name" | "software">;

/** Everything that was measured on one adapter. */
export interface AdapterResults {
  /** As the driver describes it. */
  adapter: string;
  /** Whether it computes on the CPU: compare ratios only. */
  software: boolean;
  /** By case. */
  cases: Record<string, CaseResult>;
}

/** The adapter's name as a file name: `llvmpipe (LLVM 19.1.7, 256 bits)` becomes `llvmpipe-llvm-19-1-7-256-bits`. */
export function slugOf(adapter: string): string {
  return adapter.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "unnamed";
}

/** Puts new cases over older ones. */
export function mergeResults(
  older: AdapterResults | undefined,
  { name, software }: Adapter,
  cases: Record<string, CaseResult>,
): AdapterResults {
  const all = { ...older?.cases, ...cases };
  const sorted = Object.entries(all).sort(([a], [b]) => a < b ? -1 : 1);
  return { adapter: name, software, cases: Object.fromEntries(sorted) };
}

const header = "case,what,subject,metric,unit,value,adapter,date";

/** One line for each measurement, values with 6 significant digits. */
export function resultsToCsv({ adapter, cases }: AdapterResults): string {
  const lines = Object.entries(cases).flatMap(([name, { date, measurements }]) =>
    measurements.map(({ what, subject, metric, unit, value }) =>
      [name, what, subject, metric, unit, shorten(value), adapter, date].map(csvField).join(",")
    )
  );
  return [header, ...lines, ""].join("\n");
}

/** Writes `<adapter>.json` and `<adapter>.csv`, keeping the cases of earlier runs; returns the two paths. */
export async function writeBenchResults(
  folder: string,
  adapter: Adapter,
  cases: Record<string, CaseResult>,
): Promise<string[]> {
  const path = `${folder}/${slugOf(adapter.name)}`;
  const merged = mergeResults(await readOlder(`${path}.json`), adapter, cases);
  await Deno.mkdir(folder, { recursive: true });
  const json = JSON.stringify(
    merged,
    (_, value) => typeof value === "number" && !Number.isInteger(value) ? shorten(value) : value,
    2,
  );
  await writeFileAtomic(`${path}.json`, `${json}\n`);
  await writeFileAtomic(`${path}.csv`, resultsToCsv(merged));
  return [`${path}.json`, `${path}.csv`];
}

async function readOlder(path: string): Promise<AdapterResults | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    const remedy = "Restore it from git or remove it, then measure again";
    throw new CannotError(`read "${path}"`, (cause as Error).message, remedy, { cause });
  }
}

function shorten(value: number): number {
  return Number(value.toPrecision(6));
}

function csvField(value: string | number): string {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
