// Attention against float64, forward and backward (the reference's backward pass is checked by finite differences in
// reference_test.ts). A batch of documents is judged by attention over each document alone, which knows no boundaries.

import { attentionBackward, attentionForward } from "../kernels/attention.ts";
import { type AttentionVariant, describeAttention } from "../src/gpu/choices.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { assertClose, assertThrows } from "./assert.ts";
import { filled, integers, launch, normals } from "./launch.ts";
import { attention, attentionBackward as slowBackward } from "./reference.ts";

interface Case {
  H: number;
  G: number;
  D: number;
  /** Lengths of the documents of each row of the batch; every row has T tokens in all. */
  documents: number[][];
}

// Workgroups own 32 queries or keys and tiles hold as many others: T crosses 32 and 64, and documents end on, before and
// after that boundary. Head widths fill the vectors of a chunk, of a tile's columns and of neither.
const cases: Record<string, Case> = {
  "a single token": { H: 1, G: 1, D: 4, documents: [[1]] },
  "33 tokens, two heads for each key-value head": { H: 4, G: 2, D: 8, documents: [[33], [33]] },
  "67 tokens, one key-value head": { H: 3, G: 1, D: 12, documents: [[67]] },
  "100 tokens in documents": {
    H: 4,
    G: 2,
    D: 4,
    documents: [[32, 32, 36], [1, 30, 2, 67], [5, 90, 5], [100]],
  },
  "50 tokens, heads of 64": { H: 2, G: 1, D: 64, documents: [[20, 30]] },
  "40 tokens, heads of 128": { H: 2, G: 1, D: 128, documents: [[7, 33]] },
  "37 tokens, a head of 132": { H: 1, G: 1, D: 132, documents: [[37]] },
};

const variants: AttentionVariant[] = [
  ...[1, 2, 4, 8].map((owned) => ({ memory: "texture", owned }) as const),
  { memory: "buffer", owned: 2 },
  ...[32, 64].map((walked) => ({ memory: "workgroup", walked }) as const),
];

for (const [name, { H, G, D, documents }] of Object.entries(cases)) {
  for (const variant of variants) {
    if (D > 12 && variant.memory !== "workgroup") continue; // compiles for seconds, to the same loops
    Deno.test(`attention over ${name} agrees with float64: ${describeAttention(variant)}`, async () => {
      using gpu = await Gpu.open();
      const B = documents.length,
        T = documents[0]!.reduce((sum, length) => sum + length);
      const q = normals("q", B, T, H, D),
        k = normals("k", B, T, G, D),
        v = normals("v", B, T, G, D);
      const dout = normals("dout", B, T, H, D);
      const firstKey = documents.flatMap((lengths) => {
        let start = 0;
        return lengths.flatMap((length) =>
          new Array<number>(length).fill((start += length) - length)
        );
      });
      const result = await launch(gpu, {
        q,
        k,
        v,
        dout,
        firstKey: integers(firstKey),
        out: filled(NaN, B, T, H, D),
        statistics: filled(NaN, B, H, T, 2),
        dq: filled(NaN, B, T, H, D),
        dk: filled(NaN, B, T, G, D),
        dv: filled(NaN, B, T, G, D),
      }, (program, tensors) => {
        const request = {
          batch: B,
          time: T,
          heads: H,
          kvHeads: G,
          headWidth: D,
          variant,
          ...tensors,
        };
        attentionForward(program, request);
        attentionBackward(program, request);
      });
      documents.forEach((lengths, b) => {
        let start = 0;
        for (const length of lengths) {
          const sizes = { B: 1, T: length, H, G, D };
          const document = (values: ArrayLike<number>, heads: number) => {
            const first = (b * T + start) * heads * D;
            return Array.prototype.slice.call(values, first, first + length * heads * D);
          };
          const inputs = [document(q.data, H), document(k.data, G), document(v.data, G)] as const;
          const { out, logSumExp } = attention(...inputs, sizes);
          assertClose(document(result.out, H), out, 2e-6, "out");
          for (let h = 0; h < H; h++) {
            const at = (b * H + h) * T + start;
            const expected = logSumExp.slice(h * length, (h + 1) * length);
            const lse = expected.map((_, i) => result.statistics[2 * (at + i)]!);
            assertClose(lse, expected, 2e-6, "lse");
          }
          const { dq, dk, dv } = slowBackward(document(dout.data, H), ...inputs, sizes);
          assertClose(document(result.dq, H), dq, 5e-6, "dq");
          assertClose(document(result.dk, G), dk, 5e-6, "dk");
          assertClose(document(result.dv, G), dv, 5e-6, "dv");
          start += length;
        }
      });
    });
  }
}

for (const variant of [variants[2]!, variants.at(-1)!]) {
  Deno.test(`scores far apart neither overflow nor vanish into NaN: ${describeAttention(variant)}`, async () => {
    using gpu = await Gpu.open();
    const [T, D] = [40, 4];
    const q = normals("q", 1, T, 1, D), k = normals("k", 1, T, 1, D), v = normals("v", 1, T, 1, D);
    q.data.forEach((value, i) => q.data[i] = 30 * value);
    k.data.forEach((value, i) => k.data[i] = 30 * value); // scores of several thousand
    const result = await launch(gpu, {
      q,
      k,
      v,
      dout: v,
      firstKey: integers(new Uint32Array(T)),
      out: filled(NaN, 1, T, 1, D),
      statistics: filled(NaN, 1, 1, T, 2),
      dq: filled(NaN, 1, T, 1, D),
      dk: filled(NaN, 1, T, 1, D),
      dv: filled(NaN, 1, T, 1, D),
    }, (program, tensors) => {
      const request = {
        batch: 1,
        time: T,
        heads: 1,
        kvHeads: 1,
        headWidth: D,
        variant,
        ...tensors,
      };
      attentionForward(program, request);
      attentionBackward(program, request);
    });
    const sizes = { B: 1, T, H: 1, G: 1, D };
    const inputs = [q.data, k.data, v.data] as const;
    // A score of 1,000 is off by 6e-5 in f32, and so is, relatively, the probability that follows from it.
    assertClose(result.out, attention(...inputs, sizes).out, 1e-3, "out");
    const slow = slowBackward(v.data, ...inputs, sizes);
    assertClose(result.dq, slow.dq, 1e-3, "dq");
    assertClose(result.dk, slow.dk, 1e-3, "dk");
    assertClose(result.dv, slow.dv, 1e-3, "dv");
  });
}

Deno.test("a head width that vectors of 4 do not divide is refused", async () => {
  using gpu = await Gpu.open();
  const x = normals("x", 1, 2, 1, 6);
  const run = () =>
    launch(
      gpu,
      { x, firstKey: integers([0, 0]), statistics: filled(0, 2, 2) },
      (program, tensors) => {
        const { x, firstKey, statistics } = tensors;
        const sizes = { batch: 1, time: 2, heads: 1, kvHeads: 1, headWidth: 6 };
        const record = () =>
          attentionForward(program, { ...sizes, q: x, k: x, v: x, firstKey, out: x, statistics });
        assertThrows(record, "the head width 6 is not a multiple of 4");
      },
    );
  await run();
});
