// The engine under the kernels: text directives, bindings, memory, replay, the scalar ring, and what is said when
// something goes wrong on a device that reports its errors late.

import { Gpu, viewAlignment } from "../src/gpu/gpu.ts";
import { kernel } from "../src/gpu/kernel.ts";
import { f32, Program } from "../src/gpu/program.ts";
import { runtimeOf } from "../src/gpu/runtime.ts";
import { ScalarRing } from "../src/gpu/ring.ts";
import { elements, type Tensor } from "../src/gpu/tensor.ts";
import { assert, assertClose, assertEquals, assertRejects, assertThrows } from "./assert.ts";

// y[i] = x[i] · scale + shift, small enough to be checked by eye.
const affine = `
struct Dims { count: u32, scale: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1)
fn run(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < dims.count) { y[id.x] = x[id.x] * dims.scale + f32(SHIFT); }
}`;

function recordAffine(
  program: Program,
  { x, y, scale, shift = 0 }: { x: Tensor; y: Tensor; scale: number; shift?: number },
) {
  program.dispatch({
    kernel: kernel("affine", affine, "run", { SHIFT: shift }),
    tensors: { x, y },
    dims: [x.length, f32(scale)],
    workgroups: [x.length],
  });
}

function lines(...text: string[]): string {
  return text.join("\n");
}

Deno.test("a kernel knows its bindings and starts with its constants", () => {
  const text = `${affine}\nconst flag = FLAG;`;
  const { name, source, bindings } = kernel("affine", text, "run", {
    SHIFT: 3,
    FLAG: true,
    CODE: "fn helper() {}",
  });
  assertEquals(name, "affine.run");
  assert(source.startsWith("const SHIFT = 3u;\nconst FLAG = true;\nfn helper() {}\n"));
  assertEquals([...bindings], [
    ["dims", { index: 0, access: "uniform" }],
    ["x", { index: 1, access: "read" }],
    ["y", { index: 2, access: "read_write" }],
  ]);
});

Deno.test("a kernel enables what its text needs, before all else", () => {
  const source = (text: string, types: Record<string, "f16"> = {}) =>
    kernel("k", text, "run", { N: 1 }, types).source.split("\nconst ")[0];
  const subgroups = "fn run() { let sum = subgroupAdd(N); }";
  assertEquals(source(subgroups), "enable subgroups;");
  assertEquals(
    source(`alias T = Stored; ${subgroups}`, { Stored: "f16" }),
    "enable f16;\nenable subgroups;\nalias Stored = f16;",
  );
  const text = "// subgroupAdd() is not used here\nlet subgroupAddress = N;";
  assert(!kernel("k", text, "run", { N: 1 }).source.includes("enable"));
});

Deno.test("bindings of a part left out do not exist", () => {
  const text = lines("// @if BIAS", affine, "// @end");
  assertEquals(kernel("affine", text, "run", { BIAS: false }).bindings.size, 0);
});

Deno.test("a view is written and read at its offset and nowhere else", async () => {
  using gpu = await Gpu.open();
  const arena = gpu.allocate("arena", [3 * viewAlignment / 4]);
  const view: Tensor = { ...arena, name: "view", shape: [3], offset: viewAlignment, length: 3 };
  gpu.write(view, Float32Array.of(1, 2, 3));
  gpu.write(view, Float32Array.of(9), 1);
  assertEquals([...await gpu.read(view)], [1, 9, 3]);
  const whole = [...await gpu.read(arena)];
  const start = viewAlignment / 4;
  assertEquals(whole.splice(start, 3), [1, 9, 3]);
  assert(whole.every((value) => value === 0));

  using program = new Program(gpu, "test");
  const y: Tensor = { ...arena, name: "y", shape: [2], offset: 2 * viewAlignment, length: 2 };
  const x = program.allocate("x", [2]);
  gpu.write(x, Float32Array.of(5, 6));
  recordAffine(program, { x, y, scale: 2, shift: 1 });
  program.replay();
  assertEquals([...await gpu.read(y)], [11, 13]);
  assertEquals([...await gpu.read(view)], [1, 9, 3]);
});

Deno.test("integers come back as integers, and several tensors in one read", async () => {
  using gpu = await Gpu.open();
  const a = gpu.allocate("a", [3], "u32"), b = gpu.allocate("b", [1]);
  const empty = gpu.allocate("empty", [0]);
  gpu.write(a, Uint32Array.of(0xffffffff, 0, 7));
  gpu.write(b, Float32Array.of(0.5));
  assertEquals([...await gpu.readIntegers(a)], [0xffffffff, 0, 7]);
  const [, none, half] = await gpu.readAll([a, empty, b]);
  assertEquals(none!.byteLength, 0);
  assertEquals([...new Float32Array(half!)], [0.5]);
});

Deno.test("writing past the end of a tensor is refused by name", async () => {
  using gpu = await Gpu.open();
  const tensor = gpu.allocate("short", [4]);
  assertThrows(() => gpu.write(tensor, new Float32Array(3), 2), '3 elements at 2 to "short" of 4');
  assertEquals([...await gpu.read(tensor)], [0, 0, 0, 0]);
});

Deno.test("a tensor larger than a binding is refused with its name and size", async () => {
  using gpu = await Gpu.open();
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.adapter.limits;
  const length = Math.min(maxStorageBufferBindingSize!, maxBufferSize!) / 4 + 4;
  const before = gpu.bytes;
  assertThrows(() => gpu.allocate("logits", [2, length / 2]), 'Cannot allocate "logits" [2, ');
  assertThrows(
    () => gpu.allocate("logits", [4, length / 2]),
    "At most 1 of its 4 rows fit: use a smaller batch or micro-batch",
  );
  assertThrows(
    () => gpu.allocate("logits", [1, length], "f32"),
    `Its rows may have at most ${length - 4} elements: use a smaller model`,
  );
  assertThrows(
    () => gpu.allocate("arena", [maxBufferSize! / 4 + 4], "f32", { views: true }),
    `allocates at most ${(maxBufferSize! / 2 ** 20).toFixed(1)} MiB`,
  );
  assertEquals(gpu.bytes, before);
});

Deno.test("a kernel that does not compile is named by the next read", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const x = program.allocate("x", [4]), y = program.allocate("y", [4]);
  const broken = affine.replace("dims.scale", "dims.nonsense");
  // An adapter may refuse at once or later; either way the kernel has its name in the message.
  await assertRejects(async () => {
    program.dispatch({
      kernel: kernel("broken", broken, "run", { SHIFT: 0 }),
      tensors: { x, y },
      dims: [4, f32(1)],
      workgroups: [4],
    });
    program.replay();
    await gpu.read(y);
  }, "broken.run");
});

Deno.test("a tensor bound by a name that the kernel does not declare is refused", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const x = program.allocate("x", [4]);
  assertThrows(() => {
    program.dispatch({
      kernel: kernel("affine", affine, "run", { SHIFT: 0 }),
      tensors: { input: x, y: x },
      dims: [4, f32(1)],
      workgroups: [4],
    });
  }, 'Kernel affine.run declares no "input"');
});

Deno.test("a binding that is left out fails the next read", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const y = program.allocate("y", [4]);
  program.dispatch({
    kernel: kernel("affine", affine, "run", { SHIFT: 0 }),
    tensors: { y },
    dims: [4, f32(1)],
    workgroups: [4],
  });
  await assertRejects(() => gpu.read(y), "Cannot go on with the GPU");
});

Deno.test("the first of several errors is the one that is reported", async () => {
  using gpu = await Gpu.open();
  const size = gpu.adapter.limits.maxBufferSize! + 4;
  gpu.device.createBuffer({ size, usage: GPUBufferUsage.STORAGE });
  gpu.device.createShaderModule({ label: "nonsense", code: "nonsense" });
  await assertRejects(() => gpu.settle(), `${size}`);
  await assertRejects(() => gpu.settle(), `${size}`); // and stays so
});

Deno.test("a lost device is said to be lost by the next read, which does not hang", async () => {
  using gpu = await Gpu.open();
  const tensor = gpu.allocate("x", [4]);
  assertEquals([...await gpu.read(tensor)], [0, 0, 0, 0]);
  gpu.device.destroy(); // as a driver reset does: behind the program's back
  await assertRejects(() => gpu.read(tensor), "the device was lost");
  await assertRejects(() => gpu.settle(), "the device was lost");
});

Deno.test("released scratch memory is borrowed again, and all of it is given back", async () => {
  using gpu = await Gpu.open();
  const empty = gpu.bytes;
  const program = new Program(gpu, "step");
  const first = program.borrow("first", [4, 8]);
  const other = program.borrow("other", [32]);
  assert(other.buffer !== first.buffer, "still in use");
  program.release(first);
  const second = program.borrow("second", [8, 4]);
  assert(second.buffer === first.buffer, "the same 32 elements");
  assertEquals({ name: second.name, shape: second.shape }, { name: "step/second", shape: [8, 4] });
  assert(program.borrow("third", [32]).buffer !== first.buffer, "borrowed once only");
  program.release(other);
  assert(program.borrow("smaller", [31]).buffer !== other.buffer, "another size");

  const kept = gpu.allocate("kept", [1000]);
  assertEquals(gpu.bytes - empty, 4 * 128 + 4000); // 31 elements are held as 32
  assertEquals(gpu.inventory()[0], { name: "kept", bytes: 4000 });
  assert(gpu.inventory().some(({ name }) => name === "step/other"));
  program.destroy();
  assertEquals(gpu.bytes - empty, 4000);
  gpu.free(kept);
  gpu.free(kept); // harmless
  assertEquals(gpu.bytes, empty);
});

Deno.test("a replay repeats the list, asks for workgroups every time and skips a count of zero", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const x = program.allocate("x", [3]), y = program.allocate("y", [3]);
  let wanted = 3;
  program.dispatch({
    kernel: kernel("affine", affine, "run", { SHIFT: 1 }),
    tensors: { x, y },
    dims: [3, f32(2)],
    workgroups: () => [wanted],
  });
  program.copy(y, x);
  program.replay();
  assertEquals([...await gpu.read(x)], [1, 1, 1]);
  program.replay(2);
  assertEquals([...await gpu.read(x)], [7, 7, 7]);
  wanted = 1;
  program.replay();
  assertEquals([...await gpu.read(x)], [15, 7, 7]);
  wanted = 0;
  program.replay();
  assertEquals([...await gpu.read(x)], [15, 7, 7]);
  program.clear(y);
  program.replay();
  assertEquals([...await gpu.read(y)], [0, 0, 0]);
  assertEquals(program.length, 3);
});

Deno.test("the ring keeps every push in order until it is drained, and says when it is full", async () => {
  using gpu = await Gpu.open();
  const loss = gpu.allocate("loss", [1]), status = gpu.allocate("status", [3]);
  const ring = new ScalarRing(gpu, [loss, status], 5);
  const push = (step: number) => {
    gpu.write(loss, Float32Array.of(step));
    gpu.write(status, Float32Array.of(10 * step, 20 * step, 30 * step));
    ring.push();
  };
  for (let step = 1; step <= 5; step++) push(step);
  assertEquals(ring.length, 5);
  assertThrows(() => ring.push(), "The scalar ring is full");
  const rows = (await ring.drain()).map((row) => [...row]);
  assertEquals(rows, [1, 2, 3, 4, 5].map((step) => [step, 10 * step, 20 * step, 30 * step]));
  assertEquals(ring.length, 0);
  push(6);
  assertEquals((await ring.drain()).map((row) => [...row]), [[6, 60, 120, 180]]);
  const before = gpu.bytes;
  ring.destroy();
  assertEquals(before - gpu.bytes, 5 * 4 * 4);
});

Deno.test("findFirst names the kernel and the tensor in which a NaN began", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "train");
  const [x, fine, broken, after] = ["x", "fine", "broken", "after"]
    .map((name) => program.allocate(name, [4])) as [Tensor, Tensor, Tensor, Tensor];
  gpu.write(x, Float32Array.of(1, 2, 3, 4));
  recordAffine(program, { x, y: fine, scale: 2 });
  recordAffine(program, { x: fine, y: broken, scale: 3e38 }); // overflows to infinity
  recordAffine(program, { x: broken, y: after, scale: 1 });
  const infinite = async (tensor: Tensor) => !(await gpu.read(tensor)).every(Number.isFinite);
  assertEquals(await program.findFirst(infinite), { kernel: "affine.run", tensor: "train/broken" });
  assertEquals(await program.findFirst(() => Promise.resolve(false)), undefined);
});

Deno.test("equal constants share a buffer and unequal ones do not", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const x = program.allocate("x", [1]);
  const outputs = [2, 3, 2].map((scale) => {
    const y = program.allocate("y", [1]);
    recordAffine(program, { x, y, scale });
    return y;
  });
  gpu.write(x, Float32Array.of(1));
  program.replay();
  const results = (await gpu.readAll(outputs)).map((bytes) => new Float32Array(bytes)[0]);
  assertEquals(results, [2, 3, 2]);
  const bytes = () => new ArrayBuffer(16);
  assert(gpu.constants(bytes()) === gpu.constants(bytes()));
});

Deno.test("the adapter is described, and the lanes of a row may be chosen", async () => {
  using gpu = await Gpu.open();
  assert(gpu.adapter.name.length > 0);
  assert(gpu.adapter.limits.maxStorageBufferBindingSize! >= 2 ** 27);
  assertEquals(gpu.lanesPerRow, gpu.adapter.software ? 1 : 64);
  using other = await Gpu.open({ lanesPerRow: gpu.adapter.software ? 64 : 1 });
  assertEquals(other.lanesPerRow, gpu.adapter.software ? 64 : 1);
});

Deno.test("elements multiplies a shape", () => {
  assertEquals(elements([]), 1);
  assertEquals(elements([2, 3, 4]), 24);
  assertClose(elements([5, 0]), 0, 0);
});

Deno.test("without an adapter each runtime says its own way to one, also where it has no navigator at all", async () => {
  const versions = { node: "22.0.0", deno: "2.9.6" };
  assertEquals(runtimeOf({ Deno: {}, process: { versions } }), "deno");
  assertEquals(runtimeOf({ process: { versions } }), "node");
  assertEquals(runtimeOf({ process: {} }), "browser", "as bundlers put it into pages");
  assertEquals(runtimeOf({}), "browser");
  assertEquals(runtimeOf(), "deno");
  const globals = globalThis as { navigator?: unknown };
  const { navigator } = globals;
  for (const without of [undefined, {}, { gpu: { requestAdapter: () => Promise.resolve(null) } }]) {
    Object.defineProperty(globals, "navigator", { value: without, configurable: true });
    try {
      await assertRejects(
        () => Gpu.open(),
        "Cannot use WebGPU: no adapter was found. Run `deno task",
      );
    } finally {
      Object.defineProperty(globals, "navigator", { value: navigator, configurable: true });
    }
  }
});

Deno.test("a profile asks for no timestamp that nothing writes, for which a GPU would wait forever", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "profiled");
  const [x, y] = ["x", "y"].map((name) => program.allocate(name, [4]));
  const affineBy = (workgroups: number | (() => [number])) =>
    program.dispatch({
      kernel: kernel("affine", affine, "run", { SHIFT: 1 }),
      tensors: { x: x!, y: y! },
      dims: [4, f32(2)],
      workgroups: typeof workgroups === "number" ? [workgroups] : workgroups,
    });
  program.clear(x!);
  affineBy(() => [0]);
  affineBy(4);
  program.copy(y!, x!);
  affineBy(4);
  const { beginComputePass, resolveQuerySet } = GPUCommandEncoder.prototype;
  const written: number[] = [];
  let resolved: number[] = [];
  GPUCommandEncoder.prototype.beginComputePass = function (descriptor) {
    const writes = descriptor?.timestampWrites;
    if (writes) written.push(writes.beginningOfPassWriteIndex!, writes.endOfPassWriteIndex!);
    return beginComputePass.call(this, descriptor);
  };
  GPUCommandEncoder.prototype.resolveQuerySet = function (set, first, count, ...into) {
    resolved = Array.from({ length: count }, (_, i) => first + i);
    return resolveQuerySet.call(this, set, first, count, ...into);
  };
  try {
    const [only, ...others] = await program.profile();
    assertEquals([only?.kernel, only?.calls, others], ["affine.run", 2, []]);
  } finally {
    Object.assign(GPUCommandEncoder.prototype, { beginComputePass, resolveQuerySet });
  }
  assertEquals(written, [0, 1, 2, 3]);
  assertEquals(resolved, written);
  assertEquals([...await gpu.read(y!)], [3, 3, 3, 3], "and it computes all that a replay does");
});
