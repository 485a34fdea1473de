// The slope of a loss term from its value alone, so that a loss is one line. Derivatives with respect to m, the log-odds:
// d p = p (1 − p), d lp = 1 − p, d l1mp = −p, and the chain rule. `customLoss` compares the result with finite differences.

import { CannotError } from "../base/errors.ts";
import { customLoss, type LossTerm, parse } from "./custom_loss.ts";
import { type Expression, toWgsl } from "./expression.ts";

/**
 * A loss term from the one line that is its value, e.g. `p * p`.
 *
 * @throws {CannotError} as `customLoss`, and for a function whose derivative is not known here.
 */
export function lossOf(name: string, value: string): LossTerm {
  const what = `the value of the loss "${name}"`;
  return customLoss({ name, value, slope: slopeOf(parse(value, what), name) });
}

const ofVariables: Readonly<Record<string, string>> = {
  m: "1",
  p: "p * sigmoid(-m)",
  lp: "sigmoid(-m)",
  l1mp: "-p",
  w: "0",
};

/** What multiplies the derivative of the only operand. */
const ofFunctions: Readonly<Record<string, (x: string) => string>> = {
  "prefix -": () => "-1",
  abs: (x) => `sign(${x})`,
  exp: (x) => `exp(${x})`,
  exp2: (x) => `${Math.LN2} * exp2(${x})`,
  floor: () => "0",
  inverseSqrt: (x) => `-0.5 * inverseSqrt(${x}) / (${x})`,
  log: (x) => `1 / (${x})`,
  log2: (x) => `${1 / Math.LN2} / (${x})`,
  sigmoid: (x) => `sigmoid(${x}) * sigmoid(-(${x}))`,
  sign: () => "0",
  softplus: (x) => `sigmoid(${x})`,
  sqrt: (x) => `0.5 * inverseSqrt(${x})`,
  tanh: (x) => `1 - tanh(${x}) * tanh(${x})`,
};

/** d node / d m, as an expression. */
function slopeOf(node: Expression, name: string): string {
  if (node.kind === "number") return "0";
  if (node.kind === "variable") return ofVariables[node.name]!;
  const texts = node.operands.map(toWgsl);
  const [x = "0", y = "0", z = "0"] = texts;
  const slope = (i: number) => slopeOf(node.operands[i]!, name);
  const outer = ofFunctions[node.name];
  if (outer) return times(slope(0), outer(x));
  switch (node.name) {
    case "+":
      return plus(slope(0), slope(1));
    case "-":
      return plus(slope(0), times("-1", slope(1)));
    case "*":
      return plus(times(slope(0), y), times(x, slope(1)));
    case "/": {
      const numerator = plus(times(slope(0), y), times("-1", times(x, slope(1))));
      return numerator === "0" ? "0" : `(${numerator}) / ((${y}) * (${y}))`;
    }
    case "max":
      return `select(${slope(1)}, ${slope(0)}, ${x} >= ${y})`;
    case "min":
      return `select(${slope(1)}, ${slope(0)}, ${x} <= ${y})`;
    case "clamp":
      return times(`select(0, 1, ${x} > ${y} && ${x} < ${z})`, slope(0));
    case "select":
      return `select(${slope(0)}, ${slope(1)}, ${z})`;
    case "pow":
      if (slope(1) !== "0") break;
      return times(slope(0), `(${y}) * pow(${x}, (${y}) - 1)`);
    case "step":
      return "0";
  }
  throw new CannotError(
    `make the loss "${name}"`,
    `the derivative of ${node.name}() is not known here`,
    "Write it with other functions, or give its slope to customLoss",
  );
}

function plus(a: string, b: string): string {
  return a === "0" ? b : b === "0" ? a : `(${a}) + (${b})`;
}

function times(a: string, b: string): string {
  if (a === "0" || b === "0") return "0";
  return a === "1" ? b : b === "1" ? a : `(${a}) * (${b})`;
}
