// What a case of the benchmark gets, what it hands back, and the numbers that several of them need.

import {
  type Column,
  type Gpu,
  measureCeiling,
  Random,
  renderTable,
  type TableRow,
} from "../mod.ts";
import { interleave, type Patience, type Subject, type Timing } from "./measure.ts";
import type { MemoryWatch } from "./memory.ts";
import type { Computation, Peer } from "./peers/peer.ts";
import type { openOurs } from "./peers/ours.ts";
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
