// Methods compared in pairs: p values against scipy's and against hand-worked ones, and what counts as a difference.

import { holm, pairedDifference, signFlipTest, testDifferences } from "../src/eval/comparison.ts";
import { bootstrapInterval } from "../src/eval/statistics.ts";
import { Random } from "../src/base/random.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";

Deno.test("sign flips give scipy's p values, exactly where all are tried and closely where they are drawn", () => {
  // scipy.stats.permutation_test(..., permutation_type="samples", n_resamples=inf)
  assertEquals(signFlipTest([0.5, -0.2, 0.9, 0.1, 0.3, -0.05, 0.7]), 0.09375);
  assertEquals(signFlipTest([1, 1, 1, 0, 1, -1]), 0.375);
  const many = Array.from({ length: 18 }, (_, i) => -0.5 + 1.5 * i / 17);
  assertClose(signFlipTest(many), 0.0406494140625, 6e-3); // three standard errors of 10,000 draws
  assertEquals(signFlipTest(many, { seed: 4 }), signFlipTest(many, { seed: 4 }));
  assert(signFlipTest(many, { seed: 4 }) !== signFlipTest(many, { seed: 5 }));
});

Deno.test("no difference has p 1, and the largest possible one is never 0", () => {
  assertEquals(signFlipTest([0, 0, 0]), 1);
  assertEquals(signFlipTest([0.1, 0.2, -0.3]), 1, "a sum that is 0 but for rounding");
  assertEquals(signFlipTest(Array(14).fill(1)), 2 / 2 ** 14);
  assertEquals(signFlipTest(Array(40).fill(1)), 1 / 10_001);
  assertThrows(() => signFlipTest([]), "Cannot test differences: there are none");
});

Deno.test("Holm multiplies the smallest p by the number of tests, the next by one less, and keeps their order", () => {
  assertClose(holm([0.01, 0.04, 0.03, 0.005, 0.5]), [0.04, 0.09, 0.09, 0.025, 0.5], 1e-15);
  assertEquals(holm([0.9, 0.8]), [1, 1]);
  assertEquals(holm([]), []);
});

Deno.test("a difference is taken within seed and item, so that what both share falls out", () => {
  const hard = [0, 50, 100, 200, 400]; // items differ far more than methods
  const first = [hard.map((value) => value + 1), hard.map((value) => 1000 + value + 2)];
  const second = [hard, hard.map((value) => 1000 + value)];
  const { difference, p } = pairedDifference(first, second);
  assertClose([difference.mean, difference.low], [1.5, 1.5 - 12.7062 * 0.5], 1e-4);
  assertEquals([difference.n, p], [2, 2 / 2 ** 5]);
  const reversed = pairedDifference(second, first);
  assertEquals([reversed.difference.mean, reversed.p], [-1.5, p]);
});

Deno.test("one model stands for all seeds, and items without a value are left out of both", () => {
  const base = [[0, null, 0, 0]];
  const trained = [[1, 5, null, 3], [3, 5, 4, 3]];
  const { difference } = pairedDifference(trained, base);
  assertClose(difference.mean, (2 + 10 / 3) / 2, 1e-12);
  assertEquals(difference.n, 2);
  assertThrows(() => pairedDifference(trained, [[1, 2]]), "they have 4 and 2 values for 4 items");
  assertThrows(
    () => pairedDifference([...trained, [1, 1, 1, 1]], [base[0]!, base[0]!]),
    "Cannot compare two methods: of seed 2 they have 4 and 0 values",
  );
});

Deno.test("items about the same thing flip together, and so prove no more than one item", () => {
  const first = [Array(40).fill(1)], second = [Array(40).fill(0)];
  const groups = Array.from({ length: 40 }, (_, i) => i % 4);
  assertEquals(pairedDifference(first, second).p, 1 / 10_001);
  assertEquals(pairedDifference(first, second, { groups }).p, 2 / 2 ** 4);
});

Deno.test("methods differ where the corrected test and the interval over seeds both say so", () => {
  const difference = (low: number, high: number, n = 3) => ({
    ...{ mean: (low + high) / 2, low, high, confidence: 0.95, n },
  });
  const tested = testDifferences([
    { difference: difference(1, 2), p: 0.001 },
    { difference: difference(-2, -1), p: 0.016 },
    { difference: difference(1, 2), p: 0.03 }, // 0.06 once corrected
    { difference: difference(-1, 2), p: 0.001 }, // another seed might show the opposite
    { difference: difference(1, 1, 1), p: 0.001 },
    { difference: difference(1, 2), p: 0.5 },
  ]);
  assertEquals(tested.map(({ separates }) => separates), [true, true, false, false, null, false]);
  assertClose(tested[1]!.adjusted, 0.048, 1e-12);
});

Deno.test("alike methods are told apart once in twenty times at most, related items or not", () => {
  const random = new Random(2, "alike");
  const groups = Array.from({ length: 60 }, (_, i) => i % 12);
  let errors = 0;
  for (let trial = 0; trial < 200; trial++) {
    const shared = Array.from({ length: 12 }, () => random.normal());
    const own = groups.map((group) => shared[group]! + 0.1 * random.normal());
    if (pairedDifference([own], [own.map(() => 0)], { groups }).p < 0.05) errors++;
  }
  assert(errors <= 19, `${errors} of 200`); // P(X > 19) = 0.003 for a rate of 0.05
});

Deno.test("a bootstrap over groups is as wide as one of their means, not as one of all items", () => {
  const random = new Random(5, "groups");
  const centres = Array.from({ length: 20 }, () => random.normal());
  const groups = Array.from({ length: 400 }, (_, i) => i % 20);
  const values = groups.map((group) => centres[group]!);
  const width = ({ low, high }: { low: number; high: number }) => high - low;
  const grouped = bootstrapInterval(values, { seed: 1, groups });
  const means = bootstrapInterval(centres, { seed: 1 });
  assertClose(width(grouped), width(means), 1e-9);
  assert(width(grouped) > 3 * width(bootstrapInterval(values, { seed: 1 })));
  assertThrows(
    () => bootstrapInterval([1, 2], { seed: 1, groups: ["a", "a"] }),
    "it needs at least 2 values and got 1",
  );
});
