// Matrix products: two squares, and every product of a layer in the three layouts that training needs.
//   forward y = x · Wᵀ    inputs dx = dy · W    weights dW = dyᵀ · x

import {
  type Bench,
  compare,
  disagreements,
  normals,
  type Section,
  type Speed,
  speedsOf,
  table,
} from "../case.ts";
import type { Product } from "../peers/peer.ts";
import type { Measurement } from "../results.ts";

type Shape = Omit<Product, "a" | "b"> & { label: string };

const agreement = 1e-4; // f32 sums of up to 8192 products in another order differ by about 1e-6

/** Measures the products. */
export async function matmul(bench: Bench): Promise<Section> {
  const { shapes, notes } = shapesFor(bench);
  const measurements: Measurement[] = [];
  const rows: (Speed & { what: string })[] = [];
  for (const shape of shapes) {
    const { rows: m, columns: n, depth: k, label } = shape;
    bench.note(`matmul: ${label}`);
    const a = normals(m * k, "a");
    const b = normals(k * n, "b");
    const comparison = await compare(
      bench,
      label,
      ({ product }) => product && (() => product({ ...shape, a, b })),
    );
    notes.push(...comparison.notes, ...disagreements(label, comparison, agreement));
    const { speeds, ...own } = speedsOf(label, 2 * m * n * k, comparison);
    measurements.push(...own.measurements);
    notes.push(...own.notes);
    rows.push(...speeds.map((speed, i) => ({ what: i === 0 ? label : "", ...speed })));
  }
  const text = table("Matrix products (rows x depth x columns)", [
    { key: "what", title: "Product" },
    { key: "subject", title: "Library" },
    { key: "milliseconds", title: "Time", unit: "ms" },
    { key: "spread", title: "±", unit: "%", precision: 0 },
    { key: "gflops", title: "Speed", unit: "GFLOP/s", precision: 1 },
    { key: "share", title: "Of ceiling", unit: "%", precision: 1 },
    { key: "ratio", title: "Time over ours", precision: 2 },
  ], rows);
  return { text, measurements, notes };
}

function shapesFor({ gpu, quick, large }: Bench): { shapes: Shape[]; notes: string[] } {
  const squares = [512, 1024].map((n) => layout("square", n, n, n));
  const small = layer("small", { rows: 1024, width: 128, feedForward: 352, vocabulary: 4096 });
  const olmo1B = layer("1B", { rows: 512, width: 2048, feedForward: 8192, vocabulary: 50304 });
  if (quick) return { shapes: [...squares, ...small.slice(3, 6)], notes: [] };
  if (gpu.adapter.software && !large) {
    const notes = [
      "The products of OLMo-1B are left out on a software adapter; --large adds them.",
    ];
    return { shapes: [...squares, ...small], notes };
  }
  return { shapes: [...squares, ...small, ...olmo1B], notes: [] };
}

function layer(
  model: string,
  { rows, width, feedForward, vocabulary }: {
    rows: number;
    width: number;
    feedForward: number;
    vocabulary: number;
  },
): Shape[] {
  const projections = [
    [`${model} q, k, v, o`, width, width],
    [`${model} gate, up`, width, feedForward],
    [`${model} down`, feedForward, width],
    [`${model} logits`, width, vocabulary],
  ] as const;
  return projections.flatMap(([label, from, to]) => [
    layout(`${label} forward`, rows, from, to, { transposeB: true }),
    layout(`${label} inputs`, rows, to, from),
    layout(`${label} weights`, to, rows, from, { transposeA: true }),
  ]);
}

function layout(
  label: string,
  rows: number,
  depth: number,
  columns: number,
  { transposeA = false, transposeB = false } = {},
): Shape {
  const sizes = `${rows} x ${depth} x ${columns}`;
  return { label: `${label} ${sizes}`, rows, depth, columns, transposeA, transposeB };
}
