// The loss with the unembedding: hidden states in, mean cross-entropy and both gradients out. Ours never holds the
// logits [N, V] and skips masked rows; a library that composes it from array operations does neither.
// Operations: logits, gradient of the hidden states and of the unembedding, 6 N C V for N rows that are not masked.

import { Random } from "../../mod.ts";
import {
  adder,
  type Bench,
  compare,
  disagreements,
  extraMemory,
  normals,
  type Section,
  type Speed,
  speedsOf,
  table,
} from "../case.ts";
import { ours } from "../peers/ours.ts";
import type { Measurement } from "../results.ts";

interface Shape {
  rows: number;
  width: number;
  vocabulary: number;
  /** Whether the peers' logits and their gradients fit. */
  peersFit: boolean;
}

const maskedShares = [0, 0.5, 0.9];
const agreement = 1e-4;

/** Measures time and extra memory with none, half and most of the rows masked. */
export async function loss(bench: Bench): Promise<Section> {
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  const rows: Row[] = [];
  for (const shape of shapesFor(bench, notes)) {
    const { rows: height, width, vocabulary } = shape;
    let unmasked = 0;
    for (const masked of maskedShares) {
      const what = `N ${height} C ${width} V ${vocabulary}, ${100 * masked} % masked`;
      bench.note(`loss: ${what}`);
      const request = { ...shape, ...inputsFor(shape, masked) };
      const comparison = await compare(
        // The large shape takes seconds a turn on a CPU.
        { ...bench, rounds: shape.peersFit ? bench.rounds : Math.min(bench.rounds, 3) },
        what,
        (peer) => {
          if (peer.name !== ours && !shape.peersFit) return undefined;
          return peer.loss && (() => peer.loss!(request));
        },
      );
      notes.push(...comparison.notes, ...disagreements(what, comparison, agreement));
      const operations = 6 * (1 - masked) * height * width * vocabulary;
      const operands = 4 * (2 * height * width + 2 * vocabulary * width + 2 * height);
      const { speeds, ...own } = speedsOf(what, operations, comparison);
      measurements.push(...own.measurements);
      notes.push(...own.notes);
      for (const speed of speeds) {
        const { subject, milliseconds } = speed;
        const add = adder(measurements, what, subject);
        if (subject === ours && masked === 0) unmasked = milliseconds;
        const toUnmasked = subject === ours ? milliseconds / unmasked : undefined;
        const extra = extraMemory(comparison, subject, operands);
        rows.push({ what: subject === ours ? what : "", ...speed, toUnmasked, extra });
        if (toUnmasked !== undefined) add("time over unmasked", "", toUnmasked);
        if (extra !== undefined) add("extra memory", "MiB", extra);
      }
    }
    measurements.push({
      what: `N ${height} C ${width} V ${vocabulary}`,
      subject: "logits alone",
      metric: "memory",
      unit: "MiB",
      value: 4 * height * vocabulary / 2 ** 20,
    });
  }
  const text = table("Loss and gradients; extra memory is beside inputs and gradients", [
    { key: "what", title: "Loss" },
    { key: "subject", title: "Library" },
    { key: "milliseconds", title: "Time", unit: "ms" },
    { key: "gflops", title: "Useful speed", unit: "GFLOP/s", precision: 1 },
    { key: "share", title: "Of ceiling", unit: "%", precision: 1 },
    { key: "ratio", title: "Time over ours", precision: 2 },
    { key: "toUnmasked", title: "Over unmasked", precision: 2 },
    { key: "extra", title: "Extra memory", unit: "MiB", precision: 1 },
  ], rows);
  return { text, measurements, notes };
}

type Row = Speed & { what: string; toUnmasked: number | undefined; extra: number | undefined };

function shapesFor({ gpu, quick, large }: Bench, notes: string[]): Shape[] {
  // jax-js multiplies with 64 partial sums of V C each, which just fit a binding of 128 MiB here.
  const small = { rows: 1024, width: 128, vocabulary: 4096, peersFit: true };
  const big = { rows: 2048, width: 256, vocabulary: 50304, peersFit: true };
  if (quick) return [small];
  if (!gpu.adapter.software || large) return [small, big];
  notes.push(
    "N 2048 V 50304: the peers, whose logits take 393 MiB several times and minutes on a CPU, are left out on a " +
      "software adapter; --large adds them.",
  );
  return [small, { ...big, peersFit: false }];
}

function inputsFor({ rows, width, vocabulary }: Shape, masked: number) {
  const random = new Random(0, "loss");
  const order = random.shuffle(Array.from({ length: rows }, (_, row) => row));
  const weights = new Float32Array(rows).fill(1);
  for (const row of order.slice(0, Math.round(masked * rows))) weights[row] = 0;
  return {
    hidden: normals(rows * width, "hidden"),
    unembedding: normals(vocabulary * width, "unembedding", 1 / Math.sqrt(width)),
    targets: Uint32Array.from({ length: rows }, () => random.below(vocabulary)),
    weights,
  };
}
