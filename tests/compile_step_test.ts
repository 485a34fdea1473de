// What an adapter makes of a training step, asked without its memory: the same kernels as a step that is really made, the
// limits that they take, and what the adapter has against one.

import { selfTest } from "../kernels/self_test.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import type { Kernel } from "../src/gpu/kernel.ts";
import { workgroupNeeds } from "../src/gpu/workgroup_needs.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { presets } from "../src/model/families.ts";
import { initialise } from "../src/model/initialise.ts";
import { lowRiskSequence } from "../src/data/sequence.ts";
import { packSequences } from "../src/data/packing.ts";
import { objective } from "../src/slung/objective.ts";
import { compileStep } from "../src/train/compile_step.ts";
import { Trainer } from "../src/train/trainer.ts";
import { olmoOptimiser } from "../src/train/optimiser.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";

const shape = { config: presets.tiny, precision: "f32", rows: 2, time: 24 } as const;

/** The kernels that are compiled for a step that is really made, and the memory it takes. */
async function realStep(recompute: boolean): Promise<{ kernels: Kernel[]; memory: number }> {
  using gpu = await Gpu.open();
  const compile = gpu.pipeline.bind(gpu);
  const kernels = new Map<string, Kernel>();
  gpu.pipeline = (kernel) => {
    kernels.set(`${kernel.entryPoint}\n${kernel.source}`, kernel);
    return compile(kernel);
  };
  const { config, rows, time } = shape;
  const model = new LanguageModel(gpu, config, initialise(config, 0), { gradients: true });
  const settings = { rows, time, recompute, optimiser: olmoOptimiser };
  const trainer = new Trainer(model, { ...settings, objective: objective("unlikelihood") });
  const sequence = lowRiskSequence(new Uint32Array(time + 1));
  const { batches } = packSequences(new Array(rows).fill(sequence), { rows, time });
  trainer.step(0, batches, 0);
  await trainer.drain();
  return { kernels: [...kernels.values()], memory: gpu.bytes };
}

for (const recompute of [false, true]) {
  Deno.test(`a step that is only compiled has the kernels and the memory of a real one${recompute ? ", with activations computed again" : ""}`, async () => {
    using gpu = await Gpu.open();
    const { kernels, memory, inventory } = await compileStep(gpu, { ...shape, recompute });
    const real = await realStep(recompute);
    assertEquals(kernels.map(({ name }) => name), real.kernels.map(({ name }) => name));
    assertEquals(
      kernels.map(({ workgroup }) => workgroup),
      real.kernels.map(({ source, entryPoint }) => workgroupNeeds(source, entryPoint)),
    );
    assertEquals(memory, real.memory);
    assertEquals(gpu.bytes, 0);
    const decayed = 4 * 2 * (4 * 64 * 64 + 3 * 64 * 256); // bytes of the matrices of two layers
    assertEquals(inventory[0], { name: "weights/decayed0", bytes: decayed });
    for (const { name, problem, milliseconds, buffers } of kernels) {
      assertEquals(problem, undefined, name);
      assert(milliseconds > 0 && buffers > 0 && buffers <= 8, name);
    }
  });
}

Deno.test("of every kernel the largest binding, the most workgroups and the dispatches are told", async () => {
  using gpu = await Gpu.open();
  const { kernels } = await compileStep(gpu, shape);
  const { config, rows, time } = shape;
  const only = (name: string) => {
    const found = kernels.filter((kernel) => kernel.name === name);
    assertEquals(found.length, 1, name);
    const { buffers, largestBinding, workgroups, dispatches } = found[0]!;
    return { buffers, largestBinding, workgroups, dispatches };
  };
  const { width, vocabularySize, layers } = config;
  const tokens = rows * time;
  assertEquals(only("embedding.forward"), {
    buffers: 3, // tokens, table, rows
    largestBinding: 4 * vocabularySize * width,
    workgroups: Math.ceil(tokens * width / 64),
    dispatches: 1,
  });
  assertEquals(only("norm.forward"), {
    buffers: 3, // x, statistics, y
    largestBinding: 4 * tokens * width,
    workgroups: Math.ceil(tokens / (64 / gpu.lanesPerRow)),
    dispatches: 2 * layers + 1,
  });
  const loss = only("selective_loss.score");
  assertEquals([loss.buffers, loss.dispatches], [8, 1]); // the sizes that do not run are recorded only
});

Deno.test("a step is compiled with the products that were chosen for the adapter", async () => {
  const small = { memory: "buffer", rowBlocks: 1, columnBlocks: 1, lines: 4 } as const;
  const matmul = { large: small, square: small, thin: small };
  using gpu = await Gpu.open({ kernels: { matmul } });
  const { kernels } = await compileStep(gpu, shape);
  const products = kernels.filter(({ name }) => name === "matmul.multiply");
  assert(products.length > 0);
  for (const { workgroup } of products) assertEquals(workgroup.size, [8, 4, 1]);
});

Deno.test("a kernel that the adapter refuses is told with the adapter's words, and the others are compiled", async () => {
  using gpu = await Gpu.open();
  const create = gpu.device.createShaderModule.bind(gpu.device);
  gpu.device.createShaderModule = (descriptor) =>
    create(
      descriptor.label === "rotary.rotate" ? { ...descriptor, code: "fn nonsense(" } : descriptor,
    );
  const { kernels } = await compileStep(gpu, shape);
  const refused = kernels.filter(({ problem }) => problem !== undefined);
  assertEquals(refused.map(({ name }) => name), ["rotary.rotate"]);
  assert(refused[0]!.problem!.includes("nonsense"), refused[0]!.problem);
  await gpu.read(gpu.allocate("after", [4])); // the error was heard and not kept
});

Deno.test("a step beyond the adapter's limits is refused with the tensor, its size and what would fit", async () => {
  using gpu = await Gpu.open({ bindingLimit: 2 ** 15 });
  await assertRejects(
    () => compileStep(gpu, shape),
    'Cannot allocate "train/layer0/up_proj" [48, 256]: it needs 0.0 MiB',
  );
});

Deno.test("what workgroups take is read from constants, aliases and the functions that are called", () => {
  const source = [
    "alias Stored = f16;",
    "alias Row = vec4<Stored>;",
    "const LANES = 16u;",
    "const pitch = LANES + 1u; // a comment with array<f32, 99>",
    "const rows = max(2u * (pitch - 1u) / 3u, 7u % 4u);",
    "var<workgroup> tile: array<vec4f, rows * pitch>;",
    "var<workgroup> halves: array<Row, LANES>;",
    "var<workgroup> unused: array<f32, 1000>;",
    "var<workgroup> one: u32;",
    "fn deep() -> u32 { return one; }",
    "fn helper() -> f32 {",
    "  if (true) { return f32(deep()); }",
    "  return tile[0].x;",
    "}",
    "@compute @workgroup_size(LANES)",
    "fn plain(@builtin(local_invocation_index) lane: u32) {",
    "  let x = helper();",
    "}",
    "@compute @workgroup_size(8, LANES / 2u, min(3, 2))",
    "fn other() { halves[0] = Row(); }",
  ].join("\n");
  assertEquals(workgroupNeeds(source, "plain"), { size: [16, 1, 1], memory: 16 * 10 * 17 + 4 });
  assertEquals(workgroupNeeds(source, "other"), { size: [8, 8, 2], memory: 8 * 16 });
  assertThrows(() => workgroupNeeds(source, "missing"), "There is no entry point missing");
  const unknown = source.replace("LANES = 16u", "LANES = sqrt(4)");
  assertThrows(() => workgroupNeeds(unknown, "plain"), '"sqrt(4)"');
  const matrix = source.replace("one: u32", "one: mat3x3f");
  assertThrows(() => workgroupNeeds(matrix, "plain"), "The size of mat3x3f is not known here");
});

Deno.test("what workgroups take is known of every kernel", async () => {
  for (const lanesPerRow of [1, 64] as const) {
    using gpu = await Gpu.open({ lanesPerRow });
    const compile = gpu.pipeline.bind(gpu);
    gpu.pipeline = (kernel) => {
      const { size: [x, y, z], memory } = workgroupNeeds(kernel.source, kernel.entryPoint);
      assert(x * y * z <= 256 && memory <= 16384, kernel.name); // what WebGPU guarantees
      // Mesa's software adapter computes eight neighbours along x at once: with rows along y the loss took four times as
      // long.
      assert(x >= 8, `${kernel.name} has ${x} invocations along x`);
      return compile(kernel);
    };
    await selfTest(gpu);
  }
});
