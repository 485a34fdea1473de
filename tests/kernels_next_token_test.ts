// Choosing tokens: greedy and top-k, ties, prompts, and that what is drawn follows the softmax and only the sequence's
// own number, never its place in the batch. Both variants of the row-wise kernel run on whatever adapter there is.

import { nextToken, noToken } from "../kernels/next_token.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { assert, assertEquals } from "./assert.ts";
import { floats, integers, launch, normals } from "./launch.ts";

interface Choice {
  /** One row of logits per sequence. */
  logits: number[][];
  topK: number;
  topP?: number;
  temperature?: number;
  seed?: number;
  ids?: number[];
  position?: number;
  /** Prompt lengths; by default all prompts end at `position`. */
  lengths?: number[];
  tokens?: number[][];
}

async function choose(gpu: Gpu, choice: Choice) {
  const { logits, topK, topP = 1, temperature = 1, seed = 0, position = 2 } = choice;
  const batch = logits.length, vocabulary = logits[0]!.length;
  const { ids = logits.map((_, i) => i) } = choice;
  const tokens = choice.tokens ?? logits.map(() => [0, 0, 0, 0, 0]);
  const capacity = tokens[0]!.length;
  const result = await launch(gpu, {
    logits: floats(logits.flat(), [batch, vocabulary]),
    lengths: integers(choice.lengths ?? logits.map(() => position + 1)),
    ids: integers(ids),
    positions: integers(logits.map(() => position)),
    tokens: integers(tokens.flat(), [batch, capacity]),
    current: integers(logits.map(() => 0)),
  }, (program, tensors) => nextToken(program, { ...tensors, topK, topP, temperature, seed }));
  const rows = logits.map((_, i) => [...result.tokens.slice(i * capacity, (i + 1) * capacity)]);
  return { ...result, rows, chosen: [...result.current] };
}

for (const lanesPerRow of [1, 64] as const) {
  const name = `${lanesPerRow} lanes per row`;

  Deno.test(`greedy takes the largest logit, the lowest token on ties (${name})`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const logits = [[1, 3, 3, 2], [-5, -2, -9, -2], [0, 0, 0, 0], [-0, 0, -1e30, 1e-30]];
    const { chosen, rows } = await choose(gpu, { logits, topK: 1 });
    assertEquals(chosen, [1, 1, 0, 3]);
    assertEquals(rows.map((row) => row[3]), [1, 1, 0, 3]);
  });

  Deno.test(`greedy agrees with the host over 67 rows of 131 logits (${name})`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const logits = Array.from({ length: 67 }, (_, i) => [...normals(`row ${i}`, 131).data]);
    const { chosen } = await choose(gpu, { logits, topK: 1 });
    assertEquals(chosen, logits.map((row) => row.indexOf(Math.max(...row))));
  });

  Deno.test(`only the k largest logits are drawn, and all that tie with the k-th (${name})`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const drawn = async (row: number[], topK: number) => {
      const logits = Array.from({ length: 200 }, () => row);
      const { chosen } = await choose(gpu, { logits, topK });
      return [...new Set(chosen)].sort((a, b) => a - b);
    };
    assertEquals(await drawn([0.3, -1, 0.2, 0.1, -0.5], 2), [0, 2]);
    assertEquals(await drawn([-1, 0.5, -1, 0.4, -1, -2], 3), [0, 1, 2, 3, 4]);
    assertEquals(await drawn([-3, -1, -2], 2), [1, 2]); // negative logits order the other way round in bits
    assertEquals(await drawn([0.1, 0.2, 0.3], 50), [0, 1, 2]); // k beyond the vocabulary
    assertEquals(await drawn([0, -200, -300], 3), [0]); // improbable to f32 is never drawn
  });

  Deno.test(`the k-th of 131 logits is found exactly (${name})`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const row = [...normals("row", 131).data];
    const { chosen } = await choose(gpu, {
      logits: Array.from({ length: 1000 }, () => row),
      topK: 5,
      temperature: 100, // nearly uniform among the five, so that 1,000 draws meet each
    });
    const order = row.map((_, i) => i).sort((a, b) => row[b]! - row[a]!);
    assertEquals(
      [...new Set(chosen)].sort((a, b) => a - b),
      order.slice(0, 5).sort((a, b) => a - b),
    );
  });

  Deno.test(`top-p keeps the likeliest tokens that have p together, and all that tie with the last (${name})`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const drawn = async (probabilities: number[], topP: number, topK = Infinity) => {
      const row = probabilities.map(Math.log);
      const logits = Array.from({ length: 300 }, () => row);
      const { chosen } = await choose(gpu, { logits, topK, topP });
      return [...new Set(chosen)].sort((a, b) => a - b);
    };
    const p = [0.1, 0.4, 0.05, 0.3, 0.15];
    assertEquals(await drawn(p, 1), [0, 1, 2, 3, 4]);
    assertEquals(await drawn(p, 0.39), [1]);
    assertEquals(await drawn(p, 0.41), [1, 3]);
    assertEquals(await drawn(p, 0.69), [1, 3]);
    assertEquals(await drawn(p, 0.71), [1, 3, 4]);
    assertEquals(await drawn(p, 0.94), [0, 1, 3, 4]);
    assertEquals(await drawn(p, 0.96), [0, 1, 2, 3, 4]);
    assertEquals(await drawn(p, 1e-6), [1]);
    assertEquals(await drawn([0.2, 0.3, 0.2, 0.3], 0.1), [1, 3]);
    // Of the two likeliest, 4/7 and 3/7 once the others are left out.
    assertEquals(await drawn(p, 0.56, 2), [1]);
    assertEquals(await drawn(p, 0.58, 2), [1, 3]);
  });

  Deno.test(`logits that are not finite give no token, in their own row only (${name})`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const row = [...normals("row", 70).data];
    const broken = (value: number, at: number) => row.with(at, value);
    const logits = [row, broken(NaN, 0), broken(-Infinity, 69), broken(Infinity, 33), row];
    for (const topK of [1, 5, Infinity]) {
      const { rows, chosen } = await choose(gpu, { logits, topK, topP: 0.9, ids: [0, 1, 2, 3, 0] });
      assertEquals(
        rows.slice(1, 4).map((tokens) => tokens[3]),
        Array(3).fill(Math.fround(noToken)),
      ); // as `launch` reads them
      assertEquals(chosen.slice(1, 4), [0, 0, 0]); // what the next step reads lies in the embedding
      assertEquals(rows[0], rows[4]);
      assert(rows[0]![3]! < 70);
    }
  });

  Deno.test(`draws follow softmax(logits / temperature) over the top k (${name})`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const row = [0.5, -1, 2, 0, 1, -3, 1.5], draws = 4000;
    for (
      const { topK, temperature } of [{ topK: 7, temperature: 1 }, { topK: 4, temperature: 0.7 }]
    ) {
      const kept = row.toSorted((a, b) => b - a)[topK - 1]!;
      const weights = row.map((z) => z >= kept ? Math.exp(z / temperature) : 0);
      const total = weights.reduce((sum, weight) => sum + weight);
      const logits = Array.from({ length: draws }, () => row);
      const { chosen } = await choose(gpu, { logits, topK, temperature, seed: 5 });
      const counts = row.map((_, token) => chosen.filter((drawn) => drawn === token).length);
      const statistic = weights.reduce((sum, weight, token) => {
        const expected = draws * weight / total;
        if (expected === 0) assertEquals(counts[token], 0);
        return expected === 0 ? sum : sum + (counts[token]! - expected) ** 2 / expected;
      }, 0);
      // Pearson's χ² with topK − 1 degrees of freedom passes this bound in one of 1,000 fair samples.
      const bound = { 7: 22.46, 4: 16.27 }[topK]!;
      assert(statistic < bound, `χ² = ${statistic}, bound ${bound}`);
    }
  });

  Deno.test(`a sequence draws the same token wherever it stands in a batch (${name})`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const row = [...normals("row", 50).data];
    const draw = async (ids: number[], position = 2, seed = 3) => {
      const logits = ids.map(() => row);
      const { chosen } = await choose(gpu, { logits, ids, topK: 50, position, seed });
      return new Map(ids.map((id, i) => [id, chosen[i]!]));
    };
    const ids = Array.from({ length: 70 }, (_, i) => i);
    const together = await draw(ids), reversed = await draw(ids.toReversed());
    for (const id of ids) assertEquals(reversed.get(id), together.get(id));
    assertEquals((await draw([41])).get(41), together.get(41));
    const differing = async (other: Promise<Map<number, number>>) => {
      const map = await other;
      return ids.filter((id) => map.get(id) !== together.get(id)).length;
    };
    // Independent draws over 50 tokens agree rarely; equal streams would agree always.
    assert(await differing(draw(ids, 3)) > 35, "another position draws anew");
    assert(await differing(draw(ids, 2, 4)) > 35, "another seed draws anew");
    assert(new Set(together.values()).size > 10, "sequences draw independently");
  });
}

Deno.test("inside a prompt its token is taken; afterwards the choice is stored", async () => {
  using gpu = await Gpu.open();
  const logits = [[0, 9, 0], [0, 9, 0]];
  const { rows, chosen, positions } = await choose(gpu, {
    logits,
    topK: 1,
    position: 1,
    lengths: [4, 2],
    tokens: [[2, 0, 2, 0], [2, 2, 0, 0]],
  });
  assertEquals(rows, [[2, 0, 2, 0], [2, 2, 1, 0]]);
  assertEquals(chosen, [2, 1]);
  assertEquals([...positions], [2, 2]);
});

Deno.test("at the end of the capacity nothing is written and the position stays", async () => {
  using gpu = await Gpu.open();
  const tokens = [[1, 1, 1]];
  const { rows, positions } = await choose(gpu, {
    logits: [[0, 0, 9]],
    topK: 1,
    position: 2,
    tokens,
  });
  assertEquals(rows, tokens);
  assertEquals([...positions], [2]);
});

Deno.test("positions advance for every sequence of a batch of 130", async () => {
  using gpu = await Gpu.open();
  const logits = Array.from({ length: 130 }, () => [0, 1]);
  const { positions } = await choose(gpu, { logits, topK: 1, position: 3 });
  assertEquals(new Set(positions), new Set([4]));
});

Deno.test("a vocabulary of 152,000 is searched to its end", async () => {
  using gpu = await Gpu.open();
  const row = new Array<number>(152_000).fill(-30);
  for (const [token, logit] of [[3, 1], [61_001, 3], [100_000, 2], [151_999, 4]] as const) {
    row[token] = logit;
  }
  const logits = [row, row, row, row, row, row];
  const drawn = async (choice: Omit<Choice, "logits">) =>
    [...new Set((await choose(gpu, { logits, ...choice })).chosen)].sort((a, b) => a - b);
  assertEquals(await drawn({ topK: 1 }), [151_999]);
  const flat = { temperature: 1e6, seed: 2 };
  for (const token of await drawn({ ...flat, topK: 3 })) {
    assert([61_001, 100_000, 151_999].includes(token), `${token}`);
  }
  // e^4 and e^3 are 0.87 of the four, and the rest is nothing.
  for (const token of await drawn({ topK: Infinity, topP: 0.86 })) {
    assert([61_001, 151_999].includes(token), `${token}`);
  }
});
