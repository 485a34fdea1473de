// Column sums, and the folding of long dispatches that every element-wise launcher uses.

import { geluForward } from "../kernels/activation.ts";
import { spread } from "../kernels/grid.ts";
import { sumRows } from "../kernels/sum_rows.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { assert, assertClose, assertEquals } from "./assert.ts";
import { launch, normals } from "./launch.ts";

Deno.test("sumRows adds every row to the output", async () => {
  using gpu = await Gpu.open();
  for (const [rows, width] of [[1, 1], [3, 65], [70, 130]] as const) {
    const x = normals("x", rows, width), start = normals("start", width);
    const { out } = await launch(
      gpu,
      { x, out: start },
      (program, { x, out }) => sumRows(program, x, out),
    );
    const expected = Float64Array.from(start.data);
    x.data.forEach((value, i) => expected[i % width]! += value);
    assertClose(out, expected, 1e-6, `${rows} × ${width}`);
  }
});

Deno.test("spread folds more than 65,535 workgroups into a second axis and covers every item", () => {
  assertEquals(spread(0), [0]);
  assertEquals(spread(1), [1]);
  assertEquals(spread(65), [2]);
  assertEquals(spread(65_535 * 64), [65_535]);
  assertEquals(spread(65_535 * 64 + 1), [65_535, 2]);
  assertEquals(spread(65_536, 1), [65_535, 2]);
});

Deno.test("an element-wise kernel reaches the last element beyond 65,535 workgroups", async () => {
  using gpu = await Gpu.open();
  using program = new Program(gpu, "test");
  const length = 65_535 * 64 + 67; // two more workgroups than one axis holds
  const a = program.allocate("a", [length]), y = program.allocate("y", [length]);
  gpu.write(a, Float32Array.from({ length }, (_, i) => i)); // below 2²⁴: exact in f32
  geluForward(program, "tanh", { x: a, y }); // the identity from 10 on, to the last bit of f32
  program.replay();
  const same = await gpu.read(y);
  assert(same.every((value, i) => i < 10 || value === i));
});
