// Packing of sequences into rows: where every token goes, and what is counted of it.

import {
  activeRows,
  type Batch,
  countTargets,
  firstFit,
  packSequences,
  weightByClass,
} from "../src/data/packing.ts";
import { Random } from "../src/base/random.ts";
import { lowRiskSequence, type Sequence } from "../src/data/sequence.ts";
import { objective } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";
import { numberedSequences, randomSequences } from "./fixtures/tiny.ts";

const lengths = [5, 2, 9, 1, 4, 7, 2, 3, 9, 6];
const shape = { rows: 2, time: 8 };

Deno.test("packing puts every token but the last of each sequence into exactly one position", () => {
  const sequences = numberedSequences(lengths);
  const { batches } = packSequences(sequences, shape);
  const placed = batches.flatMap(({ tokens, predicted }) =>
    [...tokens].filter((_, row) => predicted[row])
  );
  const expected = sequences.flatMap(({ tokens }) => [...tokens.subarray(0, tokens.length - 1)]);
  assertEquals(placed.sort((a, b) => a - b), expected.sort((a, b) => a - b));
});

Deno.test("first fit is what looking at every row from the first on gives, also for many sequences", () => {
  const random = new Random(3, "first fit");
  for (const count of [0, 1, 2, 3, 5, 31, 32, 33, 300]) {
    const lengths = Array.from({ length: count }, () => Math.floor(random.uniform() * 21));
    const free: number[] = [];
    const longestFirst = lengths.map((_, i) => i).sort((a, b) =>
      lengths[b]! - lengths[a]! || a - b
    );
    const expected = new Array<{ row: number; column: number } | undefined>(count).fill(undefined);
    for (const i of longestFirst.filter((i) => lengths[i]! > 0)) {
      let row = free.findIndex((left) => left >= lengths[i]!);
      if (row < 0) row = free.push(20) - 1;
      expected[i] = { row, column: 20 - free[row]! };
      free[row]! -= lengths[i]!;
    }
    assertEquals(firstFit(lengths, 20), expected);
  }
  const many = firstFit(new Array(200_000).fill(255), 256);
  assertEquals(many.at(-1), { row: 199_999, column: 0 });
});

Deno.test("class and weight at index i belong to token i as a target", () => {
  const sequences = numberedSequences(lengths);
  const { batches, placements } = packSequences(sequences, shape);
  sequences.forEach(({ tokens, classes, weights }, i) => {
    if (tokens.length === 1) return;
    const { batch, start } = placements[i]!;
    const { tokens: inputs, targets, ...of } = batches[batch]!;
    for (let t = 1; t < tokens.length; t++) {
      const row = start + t - 1;
      assertEquals(
        [inputs[row], targets[row], of.classes[row], of.weights[row], of.predicted[row]],
        [tokens[t - 1], tokens[t], classes[t], weights![t], 1],
      );
    }
  });
});

Deno.test("sequences do not cross rows and first keys point at their first position", () => {
  const sequences = numberedSequences(lengths);
  const { batches, placements } = packSequences(sequences, shape);
  sequences.forEach(({ tokens }, i) => {
    if (tokens.length === 1) return;
    const { batch, start } = placements[i]!;
    const column = start % shape.time;
    assert(column + tokens.length - 1 <= shape.time, `sequence ${i} crosses its row`);
    const keys = batches[batch]!.firstKey.subarray(start, start + tokens.length - 1);
    assertEquals([...keys], [...keys].map(() => column));
  });
});

Deno.test("first keys never decrease within a row, padding included, and never look ahead", () => {
  const { batches } = packSequences(randomSequences(40, { longest: 9 }), shape);
  for (const { firstKey } of batches) {
    firstKey.forEach((key, row) => {
      const column = row % shape.time;
      assert(key <= column);
      if (column > 0) assert(key >= firstKey[row - 1]!);
    });
  }
});

Deno.test("padding has no target, no weight and sees only itself", () => {
  const { batches: [batch] } = packSequences(numberedSequences([4]), shape);
  assertEquals([...batch!.predicted], [1, 1, 1, ...Array(13).fill(0)]);
  for (let row = 3; row < 16; row++) {
    assertEquals([batch!.weights[row], batch!.targets[row]], [0, 0]);
    assertEquals(batch!.firstKey[row], row % shape.time);
  }
});

Deno.test("a sequence without weights weighs 1 wherever it predicts", () => {
  const { batches: [batch] } = packSequences([lowRiskSequence(Uint32Array.of(7, 8, 9))], shape);
  assertEquals([...batch!.weights].slice(0, 3), [1, 1, 0]);
  assertEquals([...batch!.classes].slice(0, 2), [Risk.low, Risk.low]);
});

Deno.test("short sequences share rows, so that no position is wasted that need not be", () => {
  const { batches } = packSequences(numberedSequences([5, 5, 5, 5]), shape); // 4 positions each
  assertEquals(batches.length, 1);
  assertEquals([...batches[0]!.predicted], Array(16).fill(1));
  assertEquals(batches[0]!.firstTokens, [1, 1, 1, 1]); // first classes 0, 1, 2 and 3
});

Deno.test("a sequence that fills its row exactly is placed, one more token is refused by name", () => {
  const { placements } = packSequences(numberedSequences([9]), shape);
  assertEquals(placements, [{ batch: 0, start: 0 }]);
  assertThrows(
    () => packSequences(numberedSequences([3, 10]), shape),
    "Cannot place sequence 1 of 10 tokens: rows hold 8 positions. Shorten the text",
  );
});

Deno.test("a single token predicts nothing and takes no position", () => {
  const { batches, placements } = packSequences(numberedSequences([1]), shape);
  assertEquals(batches.length, 1);
  assertEquals(countTargets(batches[0]!, objective("direct").terms).all, 0);
  assertEquals(batches[0]!.firstTokens, [1, 0, 0, 0]); // which the paper's code counts
  assertEquals(placements, [{ batch: 0, start: 0 }]);
});

Deno.test("packing nothing is refused", () => {
  assertThrows(() => packSequences([], shape), "Cannot make a batch: it has no sequences.");
});

Deno.test("active rows are those whose class has a term and whose weight is not zero", () => {
  const sequence: Sequence = {
    tokens: Uint32Array.of(1, 2, 3, 4, 5, 6),
    classes: Uint8Array.of(
      Risk.high,
      Risk.low,
      Risk.possible,
      Risk.high,
      Risk.low,
      Risk.unlabelled,
    ),
    weights: Float32Array.of(1, 1, 1, 1, 0, 3),
  };
  const { batches } = packSequences([sequence], shape);
  const batch = batches[0] as Batch;
  const rows = (name: "direct" | "masked" | "unlikelihood") =>
    activeRows(batch, objective(name).terms);
  assertEquals(rows("direct"), [0, 1, 2, 4]);
  assertEquals(rows("masked"), [0, 4]);
  assertEquals(rows("unlikelihood"), [0, 1, 2, 4]);
  assertEquals(countTargets(batch, objective("masked").terms), {
    active: 2,
    all: 5,
    weights: 4,
    firstTokens: 0, // of high risk, which has no term here
  });
  assertEquals(countTargets(batch, objective("unlikelihood").terms).firstTokens, 1);
  assertEquals(weightByClass(batch, objective("masked").terms), [3, 1, 0, 0]);
});
