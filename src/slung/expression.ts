// The language of loss terms: arithmetic in WGSL's spelling, and nothing else. A Pratt parser turns a text into a typed
// tree; a kernel is given WGSL printed from the tree, never the text, so that an expression cannot smuggle in
// statements, buffers or other functions. The same tree is evaluated on the CPU, in float64 or as float32 would.

import { CannotError } from "../base/errors.ts";

/** A parsed expression: a number, a variable, or an operator or function applied to others. */
export type Expression =
  & { readonly type: ValueType; readonly depth: number; readonly constant: boolean }
  & (
    | { readonly kind: "number"; readonly value: number }
    | { readonly kind: "variable"; readonly name: string }
    | { readonly kind: "apply"; readonly name: string; readonly operands: readonly Expression[] }
  );

/** What an expression gives; comparisons give booleans, which `select` chooses by. */
export type ValueType = "number" | "boolean";

interface Operation {
  readonly operands: readonly ValueType[];
  readonly result: ValueType;
  /** Booleans are 0 and 1. */
  readonly compute: (...operands: number[]) => number;
}

const ofNumbers = (
  count: number,
  compute: Operation["compute"],
  result: ValueType = "number",
): Operation => ({ operands: new Array<ValueType>(count).fill("number"), result, compute });
const comparison = (compute: (a: number, b: number) => boolean): Operation =>
  ofNumbers(2, (a, b) => Number(compute(a!, b!)), "boolean");
const logic = (count: number, compute: Operation["compute"]): Operation => ({
  operands: new Array<ValueType>(count).fill("boolean"),
  result: "boolean",
  compute,
});

// As WGSL has them; where it leaves a result open (a negative base, limits in the wrong order), NaN.
const functions: Readonly<Record<string, Operation>> = {
  abs: ofNumbers(1, Math.abs),
  clamp: ofNumbers(3, (x, low, high) => low! > high! ? NaN : Math.min(Math.max(x!, low!), high!)),
  exp: ofNumbers(1, Math.exp),
  exp2: ofNumbers(1, (x) => 2 ** x!),
  floor: ofNumbers(1, Math.floor),
  inverseSqrt: ofNumbers(1, (x) => 1 / Math.sqrt(x!)),
  log: ofNumbers(1, Math.log),
  log2: ofNumbers(1, Math.log2),
  max: ofNumbers(2, Math.max),
  min: ofNumbers(2, Math.min),
  mix: ofNumbers(3, (x, y, part) => x! * (1 - part!) + y! * part!),
  pow: ofNumbers(2, (base, exponent) => base! < 0 ? NaN : base! ** exponent!),
  select: {
    operands: ["number", "number", "boolean"],
    result: "number",
    compute: (no, yes, condition) => condition ? yes! : no!,
  },
  sigmoid: ofNumbers(
    1,
    (x) => x! >= 0 ? 1 / (1 + Math.exp(-x!)) : Math.exp(x!) / (1 + Math.exp(x!)),
  ),
  sign: ofNumbers(1, Math.sign),
  smoothstep: ofNumbers(3, (low, high, x) => {
    const part = Math.min(Math.max((x! - low!) / (high! - low!), 0), 1);
    return low! >= high! ? NaN : part * part * (3 - 2 * part);
  }),
  softplus: ofNumbers(1, (x) => Math.max(x!, 0) + Math.log1p(Math.exp(-Math.abs(x!)))),
  sqrt: ofNumbers(1, Math.sqrt),
  step: ofNumbers(2, (edge, x) => x! >= edge! ? 1 : 0),
  tanh: ofNumbers(1, Math.tanh),
};

const infix: Readonly<Record<string, Operation & { readonly power: number }>> = {
  "||": { power: 1, ...logic(2, (a, b) => a! | b!) },
  "&&": { power: 2, ...logic(2, (a, b) => a! & b!) },
  "==": { power: 3, ...comparison((a, b) => a === b) },
  "!=": { power: 3, ...comparison((a, b) => a !== b) },
  "<": { power: 4, ...comparison((a, b) => a < b) },
  "<=": { power: 4, ...comparison((a, b) => a <= b) },
  ">": { power: 4, ...comparison((a, b) => a > b) },
  ">=": { power: 4, ...comparison((a, b) => a >= b) },
  "+": { power: 5, ...ofNumbers(2, (a, b) => a! + b!) },
  "-": { power: 5, ...ofNumbers(2, (a, b) => a! - b!) },
  "*": { power: 6, ...ofNumbers(2, (a, b) => a! * b!) },
  "/": { power: 6, ...ofNumbers(2, (a, b) => a! / b!) },
};

const prefix: Readonly<Record<string, Operation>> = {
  "prefix -": ofNumbers(1, (x) => -x!),
  "prefix !": logic(1, (x) => 1 - x!),
};
const prefixPower = 7;

/** The functions that expressions may call. */
export const expressionFunctions: readonly string[] = Object.keys(functions);

const longest = 1000, deepest = 50;
const largestFloat32 = 3.4028234663852886e38;

interface Token {
  readonly kind: "number" | "name" | "symbol" | "unknown" | "end";
  readonly text: string;
  /** First character. */
  readonly at: number;
}

const lexeme =
  /\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?f?)|([A-Za-z_]\w*)|(<=|>=|==|!=|&&|\|\||[-+*/<>!(),]))/y;

/**
 * Parses a number-valued expression.
 *
 * @param what What it is, for errors, e.g. `the value of the loss "mine"`.
 * @param variables The names it may use.
 * @throws {CannotError} with a caret under the place that is not understood, for anything but numbers, the variables,
 * `+ - * /`, comparisons, `&& || !`, parentheses and {@linkcode expressionFunctions}.
 */
export function parseExpression(
  text: string,
  what: string,
  variables: readonly string[],
): Expression {
  const fail = (at: number, why: string, remedy: string): never => {
    // One caret under one character of one line, whatever white space the text has.
    const line = text.slice(0, longest).replace(/\s/g, " ");
    const caret = `${" ".repeat(at)}^ here`;
    throw new CannotError(`read ${what}`, why, `${remedy}:\n  ${line}\n  ${caret}`);
  };
  if (text.length > longest) {
    const why = `it has ${text.length} characters, of which ${longest} are read`;
    throw new CannotError(`read ${what}`, why, "Write a shorter expression");
  }
  const tokens = tokenise(text);
  let next = 0;

  const misplaced = (token: Token, why: string, remedy: string): never => {
    if (token.kind !== "unknown") return fail(token.at, `${why} ${describe(token)}`, remedy);
    const rule = "It has numbers, variables, operators and functions, and assigns nothing";
    return fail(token.at, `"${token.text}" has no meaning in an expression`, rule);
  };

  const expect = (symbol: string, reason: string): void => {
    const token = tokens[next++]!;
    if (token.kind === "symbol" && token.text === symbol) return;
    misplaced(token, `${reason}, but there is`, `Put "${symbol}"`);
  };

  const apply = (
    name: string,
    { operands: types, result }: Operation,
    operands: readonly Expression[],
    at: number,
  ): Expression => {
    const shown = name.replace("prefix ", "");
    types.forEach((type, i) => {
      const given = operands[i]!.type;
      if (given === type) return;
      const place = types.length > 1
        ? `operand ${i + 1} of "${shown}"`
        : `the operand of "${shown}"`;
      const remedy = given === "boolean"
        ? "Choose numbers by it with select(no, yes, condition)"
        : "Compare it with a number";
      fail(at, `${place} must be a ${type} and is a ${given}`, remedy);
    });
    const depth = 1 + Math.max(...operands.map((operand) => operand.depth));
    if (depth > deepest) fail(at, `it is nested more than ${deepest} deep`, "Simplify it");
    const constant = operands.every((operand) => operand.constant);
    const node: Expression = { kind: "apply", name, operands, type: result, depth, constant };
    if (constant && !(Math.abs(evaluate(node, {})) <= largestFloat32)) {
      fail(at, "this part is the same for every token and no finite number", "Mend it");
    }
    return node;
  };

  const operand = (): Expression => {
    const token = tokens[next++]!;
    const { kind, text: word, at } = token;
    if (kind === "number") {
      const value = Number(word.replace(/f$/, ""));
      if (value > largestFloat32) {
        fail(at, `${word} is too large for float32`, "Use a smaller number");
      }
      return { kind: "number", value, type: "number", depth: 1, constant: true };
    }
    if (kind === "symbol" && (word === "-" || word === "!")) {
      const name = `prefix ${word}`;
      return apply(name, prefix[name]!, [expression(prefixPower)], at);
    }
    if (kind === "symbol" && word === "(") {
      const inner = expression(0);
      expect(")", "a parenthesis is open");
      return inner;
    }
    if (kind === "name" && tokens[next]!.text === "(") {
      if (!Object.hasOwn(functions, word)) {
        fail(at, `there is no function "${word}"`, `Use one of ${expressionFunctions.join(", ")}`);
      }
      const operation = functions[word]!;
      const count = operation.operands.length;
      const operands: Expression[] = [];
      for (let i = 0; i < count; i++) {
        expect(i === 0 ? "(" : ",", `${word} takes ${count} operand${count > 1 ? "s" : ""}`);
        operands.push(expression(0));
      }
      expect(")", `${word} takes ${count} operand${count > 1 ? "s" : ""}`);
      return apply(word, operation, operands, at);
    }
    if (kind === "name") {
      if (!variables.includes(word)) {
        fail(at, `there is no variable "${word}"`, `Use ${variables.join(", ")}`);
      }
      return { kind: "variable", name: word, type: "number", depth: 1, constant: false };
    }
    return misplaced(token, "a number, variable or function is missing before", "Complete it");
  };

  const expression = (minimum: number): Expression => {
    let left = operand();
    while (tokens[next]!.kind === "symbol") {
      const { text: symbol, at } = tokens[next]!;
      const operation = infix[symbol];
      if (!operation || operation.power <= minimum) break;
      next++;
      left = apply(symbol, operation, [left, expression(operation.power)], at);
    }
    return left;
  };

  const whole = expression(0);
  const after = tokens[next]!;
  if (after.kind !== "end") {
    misplaced(after, "an operator is missing before", "Write one expression");
  }
  if (whole.type !== "number") {
    fail(
      0,
      "it is a condition, not a number",
      "Choose numbers by it with select(no, yes, condition)",
    );
  }
  return whole;
}

// Up to the first character that has no meaning: what stands before it may be wrong too, and is then named first.
function tokenise(text: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  let at = 0;
  while (at < end) {
    lexeme.lastIndex = at;
    const match = lexeme.exec(text);
    if (!match) {
      const place = at + text.slice(at).search(/\S/);
      const character = String.fromCodePoint(text.codePointAt(place)!);
      tokens.push({ kind: "unknown", text: character, at: place });
      break;
    }
    const [whole, number, name, symbol] = match;
    const word = (number ?? name ?? symbol)!;
    const kind = number !== undefined ? "number" : name !== undefined ? "name" : "symbol";
    at += whole.length;
    tokens.push({ kind, text: word, at: at - word.length });
  }
  return [...tokens, { kind: "end", text: "", at: end }];
}

function describe({ kind, text }: Token): string {
  return kind === "end" ? "the end" : `"${text}"`;
}

/** The variables that an expression uses. */
export function variablesOf(node: Expression): Set<string> {
  if (node.kind === "number") return new Set();
  if (node.kind === "variable") return new Set([node.name]);
  return new Set(node.operands.flatMap((operand) => [...variablesOf(operand)]));
}

/**
 * The value of an expression; booleans are 0 and 1.
 *
 * @param values Of the variables.
 * @param round Applied to the result of every operation: nothing for float64, {@linkcode toFloat32} for float32.
 */
export function evaluate(
  node: Expression,
  values: Readonly<Record<string, number>>,
  round: (x: number) => number = (x) => x,
): number {
  if (node.kind === "number") return round(node.value);
  if (node.kind === "variable") return round(values[node.name]!);
  const operands = node.operands.map((operand) => evaluate(operand, values, round));
  return round(operationOf(node.name).compute(...operands));
}

/** Rounds as a GPU does: to float32, with numbers below its normal range flushed to 0. */
export function toFloat32(x: number): number {
  return Math.abs(x) < 2 ** -126 ? 0 : Math.fround(x);
}

/** An expression as WGSL. Its variables, `sigmoid` and `softplus` must be declared before it. */
export function toWgsl(node: Expression): string {
  const text = print(node);
  return node.kind === "apply" && infix[node.name] ? text.slice(1, -1) : text;
}

function print(node: Expression): string {
  if (node.kind === "number") {
    const digits = String(node.value);
    return /^\d+$/.test(digits) ? `${digits}.0` : digits; // 1 / 2 is 0 in WGSL
  }
  if (node.kind === "variable") return node.name;
  const operands = node.operands.map(print);
  if (infix[node.name]) return `(${operands.join(` ${node.name} `)})`;
  if (!prefix[node.name]) return `${node.name}(${operands.join(", ")})`;
  const [inner] = operands as [string];
  return `${node.name.at(-1)}${/^[-!]/.test(inner) ? `(${inner})` : inner}`; // -- is no operator
}

function operationOf(name: string): Operation {
  return infix[name] ?? prefix[name] ?? functions[name]!;
}
