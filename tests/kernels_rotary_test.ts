// Rotary positions against float64, in both pairings, forward and backward (a backward pass that reference_test.ts
// checks by finite differences).

import { rotary, rotaryAngles, rotaryFrequencies } from "../kernels/rotary.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { assertClose, assertEquals } from "./assert.ts";
import { floats, integers, launch, normals } from "./launch.ts";
import { rotary as slow, rotaryBackward as slowBackward } from "./reference.ts";

for (const pairing of ["half", "interleaved"] as const) {
  Deno.test(`${pairing} rotary positions turn forward and backward as in float64`, async () => {
    using gpu = await Gpu.open();
    const theta = 10_000;
    for (const [N, H, D] of [[1, 1, 2], [7, 3, 10], [13, 5, 8]] as const) {
      // Positions out of order, repeated, and up to where f32 angles would be off by 1e-4.
      const places = Uint32Array.from({ length: N }, (_, n) => [2047, 0, 5, 5, 1000][n % 5]!);
      const x = normals("x", N, H * D);
      const hosts = {
        forward: x,
        backward: x,
        positions: integers(places),
        angles: floats(rotaryAngles(2048, rotaryFrequencies(D, theta)), [2048, D / 2, 2]),
      };
      const { forward, backward } = await launch(
        gpu,
        hosts,
        (program, { forward, backward, positions, angles }) => {
          const shared = { positions, angles, heads: H, headWidth: D, pairing };
          rotary(program, { ...shared, x: forward });
          rotary(program, { ...shared, x: backward, backward: true });
        },
      );
      const options = { H, D, positions: places, theta, pairing };
      assertClose(forward, slow(x.data, options), 1e-6, "forward");
      assertClose(backward, slowBackward(x.data, options), 1e-6, "backward");
    }
  });
}

Deno.test("where only the first entries of a head turn, the others keep their bits", async () => {
  using gpu = await Gpu.open();
  const [N, H, D, R] = [7, 3, 20, 6];
  const places = Uint32Array.from({ length: N }, (_, n) => 3 * n);
  const x = normals("x", N, H * D);
  const angles = rotaryAngles(20, rotaryFrequencies(R, 100));
  const hosts = { x, back: x, positions: integers(places), angles: floats(angles, [20, R / 2, 2]) };
  for (const pairing of ["half", "interleaved"] as const) {
    const turned = await launch(gpu, hosts, (program, { x, back, positions, angles }) => {
      const shared = { positions, angles, heads: H, headWidth: D, pairing };
      rotary(program, { ...shared, x });
      rotary(program, { ...shared, x: back });
      rotary(program, { ...shared, x: back, backward: true });
    });
    // The turned parts of all heads, side by side, are a tensor of heads of R entries that turns as a whole.
    const isTurned = (_: number, i: number) => i % D < R;
    const options = { H, D: R, positions: places, theta: 100, pairing };
    const expected = slow(x.data.filter(isTurned), options);
    assertClose(turned.x.filter(isTurned), expected, 1e-6, `${pairing}, turned`);
    const isKept = (_: number, i: number) => i % D >= R;
    assertEquals(turned.x.filter(isKept), x.data.filter(isKept));
    assertClose(turned.back, x.data, 1e-6, `${pairing}, there and back`);
  }
});
