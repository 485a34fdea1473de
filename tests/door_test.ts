// The door: what `deno doc mod.ts` shows is documented, with an example each, and the examples are right.

import { assert, assertEquals, assertRejects } from "./assert.ts";
import { codeBlocks, type Example, runExamples, saidOutput } from "./doc_examples.ts";

const root = new URL("../", import.meta.url);

interface JsDoc {
  doc?: string;
  tags?: { kind: string; doc?: string }[];
}

interface Documentation {
  module_doc: JsDoc;
  symbols: { name: string; declarations: { jsDoc?: JsDoc }[] }[];
}

async function documentation(): Promise<Documentation> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "mod.ts"],
    cwd: root,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
  return Object.values<Documentation>(nodes)[0]!;
}

function examplesOf({ name, declarations }: Documentation["symbols"][number]): Example[] {
  const tags = declarations.flatMap(({ jsDoc }) => jsDoc?.tags ?? []);
  return tags.filter(({ kind }) => kind === "example")
    .flatMap(({ doc }) => codeBlocks(`${doc}\n`))
    .map((code) => ({ name, code }));
}

Deno.test("mod.ts is a reference of about 60 names, each with a sentence and an example that uses it", async () => {
  const { symbols } = await documentation();
  assert(symbols.length >= 50 && symbols.length <= 70, `${symbols.length} names`);
  for (const symbol of symbols) {
    const { name, declarations } = symbol;
    assert(declarations.some(({ jsDoc }) => jsDoc?.doc?.trim()), `${name} is not documented`);
    const examples = examplesOf(symbol);
    assert(examples.length > 0, `${name} has no @example`);
    for (const { code } of examples) {
      assert(new RegExp(`\\b${name}\\b`).test(code), `the example of ${name} does not use it`);
      assert(/from "@slung\/slung"/.test(code), `the example of ${name} imports another module`);
    }
  }
});

Deno.test("the examples of mod.ts type-check, run, and print what they say", async () => {
  const { module_doc, symbols } = await documentation();
  const overview = codeBlocks(module_doc.doc!).map((code) => ({ name: "mod.ts", code }));
  await runExamples([...overview, ...symbols.flatMap(examplesOf)]);
});

Deno.test("the code of the README and of CONTRIBUTING type-checks, runs, and prints what it says", async () => {
  const examples: Example[] = [];
  for (const file of ["README.md", "CONTRIBUTING.md"]) {
    const text = await Deno.readTextFile(new URL(file, root));
    examples.push(...codeBlocks(text).map((code) => ({ name: file, code })));
  }
  assert(examples.length > 0);
  await runExamples(examples);
});

Deno.test("examples that fail, do not type-check or print something else are found and named", async () => {
  assertEquals(saidOutput("console.log(f(1)); // [ 1 ]\nconsole.log(2);"), ["[ 1 ]"]);
  const sum = { name: "sum", code: "console.log(1 + 1); // 3" };
  const thrown = { name: "thrown", code: 'console.log(1); // 1\nthrow new Error("no");' };
  await assertRejects(
    () => runExamples([sum, thrown]),
    "sum says that it prints 3, but prints 2\nthrown failed: Error: no",
  );
  const text = { name: "text", code: "const text: string = 1;" };
  await assertRejects(() => runExamples([text]), "example_0.ts (text)");
  const missing = { name: "missing", code: 'import { nothing } from "@slung/slung";' };
  await assertRejects(() => runExamples([sum, missing]), "example_1.ts (missing)");
});
