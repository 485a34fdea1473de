import { lossScope, parse } from "../src/slung/custom_loss.ts";
import { evaluate as evaluateExpression, toFloat32 } from "../src/slung/expression.ts";
import {
  clampedUnlikelihood,
  crossEntropy,
  divisor,
  isActive,
  type LossTerm,
  objective,
  objectiveNames,
  riskNames,
  type TargetCounts,
  termsToWgsl,
  unlikelihood,
} from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { assertClose, assertEquals, assertThrows } from "./assert.ts";

function evaluate(expression: string): (m: number) => number {
  const parsed = parse(expression, "the term");
  return (m) => evaluateExpression(parsed, lossScope(m));
}

const probability = (m: number) => 1 / (1 + Math.exp(-m));

function slopeByDifference({ value }: LossTerm, m: number): number {
  const h = 1e-4, f = evaluate(value);
  return (f(m + h) - f(m - h)) / (2 * h);
}

Deno.test("cross-entropy is −log p and unlikelihood −log(1 − p) of the target's log-odds", () => {
  for (const m of [-6, -1, 0, 0.5, 3, 6]) {
    const p = probability(m);
    assertClose(evaluate(crossEntropy.value)(m), -Math.log(p), 1e-12);
    assertClose(evaluate(unlikelihood.value)(m), -Math.log(1 - p), 1e-10);
    assertClose(evaluate(clampedUnlikelihood.value)(m), -Math.log(1 - p), 1e-10);
  }
});

Deno.test("the slope of every term is the derivative of its value", () => {
  for (const term of [crossEntropy, unlikelihood, clampedUnlikelihood]) {
    for (const m of [-9, -3, -0.2, 0, 1, 4, 9]) {
      assertClose(
        evaluate(term.slope)(m),
        slopeByDifference(term, m),
        1e-6,
        `${term.name} at ${m}`,
      );
    }
  }
});

Deno.test("where p rounds to 1 the clamped unlikelihood has no gradient and the exact one its full", () => {
  const slope = parse(clampedUnlikelihood.slope, "the slope");
  assertEquals(evaluateExpression(slope, lossScope(18), toFloat32), 0);
  assertEquals(evaluate(clampedUnlikelihood.slope)(40), 0);
  assertClose(evaluate(clampedUnlikelihood.value)(40), -Math.log(1e-9), 1e-12);
  assertEquals(evaluate(unlikelihood.slope)(40), 1);
  assertEquals(evaluate(unlikelihood.value)(40), 40);
});

Deno.test("objectives assign terms to classes as Table 1 of the paper does", () => {
  const assigned = objectiveNames.map((name) => {
    const { terms } = objective(name);
    return [name, terms[Risk.low], terms[Risk.possible], terms[Risk.high]].map((term) =>
      typeof term === "string" ? term : term?.name ?? "masked"
    );
  });
  assertEquals(assigned, [
    ["direct", "cross_entropy", "cross_entropy", "cross_entropy"],
    ["masked", "cross_entropy", "masked", "masked"],
    ["unlikelihood", "cross_entropy", "cross_entropy", "unlikelihood"],
    ["unlikelihood_clamped", "cross_entropy", "cross_entropy", "unlikelihood_clamped"],
  ]);
});

Deno.test("unlabelled tokens are learned by every objective", () => {
  for (const name of objectiveNames) {
    assertEquals(objective(name).terms[Risk.unlabelled], crossEntropy);
  }
});

Deno.test("the WGSL of an objective has a case for each class with a term and zero for the rest", () => {
  assertEquals(
    termsToWgsl(objective("masked").terms),
    [
      "fn term(class_of_token: u32, m: f32, w: f32) -> Term {",
      "  let p = sigmoid(m);",
      "  let lp = -softplus(-m);",
      "  let l1mp = -softplus(m);",
      "  switch class_of_token {",
      "    case 0u: { return Term(-lp, -1.0 * sigmoid(-m)); }",
      "    case 1u: { return Term(-lp, -1.0 * sigmoid(-m)); }",
      "    default: { return Term(0.0, 0.0); }",
      "  }",
      "}",
    ].join("\n"),
  );
  const unlikely = termsToWgsl(objective("unlikelihood").terms);
  assertEquals(unlikely.match(/case (\d)u.*Term\(-l1mp, p\)/)?.[1], String(Risk.high));
});

Deno.test("a target is active if its class has a term and its weight is not zero", () => {
  const { terms } = objective("masked");
  assertEquals(isActive(terms, Risk.low, 0.5), true);
  assertEquals(isActive(terms, Risk.low, 0), false);
  assertEquals(isActive(terms, Risk.high, 1), false);
  assertEquals(isActive(objective("unlikelihood").terms, Risk.high, 1), true);
});

const parts: TargetCounts[] = [
  { active: 5, all: 9, weights: 4.5, firstTokens: 2 },
  { active: 0, all: 3, weights: 0, firstTokens: 1 },
  { active: 1, all: 1, weights: 1.5, firstTokens: 1 },
];

Deno.test("each denominator counts what it says over all micro-batches of the step", () => {
  assertEquals(divisor("active", parts), 6);
  assertEquals(divisor("paper", parts), 10);
  assertEquals(divisor("all", parts), 13);
  assertEquals(divisor("weights", parts), 6);
});

Deno.test("a step without a loss is refused and the error tells an empty one from a masked one", () => {
  const masked = [parts[1]!];
  const empty = [{ active: 0, all: 0, weights: 0, firstTokens: 0 }];
  for (const denominator of ["active", "paper", "all", "weights"] as const) {
    assertThrows(
      () => divisor(denominator, masked, "step 7"),
      "Cannot train on step 7: every token is masked, so nothing is learned. Check the risk spans",
    );
    assertThrows(
      () => divisor(denominator, empty, "step 7"),
      "Cannot train on step 7: the batch is empty. Check the risk spans",
    );
  }
});

Deno.test("weights without a positive sum divide nothing, though other denominators do not mind", () => {
  for (const weights of [0, -0.5, NaN]) {
    const counts = [{ active: 2, all: 3, weights, firstTokens: 1 }];
    assertThrows(
      () => divisor("weights", counts, "step 7"),
      `Cannot divide the loss of step 7 by the sum of its weights: it is ${weights}. Give weights`,
    );
    assertEquals(
      (["active", "paper", "all"] as const).map((denominator) => divisor(denominator, counts)),
      [2, 3, 3],
    );
  }
});

Deno.test("risk classes are named in the order of their numbers", () => {
  assertEquals(riskNames, ["unlabelled", "low", "possible", "high"]);
});
