// Addition, SwiGLU and both forms of GELU against float64, over several workgroups of 64 and at arguments where an
// exponential overflows f32. The reference's backward passes are checked by finite differences in reference_test.ts.

import {
  add,
  geluBackward,
  geluForward,
  swigluBackward,
  swigluForward,
} from "../kernels/activation.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";
import { filled, floats, type Host, launch, normals } from "./launch.ts";
import {
  geluErf,
  geluErfBackward,
  geluTanh,
  geluTanhBackward,
  swiglu,
  swigluBackward as swigluSlow,
} from "./reference.ts";

// 131 numbers: two whole workgroups and a ragged one, with the extremes in front.
function withExtremes(label: string): Host {
  const host = normals(label, 131);
  host.data.set([0, -0, 100, -100, 20, -20, 1e-6, -1e-6]);
  return host;
}

Deno.test("SwiGLU and its gradients agree with float64", async () => {
  using gpu = await Gpu.open();
  const gate = withExtremes("gate"), up = normals("up", 131), dy = normals("dy", 131);
  const out = filled(NaN, 131);
  const result = await launch(
    gpu,
    { gate, up, dy, y: out, dgate: out, dup: out },
    (program, tensors) => {
      swigluForward(program, tensors);
      swigluBackward(program, tensors);
    },
  );
  const { dgate, dup } = swigluSlow(dy.data, gate.data, up.data);
  assertClose(result.y, swiglu(gate.data, up.data), 1e-6, "y");
  assertClose(result.dgate, dgate, 1e-6, "dgate");
  assertClose(result.dup, dup, 1e-6, "dup");
});

Deno.test("addition adds", async () => {
  using gpu = await Gpu.open();
  const a = withExtremes("a"), b = normals("b", 131);
  const { y } = await launch(gpu, { a, b, y: filled(NaN, 131) }, add);
  assertEquals(y, Float32Array.from(a.data, (value, i) => value + b.data[i]!));
});

const forms = {
  exact: { forward: geluErf, backward: geluErfBackward },
  tanh: { forward: geluTanh, backward: geluTanhBackward },
} as const;
for (const form of ["exact", "tanh"] as const) {
  Deno.test(`GELU (${form}) and its gradient agree with float64`, async () => {
    using gpu = await Gpu.open();
    const x = withExtremes("x"), dy = normals("dy", 131);
    const { y, dx } = await launch(
      gpu,
      { x, dy, y: filled(NaN, 131), dx: filled(NaN, 131) },
      (program, tensors) => {
        geluForward(program, form, tensors);
        geluBackward(program, form, tensors);
      },
    );
    const { forward, backward } = forms[form];
    assertClose(y, forward(x.data), 1e-6, "y");
    assertClose(dx, backward(dy.data, x.data), 1e-6, "dx");
  });
}

Deno.test("the two forms of GELU differ by as much as they should", async () => {
  using gpu = await Gpu.open();
  const x = floats([1, -2, 3]), y = filled(NaN, 3);
  const { exact, tanh } = await launch(gpu, { x, exact: y, tanh: y }, (program, tensors) => {
    geluForward(program, "exact", { x: tensors.x, y: tensors.exact });
    geluForward(program, "tanh", { x: tensors.x, y: tensors.tanh });
  });
  const differences = geluErf(x.data).map((value, i) => value - geluTanh(x.data)[i]!);
  exact.forEach((value, i) =>
    assert(Math.abs(value - tanh[i]! - differences[i]!) < 1e-6, `at ${x.data[i]}`)
  );
});

Deno.test("tensors of different length are refused by name", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const a = program.allocate("a", [6]), b = program.allocate("b", [5]);
  assertThrows(
    () => swigluForward(program, { gate: a, up: b, y: a }),
    'Cannot record swiglu_forward: "test/b" has 5 elements, not 6',
  );
});
