// Causal attention at a fixed number of tokens: the longer the sequences, the more of the T² scores there are. Flash
// attention keeps one number per query instead of them, so its memory does not grow; libraries without it pay T².
// Operations, counted for the causal half: forward 2 T² D per head, backward 5 T² D, which computes the scores again.

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
import type { Measurement } from "../results.ts";

const heads = 4;
const headWidth = 32;
const agreement = 1e-4;

/** Measures attention and the memory it needs beside its inputs and outputs. */
export async function attention(bench: Bench): Promise<Section> {
  const tokens = bench.gpu.adapter.software && !bench.large ? 2048 : 8192;
  const times = bench.quick ? [256, 1024] : [256, 512, 1024, 2048];
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  const rows: Row[] = [];
  for (const time of times) {
    for (const backward of [false, true]) {
      const batch = tokens / time;
      const what = `T ${time} ${backward ? "with gradients" : "forward"}`;
      bench.note(`attention: ${what}`);
      const length = tokens * heads * headWidth;
      const [q, k, v, dout] = ["q", "k", "v", "dout"].map((name) => normals(length, name));
      const request = { batch, time, heads, headWidth, backward };
      const comparison = await compare(
        bench,
        what,
        ({ attention }) =>
          attention && (() => attention({ ...request, q: q!, k: k!, v: v!, dout: dout! })),
      );
      notes.push(...comparison.notes, ...disagreements(what, comparison, agreement));
      const operations = (backward ? 7 : 2) * time * headWidth * tokens * heads;
      const operands = 4 * length * (backward ? 8 : 5);
      const { speeds, ...own } = speedsOf(what, operations, comparison);
      measurements.push(...own.measurements);
      notes.push(...own.notes);
      for (const [i, speed] of speeds.entries()) {
        const extra = extraMemory(comparison, speed.subject, operands);
        rows.push({ what: i === 0 ? what : "", ...speed, extra });
        if (extra === undefined) continue;
        adder(measurements, what, speed.subject)("extra memory", "MiB", extra);
      }
    }
  }
  const sizes = `${tokens} tokens, H ${heads}, D ${headWidth}`;
  const text = table(`Causal attention, ${sizes}; extra memory is beside inputs and outputs`, [
    { key: "what", title: "Attention" },
    { key: "subject", title: "Library" },
    { key: "milliseconds", title: "Time", unit: "ms" },
    { key: "gflops", title: "Speed", unit: "GFLOP/s", precision: 1 },
    { key: "share", title: "Of ceiling", unit: "%", precision: 1 },
    { key: "ratio", title: "Time over ours", precision: 2 },
    { key: "extra", title: "Extra memory", unit: "MiB", precision: 2 },
  ], rows);
  return { text, measurements, notes };
}

type Row = Speed & { what: string; extra: number | undefined };
