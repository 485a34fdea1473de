// The order in which a run sees its sequences, the steps that are left out, and the shape in which steps are computed.

import { microBatchShape, orderSteps, planSteps } from "../src/data/epochs.ts";
import { packSequences } from "../src/data/packing.ts";
import { lowRiskSequence, type Sequence } from "../src/data/sequence.ts";
import { denominators, type Objective, objective } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";
import { numberedSequences, randomSequences } from "./fixtures/tiny.ts";

const documents = numberedSequences(Array.from({ length: 11 }, (_, i) => 2 + i % 5));
const order = { epochs: [documents, documents, documents], perStep: 4, seed: 3 };

// The numbers of the sequences of a step, in ascending order.
function seen(step: readonly Sequence[]): number[] {
  return step.map(({ tokens }) => tokens[0]! / 100).sort((a, b) => a - b);
}

Deno.test("every epoch sees each sequence exactly once, the remainder in a smaller step", () => {
  const steps = orderSteps(order);
  assertEquals(steps.length, 9); // ⌈11 / 4⌉ for each of three epochs
  for (let epoch = 0; epoch < 3; epoch++) {
    const inSteps = [0, 1, 2].map((i) => seen(steps[3 * epoch + i]!));
    assertEquals(inSteps.map(({ length }) => length), [4, 4, 3]);
    assertEquals(inSteps.flat().sort((a, b) => a - b), documents.map((_, i) => i));
  }
});

Deno.test("the order depends on the epoch and on the seed", () => {
  const orderOf = (seed: number, epoch: number) => {
    const steps = orderSteps({ ...order, seed });
    return [0, 1, 2].map((i) => seen(steps[3 * epoch + i]!).join()).join(" | ");
  };
  const orders = [orderOf(3, 0), orderOf(3, 1), orderOf(3, 2), orderOf(4, 0), orderOf(4, 1)];
  assertEquals(new Set(orders).size, orders.length);
});

Deno.test("the same order comes again, so that the number of a step is all that a checkpoint needs", () => {
  const straight = orderSteps(order), resumed = orderSteps(order);
  for (const step of [8, 2, 5, 2]) assertEquals(resumed[step], straight[step]);
});

Deno.test("epochs may hold different sequences", () => {
  const steps = orderSteps({
    ...order,
    epochs: [documents.slice(0, 3), documents.slice(3, 8)],
  });
  assertEquals(steps.length, 3);
  assertEquals(seen(steps[0]!), [0, 1, 2]);
  assertEquals([1, 2].flatMap((step) => seen(steps[step]!)).sort(), [3, 4, 5, 6, 7]);
});

Deno.test("an epoch without sequences is refused rather than passed over", () => {
  assertThrows(
    () => orderSteps({ ...order, epochs: [documents, []] }),
    "Cannot plan epoch 1: it has no sequences. Check the data and its filters.",
  );
});

Deno.test("fractions of a sequence, and no or less than one, are no step", () => {
  for (const perStep of [0, -1, 0.5, NaN]) {
    assertThrows(() => orderSteps({ ...order, perStep }), 'Cannot plan steps: option "perStep" is');
  }
});

const low = (length: number, changes: Partial<Sequence> = {}): Sequence => ({
  ...lowRiskSequence(Uint32Array.from({ length }, (_, i) => i)),
  ...changes,
});
const risky = low(3, { classes: new Uint8Array(3).fill(Risk.high) });
const weightless = low(3, { weights: new Float32Array(3) });
const onlyFirst = low(3, { classes: Uint8Array.of(Risk.low, Risk.high, Risk.high) });
const single = low(1);
const window = low(4, { repeated: 2, classes: Uint8Array.of(1, 1, 3, 3) });

// The steps of a run in which each of these is an epoch, and so a step in its place.
function keptOf(steps: readonly Sequence[][], objective: Objective): Sequence[][] {
  const settings = { perStep: 10, seed: 0, contextLength: 16, vocabularySize: 100 };
  const plan = planSteps({ ...settings, epochs: steps, objective });
  assertEquals(plan.withoutLoss, steps.length - plan.steps);
  return Array.from({ length: plan.steps }, (_, i) => plan.sequencesOf(i));
}

Deno.test("steps without a loss are left out, whatever the reason, and the others keep their order", () => {
  const kept = [[low(2)], [low(4)]];
  const steps = [[risky], kept[0]!, [weightless], [single], kept[1]!, [onlyFirst], [window]];
  for (const denominator of denominators) {
    assertEquals(keptOf(steps, objective("masked", denominator)), kept);
  }
  const learned = steps.filter(([first]) => first !== weightless && first !== single);
  assertEquals(keptOf(steps, objective("direct")), learned);
  const half = keptOf([[weightless, low(4)], [weightless, risky]], objective("masked"));
  assertEquals(half.map((step) => new Set(step)), [new Set([weightless, low(4)])]);
});

Deno.test("many short epochs, some of them empty of loss, are planned in their order at once", () => {
  const epochs = Array.from(
    { length: 20_000 },
    (_, i) => i % 1000 === 7 ? [risky] : [low(2 + i % 3)],
  );
  const settings = { perStep: 10, seed: 0, contextLength: 16, vocabularySize: 100 };
  const plan = planSteps({ ...settings, epochs, objective: objective("masked") });
  assertEquals([plan.steps, plan.withoutLoss], [19_980, 20]);
  for (const [step, epoch] of [[0, 0], [7, 8], [19_979, 19_999]] as const) {
    assertEquals(plan.sequencesOf(step), epochs[epoch]);
  }
});

Deno.test("a run in which no step has a loss, or the weights of one cancel out, is refused before it begins", () => {
  assertThrows(
    () => keptOf([[risky], [weightless]], objective("masked")),
    'Cannot train under the objective "masked": no token carries a loss. Check risk spans',
  );
  const cancelling = low(3, { weights: Float32Array.of(1, 1, -1) });
  const steps = [[low(3)], [cancelling]];
  assertThrows(
    () => keptOf(steps, objective("direct", "weights")),
    "Cannot divide the loss of step 1 by the sum of its weights: it is 0",
  );
  assertEquals(keptOf(steps, objective("direct", "active")), steps);
});

// Micro-batches and positions, padding included, that steps take in a shape.
function costOf(steps: readonly Sequence[][], shape: { rows: number; time: number }) {
  let microBatches = 0;
  for (const step of steps) microBatches += packSequences(step, shape).batches.length;
  return { microBatches, positions: microBatches * shape.rows * shape.time };
}

Deno.test("sequences of equal length get a shape in which every step is one micro-batch without padding", () => {
  const sequences = numberedSequences(Array(320).fill(41));
  const steps = orderSteps({ epochs: [sequences], perStep: 16, seed: 0 });
  const { microBatches, positions } = costOf(steps, microBatchShape(steps, 128));
  assertEquals([steps.length, microBatches, positions], [20, 20, 320 * 40]);
});

Deno.test("no other shape takes less work than the one chosen, a micro-batch counting as 64 positions", () => {
  const sequences = randomSequences(300, { longest: 50 });
  const steps = orderSteps({ epochs: [sequences], perStep: 12, seed: 5 });
  const workIn = (shape: { rows: number; time: number }) => {
    const { microBatches, positions } = costOf(steps, shape);
    return positions + 64 * microBatches;
  };
  const chosen = microBatchShape(steps, 128);
  for (const time of [52, 100, 128]) {
    for (let rows = 1; rows <= 16; rows++) {
      assert(workIn(chosen) <= workIn({ rows, time }), `${rows} rows of ${time} take less`);
    }
  }
});

Deno.test("a micro-batch never exceeds 16 rows of 128 positions, or of the longest sequence", () => {
  for (const longest of [3, 50, 200]) {
    const sequences = randomSequences(600, { longest });
    const steps = orderSteps({ epochs: [sequences], perStep: 300, seed: 1 });
    const { rows, time } = microBatchShape(steps, 256);
    assert(rows * time <= 16 * Math.max(128, longest - 1), `${rows} rows of ${time}`);
    assert(time >= longest - 1);
  }
  const short = orderSteps({
    epochs: [randomSequences(40, { longest: 9 })],
    perStep: 8,
    seed: 1,
  });
  assert(microBatchShape(short, 16).time <= 16, "rows are no longer than the context");
});

Deno.test("a micro-batch keeps to the positions that it is given, down to one longest sequence", () => {
  const sequences = numberedSequences(Array(64).fill(41));
  const steps = orderSteps({ epochs: [sequences], perStep: 16, seed: 0 });
  for (const most of [40, 64, 100, 500]) {
    const { rows, time } = microBatchShape(steps, 128, most);
    assert(rows * time <= most, `${rows} rows of ${time} for ${most}`);
  }
  assertEquals(microBatchShape(steps, 128, 10), { rows: 1, time: 40 });
});
