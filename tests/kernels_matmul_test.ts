// The matrix product against float64, in the three layouts and with the tile sizes of both kinds of adapter, at sizes
// around those tiles and its vectors of 4. The gradients of a product are the other two layouts, so they are covered.

import { candidates } from "../kernels/candidates.ts";
import { matmul, type MatmulRequest } from "../kernels/matmul.ts";
import {
  assumedChoices,
  describeMatmul,
  type KernelChoices,
  type MatmulVariant,
  type TiledVariant,
} from "../src/gpu/choices.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { assert, assertClose, assertThrows, relativeError } from "./assert.ts";
import { filled, type Host, launch, normals } from "./launch.ts";
import { matmulNN, matmulNT, matmulTN } from "./reference.ts";

const layouts = {
  "x · Wᵀ": { transposeA: false, transposeB: true, reference: matmulNT },
  "dy · W": { transposeA: false, transposeB: false, reference: matmulNN },
  "dyᵀ · x": { transposeA: true, transposeB: false, reference: matmulTN },
};

// [rows, columns, depth]: a single element, ragged everything, whole tiles, vectors across two tiles, long sums.
const sizes = [[1, 1, 1], [67, 61, 33], [64, 64, 64], [130, 68, 36], [5, 132, 3], [3, 2, 1030]];

// Either kind of choice is correct on every adapter.
const buffers = { memory: "buffer", rowBlocks: 2, columnBlocks: 2, lines: 8 } as const;
const limits = { maxComputeWorkgroupStorageSize: 32_768 };
const choices: Record<string, Partial<KernelChoices>> = {
  textures: assumedChoices({ name: "a CPU", software: true, limits }),
  buffers: { matmul: { large: buffers, square: buffers, thin: buffers } },
  tiles: assumedChoices({ name: "a GPU", software: false, limits }),
};

function operands(rows: number, columns: number, depth: number) {
  return { a: normals("a", rows * depth), b: normals("b", depth * columns) };
}

for (const [kind, kernels] of Object.entries(choices)) {
  for (const [name, { transposeA, transposeB, reference }] of Object.entries(layouts)) {
    Deno.test(`${name} agrees with float64, overwriting and accumulating (${kind})`, async () => {
      using gpu = await Gpu.open({ kernels });
      for (const [rows, columns, depth] of sizes as [number, number, number][]) {
        const { a, b } = operands(rows, columns, depth);
        const start = normals("start", rows * columns);
        const shape = { rows, columns, depth, transposeA, transposeB };
        const { out, sum } = await launch(
          gpu,
          { a, b, out: filled(NaN, rows * columns), sum: start },
          (program, { a, b, out, sum }) => {
            matmul(program, { a, b, out, ...shape });
            matmul(program, { a, b, out: sum, ...shape, accumulate: true });
          },
        );
        const expected = reference(a.data, b.data, { N: rows, K: depth, M: columns });
        assertClose(out, expected, 2e-6, `${rows} × ${columns} × ${depth}`);
        const accumulated = expected.map((value, i) => value + start.data[i]!);
        assertClose(sum, accumulated, 2e-6, `accumulated ${rows} × ${columns} × ${depth}`);
      }
    });

    Deno.test(`${name}: vectorised and scalar loads give the same product (${kind})`, async () => {
      using gpu = await Gpu.open({ kernels });
      // A product whose sizes are not divisible by 4 is the corner of one that is, padded by zeros.
      const [rows, columns, depth] = [67, 61, 33];
      const [ROWS, COLUMNS, DEPTH] = [68, 64, 36];
      const { a, b } = operands(rows, columns, depth);
      const A = transposeA ? pad(a, depth, rows, DEPTH, ROWS) : pad(a, rows, depth, ROWS, DEPTH);
      const B = transposeB
        ? pad(b, columns, depth, COLUMNS, DEPTH)
        : pad(b, depth, columns, DEPTH, COLUMNS);
      const { scalar, vector } = await launch(gpu, {
        a,
        b,
        A,
        B,
        scalar: filled(NaN, rows * columns),
        vector: filled(NaN, ROWS * COLUMNS),
      }, (program, { a, b, A, B, scalar, vector }) => {
        const layout = { transposeA, transposeB };
        matmul(program, { a, b, out: scalar, rows, columns, depth, ...layout });
        const padded = { rows: ROWS, columns: COLUMNS, depth: DEPTH };
        matmul(program, { a: A, b: B, out: vector, ...padded, ...layout });
      });
      const corner = scalar.map((_, i) => vector[Math.floor(i / columns) * COLUMNS + i % columns]!);
      const error = relativeError(scalar, corner);
      assert(error < 1e-6, `relative difference ${error}`); // the order of a sum is the compiler's to fuse
    });
  }
}

const texture = { memory: "texture", rowBlocks: 4, columnBlocks: 3, lines: 2 } as const;

// Everything that a CPU or a GPU may choose, and textures so small that every operand comes in several panels.
const variants: [string, MatmulVariant][] = [
  ...[true, false].flatMap((software) => {
    const adapter = { name: "any", software, limits };
    const { square, thin, small } = candidates({ adapter, readsTextures: true });
    return [...square, ...thin, ...small];
  }).map((variant): [string, MatmulVariant] => [JSON.stringify(variant), variant]),
  ["textures in panels", { ...texture, panelBytes: 1 }],
];

/** Records a product with an addend and an accumulating one, and compares both after some replays with float64. */
async function assertProduct(
  gpu: Gpu,
  shape: Omit<MatmulRequest, "a" | "b" | "out">,
  reference: typeof matmulNT,
  replays: number,
): Promise<void> {
  const { rows, columns, depth } = shape;
  const { a, b } = operands(rows, columns, depth);
  const addend = normals("addend", rows * columns);
  const { out, sum } = await launch(
    gpu,
    { a, b, addend, out: filled(NaN, rows * columns), sum: filled(1, rows * columns) },
    (program, { a, b, addend, out, sum }) => {
      matmul(program, { a, b, out, addend, ...shape });
      matmul(program, { a, b, out: sum, ...shape, accumulate: true });
    },
    replays,
  );
  const expected = reference(a.data, b.data, { N: rows, K: depth, M: columns });
  assertClose(out, expected.map((value, i) => value + addend.data[i]!), 2e-6, "with addend");
  const accumulated = expected.map((value) => replays * value + 1);
  assertClose(sum, accumulated, (1 + replays) * 1e-6, `accumulated ${replays} times`);
}

for (const [name, variant] of new Map(variants)) {
  Deno.test(`every layout agrees with float64, with an addend and accumulating: ${name}`, async () => {
    using gpu = await Gpu.open();
    for (const { transposeA, transposeB, reference } of Object.values(layouts)) {
      // Wide and tall, around tiles of 128 × 12 and 12 × 128; a texture's last row is not full.
      for (const [rows, columns, depth] of [[140, 36, 68], [20, 260, 132], [67, 61, 33]] as const) {
        if (variant.memory === "texture" && depth % 4 !== 0) continue; // a texel holds four floats
        const shape = { rows, columns, depth, transposeA, transposeB, variant };
        await assertProduct(gpu, shape, reference, 2);
      }
    }
  });
}

const card = { name: "a GPU", software: false, limits };
const { few } = candidates({ adapter: card, readsTextures: true });
// Around the rows and columns of a workgroup, and a depth that its lanes share once, more often, and not evenly.
const fewSizes = [[1, 5, 3], [3, 36, 260], [9, 67, 1030], [33, 8, 512]] as const;

for (const variant of few) {
  Deno.test(`few rows or columns agree with float64, with an addend and accumulating: ${describeMatmul(variant)}`, async () => {
    using gpu = await Gpu.open();
    for (const [rows, columns, depth] of fewSizes) {
      const shape = { rows, columns, depth, transposeB: true, variant };
      await assertProduct(gpu, shape, matmulNT, 1);
    }
  });
}

Deno.test("a GPU takes the variant that suits a product's size and layout, on either side of each threshold", async () => {
  const { matmul: choices } = assumedChoices(card);
  using gpu = await Gpu.open({ kernels: { matmul: choices } });
  const tiles = ({ rowBlocks, columnBlocks, across, down, depthStep }: TiledVariant) => ({
    ...{ ROW_BLOCKS: rowBlocks, COLUMN_BLOCKS: columnBlocks },
    ...{ ACROSS: across, DOWN: down, DEPTH_STEP: depthStep },
  });
  const { small, square, large, thin } = choices as unknown as Record<
    string,
    TiledVariant
  >;
  const sliced = (rows: number) => ({ ROWS: rows, COLUMN_BLOCKS: choices.few!.columnBlocks });
  const along = { transposeB: true };
  const cases: [rows: number, columns: number, layout: object, constants: object][] = [
    ...[[1, 64, along, sliced(1)], [3, 64, along, sliced(4)], [64, 2 ** 13, along, sliced(8)]],
    ...[[2 ** 13, 8, along, sliced(8)], [15, 64, {}, tiles(thin!)], [16, 64, {}, tiles(small!)]],
    ...[[65, 65, along, tiles(small!)], [256, 1020, along, tiles(small!)]],
    ...[[256, 1024, along, tiles(square!)], [1024, 1023, along, tiles(square!)]],
    [1024, 1024, along, tiles(large!)],
  ] as never;
  for (const [rows, columns, layout, constants] of cases) {
    const { gpu: recorder, pipelines } = gpu.recorder();
    using program = new Program(recorder, "test");
    const tensor = (length: number) => program.allocate("tensor", [length]);
    const [a, b, out] = [tensor(4 * rows), tensor(4 * columns), tensor(rows * columns)];
    matmul(program, { a, b, out, rows, columns, depth: 4, ...layout });
    for (const [name, value] of Object.entries(constants)) {
      const line = `const ${name} = ${value}u;`;
      assert(pipelines[0]!.source.includes(line), `${rows} × ${columns}: ${line}`);
    }
  }
});

Deno.test("an operand that is not stored along the depth cannot be sliced along it", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const [a, b, out] = ["a", "b", "out"].map((name) => program.allocate(name, [4, 4]));
  for (const layout of [{ transposeA: true, transposeB: true }, { transposeB: false }]) {
    const request = { a: a!, b: b!, out: out!, rows: 4, columns: 4, depth: 4, ...layout };
    assertThrows(() => matmul(program, { ...request, variant: few[0]! }), "Cannot slice a product");
  }
});

Deno.test("a texture is copied again once its tensor was written", async () => {
  using gpu = await Gpu.open();
  const n = 16;
  const { a, b } = operands(n, n, n);
  const shape = { rows: n, columns: n, depth: n, variant: texture };
  const { first, again } = await launch(
    gpu,
    { a, b, first: filled(NaN, n * n), again: filled(NaN, n * n) },
    (program, { a, b, first, again }) => {
      matmul(program, { a, b, out: first, ...shape });
      program.copy(first, a);
      matmul(program, { a, b, out: again, ...shape });
    },
  );
  assertClose(again, matmulNN(first, b.data, { N: n, K: n, M: n }), 1e-5);
});

Deno.test("an inactive product leaves its output alone", async () => {
  using gpu = await Gpu.open();
  const { a, b } = operands(3, 5, 4);
  let active = false;
  const { out } = await launch(gpu, { a, b, out: filled(2, 15) }, (program, { a, b, out }) => {
    matmul(program, { a, b, out, rows: 3, columns: 5, depth: 4, active: () => active });
  });
  assertClose(out, new Float32Array(15).fill(2), 0);
  active = true;
  const again = await launch(gpu, { a, b, out: filled(2, 15) }, (program, { a, b, out }) => {
    matmul(program, { a, b, out, rows: 3, columns: 5, depth: 4, active: () => active });
  });
  assertClose(again.out, matmulNN(a.data, b.data, { N: 3, K: 4, M: 5 }), 1e-6);
});

Deno.test("a tensor too small for the product is named", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const a = program.allocate("short", [11]);
  const b = program.allocate("b", [20]);
  const out = program.allocate("out", [15]);
  assertThrows(
    () => matmul(program, { a, b, out, rows: 3, columns: 5, depth: 4 }),
    '"test/short" has 11 elements, the product needs 12',
  );
});

function pad({ data }: Host, rows: number, columns: number, height: number, width: number): Host {
  const padded = new Float32Array(height * width);
  for (let row = 0; row < rows; row++) {
    padded.set((data as Float32Array).subarray(row * columns, (row + 1) * columns), row * width);
  }
  return { shape: [padded.length], data: padded };
}
