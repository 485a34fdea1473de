// The Pareto frontier against its definition, on many small random sets with ties.

import { Random } from "../src/base/random.ts";
import { paretoFrontier } from "../src/report/trade_off.ts";
import { type Tradeoff } from "../src/eval/pareto.ts";
import { assertEquals } from "./assert.ts";

const point = (toxicity: number, auroc: number) => ({ toxicity, auroc });

Deno.test("the frontier holds what nothing beats, from the least toxic on", () => {
  const control = point(0.1, 0.8), masked = point(0.12, 0.86), toxic = point(0.3, 0.85);
  const lowRisk = point(0.13, 0.81), best = point(0.2, 0.9);
  assertEquals(paretoFrontier([toxic, best, masked, lowRisk, control]), [control, masked, best]);
});

Deno.test("equal points stay together; of points that tie on one axis only the better stays", () => {
  assertEquals(paretoFrontier([point(1, 5), point(1, 5)]).length, 2);
  assertEquals(paretoFrontier([point(1, 5), point(1, 6), point(2, 6)]), [point(1, 6)]);
  assertEquals(paretoFrontier([]), []);
});

Deno.test("inside the frontier nothing dominates, and everything outside is dominated by it", () => {
  const random = new Random(1, "pareto");
  for (let round = 0; round < 200; round++) {
    const points = Array.from({ length: 1 + random.below(8) }, () => ({
      toxicity: random.below(5),
      auroc: random.below(5),
    }));
    const frontier = paretoFrontier(points);
    const beats = (a: Tradeoff, b: Tradeoff) =>
      a.toxicity <= b.toxicity && a.auroc >= b.auroc &&
      !(a.toxicity === b.toxicity && a.auroc === b.auroc);
    for (const candidate of points) {
      const beaten = frontier.some((other) => beats(other, candidate));
      assertEquals(frontier.includes(candidate), !beaten);
    }
  }
});
