// Packing of sequences into rows, and the order in which a run sees them.

import {
  activeRows,
  type Batch,
  countTargets,
  packSequences,
  weightByClass,
} from "../src/data/packing.ts";
import { lowRiskSequence, type Sequence } from "../src/data/sequence.ts";
import { type EpochOrder, microBatchShape, planEpochs } from "../src/data/epochs.ts";
import { objective } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";
import { randomSequences } from "./fixtures/tiny.ts";

// Tokens that say where they come from: sequence i has tokens 100 i, 100 i + 1, …
function numbered(lengths: readonly number[]): Sequence[] {
  return lengths.map((length, i) => ({
    tokens: Uint32Array.from({ length }, (_, t) => 100 * i + t),
    classes: Uint8Array.from({ length }, (_, t) => (i + t) % 4),
    weights: Float32Array.from({ length }, (_, t) => 1 + i + t / 100),
  }));
}

const lengths = [5, 2, 9, 1, 4, 7, 2, 3, 9, 6];
const shape = { rows: 2, time: 8 };

Deno.test("packing puts every token but the last of each sequence into exactly one position", () => {
  const sequences = numbered(lengths);
  const { batches } = packSequences(sequences, shape);
  const placed = batches.flatMap(({ tokens, predicted }) =>
    [...tokens].filter((_, row) => predicted[row])
  );
  const expected = sequences.flatMap(({ tokens }) => [...tokens.subarray(0, tokens.length - 1)]);
  assertEquals(placed.sort((a, b) => a - b), expected.sort((a, b) => a - b));
});

Deno.test("class and weight at index i belong to token i as a target", () => {
  const sequences = numbered(lengths);
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
  const sequences = numbered(lengths);
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
  const { batches: [batch] } = packSequences(numbered([4]), shape);
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
  const { batches } = packSequences(numbered([5, 5, 5, 5]), shape); // 4 positions each
  assertEquals(batches.length, 1);
  assertEquals([...batches[0]!.predicted], Array(16).fill(1));
  assertEquals(batches[0]!.documents, 4);
});

Deno.test("a sequence that fills its row exactly is placed, one more token is refused by name", () => {
  const { placements } = packSequences(numbered([9]), shape);
  assertEquals(placements, [{ batch: 0, start: 0 }]);
  assertThrows(
    () => packSequences(numbered([3, 10]), shape),
    "Cannot place sequence 1 of 10 tokens: rows hold 8 positions. Shorten the text",
  );
});

Deno.test("a single token predicts nothing and takes no position", () => {
  const { batches, placements } = packSequences(numbered([1]), shape);
  assertEquals(batches.length, 1);
  assertEquals(countTargets(batches[0]!, objective("direct").terms).all, 0);
  assertEquals(batches[0]!.documents, 0);
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
    firstTokens: 1,
  });
  assertEquals(weightByClass(batch, objective("masked").terms), [3, 1, 0, 0]);
});

const documents = numbered(Array.from({ length: 11 }, (_, i) => 2 + i % 5));
const plan = { epochs: [documents, documents, documents], perStep: 4, seed: 3, ...shape };

// The numbers of the sequences of a step, in ascending order.
function seen(batches: readonly Batch[]): number[] {
  const firsts = batches.flatMap(({ tokens, predicted }) =>
    [...tokens].filter((token, row) => predicted[row] && token % 100 === 0)
  );
  return firsts.map((token) => token / 100).sort((a, b) => a - b);
}

Deno.test("every epoch sees each sequence exactly once, the remainder in a smaller step", () => {
  const { steps, batches } = planEpochs(plan);
  assertEquals(steps, 9); // ⌈11 / 4⌉ for each of three epochs
  for (let epoch = 0; epoch < 3; epoch++) {
    const inSteps = [0, 1, 2].map((i) => seen(batches(3 * epoch + i)));
    assertEquals(inSteps.map(({ length }) => length), [4, 4, 3]);
    assertEquals(inSteps.flat().sort((a, b) => a - b), documents.map((_, i) => i));
  }
});

Deno.test("the order depends on the epoch and on the seed", () => {
  const order = (seed: number, epoch: number) => {
    const { batches } = planEpochs({ ...plan, seed });
    return [0, 1, 2].map((i) => seen(batches(3 * epoch + i)).join()).join(" | ");
  };
  const orders = [order(3, 0), order(3, 1), order(3, 2), order(4, 0), order(4, 1)];
  assertEquals(new Set(orders).size, orders.length);
});

Deno.test("the batches of a step follow from its number alone, whatever was asked before", () => {
  const straight = planEpochs(plan), resumed = planEpochs(plan);
  const all = Array.from({ length: straight.steps }, (_, step) => straight.batches(step));
  for (const step of [8, 2, 5, 2]) assertEquals(resumed.batches(step), all[step]!);
});

Deno.test("epochs may hold different sequences", () => {
  const { steps, batches } = planEpochs({
    ...plan,
    epochs: [documents.slice(0, 3), documents.slice(3, 8)],
  });
  assertEquals(steps, 3);
  assertEquals(seen(batches(0)), [0, 1, 2]);
  assertEquals([1, 2].flatMap((step) => seen(batches(step))).sort(), [3, 4, 5, 6, 7]);
});

Deno.test("an epoch without sequences is refused rather than passed over", () => {
  assertThrows(
    () => planEpochs({ ...plan, epochs: [documents, []] }),
    "Cannot plan epoch 1: it has no sequences. Check the data and its filters.",
  );
});

// Micro-batches and positions, padding included, that all steps of an order take in a shape.
function costOf(order: EpochOrder, shape: { rows: number; time: number }) {
  const { steps, batches } = planEpochs({ ...order, ...shape });
  let microBatches = 0;
  for (let step = 0; step < steps; step++) microBatches += batches(step).length;
  return { steps, microBatches, positions: microBatches * shape.rows * shape.time };
}

Deno.test("sequences of equal length get a shape in which every step is one micro-batch without padding", () => {
  const order = { epochs: [numbered(Array(320).fill(41))], perStep: 16, seed: 0 };
  const shape = microBatchShape(order, 128);
  const { steps, microBatches, positions } = costOf(order, shape);
  assertEquals([steps, microBatches, positions], [20, 20, 320 * 40]);
});

Deno.test("no other shape takes less work than the one chosen, a micro-batch counting as 64 positions", () => {
  const order = { epochs: [randomSequences(300, { longest: 50 })], perStep: 12, seed: 5 };
  const workIn = (shape: { rows: number; time: number }) => {
    const { microBatches, positions } = costOf(order, shape);
    return positions + 64 * microBatches;
  };
  const chosen = microBatchShape(order, 128);
  for (const time of [52, 100, 128]) {
    for (let rows = 1; rows <= 16; rows++) {
      assert(workIn(chosen) <= workIn({ rows, time }), `${rows} rows of ${time} take less`);
    }
  }
});

Deno.test("a micro-batch never exceeds 16 rows of 128 positions, or of the longest sequence", () => {
  for (const longest of [3, 50, 200]) {
    const order = {
      epochs: [randomSequences(600, { longest })],
      perStep: 300,
      seed: 1,
    };
    const { rows, time } = microBatchShape(order, 256);
    assert(rows * time <= 16 * Math.max(128, longest - 1), `${rows} rows of ${time}`);
    assert(time >= longest - 1);
  }
  const short = { epochs: [randomSequences(40, { longest: 9 })], perStep: 8, seed: 1 };
  assert(microBatchShape(short, 16).time <= 16, "rows are no longer than the context");
});

Deno.test("a micro-batch keeps to the positions that it is given, down to one longest sequence", () => {
  const order = { epochs: [numbered(Array(64).fill(41))], perStep: 16, seed: 0 };
  for (const most of [40, 64, 100, 500]) {
    const { rows, time } = microBatchShape(order, 128, most);
    assert(rows * time <= most, `${rows} rows of ${time} for ${most}`);
  }
  assertEquals(microBatchShape(order, 128, 10), { rows: 1, time: 40 });
});
