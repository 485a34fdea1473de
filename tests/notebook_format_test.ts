// From a source to a notebook: cells, stable ids, and outputs without anything that differs from run to run.

import { assert, assertEquals, assertThrows } from "./assert.ts";
import {
  cleanOutputs,
  keptOutputs,
  parseSource,
  renderNotebook,
  withSolutions,
} from "../src/notebook/ipynb.ts";

const source = `// What this file is about.

// %% [markdown]
// # A title
//
// With \`code\`.

// %%
const x = 1;

x + 1;

// %%
const y = 2;
`;

Deno.test("a source splits into cells, with the lines on which they stand", () => {
  const cells = parseSource(source, "a.ts").map(({ kind, source, line }) => ({
    kind,
    source,
    line,
  }));
  assertEquals(cells, [
    { kind: "markdown", source: "# A title\n\nWith `code`.", line: 4 },
    { kind: "code", source: "const x = 1;\n\nx + 1;", line: 9 },
    { kind: "code", source: "const y = 2;", line: 14 },
  ]);
});

Deno.test("a cell's id depends on its content alone, and equal cells still differ", () => {
  const ids = parseSource(source, "a.ts").map(({ id }) => id);
  const longer = parseSource(
    source.replace("// %%\nconst x", "// %%\nlet z;\n\n// %%\nconst x"),
    "a.ts",
  );
  assertEquals(longer.map(({ id }) => id).filter((_, i) => i !== 1), ids);
  const twice = parseSource("// %%\na\n// %%\na\n", "a.ts").map(({ id }) => id);
  assert(twice[0] !== twice[1] && twice[1]!.startsWith(twice[0]!));
  assert(ids.every((id) => /^[a-zA-Z0-9-_]{1,64}$/.test(id)), "as nbformat 4.5 wants them");
});

Deno.test("a source that is no notebook is refused with its line", () => {
  const read = (text: string) => () => parseSource(text, "a.ts");
  assertThrows(
    read("const x = 1;\n"),
    'Cannot read "a.ts" line 1: code stands before the first cell.',
  );
  assertThrows(read("// %% [markdown]\nx\n"), "line 2: a text cell holds what is no comment");
  assertThrows(read("// %% [raw]\n"), 'line 1: "// %% [raw]" begins no cell');
  assertThrows(read("// %%\n\n// %%\nx\n"), "line 1: the cell is empty");
});

Deno.test("a notebook is nbformat 4.5 with Deno's kernel; outputs go to their code cells in order", () => {
  const cells = parseSource(source, "a.ts");
  const result = { output_type: "execute_result", data: { "text/plain": "2\n3" }, metadata: {} };
  const notebook = JSON.parse(renderNotebook(cells, [[result], []]));
  assertEquals([notebook.nbformat, notebook.nbformat_minor], [4, 5]);
  assertEquals(notebook.metadata.kernelspec.name, "deno");
  const [text, first, second] = notebook.cells;
  assertEquals(text.source, ["# A title\n", "\n", "With `code`."]);
  assert(!("outputs" in text));
  assertEquals([first.execution_count, second.execution_count], [1, 2]);
  assertEquals(first.outputs, [{
    data: { "text/plain": ["2\n", "3"] },
    execution_count: 1,
    metadata: {},
    output_type: "execute_result",
  }]);
  const unrun = JSON.parse(renderNotebook(cells));
  assertEquals([unrun.cells[1].execution_count, unrun.cells[1].outputs], [null, []]);
  assertEquals(renderNotebook(cells, [[result], []]), renderNotebook(cells, [[result], []]));
});

Deno.test("outputs lose colours, paths, kernel timings and display ids; printed lines join", () => {
  const paths = new Map([["/tmp/a", "…"], ["/tmp/a/project", "."]]);
  const cleaned = cleanOutputs([
    { output_type: "stream", name: "stdout", text: "one \x1b[33m1\x1b[39m\n" },
    { output_type: "stream", name: "stdout", text: "in /tmp/a/project/x and /tmp/a\n" },
    { output_type: "stream", name: "stderr", text: "other\n" },
    {
      output_type: "display_data",
      data: { "text/plain": "p" },
      metadata: { executed: "today" },
      transient: { display_id: "random" },
    },
  ], paths);
  assertEquals(cleaned, [
    { output_type: "stream", name: "stdout", text: "one 1\nin ./x and …\n" },
    { output_type: "stream", name: "stderr", text: "other\n" },
    { output_type: "display_data", data: { "text/plain": "p" }, metadata: {} },
  ]);
});

Deno.test("folded solutions are checked too, each in a scope of its own", () => {
  const text =
    "// %% [markdown]\n// ```ts\n// const a = 1;\n// ```\n// ```ts\n// const a = 2;\n// ```\n// ```wgsl\n// no\n// ```\n";
  const whole = withSolutions(text, parseSource(text, "a.ts"));
  assertEquals(whole.slice(text.length).trim(), "{\nconst a = 1;\n}\n\n{\nconst a = 2;\n}");
});

Deno.test("texts change and outputs stay; other code, a code cell that was not run and other solutions are refused", () => {
  const source = (text: string, code = "a", solution = "a") =>
    parseSource(
      `// %% [markdown]\n// ${text}\n// %%\n${code};\n// %% [markdown]\n// \`\`\`ts\n// ${solution};\n// \`\`\`\n`,
      "a.ts",
    );
  const output = {
    output_type: "display_data",
    data: { "image/png": "iVBO", "text/plain": "A line\nfalls\n\nx  y\n1  2" },
    metadata: {},
  };
  const old = renderNotebook(source("old"), [[output]]);
  assertEquals(JSON.parse(old).cells[1].outputs[0].metadata, {
    "image/png": { alt: "A line falls" },
  });
  const keep = (cells: ReturnType<typeof source>) =>
    renderNotebook(cells, keptOutputs(old, "a", cells));
  assertEquals(keep(source("old")), old, "nothing changed");
  assertEquals(
    keep(source("new")),
    old.replace("old", "new").replace(/"id": "\w+"/, `"id": "${source("new")[0]!.id}"`),
  );
  for (
    const [cells, what] of [
      [source("old", "b"), "code cell 1"],
      [source("old", "a", "b"), "solution 1"],
      [source("old").slice(0, 2), "solution 1"],
      [[...source("old"), source("old", "c")[1]!], "code cell 2"],
    ] as const
  ) {
    assertThrows(() => keptOutputs(old, "a", cells), `${what} is not the one that was run`);
  }
  const unrun = renderNotebook(source("old"));
  assertThrows(() => keptOutputs(unrun, "a", source("old")), "code cell 1");
});
