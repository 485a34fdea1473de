// The rules by which the tape lets variables share gradient memory, and that it refuses what would corrupt one.

import { linear, norm, swiglu } from "../src/nn/operations.ts";
import { Tape, type Variable } from "../src/nn/tape.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";
import { normals } from "./launch.ts";
import { layerNormBackward } from "./reference.ts";

function tapeOn(gpu: Gpu, training = true): Tape {
  return new Tape(new Program(gpu, "test"), training);
}

Deno.test("the first contribution to a gradient overwrites, the next ones add", async () => {
  using gpu = await Gpu.open();
  const tape = tapeOn(gpu);
  const x = tape.variable("x", [2, 3]);
  const first = tape.receive(x);
  assertEquals(first.fresh, true);
  assertEquals(first.gradient.shape, [2, 3]);
  assertEquals(tape.receive(x), { gradient: first.gradient, fresh: false });
});

Deno.test("adding to a gradient that two variables share is refused by name", async () => {
  using gpu = await Gpu.open();
  const tape = tapeOn(gpu);
  const sum = tape.variable("sum", [4]), stream = tape.variable("stream", [4]);
  const { gradient } = tape.receive(sum);
  tape.share(stream, gradient);
  assert(stream.gradient === gradient, "no copy");
  const message = "is still needed by another variable";
  assertThrows(() => tape.receive(stream), `The gradient of test/stream ${message}`);
  assertThrows(() => tape.receive(sum), `The gradient of test/sum ${message}`);
});

Deno.test("a variable that already has a gradient cannot share another", async () => {
  using gpu = await Gpu.open();
  const tape = tapeOn(gpu);
  const sum = tape.variable("sum", [4]), stream = tape.variable("stream", [4]);
  tape.receive(stream);
  const { gradient } = tape.receive(sum);
  assertThrows(() => tape.share(stream, gradient), "test/stream already has a gradient");
});

Deno.test("a shared gradient may be added to once the others have consumed it", async () => {
  using gpu = await Gpu.open();
  const tape = tapeOn(gpu);
  const stream = tape.variable("stream", [4]);
  // As a residual block records it: the branch reads the stream, then the sum takes both.
  const branch = tape.variable("branch", [4]);
  let fresh: boolean | undefined;
  tape.record(branch, () => fresh = tape.receive(stream).fresh);
  // The branch is released after its own closure, so its reader of the stream must still be refused; a second
  // operation in between consumes the branch first.
  const inner = tape.variable("inner", [4]);
  tape.record(inner, () => tape.receive(branch));
  const sum = tape.variable("sum", [4]);
  tape.record(sum, () => {
    tape.share(stream, sum.gradient!);
    tape.share(inner, sum.gradient!);
  });
  tape.receive(sum);
  tape.backward();
  assertEquals(fresh, false); // the stream's gradient came from the sum, and the branch adds to it
});

Deno.test("gradient memory is borrowed again once its variable has been consumed", async () => {
  using gpu = await Gpu.open();
  const tape = tapeOn(gpu);
  const [a, b, c] = ["a", "b", "c"].map((name) => tape.variable(name, [64]));
  const buffers: GPUBuffer[] = [];
  const take = (variable: Variable) => buffers.push(tape.receive(variable).gradient.buffer);
  tape.record(b!, () => take(a!));
  tape.record(c!, () => take(b!));
  take(c!);
  tape.backward();
  assertEquals(buffers.length, 3);
  assert(buffers[1] !== buffers[0], "c is still read while b is written");
  assert(buffers[2] === buffers[0], "a reuses the memory of c");
});

Deno.test("an operation that overwrites refuses a variable with a second reader", async () => {
  using gpu = await Gpu.open();
  const tape = tapeOn(gpu);
  const gate = tape.variable("gate", [4]), up = tape.variable("up", [4]);
  const once = swiglu(tape, "once", gate, up);
  const twice = swiglu(tape, "twice", gate, up);
  tape.receive(once);
  tape.receive(twice);
  assertThrows(() => tape.backward(), "test/gate is read by more than one operation");
});

Deno.test("without training nothing is recorded for the way back", async () => {
  using gpu = await Gpu.open();
  const tape = tapeOn(gpu, false);
  const x = tape.variable("x", [2, 4]);
  norm(tape, "norm", x, { centered: true, epsilon: 1e-5 });
  const recorded = tape.program.length;
  tape.backward();
  assertEquals(tape.program.length, recorded);
});

Deno.test("a residual block's gradient is the sum over both paths", async () => {
  using gpu = await Gpu.open();
  const tape = tapeOn(gpu);
  const { program } = tape;
  const [N, C] = [5, 8];
  const x = tape.variable("x", [N, C]);
  const weight = {
    value: program.allocate("weight", [C, C]),
    gradient: program.allocate("d(weight)", [C, C]),
  };
  const normed = norm(tape, "norm", x, { centered: true, epsilon: 1e-5 });
  const sum = linear(tape, "sum", normed, { weight, stream: x });
  const { gradient: dsum } = tape.receive(sum);
  const dx = program.allocate("dx", [N, C]);
  tape.backward();
  program.copy(x.gradient!, dx);

  const host = {
    x: normals("x", N, C).data,
    w: normals("w", C, C).data,
    d: normals("d", N, C).data,
  };
  gpu.write(x.value, host.x);
  gpu.write(weight.value, host.w);
  gpu.write(dsum, host.d);
  program.replay();
  const dnormed = new Float64Array(N * C);
  for (let n = 0; n < N; n++) {
    for (let i = 0; i < C; i++) {
      for (let o = 0; o < C; o++) dnormed[n * C + i]! += host.d[n * C + o]! * host.w[o * C + i]!;
    }
  }
  const through = layerNormBackward(dnormed, host.x, { C, epsilon: 1e-5 }).dx;
  assertClose(await gpu.read(dx), through.map((value, i) => value + host.d[i]!), 1e-5);
});

Deno.test("a segment gives the same gradients when its activations are computed again", async () => {
  using gpu = await Gpu.open();
  const [N, C] = [5, 8];
  const host = { x: normals("x", N, C).data, w: normals("w", C, C).data };
  const run = async (recompute: boolean) => {
    const tape = tapeOn(gpu);
    const { program } = tape;
    const weight = {
      value: program.allocate("weight", [C, C]),
      gradient: program.allocate("d(weight)", [C, C]),
    };
    gpu.write(weight.value, host.w);
    const x = tape.variable("x", [N, C]);
    gpu.write(x.value, host.x);
    let y = x;
    for (let i = 0; i < 3; i++) {
      const stream = y;
      const block = () => {
        const normed = norm(tape, `norm${i}`, stream, { centered: true, epsilon: 1e-5 });
        return linear(tape, `block${i}`, normed, { weight, stream });
      };
      y = tape.segment(block, { recompute });
    }
    const incoming = program.allocate("incoming", [N, C]);
    gpu.write(incoming, host.x);
    program.copy(incoming, tape.receive(y).gradient); // here: its memory served the forward pass before
    const dx = program.allocate("dx", [N, C]);
    const held = gpu.bytes;
    tape.backward();
    program.copy(x.gradient!, dx);
    program.replay();
    const [values, gradients, weights] = await gpu.readAll([y.value, dx, weight.gradient]);
    program.destroy();
    return { values, gradients, weights, held };
  };
  const kept = await run(false);
  const recomputed = await run(true);
  assertEquals(recomputed.values, kept.values);
  assertEquals(recomputed.gradients, kept.gradients);
  assertEquals(recomputed.weights, kept.weights);
  assert(recomputed.held < kept.held, `${recomputed.held} bytes against ${kept.held}`);
});
