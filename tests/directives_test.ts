// The directives of WGSL templates: what they expand to, and that none is ever dropped in silence.

import { expand, wordsOf } from "../src/gpu/directives.ts";
import { kernel } from "../src/gpu/kernel.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";

function lines(...text: string[]): string {
  return text.join("\n");
}

Deno.test("@if keeps one of two parts", () => {
  const text = lines("a", "// @if FAST", "b", "// @else", "c", "// @end", "d");
  assertEquals(expand("x", text, { FAST: true }), lines("a", "b", "d"));
  assertEquals(expand("x", text, { FAST: false }), lines("a", "c", "d"));
  assertEquals(expand("x", lines("// @if N", "a", "// @end"), { N: 0 }), "");
  assertEquals(expand("x", lines("// @if N", "a", "// @end"), { N: 2 }), "a");
});

Deno.test("@for repeats lines with the variable filled in", () => {
  const text = lines("// @for c in COUNT", "let x{c} = a[{c}u];", "// @end", "z");
  assertEquals(expand("x", text, { COUNT: 2 }), lines("let x0 = a[0u];", "let x1 = a[1u];", "z"));
  assertEquals(expand("x", text, { COUNT: 0 }), "z");
});

Deno.test("directives nest, and a part left out leaves out what is nested in it", () => {
  const text = lines(
    "// @for i in ROWS",
    "// @for j in COLUMNS",
    "{i}{j}",
    "// @end",
    "// @if SUM",
    "sum{i}",
    "// @if TWICE",
    "again{i}",
    "// @end",
    "// @else",
    "none{i}",
    "// @end",
    "// @end",
  );
  const sizes = { ROWS: 2, COLUMNS: 2 };
  assertEquals(
    expand("x", text, { ...sizes, SUM: true, TWICE: false }),
    lines("00", "01", "sum0", "10", "11", "sum1"),
  );
  assertEquals(
    expand("x", text, { ...sizes, SUM: false, TWICE: true }),
    lines("00", "01", "none0", "10", "11", "none1"),
  );
});

const faults: [what: string, text: string, said: string][] = [
  ["a stray @end", "a\n// @end\nb", "line 2: this @end belongs to no @if or @for"],
  ["an @end too many", "// @if A\n// @end\n// @end\nb", "line 3: this @end belongs to no"],
  ["a stray @else", "// @else\nb", "line 1: this @else belongs to no @if or @for"],
  ["a missing @end", "a\n// @if A\nb\n// @else\nc", "line 2: nothing ends this @if"],
  ["a missing @end of @for", "// @for i in N\n// @if A\n// @end", "line 1: nothing ends this @for"],
  [
    "an @else in @for",
    "// @for i in N\n// @else\n// @end",
    "line 2: the @for of line 1 has no @else",
  ],
  ["a second @else", "// @if A\n// @else\n// @else\n// @end", "line 3: the @if of line 1 has no"],
  ["a misspelt @end", "// @if A\n// @ned\n// @end", "line 2: there is no directive @ned"],
  ["a misspelt @if", "// @iff A\n// @end", "line 1: there is no directive @iff"],
  [
    "an @end of several letters more",
    "// @if A\n// @endif",
    "line 2: there is no directive @endif",
  ],
  ["a space too many", "// @if A\n// @ end", "line 2: there is no directive @."],
  [
    "an unknown name",
    "// @if B\n// @end",
    "line 1: it asks for the constant B, and the launcher gives A, N",
  ],
  [
    "an unknown name in a part left out",
    "// @if A\n// @else\n// @if B\n// @end\n// @end",
    "line 3: it asks for",
  ],
  ["an inherited name", "// @if toString\n// @end", "line 1: it asks for the constant toString"],
  ["an unknown count", "// @for i in M\n// @end", "line 1: it asks for the constant M"],
  ["a count that is none", "// @for i in A\n// @end", "line 1: A is not a number"],
  ["an @if without a name", "// @if\n// @end", "line 1: it should read `// @if NAME`"],
  ["an @if with two names", "// @if A B\n// @end", "line 1: it should read `// @if NAME`"],
  ["a @for without a count", "// @for i\n// @end", "line 1: it should read `// @for i in NAME`"],
  ["an @end behind code", "// @if A\nb // @end", "line 2: a directive stands on a line of its own"],
  ["words behind @end", "// @if A\n// @end A", 'line 2: nothing stands behind @end, but "A" does'],
];
for (const [what, text, said] of faults) {
  Deno.test(`${what} is an error that names file and line`, () => {
    assertThrows(
      () => expand("norm.wgsl", text, { A: true, N: 2 }),
      `Cannot expand "norm.wgsl" ${said}`,
    );
  });
}

Deno.test("a directive without a space, and one that is indented, counts like any other", () => {
  assertEquals(expand("x", lines("//@if A", "  a", "  //  @end  "), { A: true }), "  a");
});

Deno.test("words are those of code and directives, not of other comments", () => {
  const words = wordsOf("let a = B; // not C\n// @if D\n// nor E\n// @end\n");
  assertEquals([...words].sort(), ["B", "D", "a", "end", "if", "let"]);
});

Deno.test("a fault in one of a kernel's files is named by that file and its own line", () => {
  const rows = "fn row() {}\n";
  assertThrows(
    () => kernel("norm", { rows, norm: "\n// @end" }, "run"),
    'Cannot expand "norm.wgsl" line 2',
  );
  assertThrows(
    () => kernel("norm", { rows: "// @else", norm: "" }, "run"),
    'Cannot expand "rows.wgsl" line 1',
  );
  assertThrows(() => kernel("norm", "// @end", "run"), 'Cannot expand "norm.wgsl" line 1');
});

Deno.test("a constant or type that a kernel does not use is refused", () => {
  const text = lines("// @if A", "let x = N;", "// @end", "// OTHER", "var y: array<Stored>;");
  const given = { A: false, N: 1 };
  kernel("norm", text, "run", given, { Stored: "f32" });
  assertThrows(
    () => kernel("norm", text, "run", { ...given, OTHER: 1 }, { Stored: "f32" }),
    'Cannot specialise "norm.wgsl": it does not use OTHER, which the launcher gives',
  );
  assertThrows(
    () => kernel("norm", text, "run", given, { Stored: "f32", Cell: "f16" }),
    "it does not use Cell",
  );
  // Code is used by being there, and may be what uses a constant.
  const { source } = kernel("norm", "", "run", { OTHER: 1, CODE: "const two = 2u * OTHER;" });
  assert(source.startsWith("const OTHER = 1u;\nconst two = 2u * OTHER;\n"), source);
});
