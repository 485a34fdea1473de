// The expression language: what it reads, what it refuses and where its caret points, and that the WGSL printed from the
// tree means the same as the tree.

import {
  evaluate,
  expressionFunctions,
  parseExpression,
  toFloat32,
  toWgsl,
  variablesOf,
} from "../src/slung/expression.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";

const parse = (text: string) => parseExpression(text, "the test", ["x", "y"]);
const valueOf = (text: string, x = 0, y = 0) => evaluate(parse(text), { x, y });

function messageOf(text: string): string {
  try {
    parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`"${text}" was accepted`);
}

Deno.test("operators bind as in WGSL, and numbers are always floats", () => {
  assertEquals(valueOf("2 + 3 * 4"), 14);
  assertEquals(valueOf("(2 + 3) * 4"), 20);
  assertEquals(valueOf("8 - 3 - 2"), 3);
  assertEquals(valueOf("8 / 4 / 2"), 1);
  assertEquals(valueOf("1 / 2"), 0.5);
  assertEquals(valueOf("-x * x", 3), -9);
  assertEquals(valueOf("- -x", 3), 3);
  assertEquals(valueOf(".5e1 + 1. + 1e-1f"), 6.1);
  assertEquals(valueOf("select(1, 2, x < 1 && !(y >= 2) || x == 9)", 9, 5), 2);
  assertEquals(valueOf("select(1, 2, x < 1 && !(y >= 2) || x != 9)", 9, 5), 1);
});

Deno.test("functions are those of WGSL", () => {
  const cases: [string, number][] = [
    ["abs(-2)", 2],
    ["clamp(5, 0, 3)", 3],
    ["exp(1)", Math.E],
    ["exp2(3)", 8],
    ["floor(-1.5)", -2],
    ["inverseSqrt(4)", 0.5],
    ["log(2)", Math.LN2],
    ["log2(8)", 3],
    ["max(1, 2)", 2],
    ["min(1, 2)", 1],
    ["mix(1, 3, 0.25)", 1.5],
    ["pow(4, 0.5)", 2],
    ["select(1, 2, 3 > 2)", 2],
    ["sigmoid(0)", 0.5],
    ["sign(-7)", -1],
    ["smoothstep(0, 2, 1)", 0.5],
    ["softplus(0)", Math.LN2],
    ["sqrt(9)", 3],
    ["step(2, 3)", 1],
    ["tanh(0.5)", Math.tanh(0.5)],
  ];
  assertEquals(cases.map(([text]) => text.split("(")[0]), [...expressionFunctions]);
  for (const [text, expected] of cases) assertClose(valueOf(text), expected, 1e-15, text);
});

Deno.test("WGSL is printed from the tree: floats, parentheses, no double minus", () => {
  assertEquals(toWgsl(parse("1/2 - -x*( y+3 )")), "(1.0 / 2.0) - (-x * (y + 3.0))");
  assertEquals(toWgsl(parse("--x")), "-(-x)");
  assertEquals(toWgsl(parse("-(x - 1)")), "-(x - 1.0)");
  assertEquals(toWgsl(parse("select(0, 1e-9, !(x<1e21))")), "select(0.0, 1e-9, !(x < 1e+21))");
  assertEquals(toWgsl(parse("max( x ,1f )")), "max(x, 1.0)");
});

Deno.test("what is printed can be read again and means the same", () => {
  const texts = [
    "x - (y - 3) - 2 * -x / (y / 2)",
    "select(x, -y, x < y && y > 1 || !(x >= 2)) + step(0.5, x)",
    "-max(pow(x, 2.5), sqrt(x)) * (1 - sigmoid(-y))",
  ];
  for (const text of texts) {
    const printed = toWgsl(parse(text));
    assertEquals(valueOf(printed, 1.25, 2.5), valueOf(text, 1.25, 2.5));
    assertEquals(toWgsl(parse(printed)), printed);
  }
});

Deno.test("an error shows the place with a caret", () => {
  assertEquals(
    messageOf("x + atan2(y, 1)"),
    'Cannot read the test: there is no function "atan2". Use one of ' +
      `${expressionFunctions.join(", ")}:\n  x + atan2(y, 1)\n      ^ here.`,
  );
  assert(messageOf("2 * (x + 1").endsWith("\n  2 * (x + 1\n            ^ here."));
  assert(messageOf("x +\n\t z").endsWith("\n  x +   z\n        ^ here."), messageOf("x +\n\t z"));
});

Deno.test("statements, assignments, buffers, comments and other WGSL are refused", () => {
  const refused: [string, string][] = [
    ["", "missing before the end"],
    ["x = 1", '"=" has no meaning'],
    ["losses[0]", 'there is no variable "losses"'],
    ["x; losses[0] = 1.0", '";" has no meaning'],
    ["x); } } fn evil() { loop {", 'an operator is missing before ")"'],
    ["weights", 'there is no variable "weights"'],
    ["workgroupBarrier()", 'there is no function "workgroupBarrier"'],
    ["atomicAdd(&x, 1)", 'there is no function "atomicAdd"'],
    ["max(&x, 1)", '"&" has no meaning'],
    ["x // y", 'missing before "/"'],
    ["x /* y */", 'missing before "*"'],
    ["x.y", '"." has no meaning'],
    ["@x", '"@" has no meaning'],
    ["2x", 'an operator is missing before "x"'],
    ["0x10", 'an operator is missing before "x10"'],
    ["1u", 'an operator is missing before "u"'],
    ["x y", 'an operator is missing before "y"'],
    ["x +", "missing before the end"],
    ["max(x)", 'max takes 2 operands, but there is ")"'],
    ["exp(x, y)", 'exp takes 1 operand, but there is ","'],
    ["exp", 'there is no variable "exp"'],
    ["toString()", 'there is no function "toString"'],
    ["__proto__", 'there is no variable "__proto__"'],
    ["x λ", '"λ" has no meaning'],
    ["💥 + x", '"💥" has no meaning'],
  ];
  for (const [text, part] of refused) assertThrows(() => parse(text), part);
});

Deno.test("numbers and conditions are not mixed", () => {
  assertThrows(() => parse("x < y"), "it is a condition, not a number");
  assertThrows(() => parse("x + (x < y)"), 'operand 2 of "+" must be a number and is a boolean');
  assertThrows(() => parse("x < y < 2"), 'operand 1 of "<" must be a number');
  assertThrows(() => parse("select(1, 2, x)"), 'operand 3 of "select" must be a boolean');
  assertThrows(() => parse("-(x < y)"), 'the operand of "-" must be a number');
  assertThrows(() => parse("!x"), 'the operand of "!" must be a boolean');
});

Deno.test("constants that a shader compiler would refuse are found first", () => {
  assertThrows(() => parse("x + 1 / 0"), "no finite number");
  assertThrows(() => parse("x * log(-1)"), "no finite number");
  assertThrows(() => parse("select(x, clamp(1, 3, 2), x > 0)"), "no finite number");
  assertThrows(() => parse("x * 1e39"), "1e39 is too large for float32");
  assertThrows(() => parse("1e30 * 1e30"), "no finite number");
});

Deno.test("expressions are bounded in length and depth", () => {
  assertThrows(
    () => parse("x+".repeat(600) + "x"),
    "it has 1201 characters, of which 1000 are read",
  );
  assertThrows(() => parse("-".repeat(60) + "x"), "nested more than 50 deep");
  assertThrows(() => parse("(".repeat(999)), "missing before the end");
});

Deno.test("variables are found wherever they stand", () => {
  assertEquals([...variablesOf(parse("1 + max(2, -y)"))], ["y"]);
  assertEquals([...variablesOf(parse("1 + 2"))], []);
});

Deno.test("float32 is rounded at every step and flushes tiny numbers", () => {
  const inFloat32 = (text: string, x: number) => evaluate(parse(text), { x }, toFloat32);
  assertEquals(inFloat32("(x + 1) - 1", 2 ** -25), 0);
  assertEquals(inFloat32("exp(x)", 89), Infinity);
  assertEquals(inFloat32("exp(x)", -104), 0);
  assertEquals(valueOf("pow(x, 2)", -2), NaN);
});
