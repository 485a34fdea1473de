// Every kernel with its tensors stored in f16 against float64 on the same (rounded) inputs. Sums are f32, so a result is
// off by the rounding of its store: half a unit in the last of f16's 11 bits, relative to the largest entry.

import {
  add,
  geluBackward,
  geluForward,
  swigluBackward,
  swigluForward,
} from "../kernels/activation.ts";
import { adamw } from "../kernels/adamw.ts";
import { attentionBackward, attentionForward } from "../kernels/attention.ts";
import { biasBackward, biasForward } from "../kernels/bias.ts";
import { cachedAttention } from "../kernels/cached_attention.ts";
import { embeddingBackward, embeddingForward, groupByToken } from "../kernels/embedding.ts";
import { matmul } from "../kernels/matmul.ts";
import { normBackward, normForward } from "../kernels/norm.ts";
import { rotary, rotaryAngles, rotaryFrequencies } from "../kernels/rotary.ts";
import { rounding } from "../kernels/rounding.ts";
import { selectiveLoss } from "../kernels/selective_loss.ts";
import { stepConstants, stepLength } from "../kernels/step.ts";
import {
  type AttentionVariant,
  describeAttention,
  type MatmulVariant,
} from "../src/gpu/choices.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { objective, termsToWgsl } from "../src/slung/objective.ts";
import { assertClose, assertEquals, assertThrows } from "./assert.ts";
import { testHalves } from "./fixtures/halves.ts";
import { assertSame } from "./fixtures/same.ts";
import { filled, floats, halves, integers, launch, normals } from "./launch.ts";
import * as slow from "./reference.ts";

const rounded = 2 ** -11 + 1e-5; // one store, and the error of f32 before it
const exact = 1e-5; // results in f32

const half = (label: string, ...shape: number[]) => halves(normals(label, ...shape));
const empty = (...shape: number[]) => halves(filled(NaN, ...shape));

testHalves("what is written to f16 is read back rounded to even, whatever its length", async () => {
  using gpu = await Gpu.open();
  for (const length of [1, 2, 7, 130]) {
    const tensor = gpu.allocate("halves", [length], "f16");
    const { data } = normals("values", length);
    gpu.write(tensor, data);
    assertSame(await gpu.read(tensor), halves({ shape: [length], data }).data as Float32Array);
  }
  const tensor = gpu.allocate("halves", [7], "f16");
  gpu.write(tensor, Float32Array.of(1, 2, 3, 4, 5, 6, 7));
  gpu.write(tensor, Float32Array.of(8, 1e6), 2);
  assertEquals([...await gpu.read(tensor)], [1, 2, 8, Infinity, 5, 6, 7]);
  const cut = "elements 2 to 3 of";
  assertThrows(() => gpu.write(tensor, Float32Array.of(1), 2), cut);
  assertThrows(() => gpu.write(tensor, Float32Array.of(1, 2), 1), "elements 1 to 3 of");
});

testHalves("scratch memory and textures of f16 are their own, half as large", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const first = program.borrow("first", [64], "f16");
  program.release(first);
  const single = program.borrow("single", [64]);
  const second = program.borrow("second", [64], "f16");
  assertEquals([single.type, second.type], ["f32", "f16"]);
  assertEquals([single.buffer === first.buffer, second.buffer === first.buffer], [false, true]);
  const before = gpu.bytes;
  program.texture(single, { first: 0, count: 64 });
  const ofSingles = gpu.bytes - before;
  program.texture(second, { first: 0, count: 64 });
  assertEquals(gpu.bytes - before, 1.5 * ofSingles);
  assertThrows(() => program.copy(single, second), "Cannot copy");
});

testHalves(
  "the GPU rounds to even, keeps subnormals and makes infinity of what is too large",
  async () => {
    using gpu = await Gpu.open();
    const values = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65_519, 65_520, -1e9, NaN, 2 ** -25, 2 ** -24];
    const x = floats([...values, Infinity]);
    const { y } = await launch(gpu, { x, y: empty(9) }, (program, { x, y }) => {
      rounding(program, x, y);
    });
    assertSame(y, halves(x).data as Float32Array);
  },
);

const layouts = {
  "x · Wᵀ": { transposeA: false, transposeB: true, reference: slow.matmulNT },
  "dy · W": { transposeA: false, transposeB: false, reference: slow.matmulNN },
  "dyᵀ · x": { transposeA: true, transposeB: false, reference: slow.matmulTN },
};
// Each with [rows, columns, depth] around its tiles; between them lines of whole vectors and others.
const variants: Record<string, { variant: MatmulVariant; size: [number, number, number] }> = {
  "buffers": {
    variant: { memory: "buffer", rowBlocks: 2, columnBlocks: 2, lines: 8 },
    size: [68, 61, 36],
  },
  "buffers in fused chains": {
    variant: { memory: "buffer", rowBlocks: 1, columnBlocks: 2, lines: 8, fused: true },
    size: [68, 61, 36],
  },
  "workgroup memory": {
    variant: {
      memory: "workgroup",
      rowBlocks: 2,
      columnBlocks: 2,
      across: 8,
      down: 8,
      depthStep: 16,
    },
    size: [67, 60, 33],
  },
  "a depth that invocations share": {
    variant: { memory: "buffer", rows: 8, columnBlocks: 1, lanes: 32 },
    size: [11, 37, 261],
  },
  "textures": {
    variant: { memory: "texture", rowBlocks: 4, columnBlocks: 3, lines: 2 },
    size: [140, 36, 68],
  },
  "textures in panels": {
    variant: { memory: "texture", rowBlocks: 4, columnBlocks: 3, lines: 2, panelBytes: 1 },
    size: [140, 36, 68],
  },
};

for (const [name, { variant, size: [rows, columns, depth] }] of Object.entries(variants)) {
  testHalves(`products from ${name} of any mixture of f16 and f32 agree with float64`, async () => {
    using gpu = await Gpu.open();
    for (const { transposeA, transposeB, reference } of Object.values(layouts)) {
      if ("lanes" in variant && !transposeB) continue; // it takes what is stored along the depth
      const a = half("a", rows * depth), b = half("b", depth * columns);
      const addend = half("addend", rows * columns);
      const shape = { rows, columns, depth, transposeA, transposeB, variant };
      const { out, sum, single, mixed } = await launch(gpu, {
        ...{ a, b, wideA: { ...a, stored: "f32" as const }, addend },
        ...{ out: empty(rows * columns), sum: addend },
        ...{ single: filled(NaN, rows * columns), mixed: filled(NaN, rows * columns) },
      }, (program, { a, b, wideA, addend, out, sum, single, mixed }) => {
        matmul(program, { a, b, out, addend, ...shape });
        matmul(program, { a, b, out: sum, ...shape, accumulate: true });
        matmul(program, { a, b, out: single, ...shape });
        matmul(program, { a: wideA, b, out: mixed, ...shape });
      });
      const product = reference(a.data, b.data, { N: rows, K: depth, M: columns });
      const withAddend = product.map((value, i) => value + addend.data[i]!);
      assertClose(out, withAddend, rounded, "with addend"); // rounded once, however it was cut
      assertClose(sum, withAddend, rounded, "accumulated");
      assertClose(single, product, exact, "stored in f32");
      assertClose(mixed, product, exact, "of f32 and f16");
    }
  });
}

for (const lanesPerRow of [1, 64] as const) {
  testHalves(`norms agree with float64 (${lanesPerRow} lanes per row)`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    for (const [N, C] of [[3, 5], [67, 33], [67, 36]] as const) {
      for (const centered of [true, false]) {
        const x = half("x", N, C), dy = half("dy", N, C);
        const weight = half("weight", C), bias = half("bias", C);
        const before = half("before", N, C);
        const result = await launch(gpu, {
          ...{ x, dy, weight, bias, y: empty(N, C), dx: before },
          ...{ dweight: filled(0, C), dbias: filled(0, C), statistics: filled(NaN, N, 2) },
        }, (program, tensors) => {
          const request = { ...tensors, centered, epsilon: 1e-5 };
          normForward(program, request);
          normBackward(program, request);
        });
        const options = { C, epsilon: 1e-5, weight: weight.data };
        const y = centered
          ? slow.layerNorm(x.data, { ...options, bias: bias.data })
          : slow.rmsNorm(x.data, options).map((value, i) => value + bias.data[i % C]!);
        const { dx, dweight } = centered
          ? slow.layerNormBackward(dy.data, x.data, options)
          : slow.rmsNormBackward(dy.data, x.data, options);
        assertClose(result.y, y, rounded, "y");
        assertClose(result.dx, dx.map((value, i) => value + before.data[i]!), rounded, "dx");
        assertClose(result.dweight, dweight, exact, "dweight");
      }
    }
  });
}

testHalves("addition, SwiGLU, both GELUs and their gradients agree with float64", async () => {
  using gpu = await Gpu.open();
  const a = half("a", 131), b = half("b", 131), dy = half("dy", 131);
  const result = await launch(gpu, {
    ...{ a, b, dy, y: empty(131), da: empty(131), db: empty(131) },
    ...{ gelu: empty(131), dgelu: empty(131), exactly: empty(131), dexactly: empty(131) },
    sum: empty(131),
  }, (program, { a, b, dy, y, da, db, gelu, dgelu, exactly, dexactly, sum }) => {
    add(program, { a, b, y: sum });
    swigluForward(program, { gate: a, up: b, y });
    swigluBackward(program, { gate: a, up: b, dy, dgate: da, dup: db });
    geluForward(program, "tanh", { x: a, y: gelu });
    geluBackward(program, "tanh", { x: a, dy, dx: dgelu });
    geluForward(program, "exact", { x: a, y: exactly });
    geluBackward(program, "exact", { x: a, dy, dx: dexactly });
  });
  const { dgate, dup } = slow.swigluBackward(dy.data, a.data, b.data);
  assertClose(result.y, slow.swiglu(a.data, b.data), rounded, "swiglu");
  assertClose(result.da, dgate, rounded, "dgate");
  assertClose(result.db, dup, rounded, "dup");
  assertClose(result.gelu, slow.geluTanh(a.data), rounded, "gelu");
  assertClose(result.dgelu, slow.geluTanhBackward(dy.data, a.data), rounded, "dgelu");
  assertClose(result.exactly, slow.geluErf(a.data), rounded, "exact gelu");
  assertClose(result.dexactly, slow.geluErfBackward(dy.data, a.data), rounded, "exact dgelu");
  assertClose(result.sum, a.data.map((value, i) => value + b.data[i]!), rounded, "sum");
});

testHalves("biases and their gradient agree with float64", async () => {
  using gpu = await Gpu.open();
  for (const [N, M] of [[67, 36], [67, 33]] as const) {
    const x = half("x", N, M), bias = half("bias", M), dy = half("dy", N, M);
    const hosts = { x, bias, dy, dbias: filled(0, M) };
    const result = await launch(gpu, hosts, (program, tensors) => {
      biasForward(program, tensors);
      biasBackward(program, tensors);
    });
    assertClose(result.x, slow.addBias(x.data, bias.data), rounded, "x");
    assertClose(result.dbias, slow.biasBackward(dy.data, M), exact, "dbias");
  }
});

testHalves("rotary positions and embeddings agree with float64", async () => {
  using gpu = await Gpu.open();
  const [N, H, D, V] = [7, 3, 10, 11];
  const ids = Uint32Array.from({ length: N }, (_, n) => n * n * 7 % V);
  const { order, starts, count } = groupByToken(ids);
  const x = half("x", N, H * D), table = half("table", V, H * D), dy = half("dy", N, H * D);
  const result = await launch(gpu, {
    ...{ x, table, dy, y: empty(N, H * D), dtable: filled(0, V, H * D) },
    ...{
      gathered: filled(NaN, N, H * D),
      angles: floats(rotaryAngles(16, rotaryFrequencies(D, 10_000)), [16, D / 2, 2]),
    },
    added: half("added", N, H * D),
    ...{ tokens: integers(ids), order: integers(order), starts: integers(starts) },
  }, (program, { x, gathered, added, angles, ...tensors }) => {
    const { tokens, table } = tensors;
    const turn = { positions: tokens, angles, heads: H, headWidth: D, pairing: "half" as const };
    rotary(program, { ...turn, x });
    embeddingForward(program, tensors);
    embeddingForward(program, { tokens, table, y: gathered });
    embeddingForward(program, { tokens, table, y: added, add: true });
    embeddingBackward(program, { ...tensors, groups: () => count });
  });
  const turn = { H, D, positions: ids, theta: 10_000, pairing: "half" as const };
  assertClose(result.x, slow.rotary(x.data, turn), rounded, "rotary");
  const rows = slow.embedding(table.data, ids, H * D);
  assertClose(result.y, rows, 0, "embedding");
  assertClose(result.gathered, rows, 0, "embedding in f32");
  const before = half("added", N, H * D).data;
  assertClose(result.added, rows.map((value, i) => value + before[i]!), rounded, "added");
  const dtable = slow.embeddingBackward(dy.data, ids, { V, C: H * D });
  assertClose(result.dtable, dtable, exact, "dtable");
});

const attentionVariants: AttentionVariant[] = [
  { memory: "texture", owned: 4 },
  { memory: "buffer", owned: 1 },
  { memory: "workgroup", walked: 32 },
];

for (const variant of attentionVariants) {
  testHalves(`attention agrees with float64: ${describeAttention(variant)}`, async () => {
    using gpu = await Gpu.open();
    const [B, T, H, G, D] = [2, 67, 4, 2, 12];
    const q = half("q", B, T, H, D), k = half("k", B, T, G, D), v = half("v", B, T, G, D);
    const dout = half("dout", B, T, H, D);
    const result = await launch(gpu, {
      ...{ q, k, v, dout, out: empty(B, T, H, D), statistics: filled(NaN, B, H, T, 2) },
      ...{ dq: empty(B, T, H, D), dk: empty(B, T, G, D), dv: empty(B, T, G, D) },
      firstKey: integers(new Uint32Array(B * T)),
    }, (program, tensors) => {
      const request = {
        batch: B,
        time: T,
        heads: H,
        kvHeads: G,
        headWidth: D,
        variant,
        ...tensors,
      };
      attentionForward(program, request);
      attentionBackward(program, request);
    });
    const sizes = { B, T, H, G, D };
    const { out } = slow.attention(q.data, k.data, v.data, sizes);
    assertClose(result.out, out, rounded, "out");
    const gradients = slow.attentionBackward(dout.data, q.data, k.data, v.data, sizes);
    // δ comes from the rounded output, so each score's gradient has two roundings.
    for (const name of ["dq", "dk", "dv"] as const) {
      assertClose(result[name], gradients[name], 2 * rounded, name);
    }
  });
}

for (const lanesPerRow of [1, 64] as const) {
  testHalves(
    `attention against a cache in f16 agrees with float64 (${lanesPerRow} lanes per row)`,
    async () => {
      using gpu = await Gpu.open({ lanesPerRow });
      const [B, H, G, D] = [3, 4, 2, 8];
      const q = half("q", B, H, D), k = half("k", B, G, D), v = half("v", B, G, D);
      const old = { k: half("old k", B, 1, G, D), v: half("old v", B, 1, G, D) };
      // Two positions: one that is in the cache and one that is appended.
      const cache = (first: ArrayLike<number>) =>
        halves({
          shape: [B, 2, G, D],
          data: Float32Array.from(
            { length: 2 * B * G * D },
            (_, i) =>
              i % (2 * G * D) < G * D
                ? first[Math.floor(i / (2 * G * D)) * G * D + i % (G * D)]!
                : NaN,
          ),
        });
      const { out, keys, values } = await launch(gpu, {
        ...{ q, k, v, keys: cache(old.k.data), values: cache(old.v.data), out: empty(B, H, D) },
        positions: integers(new Uint32Array(B).fill(1)),
      }, (program, tensors) => {
        cachedAttention(program, {
          ...{ batch: B, heads: H, kvHeads: G, headWidth: D, capacity: 2 },
          ...tensors,
        });
      });
      const expected = slow.attention(q.data, keys, values, { B, T: 1, H, G, D, S: 2 });
      assertClose(out, expected.out, rounded, "out");
    },
  );
}

testHalves(
  "the loss of f16 hidden states agrees with float64, its gradients times the loss scale",
  async () => {
    using gpu = await Gpu.open();
    const scale = 2 ** 10, Z = 5;
    for (const V of [37, 132]) {
      const [N, C] = [11, 12];
      const hidden = half("hidden", N, C), unembedding = half("unembedding", V, C);
      const targets = Array.from({ length: N }, (_, n) => n * 5 % V);
      const classes = Array.from({ length: N }, (_, n) => n % 4);
      const { terms } = objective("unlikelihood");
      const step = new Float32Array(stepLength).fill(NaN);
      step[stepConstants.INVERSE_DIVISOR] = 1 / Z;
      step[stepConstants.LOSS_SCALE] = scale;
      const result = await launch(gpu, {
        ...{ hidden, unembedding, targets: integers(targets), classes: integers(classes) },
        ...{ weights: filled(1, N), activeRows: integers(targets.map((_, n) => n)) },
        ...{ step: floats(step), losses: filled(NaN, N), logOdds: filled(NaN, N) },
        ...{ classSums: filled(0, 4), dhidden: empty(N, C), dunembedding: filled(0, V, C) },
      }, (program, tensors) => {
        const request = { ...tensors, terms: termsToWgsl(terms), activeCount: () => N };
        selectiveLoss(program, { ...request, chunkRows: 4 });
      });
      const logits = slow.matmulNT(hidden.data, unembedding.data, { N, K: C, M: V });
      const { losses, dlogits } = slow.selectiveLoss(logits, {
        ...{ V, targets, Z },
        terms: classes.map((risk) => risk === 3 ? "unlikelihood" : "cross_entropy"),
      });
      assertClose(result.losses, losses, exact, "losses");
      const scaled = dlogits.map((value) => value * scale);
      const dhidden = slow.matmulNN(scaled, unembedding.data, { N, K: V, M: C });
      const dunembedding = slow.matmulTN(scaled, hidden.data, { N: V, K: N, M: C });
      assertClose(result.dhidden, dhidden, rounded, "dhidden");
      assertClose(result.dunembedding, dunembedding, exact, "dunembedding");
    }
  },
);

testHalves("AdamW writes the weights in f32 and their rounded copy", async () => {
  using gpu = await Gpu.open();
  const hosts = {
    ...{ gradient: normals("gradient", 131), weight: normals("weight", 131), copy: empty(131) },
    ...{ firstMoment: filled(0, 131), secondMoment: filled(0, 131) },
    ...{ status: floats([1, 1, 0, 1]), step: floats([0.1, 0.1, 0.05, 1, 0, 0, 0, 0]) },
  };
  const { weight, copy } = await launch(gpu, hosts, (program, tensors) => {
    adamw(program, { ...tensors, decay: 0.1, betas: [0.9, 0.95], epsilon: 1e-8 });
  });
  assertSame(copy, halves({ shape: [131], data: weight }).data as Float32Array);
  const apart = weight.filter((value, i) => value !== copy[i]);
  assertEquals(apart.length > 100, true, "the weights themselves are not rounded");
});
