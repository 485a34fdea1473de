// Rotary positions against float64, in both pairings, forward and backward (a backward pass that reference_test.ts
// checks by finite differences).

import { rotary, rotaryAngles } from "../kernels/rotary.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { assertClose } from "./assert.ts";
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
        angles: floats(rotaryAngles(2048, D, theta)),
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
