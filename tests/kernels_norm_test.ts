// Layer norm (with and without weight and bias) and RMS norm against float64. The backward passes of the reference are
// themselves checked by finite differences in reference_test.ts, so agreeing with them is agreeing with the derivative.

import { normBackward, normForward } from "../kernels/norm.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { assertClose } from "./assert.ts";
import { filled, launch, normals } from "./launch.ts";
import { layerNorm, layerNormBackward, rmsNorm, rmsNormBackward } from "./reference.ts";

const variants = {
  "non-parametric layer norm": { centered: true, affine: "none", epsilon: 1e-5 },
  "layer norm with weight and bias": { centered: true, affine: "weight and bias", epsilon: 1e-5 },
  "RMS norm": { centered: false, affine: "weight", epsilon: 1e-6 },
} as const;

// [rows, channels]: fewer and more than 64 of each, cells of one and of four floats, and a second block of 64 rows in the parameters' gradients.
const sizes = [[1, 1], [3, 5], [67, 33], [67, 36], [130, 130]] as const;

for (const lanesPerRow of [1, 64] as const) {
  for (const [name, { centered, affine, epsilon }] of Object.entries(variants)) {
    Deno.test(`${name}, ${lanesPerRow} lanes per row, agrees with float64`, async () => {
      using gpu = await Gpu.open({ lanesPerRow });
      for (const [N, C] of sizes) {
        const x = normals("x", N, C);
        x.data.forEach((value, i) => x.data[i] = 3 * value + 2); // a mean that must not cancel
        const weight = normals("weight", C), bias = normals("bias", C), dy = normals("dy", N, C);
        const before = { dx: normals("dx", N, C), dw: normals("dw", C), db: normals("db", C) };
        const result = await launch(gpu, {
          x,
          weight,
          bias,
          dy,
          ...before,
          y: filled(NaN, N, C),
          statistics: filled(NaN, N, 2),
        }, (program, { x, weight, bias, dy, dx, dw, db, y, statistics }) => {
          const shared = {
            x,
            statistics,
            centered,
            epsilon,
            ...(affine !== "none" && { weight }),
            ...(affine === "weight and bias" && { bias }),
          };
          normForward(program, { ...shared, y });
          normBackward(program, {
            ...shared,
            dy,
            dx,
            ...(affine !== "none" && { dweight: dw }),
            ...(affine === "weight and bias" && { dbias: db }),
          });
        });
        const options = {
          C,
          epsilon,
          ...(affine !== "none" && { weight: weight.data }),
          ...(affine === "weight and bias" && { bias: bias.data }),
        };
        const forward = centered ? layerNorm : rmsNorm;
        const size = `${N} × ${C}`;
        assertClose(result.y, forward(x.data, options), 1e-5, `y ${size}`);
        const { dx, dweight, dbias } = centered
          ? layerNormBackward(dy.data, x.data, options)
          : { ...rmsNormBackward(dy.data, x.data, options), dbias: new Float64Array(C) };
        // All gradients are added to what is there.
        const plus = (gradient: Float64Array, start: ArrayLike<number>) =>
          gradient.map((value, i) => value + start[i]!);
        assertClose(result.dx, plus(dx, before.dx.data), 1e-5, `dx ${size}`);
        const zero = new Float64Array(C);
        const dw = affine === "none" ? zero : dweight;
        assertClose(result.dw, plus(dw, before.dw.data), 1e-5, `dweight ${size}`);
        const db = affine === "weight and bias" ? dbias : zero;
        assertClose(result.db, plus(db, before.db.data), 1e-5, `dbias ${size}`);
      }
    });
  }
}
