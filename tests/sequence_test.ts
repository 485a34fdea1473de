// Sequences: whatever cuts, joins or filters one keeps tokens, classes, weights and what is repeated together.

import {
  checkSequences,
  cutIntoWindows,
  delimit,
  filterSequence,
  joinSequences,
  lowRiskPart,
  lowRiskSequence,
  type Sequence,
  sliceSequence,
} from "../src/data/sequence.ts";
import { countSequence, countTargets, packSequences } from "../src/data/packing.ts";
import { objective } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";

/** Tokens 10, 11, …, classes 0 to 3 in turn, and weights that say whose they are. */
function sequenceOf(length: number, changes: Partial<Sequence> = {}): Sequence {
  return {
    tokens: Uint32Array.from({ length }, (_, i) => 10 + i),
    classes: Uint8Array.from({ length }, (_, i) => i % 4),
    weights: Float32Array.from({ length }, (_, i) => 10 + i),
    ...changes,
  };
}

/** Fails unless each token still has its own class and weight; returns the tokens. */
function together({ tokens, classes, weights }: Sequence): number[] {
  tokens.forEach((token, i) => assertEquals([classes[i], weights![i]], [(token - 10) % 4, token]));
  return [...tokens];
}

const window = sequenceOf(7, { repeated: 3 });

Deno.test("a slice keeps classes and weights with their tokens, and what is left of the repeated ones", () => {
  const slices: [start: number, end: number | undefined, tokens: number[], repeated?: number][] = [
    [0, 5, [10, 11, 12, 13, 14], 3],
    [0, 2, [10, 11], 2],
    [2, undefined, [12, 13, 14, 15, 16], 1],
    [3, 6, [13, 14, 15]],
    [-2, undefined, [15, 16]],
    [-6, -1, [11, 12, 13, 14, 15], 2],
    [-99, 1, [10], 1],
    [5, 5, []],
  ];
  for (const [start, end, tokens, repeated] of slices) {
    const slice = sliceSequence(window, start, end);
    assertEquals(together(slice), tokens);
    assertEquals(slice.repeated, repeated, `${start} to ${end}`);
  }
  assertEquals(sliceSequence(lowRiskSequence(Uint32Array.of(4, 5)), 1), {
    tokens: Uint32Array.of(5),
    classes: Uint8Array.of(Risk.low),
  });
});

Deno.test("a filter keeps them together too", () => {
  const odd = filterSequence(window, (i) => i % 2 === 1);
  assertEquals([together(odd), odd.repeated], [[11, 13, 15], 1]);
  const low = lowRiskPart(window);
  assertEquals([together(low), low.repeated], [[10, 11, 14, 15], 2]); // unlabelled counts as low
});

Deno.test("joined sequences keep all three, with weight 1 where a part has none", () => {
  const plain = lowRiskSequence(Uint32Array.of(7, 8));
  const joined = joinSequences([window, plain, sequenceOf(1)]);
  assertEquals([...joined.tokens], [10, 11, 12, 13, 14, 15, 16, 7, 8, 10]);
  assertEquals([...joined.classes], [0, 1, 2, 3, 0, 1, 2, 1, 1, 0]);
  assertEquals([...joined.weights!], [10, 11, 12, 13, 14, 15, 16, 1, 1, 10]);
  assertEquals(joined.repeated, 3);
  assertEquals(joinSequences([plain, plain]), lowRiskSequence(Uint32Array.of(7, 8, 7, 8)));
  assertEquals(joinSequences([]).tokens.length, 0);
  assertEquals(joinSequences([sequenceOf(0), window]).repeated, 3);
  assertThrows(() => joinSequences([plain, window]), "Join or delimit them before they are cut");
});

Deno.test("delimiters are of low risk and weight 1, and stand where they are asked for", () => {
  const between = delimit(sequenceOf(2), { bos: 1, eos: 2 });
  assertEquals([...between.tokens], [1, 10, 11, 2]);
  assertEquals([...between.classes], [Risk.low, 0, 1, Risk.low]);
  assertEquals([...between.weights!], [1, 10, 11, 1]);
  assertEquals(delimit(sequenceOf(2), {}), sequenceOf(2));
  assertEquals([...delimit(sequenceOf(1), { eos: 0 }).tokens], [10, 0]);
  assertEquals([...delimit(sequenceOf(1), { bos: 0 }).tokens], [0, 10]);
  assertEquals(delimit(lowRiskSequence(Uint32Array.of(5)), { bos: 1 }).weights, undefined);
});

for (const prefix of [0, 1, 2]) {
  Deno.test(`windows behind ${prefix} repeated tokens predict every token after the first once`, () => {
    const repeated = Math.max(prefix, 1);
    for (const total of [2, 3, 7, 12]) {
      const whole = sequenceOf(total);
      for (let length = repeated + 1; length <= total + 1; length++) {
        const windows = cutIntoWindows(whole, length, prefix);
        windows.forEach((window, i) => {
          const tokens = together(window);
          const what = `window ${i} of ${total} tokens by ${length}`;
          assert(tokens.length >= 2 && tokens.length <= length, what);
          assertEquals(window.repeated, i === 0 ? undefined : repeated, what);
          if (i === 0) return;
          const first = prefix === 0
            ? [windows[i - 1]!.tokens.at(-1)!]
            : [...whole.tokens.subarray(0, prefix)];
          assertEquals(tokens.slice(0, repeated), first, what);
        });
        const predicted = windows.flatMap(({ tokens, repeated = 1 }) => [
          ...tokens.subarray(repeated),
        ]);
        assertEquals(predicted, [...whole.tokens.subarray(1)], `${total} tokens by ${length}`);
      }
    }
  });
}

Deno.test("a text of no or one token has no window", () => {
  for (const total of [0, 1]) assertEquals(cutIntoWindows(sequenceOf(total), 4), []);
});

Deno.test("windows without room for a target are refused, and so is a window of a window", () => {
  const cut = (length: number, prefix?: number) => () =>
    cutIntoWindows(sequenceOf(5), length, prefix);
  assertThrows(cut(1), "into windows of 1 tokens: each begins with 1 that is not predicted");
  assertThrows(cut(2, 2), "each begins with 2 that are not predicted in it. Choose a length of at");
  for (const length of [0, -3, 2.5, NaN]) {
    assertThrows(cut(length), "Choose a length of at least 2");
  }
  assertThrows(() => cutIntoWindows(window, 4), "it is a window of a longer one already");
});

Deno.test("what is repeated is read, but neither predicted nor counted again, wherever it is packed", () => {
  const { terms } = objective("direct");
  const whole = sequenceOf(12, { classes: new Uint8Array(12).fill(Risk.low) });
  const expected = countSequence(whole, terms);
  assertEquals(expected.all, 11);
  for (const [length, prefix] of [[12, 0], [5, 0], [2, 0], [5, 1], [5, 3]] as const) {
    const windows = cutIntoWindows(whole, length, prefix);
    const { batches } = packSequences(windows, { rows: 2, time: 11 });
    const packed = batches.map((batch) => countTargets(batch, terms));
    for (const key of ["active", "all", "weights", "firstTokens"] as const) {
      const sum = (counts: readonly (typeof expected)[]) =>
        counts.reduce((total, each) => total + each[key], 0);
      const where = `${key} in windows of ${length} behind ${prefix}`;
      assertEquals(sum(packed), expected[key], where);
      assertEquals(
        sum(windows.map((window) => countSequence(window, terms))),
        expected[key],
        where,
      );
    }
  }
});

const faults: [changes: Partial<Sequence>, fault: string][] = [
  [{ classes: Uint8Array.of(1, 1) }, "it has 2 classes for 3 tokens"],
  [{ classes: new Uint8Array(4) }, "it has 4 classes for 3 tokens"],
  [{ weights: Float32Array.of(1, 1, 1, 1) }, "it has 4 weights for 3 tokens"],
  [{ weights: new Float32Array(0) }, "it has 0 weights for 3 tokens"],
  [{ classes: Uint8Array.of(0, 3, 4) }, "token 2 has class 4, not 0 to 3"],
  [{ tokens: Uint32Array.of(1, 99, 100) }, "token 2 is id 100, and the vocabulary ends at 99"],
  [{ weights: Float32Array.of(1, NaN, 1) }, "token 1 has the weight NaN"],
  [{ weights: Float32Array.of(-Infinity, 1, 1) }, "token 0 has the weight -Infinity"],
  [{ repeated: 4 }, "4 of its 3 tokens are said to be repeated"],
  [{ repeated: 0.5 }, "0.5 of its 3 tokens are said to be repeated"],
];

for (const [changes, fault] of faults) {
  Deno.test(`a sequence is refused by number and token: ${fault}`, () => {
    checkSequences([sequenceOf(3)], "pack", 100);
    assertThrows(
      () => checkSequences([sequenceOf(2), sequenceOf(3, changes)], "pack", 100),
      `Cannot pack sequence 1: ${fault}. Correct the data that it is made from.`,
    );
  });
}

Deno.test("what is sound passes: no tokens, no weights, a negative weight, all of it repeated", () => {
  checkSequences([
    sequenceOf(0),
    lowRiskSequence(Uint32Array.of(2 ** 32 - 1)),
    sequenceOf(2, { weights: Float32Array.of(-1, 0), repeated: 2 }),
  ], "pack");
});
