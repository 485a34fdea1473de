// A loss term is a function f of how probable a token is, and its derivative, both written as one line of WGSL in
//   m     log-odds of the token, in (−∞, ∞)          w     the token's weight
//   p     sigmoid(m)      lp    log p = −softplus(−m)      l1mp  log(1 − p) = −softplus(m)
// lp and l1mp keep their digits where p rounds to 1, which log(p) and log(1 - p) do not. A kernel needs f's slope
// d f/d m; by the chain rule it is (1 − p) · d f/d lp. Before a term is made, both lines are compared: the slope with
// finite differences of the value in float64, and float64 with float32.

import { CannotError } from "../base/errors.ts";
import {
  evaluate,
  type Expression,
  parseExpression,
  toFloat32,
  variablesOf,
} from "./expression.ts";

/**
 * A loss of one token, as expressions of `m, p, lp, l1mp, w`.
 *
 * @example
 * ```ts
 * import { customLoss, type LossTerm } from "@slung/slung";
 *
 * const bounded: LossTerm = customLoss({ name: "bounded", value: "p", slope: "p * (1 - p)" });
 * console.log(bounded.value); // p
 * ```
 */
export interface LossTerm {
  /** For logs and for the names of objectives. */
  readonly name: string;
  /** The loss in nats, before it is multiplied by the token's weight. */
  readonly value: string;
  /** d value / d m. */
  readonly slope: string;
}

/**
 * A loss term to be checked; its derivative is given with respect to lp or to m.
 *
 * @example
 * ```ts
 * import { type CustomLoss, customLoss } from "@slung/slung";
 *
 * const squared: CustomLoss = { name: "squared", value: "p * p", derivative: "2 * p * p" };
 * console.log(customLoss(squared).slope); // (2 * p * p) * sigmoid(-m)
 * ```
 */
export interface CustomLoss {
  /** For logs and errors. */
  name: string;
  /** f in nats, e.g. `-lp`. What enters the objective is w · f / Z, so that f itself rarely needs w. */
  value: string;
  /** d f / d lp, e.g. `-1`. Like p / (1 - p) it may grow without bounds as p nears 1; then give `slope`. */
  derivative?: string;
  /** d f / d m = (1 − p) · d f / d lp, simplified by hand, e.g. `p` for `-l1mp`. */
  slope?: string;
}

/** What an expression of a loss term may use. */
export const lossVariables = ["m", "p", "lp", "l1mp", "w"] as const;

// Log-odds at which a term is checked: p from 1e-13 to 1 − 1e-13 off round numbers, where pieces like to meet, and the
// far ends that a trained model reaches.
const grid = [-104, -50, ...Array.from({ length: 120 }, (_, i) => -29.77 + 0.5 * i), 50, 104];
const gridWeights = [0.25, 1, 3];
const step = 1e-5, tolerance = 1e-5, float32Tolerance = 0.01;

/**
 * Makes a loss term for any risk class of an objective.
 *
 * @throws {CannotError} when an expression cannot be read, with a caret under the place; when the derivative is not
 * that of the value, with a probability at which both are compared; when one of them is not finite or loses its digits
 * in float32.
 *
 * @example The focal loss, for tokens that are to be learned
 * ```ts
 * import { customLoss } from "@slung/slung";
 *
 * customLoss({ name: "half_focal", value: "-lp * (1 - p)", derivative: "-(1 - p) + p * lp" });
 * ```
 */
export function customLoss({ name, value, derivative, slope }: CustomLoss): LossTerm {
  if ((derivative === undefined) === (slope === undefined)) {
    throw new CannotError(
      `make the loss "${name}"`,
      derivative === undefined ? "it has no derivative" : "it has a derivative and a slope",
      "Give one of derivative (d value / d lp) and slope (d value / d m)",
    );
  }
  const given = derivative ?? slope!;
  const [kind, respect] = slope === undefined ? ["derivative", "lp"] : ["slope", "m"];
  const parsedValue = parse(value, `the value of the loss "${name}"`);
  const parsedGiven = parse(given, `the ${kind} of the loss "${name}"`);
  const term = { name, value, slope: slope ?? `(${derivative}) * sigmoid(-m)` };
  const parsedSlope = parse(term.slope, `the slope of the loss "${name}"`);
  const points = pointsFor(parsedValue, parsedGiven);
  checkFloat32(name, "value", parsedValue, points);
  checkFloat32(name, kind!, parsedGiven, points);
  checkFloat32(name, "slope", parsedSlope, points);
  checkSlope(name, { kind: kind!, respect: respect! }, parsedValue, parsedSlope, points);
  return term;
}

/** Parses an expression of a loss term. @throws {CannotError} with a caret under what is not understood. */
export function parse(text: string, what: string): Expression {
  return parseExpression(text, what, lossVariables);
}

/** The variables of a loss term at log-odds m, exact in float64. */
export function lossScope(m: number, w = 1): Record<(typeof lossVariables)[number], number> {
  const small = Math.exp(-Math.abs(m)), rest = Math.log1p(small);
  return {
    m,
    p: (m >= 0 ? 1 : small) / (1 + small),
    lp: Math.min(m, 0) - rest,
    l1mp: Math.min(-m, 0) - rest,
    w,
  };
}

/** The loss and slope of a term at log-odds m, in float64: what its formula says, apart from any kernel. */
export function evaluateTerm(term: LossTerm, m: number, w = 1): { loss: number; slope: number } {
  const scope = lossScope(m, w);
  const of = (part: "value" | "slope") =>
    evaluate(parse(term[part], `the ${part} of the loss "${term.name}"`), scope);
  return { loss: of("value"), slope: of("slope") };
}

interface Point {
  m: number;
  w: number;
}

function pointsFor(...expressions: Expression[]): Point[] {
  const weighted = expressions.some((expression) => variablesOf(expression).has("w"));
  return (weighted ? gridWeights : [1]).flatMap((w) => grid.map((m) => ({ m, w })));
}

function checkFloat32(name: string, what: string, expression: Expression, points: Point[]): void {
  for (const point of points) {
    const scope = lossScope(point.m, point.w);
    const exact = evaluate(expression, scope);
    const rounded = evaluate(expression, scope, toFloat32);
    if (Math.abs(rounded - exact) <= float32Tolerance * Math.max(1, Math.abs(exact))) continue;
    const where = `at ${describe(point)} its ${what} is ${short(rounded)} in float32`;
    const exactly = Number.isFinite(exact) ? `, where exact arithmetic gives ${short(exact)}` : "";
    const remedy = what === "derivative"
      ? "Give the slope d value / d m = (1 - p) * derivative instead, simplified so that it stays bounded"
      : "Write lp for log(p), l1mp for log(1 - p), sigmoid(-m) for 1 - p, and x * x for pow(x, 2), whose base must be positive";
    throw new CannotError(`make the loss "${name}"`, `${where}${exactly}`, remedy);
  }
}

interface Mismatch extends Point {
  given: number;
  expected: number;
}

function checkSlope(
  name: string,
  { kind, respect }: { kind: string; respect: string },
  value: Expression,
  slope: Expression,
  points: Point[],
): void {
  const wrong: Mismatch[] = [];
  for (const point of points) {
    const { m, w } = point;
    const [below, here, above] = [m - step, m, m + step].map((x) =>
      evaluate(value, lossScope(x, w))
    ) as [
      number,
      number,
      number,
    ];
    const left = (here - below) / step, right = (above - here) / step;
    const given = evaluate(slope, lossScope(m, w));
    const slack = tolerance * Math.max(1, Math.abs(left), Math.abs(right));
    // At a kink, as of max(), any slope between those of the two sides will do.
    if (given >= Math.min(left, right) - slack && given <= Math.max(left, right) + slack) continue;
    wrong.push({ ...point, given, expected: (above - below) / (2 * step) });
  }
  if (wrong.length === 0) return;
  const error = ({ given, expected }: Mismatch) => Math.abs(given - expected);
  const moderate = wrong.filter(({ m }) => Math.abs(m) < 6);
  const worst = (moderate.length > 0 ? moderate : wrong).reduce((a, b) =>
    error(b) > error(a) ? b : a
  );
  const perLp = respect === "lp" ? lossScope(-worst.m).p : 1; // back to what the user gave
  const rules = respect === "lp"
    ? "d p / d lp = p, and d l1mp / d lp = -p / (1 - p)"
    : "d p / d m = p * (1 - p), d lp / d m = 1 - p, and d l1mp / d m = -p";
  throw new CannotError(
    `make the loss "${name}"`,
    `its ${kind} is wrong at ${wrong.length} of ${points.length} points: at ${
      describe(worst)
    } it is ${short(worst.given / perLp)}, but the value changes by ${
      short(worst.expected / perLp)
    } per unit of ${respect}`,
    `Correct the ${kind}, d value / d ${respect}: ${rules}`,
  );
}

function describe({ m, w }: Point): string {
  const { p } = lossScope(m), rest = lossScope(-m).p;
  const probability = p > 0.999 ? `1 - ${short(rest, 3)}` : short(p, 3);
  return `p = ${probability} (m = ${short(m)}${w === 1 ? "" : `, w = ${w}`})`;
}

function short(x: number, digits = 5): string {
  return String(Number(x.toPrecision(digits)));
}
