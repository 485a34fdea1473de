// Tensors larger than one binding: on an adapter that is told to bind only a few KiB, everything that may grow with the
// vocabulary gives the numbers that it gives where the whole fits.

import { adamw } from "../kernels/adamw.ts";
import { embeddingBackward, embeddingForward, groupByToken } from "../kernels/embedding.ts";
import { gradientNorm, statusLength } from "../kernels/gradient_norm.ts";
import { linearForward, linearInputGradient, linearWeightGradient } from "../kernels/linear.ts";
import { rounding } from "../kernels/rounding.ts";
import { stepLength } from "../kernels/step.ts";
import { Gpu, viewAlignment } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { bytesPerElement, type Precision, type Tensor } from "../src/gpu/tensor.ts";
import { rowViews, runsOf } from "../src/gpu/views.ts";
import type { DecoderConfig } from "../src/model/config.ts";
import { generate } from "../src/model/generate.ts";
import { Parameters } from "../src/nn/parameters.ts";
import { objective } from "../src/slung/objective.ts";
import { fit } from "../src/train/fit.ts";
import { Trainer } from "../src/train/trainer.ts";
import { packSequences } from "../src/data/packing.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";
import { testHalves } from "./fixtures/halves.ts";
import { assertSame } from "./fixtures/same.ts";
import { adamw as settings, llama, olmo, randomSequences, trainable } from "./fixtures/tiny.ts";
import { filled, halves, integers, launch, normals } from "./launch.ts";

const small = 32 * 1024; // bytes

function tensorOf(gpu: Gpu, shape: readonly number[], type: Precision = "f32"): Tensor {
  return gpu.allocate("W", shape, type, { views: true });
}

Deno.test("views of rows hold every row once, in order, aligned and within a binding", async () => {
  using gpu = await Gpu.open({ bindingLimit: small });
  for (
    const [height, width, type] of [
      ...[[64, 16, "f32"], [65, 16, "f32"], [1000, 3, "f32"], [1000, 3, "f16"], [97, 33, "f32"]],
      ...[[300, 64, "f16"], [17, 65, "f16"], [3, 1024, "f32"]],
    ] as [number, number, Precision][]
  ) {
    const whole = tensorOf(gpu, [height, width], type);
    const views = rowViews(gpu, whole);
    const bytes = height * width * bytesPerElement(type);
    assert(views.length >= Math.ceil(bytes / small));
    let next = 0;
    for (const { first, count, tensor } of views) {
      assertEquals(first, next);
      assertEquals(tensor.shape, [count, width]);
      assertEquals(tensor.length, count * width);
      assertEquals(tensor.offset, first * width * bytesPerElement(type));
      assertEquals(tensor.offset % viewAlignment, 0);
      assert(count * width * bytesPerElement(type) <= small);
      next += count;
    }
    assertEquals(next, height);
    const [tallest] = views;
    for (const { count } of views.slice(0, -1)) assertEquals(count, tallest!.count);
    gpu.free(whole);
  }
  const fitting = tensorOf(gpu, [512, 16]);
  assertEquals(rowViews(gpu, fitting), [{ first: 0, count: 512, tensor: fitting }]);
});

Deno.test("rows of which no aligned number fits a binding are refused, with the width that would fit", async () => {
  using gpu = await Gpu.open({ bindingLimit: small });
  assertThrows(
    () => rowViews(gpu, tensorOf(gpu, [65, 4095])),
    'Cannot bind rows of "W" [65, 4095]: 64 of them need 1.0 MiB',
  );
  assertThrows(
    () => rowViews(gpu, tensorOf(gpu, [2, 8256])),
    "Use rows of at most 8192 elements",
  );
});

Deno.test("runs hold the same elements of every tensor, whatever it stores", async () => {
  using gpu = await Gpu.open({ bindingLimit: 4096 });
  const f32 = tensorOf(gpu, [2500]), f16 = tensorOf(gpu, [2500], "f16");
  const runs = runsOf(gpu, { f32, f16 });
  assertEquals(runs.map((run) => run.f32.length), [1024, 1024, 452]);
  assertEquals(runs.map((run) => run.f16.length), [1024, 1024, 452]);
  assertEquals(runs.map((run) => run.f32.offset), [0, 4096, 8192]);
  assertEquals(runs.map((run) => run.f16.offset), [0, 2048, 4096]);
  assertEquals(runsOf(gpu, { f16 }).map((run) => run.f16.length), [2048, 452]);
  const fitting = { a: tensorOf(gpu, [1024]) };
  assertEquals(runsOf(gpu, fitting), [fitting]);
});

Deno.test("a tensor that is bound whole though it does not fit is named, with the kernel", async () => {
  using gpu = await Gpu.open({ bindingLimit: small });
  using program = new Program(gpu, "test");
  const x = tensorOf(gpu, [2, 8192]);
  assertThrows(
    () =>
      embeddingForward(program, {
        tokens: program.allocate("tokens", [2], "u32"),
        table: tensorOf(gpu, [1, 8192]),
        y: x,
      }),
    'Cannot bind "W" [2, 8192] to kernel embedding.forward: it needs 0.1 MiB and',
  );
});

Deno.test("what is larger than one binding is written and read whole", async () => {
  using gpu = await Gpu.open({ bindingLimit: 4096 });
  const { data } = normals("data", 2501);
  const whole = tensorOf(gpu, [2501]), one = tensorOf(gpu, [1]), other = tensorOf(gpu, [3000]);
  gpu.write(whole, data as Float32Array);
  gpu.write(one, Float32Array.of(5));
  const [a, b, none, c, again] = await gpu.readAll([
    ...[whole, one, tensorOf(gpu, [0]), other, whole],
  ]);
  assertSame(new Float32Array(a!), data as Float32Array);
  assertEquals([...new Float32Array(b!)], [5]);
  assertEquals(none!.byteLength, 0);
  assertSame(new Float32Array(c!), new Float32Array(3000));
  assertSame(new Float32Array(again!), data as Float32Array);
  gpu.clear(whole);
  assertSame(await gpu.read(whole), new Float32Array(2501));
  assertEquals([...await gpu.read(one)], [5]);
  if (!gpu.storesHalves) return;
  const odd = tensorOf(gpu, [4097], "f16");
  gpu.write(odd, new Float32Array(4097).fill(0.5));
  assertSame(await gpu.read(odd), new Float32Array(4097).fill(0.5));
});

// Runs a kernel with all of a tensor bound, and in views.
async function bothWays<T>(run: (gpu: Gpu) => Promise<T>): Promise<[whole: T, views: T]> {
  using whole = await Gpu.open();
  using views = await Gpu.open({ bindingLimit: small });
  return [await run(whole), await run(views)];
}

for (const [N, V, C] of [[7, 600, 20], [13, 701, 33], [5, 4000, 3]] as const) {
  Deno.test(`embedding ${N} rows of a table [${V}, ${C}] and its gradient are the same bytes in views`, async () => {
    const ids = Uint32Array.from({ length: N }, (_, n) => (n * n * 7919 + n) % V);
    ids[N - 1] = ids[0]!;
    const { order, starts, count } = groupByToken(ids);
    const [whole, views] = await bothWays((gpu) =>
      launch(gpu, {
        tokens: integers(ids),
        order: integers(order),
        starts: integers(starts),
        table: normals("table", V, C),
        dy: normals("dy", N, C),
        y: filled(NaN, N, C),
        dtable: normals("start", V, C),
      }, (program, tensors) => {
        embeddingForward(program, tensors);
        embeddingBackward(program, { ...tensors, groups: () => count });
      })
    );
    assert(whole.y.every((value) => Number.isFinite(value)));
    assertSame(views.y, whole.y, "y");
    assertSame(views.dtable, whole.dtable, "dtable");
  });
}

// [rows, columns, depth]: W and its gradient take several views.
for (const [N, M, K] of [[7, 300, 132], [5, 701, 97]] as const) {
  for (const stored of K % 4 === 0 ? ["f32", "f16"] as const : ["f32"] as const) {
    const name = `the three products of a linear layer [${N}, ${K}] x [${M}, ${K}] in ${stored}`;
    (stored === "f16" ? testHalves : Deno.test)(
      `${name} have the same numbers in views`,
      async () => {
        const as = stored === "f16" ? halves : (host: ReturnType<typeof normals>) => host;
        const [whole, views] = await bothWays((gpu) =>
          launch(gpu, {
            x: as(normals("x", N, K)),
            weight: as(normals("weight", M, K)),
            addend: as(normals("addend", N, M)),
            dy: as(normals("dy", N, M)),
            y: as(filled(NaN, N, M)),
            sum: as(filled(NaN, N, M)),
            skipped: as(normals("skipped", N, M)),
            dx: as(filled(NaN, N, K)),
            dxMore: as(normals("dx", N, K)),
            dweight: normals("dweight", M, K),
          }, (program, tensors) => {
            const { x, weight, dy, y, sum, skipped, addend, dx, dxMore, dweight } = tensors;
            linearForward(program, { x, weight, y });
            linearForward(program, { x, weight, y: sum, addend });
            linearForward(program, { x, weight, y: skipped, active: () => false });
            linearInputGradient(program, { dy, weight, dx });
            linearInputGradient(program, { dy, weight, dx: dxMore, accumulate: true });
            linearInputGradient(program, { dy, weight, dx: dxMore, active: () => false });
            linearWeightGradient(program, { dy, x, dweight });
            linearWeightGradient(program, { dy, x, dweight, active: () => false });
          })
        );
        const tolerance = stored === "f16" ? 1e-3 : 1e-6;
        for (const key of ["y", "sum", "dx", "dxMore", "dweight", "skipped"] as const) {
          assert(whole[key].every((value) => Number.isFinite(value)), key);
          assertClose(views[key], whole[key], tolerance, key);
        }
        assertSame(views.skipped, as(normals("skipped", N, M)).data as Float32Array);
      },
    );
  }
}

Deno.test("AdamW and the gradient norm of arenas are the same bytes in views", async () => {
  const run = (gpu: Gpu) =>
    launch(gpu, {
      gradient: normals("gradient", 20001),
      other: normals("other", 700),
      weight: normals("weight", 20001),
      first: normals("first", 20001),
      second: filled(0.5, 20001),
      step: filled(0.5, stepLength),
      status: filled(0, statusLength),
    }, (program, { gradient, other, weight, first, second, step, status }) => {
      gradientNorm(program, { gradients: [gradient, other], status, maxGradientNorm: 1 });
      const moments = { firstMoment: first, secondMoment: second };
      const { betas, epsilon } = settings;
      adamw(program, { step, status, gradient, weight, ...moments, decay: 0.1, betas, epsilon });
    });
  const [whole, views] = await bothWays(run);
  for (const key of ["status", "weight", "first", "second"] as const) {
    assertSame(views[key], whole[key], key);
  }
});

testHalves("rounding, and AdamW's rounded copy, are the same bytes in views", async () => {
  const run = (gpu: Gpu) =>
    launch(gpu, {
      gradient: normals("gradient", 20001),
      weight: normals("weight", 20001),
      first: normals("first", 20001),
      second: filled(0.5, 20001),
      step: filled(0.5, stepLength),
      status: filled(0, statusLength),
      before: halves(filled(NaN, 20001)),
      copy: halves(filled(NaN, 20001)),
    }, (program, { before, copy, gradient, weight, first, second, step, status }) => {
      rounding(program, weight, before);
      const moments = { firstMoment: first, secondMoment: second };
      const { betas, epsilon } = settings;
      adamw(program, {
        ...{ step, status, gradient, weight, copy, ...moments },
        ...{ decay: 0.1, betas, epsilon },
      });
    });
  const [whole, views] = await bothWays(run);
  assertSame(whole.before, halves(normals("weight", 20001)).data as Float32Array);
  for (const key of ["before", "weight", "copy"] as const) assertSame(views[key], whole[key], key);
});

// A vocabulary of which neither weights nor gradients nor moments fit a binding of 20 KiB: 1031 rows of 16.
const wide = { vocabularySize: 1031 };
const limit = 20 * 1024;
const models: [string, Precision, DecoderConfig][] = [
  ["tied", "f32", { ...olmo, ...wide }],
  ["untied", "f32", { ...llama, ...wide }],
  ["untied", "f16", { ...llama, ...wide }],
];
for (const [kind, precision, config] of models) {
  (precision === "f16" ? testHalves : Deno.test)(
    `a model with a large ${kind} embedding in ${precision} trains, decodes and is saved in views as without`,
    async () => {
      const sequences = randomSequences(8, { weighted: true }).map((sequence) => ({
        ...sequence,
        tokens: sequence.tokens.map((token) => token * 19 % config.vocabularySize),
      }));
      const run = async (bindingLimit?: number) => {
        using gpu = await Gpu.open({ ...(bindingLimit && { bindingLimit }) });
        using model = trainable(gpu, config, 1, precision);
        const before = await model.download();
        const { log } = await fit(model, {
          epochs: [sequences, sequences],
          perStep: 4,
          mostPositions: 32,
          seed: 1,
          objective: objective("unlikelihood"),
          optimiser: settings,
          schedule: { peak: 3e-3, warmup: 1, decay: "cosine", final: 0.1 },
          recompute: true,
        });
        const prompts = [Uint32Array.of(1, 1030, 3), Uint32Array.of(517)];
        const written = await generate(model, prompts, { maxNewTokens: 6 });
        const drawn = await generate(model, prompts, { maxNewTokens: 6, topK: 4 });
        const reports = log.map(({ loss, gradientNorm }) => [loss, gradientNorm]);
        return { before, after: await model.download(), reports, written, drawn };
      };
      const whole = await run(), views = await run(limit);
      const tolerance = precision === "f16" ? 2e-3 : 1e-5;
      assertClose(views.reports.flat(), whole.reports.flat(), tolerance, "losses and norms");
      assertEquals(views.written.map(({ length }) => length), [6, 6]);
      if (precision === "f32") {
        assertEquals(views.written, whole.written);
        assertEquals(views.drawn, whole.drawn);
      }
      for (const [parameter, { data, shape }] of whole.before) {
        assertSame(views.before.get(parameter)!.data, data, parameter);
        assertEquals(views.after.get(parameter)!.shape, shape);
        assertClose(
          views.after.get(parameter)!.data,
          whole.after.get(parameter)!.data,
          1e-4,
          parameter,
        );
      }
    },
  );
}

Deno.test("per-token losses and a step over views leave no gradient behind", async () => {
  using gpu = await Gpu.open({ bindingLimit: limit });
  using model = trainable(gpu, { ...olmo, ...wide });
  const shape = { rows: 2, time: 16 };
  using trainer = new Trainer(model, {
    ...shape,
    objective: objective("direct"),
    optimiser: settings,
  });
  const [batch] = packSequences(randomSequences(2), shape).batches;
  const { losses } = await trainer.losses(batch!);
  assert(losses.some((loss) => loss > 0));
  const gradients = await model.parameters.download("gradient");
  for (const [name, { data }] of gradients) assertSame(data, new Float32Array(data.length), name);
});

Deno.test("a parameter larger than a buffer is refused with its name, its size and what would fit", async () => {
  using gpu = await Gpu.open();
  const rows = Math.floor(gpu.adapter.limits.maxBufferSize! / (4 * 2 ** 16));
  const shapes = new Map([["small", [2, 2]], ["large", [rows + 1, 2 ** 16]]]);
  assertThrows(
    () =>
      new Parameters(gpu, shapes, { learned: () => false, precision: "f32", decays: () => true }),
    `Cannot hold the parameter "large" [${rows + 1}, 65536]: it needs`,
  );
  assertEquals(gpu.bytes, 0);
});
