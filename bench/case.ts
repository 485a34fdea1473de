// What a case of the benchmark gets, what it hands back, and the numbers that several of them need.

import { type Column, renderTable, type TableRow } from "../src/report/table.ts";
import { type Gpu, Random } from "../mod.ts";
import { measureCeiling } from "../kernels/ceiling.ts";
import {
  interleave,
  type Patience,
  relativeDifference,
  type Subject,
  type Timing,
} from "./measure.ts";
import type { MemoryWatch } from "./memory.ts";
import type { Computation, Peer } from "./peers/peer.ts";
import { type openOurs, ours } from "./peers/ours.ts";
import type { Measurement } from "./results.ts";

/** What a case works with. */
export interface Bench extends Patience {
  gpu: Gpu;
  memory: MemoryWatch;
  ours: ReturnType<typeof openOurs>;
  /** Those that could be loaded. */
  peers: Peer[];
  /** Fewer and smaller sizes. */
  quick: boolean;
  /** Also sizes that take minutes on a software adapter. */
  large: boolean;
  /** Says what is being done. */
  note(text: string): void;
}

/** What a case found. */
export interface Section {
  /** Tables and sentences for the terminal. */
  text: string;
  measurements: Measurement[];
  /** What was left out, and why. */
  notes: string[];
}

/** One case: `deno task bench --only <name>`. */
export type BenchCase = (bench: Bench) => Promise<Section>;

/** Standard normal numbers times `scale`. */
export function normals(length: number, label: string, scale = 1): Float32Array<ArrayBuffer> {
  const random = new Random(0, label);
  return Float32Array.from({ length }, () => scale * random.normal());
}

/** Libraries that compute the same thing, timed in turns. */
export interface Comparison {
  /** Multiply-adds the adapter did meanwhile, in GFLOP/s. */
  ceilingGflops: number;
  timings: Map<string, Timing>;
  /** What each computed, at the same point of its life: after its first run. */
  results: Map<string, Float32Array>;
  /** Most bytes held beyond what was held before, by libraries with a device. */
  bytes: Map<string, number>;
  /** Why a peer is missing. */
  notes: string[];
}

/**
 * Prepares a computation in every library, fetches what each computes first, and times them in turns.
 * A peer that fails is noted and left out; an error of ours is an error.
 */
export async function compare(
  bench: Bench,
  what: string,
  prepare: (peer: Peer) => (() => Computation) | undefined,
  firstRuns = 1,
): Promise<Comparison> {
  const { ours, peers, memory } = bench;
  const comparison: Comparison = {
    ceilingGflops: 0,
    timings: new Map(),
    results: new Map(),
    bytes: new Map(),
    notes: [],
  };
  const subjects: Subject[] = [];
  for (const peer of [ours, ...peers]) {
    const open = prepare(peer);
    if (!open) continue;
    const before = peer.device && memory.mark(peer.device);
    let computation: Computation | undefined;
    try {
      computation = open();
      const results: Float32Array[] = [];
      for (let i = 0; i < firstRuns; i++) {
        await computation.run(1);
        results.push(await computation.result());
      }
      comparison.results.set(peer.name, join(results));
      if (peer.device) comparison.bytes.set(peer.name, memory.peak(peer.device) - before!);
      subjects.push(computation);
    } catch (error) {
      computation?.dispose();
      if (peer === ours) throw error;
      comparison.notes.push(`${what}: ${peer.name} cannot: ${firstLine(error)}.`);
    }
  }
  const { timings, ceilingGflops } = await timeUnderCeiling(bench, subjects);
  comparison.ceilingGflops = ceilingGflops;
  subjects.forEach(({ name, dispose }, i) => {
    comparison.timings.set(name, timings[i]!);
    dispose();
  });
  return comparison;
}

/**
 * Times subjects in turns, and what the adapter can do at most before and after them: a machine shared with others can
 * do less than alone, and a share of its best day would say nothing.
 */
export async function timeUnderCeiling(
  bench: Bench,
  subjects: readonly Subject[],
): Promise<{ timings: Timing[]; ceilingGflops: number }> {
  const ceiling = () => measureCeiling(bench.gpu, { repeats: 1 });
  const before = await ceiling();
  const timings = await interleave(subjects, bench);
  return { timings, ceilingGflops: Math.max(before, await ceiling()) };
}

/** The ceiling under which something was measured, for the record. */
export function ceilingMeasurement(what: string, value: number): Measurement {
  return { what, subject: "adapter", metric: "multiply-adds at most", unit: "GFLOP/s", value };
}

/** How fast a library was, in the units of a table. */
export type Speed = {
  subject: string;
  milliseconds: number;
  /** See {@linkcode Timing}; in percent. */
  spread: number;
  /** Floating-point operations that the task needs, not those that a library spends on it. */
  gflops: number;
  /** Of the ceiling, in percent. */
  share: number;
  /** Time over ours. */
  ratio: number;
};

/**
 * The speed of every library in a comparison of `operations` floating-point operations, its record, and a note for each
 * that was faster than the ceiling: then the machine was busier while that was measured, or it is none.
 */
export function speedsOf(
  what: string,
  operations: number,
  { timings, ceilingGflops }: Comparison,
): { speeds: Speed[]; measurements: Measurement[]; notes: string[] } {
  const own = timings.get(ours)!.median;
  const measurements = [ceilingMeasurement(what, ceilingGflops)];
  const speeds = [...timings].map(([subject, { median, spread }]) => {
    const gflops = operations / median / 1e9;
    const ratio = median / own;
    const add = adder(measurements, what, subject);
    add("time", "ms", median * 1e3);
    add("speed", "GFLOP/s", gflops);
    add("share of ceiling", "", gflops / ceilingGflops);
    if (subject !== ours) add("time over ours", "", ratio);
    return {
      subject,
      milliseconds: median * 1e3,
      spread: 100 * spread,
      gflops,
      share: 100 * gflops / ceilingGflops,
      ratio,
    };
  });
  const notes = speeds.filter(({ share }) => share > 100).map(({ subject, share }) =>
    `${what}: ${subject} reached ${share.toFixed(0)} % of what was measured as the ceiling.`
  );
  return { speeds, measurements, notes };
}

/** Adds what was measured of one subject to a list. */
export function adder(
  measurements: Measurement[],
  what: string,
  subject: string,
): (metric: string, unit: string, value: number) => void {
  return (metric, unit, value) => measurements.push({ what, subject, metric, unit, value });
}

/** One note for each library whose results are further from ours than `agreement`, relatively. */
export function disagreements(
  what: string,
  { results }: Comparison,
  agreement: number,
): string[] {
  const expected = results.get(ours)!;
  return [...results].flatMap(([subject, actual]) => {
    const difference = relativeDifference(actual, expected);
    return difference < agreement
      ? []
      : [`${what}: ${subject} differs from ours by ${difference.toExponential(1)}.`];
  });
}

/** MiB that a library held beyond the `operands` bytes that the task itself takes, where it has a device. */
export function extraMemory(
  { bytes }: Comparison,
  subject: string,
  operands: number,
): number | undefined {
  const held = bytes.get(subject);
  return held === undefined ? undefined : (held - operands) / 2 ** 20;
}

/** The first line of an error's message. */
export function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).trim().split("\n")[0]!
    .replace(/[.:]+$/, "");
}

/** A titled table. */
export function table<Row extends TableRow<Row>>(
  title: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): string {
  return `${title}\n\n${renderTable(columns, rows)}`;
}

function join(parts: Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
