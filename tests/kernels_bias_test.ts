// Biases against float64, over rows of whole and of ragged cells of four, and over several blocks of 64 rows.

import { biasBackward, biasForward } from "../kernels/bias.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { assertClose } from "./assert.ts";
import { launch, normals } from "./launch.ts";
import { addBias, biasBackward as slowBackward } from "./reference.ts";

Deno.test("biases and their gradient agree with float64", async () => {
  using gpu = await Gpu.open();
  for (const [N, M] of [[1, 1], [3, 5], [67, 33], [130, 36], [65, 260]] as const) {
    const x = normals("x", N, M), bias = normals("bias", M), dy = normals("dy", N, M);
    const before = normals("before", M);
    const hosts = { x, bias, dy, dbias: before };
    const result = await launch(gpu, hosts, (program, tensors) => {
      biasForward(program, tensors);
      biasBackward(program, tensors);
    });
    assertClose(result.x, addBias(x.data, bias.data), 1e-6, `x ${N} × ${M}`);
    // Added to what is there, as every gradient of a parameter.
    const expected = slowBackward(dy.data, M).map((value, i) => value + before.data[i]!);
    assertClose(result.dbias, expected, 1e-5, `dbias ${N} × ${M}`);
  }
});
