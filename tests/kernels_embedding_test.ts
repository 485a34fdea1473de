// The embedding against float64 (whose backward pass is checked by finite differences in reference_test.ts).

import { embeddingBackward, embeddingForward, groupByToken } from "../kernels/embedding.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { assertClose, assertEquals } from "./assert.ts";
import { filled, integers, launch, normals } from "./launch.ts";
import { embedding, embeddingBackward as slowBackward } from "./reference.ts";

Deno.test("groupByToken lists the rows of each token in ascending order", () => {
  const groups = groupByToken(Uint32Array.of(9, 4, 9, 0, 4, 9));
  assertEquals([...groups.order], [3, 1, 4, 0, 2, 5]);
  assertEquals([...groups.starts], [0, 1, 3, 6, 6, 6, 6]);
  assertEquals(groups.count, 3);
});

Deno.test("embedding and the gradient of its table agree with float64", async () => {
  using gpu = await Gpu.open();
  // [rows, vocabulary, channels]: one token only, repeated and unused tokens, channels across workgroups of 64.
  for (const [N, V, C] of [[1, 1, 1], [67, 11, 33], [35, 50, 130]] as const) {
    const ids = Uint32Array.from({ length: N }, (_, n) => n * n * 7 % V);
    const { order, starts, count } = groupByToken(ids);
    const table = normals("table", V, C), dy = normals("dy", N, C), start = normals("start", V, C);
    const before = normals("before", N, C);
    const { y, added, dtable } = await launch(gpu, {
      tokens: integers(ids),
      order: integers(order),
      starts: integers(starts),
      table,
      dy,
      y: filled(NaN, N, C),
      added: before,
      dtable: start,
    }, (program, { added, ...tensors }) => {
      embeddingForward(program, tensors);
      embeddingForward(program, { ...tensors, y: added, add: true });
      embeddingBackward(program, { ...tensors, groups: () => count });
    });
    const rows = embedding(table.data, ids, C);
    assertClose(y, rows, 0, "y");
    assertClose(added, rows.map((value, i) => value + before.data[i]!), 1e-6, "added");
    const expected = slowBackward(dy.data, ids, { V, C });
    const accumulated = expected.map((value, i) => value + start.data[i]!);
    assertClose(dtable, accumulated, 1e-6, "dtable");
  }
});
