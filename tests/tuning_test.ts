// How an adapter gets the kernels that suit it: from what is committed for its driver, from what was measured and kept, or
// by measuring; never a way that computes something wrong there, and never more workgroup memory than it has.

import { attentionBackward, attentionForward } from "../kernels/attention.ts";
import { areCandidates, candidates } from "../kernels/candidates.ts";
import { matmul } from "../kernels/matmul.ts";
import { chooseKernels, fastest, storageKey } from "../kernels/tuning.ts";
import { productTrial } from "../kernels/tuning_trials.ts";
import {
  assumedChoices,
  committedChoices,
  describeChoices,
  type KernelChoices,
  knownChoices,
  type MatmulVariant,
} from "../src/gpu/choices.ts";
import committed from "../src/gpu/choices.json" with { type: "json" };
import { Gpu } from "../src/gpu/gpu.ts";
import type { Kernel } from "../src/gpu/kernel.ts";
import { Program } from "../src/gpu/program.ts";
import { assert, assertEquals } from "./assert.ts";

const limits = { maxComputeWorkgroupStorageSize: 16_384 };
const card = { name: "a card", software: false, limits };
const buffer = (rowBlocks: number): MatmulVariant => ({
  ...{ memory: "buffer", rowBlocks, columnBlocks: 1, lines: 2 },
});

Deno.test("a driver that was measured gets what is committed for it, any other what suits its kind", () => {
  const llvmpipe = { name: "llvmpipe (LLVM 15.0.6, 256 bits)", software: true, limits };
  assertEquals(knownChoices(llvmpipe), committedChoices(llvmpipe)!);
  assertEquals(knownChoices(llvmpipe).origin, "committed");
  assertEquals(
    knownChoices({ ...llvmpipe, name: "llvmpipe (LLVM 99.0.0, 256 bits)" }).origin,
    "assumed",
  );
  assertEquals(knownChoices(card).attention.memory, "workgroup");
  const { large, square } = knownChoices(card).matmul;
  assertEquals(large, square, "large tiles need more than 16 KB");
  const roomy = { ...card, limits: { maxComputeWorkgroupStorageSize: 32_768 } };
  assert(knownChoices(roomy).matmul.large !== knownChoices(roomy).matmul.square);
});

Deno.test("what is committed for a driver is among what its adapter chooses from", () => {
  for (const { adapter: name } of committed) {
    const adapter = { name, software: true, limits };
    const choices = committedChoices(adapter)!;
    assertEquals(choices.origin, "committed");
    assert(areCandidates({ adapter, readsTextures: true }, choices), name);
  }
  assert(committed.length > 1);
});

Deno.test("what an adapter with 16 KB of workgroup memory chooses from compiles where there is no more", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice(); // with the limits that every adapter has
  assertEquals(device.limits.maxComputeWorkgroupStorageSize, 16_384);
  using gpu = await Gpu.open();
  const kernels: Kernel[] = [];
  const compile = gpu.pipeline.bind(gpu);
  gpu.pipeline = (kernel) => {
    kernels.push(kernel);
    return compile(kernel);
  };
  gpu.adapter.software = false;
  gpu.adapter.limits = { ...gpu.adapter.limits, ...limits };
  const { square, thin, small, few, attention } = candidates(gpu);
  using program = new Program(gpu, "test");
  const tensor = program.allocate("tensor", [64 * 264]);
  const firstKey = program.allocate("first_key", [64], "u32");
  for (const variant of [...square, ...thin, ...small, ...few]) {
    const shape = { rows: 64, columns: 64, depth: 64, transposeB: true };
    matmul(program, {
      a: tensor,
      b: tensor,
      out: program.allocate("out", [64 * 64]),
      ...shape,
      variant,
    });
  }
  for (const variant of attention) {
    for (const headWidth of [64, 128, 264]) {
      const sizes = { batch: 1, time: 64, heads: 1, kvHeads: 1, headWidth, variant, firstKey };
      const [q, k, v, dout] = [tensor, tensor, tensor, tensor];
      const [out, dq, dk, dv] = ["out", "dq", "dk", "dv"].map((name) =>
        program.allocate(name, [64 * 264])
      ) as [typeof tensor, typeof tensor, typeof tensor, typeof tensor];
      const request = { ...sizes, q, k, v, out, statistics: program.allocate("statistics", [128]) };
      attentionForward(program, request);
      attentionBackward(program, { ...request, dout, dq, dk, dv });
    }
  }
  assert(kernels.length > 10 && attention.length === 1);
  for (const { name, source: code, entryPoint } of kernels) {
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code });
    device.createComputePipeline({ layout: "auto", compute: { module, entryPoint } });
    const error = await device.popErrorScope();
    assertEquals(error?.message ?? null, null, name);
  }
  device.destroy();
});

Deno.test("a trial product is right in both layouts, for every size of its sides", async () => {
  using gpu = await Gpu.open();
  for (const transposeB of [true, false]) {
    using program = new Program(gpu, "trial");
    const trial = productTrial({ rows: 5, columns: 11, depth: 7, transposeB });
    const { actual, expected } = trial(program, buffer(1));
    program.replay();
    const values = [...await gpu.read(actual)];
    assertEquals(values, values.map((_, i) => expected(i)));
    assertEquals(expected(12), 1 + 4 + 0 + 1 + 4 + 0 + 1, "row 1, column 1, by hand");
  }
});

Deno.test("the fastest way is the one that takes least time, and a wrong or refused one is none", async () => {
  using gpu = await Gpu.open();
  const kernels = gpu.adapter.kernels;
  const shape = { rows: 64, columns: 64, depth: 64, transposeB: true };
  const [fast, wrong, refused] = [buffer(2), buffer(3), buffer(4)];
  const trial = productTrial(shape);
  const chosen = await fastest([refused, wrong, fast], (program, variant) => {
    if (variant === refused) {
      program.gpu.device.createShaderModule({ label: "refused", code: "no WGSL" });
    }
    const { actual, expected } = trial(program, variant);
    return {
      actual,
      expected: variant === wrong ? (i) => expected(i) + (i === 4095 ? 1 : 0) : expected,
    };
  }, kernels);
  assertEquals(chosen, fast);
  const slow = buffer(1);
  const repeated = await fastest([slow, fast], (program, variant) => {
    if (variant === slow) { for (let i = 0; i < 50; i++) trial(program, variant); }
    return trial(program, variant);
  }, kernels);
  assertEquals(repeated, fast);
  assertEquals(
    await fastest([wrong], () => ({ actual: gpu.allocate("x", [1]), expected: () => 1 }), kernels),
    undefined,
  );
});

/** Does something with an adapter of another name, of which nothing is kept before and after. */
async function underAnotherName(run: (gpu: Gpu) => Promise<void>): Promise<void> {
  const before = localStorage.getItem(storageKey);
  try {
    using gpu = await Gpu.open();
    gpu.adapter.name = "an adapter of these tests";
    gpu.adapter.kernels = assumedChoices(gpu.adapter);
    await run(gpu);
  } finally {
    if (before === null) localStorage.removeItem(storageKey);
    else localStorage.setItem(storageKey, before);
  }
}

Deno.test("an unknown adapter is measured once; what was measured is kept and found again", async () => {
  await underAnotherName(async (gpu) => {
    const said: string[] = [];
    const { error } = console;
    console.error = (line: string) => said.push(line);
    try {
      await chooseKernels(gpu);
      const { kernels } = gpu.adapter;
      assertEquals(kernels.origin, "measured");
      assert(areCandidates(gpu, kernels));
      gpu.adapter.kernels = assumedChoices(gpu.adapter);
      await chooseKernels(gpu);
      assertEquals(gpu.adapter.kernels, kernels);
    } finally {
      console.error = error;
    }
    assertEquals(said, ["Measuring once how an adapter of these tests computes fastest …"]);
  });
});

Deno.test("what is kept stands above what is committed, unless it is not of this version", async () => {
  await underAnotherName(async (gpu) => {
    const { name } = gpu.adapter;
    const committed: KernelChoices = { ...assumedChoices(gpu.adapter), origin: "committed" };
    const keep = (kernels: unknown) =>
      localStorage.setItem(
        storageKey,
        JSON.stringify({ [`${name}, ${navigator.userAgent}`]: kernels }),
      );
    const { square, thin, attention, loss } = candidates(gpu);
    const kept: KernelChoices = {
      origin: "measured",
      matmul: { large: square.at(-1)!, square: square.at(-1)!, thin: thin.at(-1)! },
      attention: attention.at(-1)!,
      loss: loss.at(-1)!,
    };
    const choose = async () => {
      gpu.adapter.kernels = committed;
      await chooseKernels(gpu);
      return gpu.adapter.kernels;
    };
    keep(kept);
    assertEquals(await choose(), kept);
    for (const other of [{ ...kept, attention: { memory: "texture", owned: 3 } }, {}, 7]) {
      keep(other);
      assertEquals(await choose(), committed);
    }
    localStorage.setItem(storageKey, "{");
    assertEquals(await choose(), committed);
  });
});

Deno.test("choices are told in words", () => {
  const told = describeChoices(knownChoices(card)).map(({ what, how }) => `${what}: ${how}`);
  assertEquals(told, [
    "Matrix products: 8 × 8 sums from workgroup, 64 × 64 × 16",
    "Matrix products, large: 8 × 8 sums from workgroup, 64 × 64 × 16",
    "Matrix products, thin: 4 × 4 sums from workgroup, 8 × 128 × 16",
    "Matrix products, small: 4 × 4 sums from workgroup, 32 × 32 × 32",
    "Matrix products, few rows: 8 × 4 sums that 32 invocations share",
    "Attention: tiles of 32 × 32 from workgroup",
    "Loss: 16 MiB of logits at a time",
    "These kernels: not measured: what suits its kind",
  ]);
  const llvmpipe = { name: "llvmpipe (LLVM 15.0.6, 256 bits)", software: true, limits };
  assertEquals(describeChoices(knownChoices(llvmpipe)).length, 6, "no variants that it has not");
});
