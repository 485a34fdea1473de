// AUROC against its definition, and against scikit-learn on scores with many ties.

import { Random } from "../src/base/random.ts";
import { auroc, placements } from "../src/eval/auroc.ts";
import { assertClose, assertEquals, assertThrows } from "./assert.ts";
import golden from "./golden/probe.json" with { type: "json" };

/** The probability that a positive beats a negative, by asking every pair. */
function byPairs(scores: readonly number[], labels: readonly number[]): number {
  let wins = 0, pairs = 0;
  scores.forEach((high, i) =>
    scores.forEach((low, j) => {
      if (labels[i] !== 1 || labels[j] !== 0) return;
      wins += high > low ? 1 : high === low ? 0.5 : 0;
      pairs++;
    })
  );
  return wins / pairs;
}

Deno.test("AUROC is the share of pairs in which the positive scores higher, ties counting half", () => {
  const random = new Random(1, "auroc");
  for (const distinct of [2, 5, 1000]) {
    const labels = Array.from({ length: 83 }, () => random.below(2));
    const scores = labels.map((label) => random.below(distinct) + label);
    assertClose(auroc(scores, labels), byPairs(scores, labels), 1e-12);
  }
});

Deno.test("AUROC equals scikit-learn's with ties", () => {
  const { scores, labels, auroc: expected } = golden.ties;
  assertClose(auroc([...scores].map(Number), [...labels].map(Number)), expected, 1e-12);
});

Deno.test("AUROC is 1 for perfect, 0 for reversed and 0.5 for equal scores", () => {
  const labels = [0, 1, 0, 1];
  assertEquals(auroc([0, 2, 1, 3], labels), 1);
  assertEquals(auroc([3, 1, 2, 0], labels), 0);
  assertEquals(auroc([7, 7, 7, 7], labels), 0.5);
  assertEquals(auroc([-Infinity, Infinity, -1, 0], labels), 1);
});

Deno.test("AUROC refuses what has no answer", () => {
  assertThrows(() => auroc([1, 2], [1]), "there are 2 scores and 1 labels");
  assertThrows(() => auroc([1, 2], [1, 1]), "there are 2 positives and 0 negatives");
  assertThrows(() => auroc([1, NaN], [1, 0]), "score 1 is NaN");
});

Deno.test("placements are shares of pairs, and their mean over either label is the AUROC", () => {
  assertEquals(placements([1, 2, 2, 3], [0, 1, 0, 1]), [1, 0.75, 0.75, 1]);
  const random = new Random(3, "placements");
  const labels = Array.from({ length: 61 }, (_, i) => i % 3 === 0 ? 1 : 0);
  const scores = labels.map((label) => Math.round(4 * (random.normal() + label)));
  const placed = placements(scores, labels);
  for (const label of [0, 1]) {
    const own = placed.filter((_, i) => labels[i] === label);
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
    assertClose(mean, auroc(scores, labels), 1e-12);
  }
});
