// Nothing that a person wrote in a notebook is lost: copies of `lab`, and what `notebooks` makes again.

import { parseSource, renderNotebook } from "../src/notebook/ipynb.ts";
import { ownCells } from "../src/notebook/ipynb.ts";
import { copyLessons } from "../tasks/lab.ts";
import { readNotebooks, refreshTexts, refuseOwnCells } from "../tasks/notebooks.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";

const source = (text: string) => `// %% [markdown]\n// ${text}\n\n// %%\n1 + 1;\n`;
const lesson = (text: string) => renderNotebook(parseSource(source(text), "a"), [[]]);
const written = (notebook: string) => notebook.replace("1 + 1;", "1 + 2; // mine");

async function lessons(texts: Record<string, string>): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/src`);
  for (const [name, text] of Object.entries(texts)) {
    await Deno.writeTextFile(`${folder}/${name}.ipynb`, lesson(text));
    await Deno.writeTextFile(`${folder}/src/${name}.ts`, source(text));
  }
  return folder;
}

Deno.test("a copy is renewed with its lesson while nobody wrote in it, and kept once somebody did", async () => {
  const folder = await lessons({ "01_a": "old", "02_b": "old", "03_c": "same" });
  const my = `${folder}/my`;
  const path = (name: string) => `${my}/${name}.ipynb`;
  assertEquals((await copyLessons(folder)).fresh.length, 3);
  await Deno.writeTextFile(path("02_b"), written(lesson("old")));
  await Deno.writeTextFile(path("03_c"), written(lesson("same")));
  for (const name of ["01_a", "02_b"]) {
    await Deno.writeTextFile(`${folder}/${name}.ipynb`, lesson("new"));
  }
  const again = await copyLessons(folder);
  assertEquals(again, { fresh: [path("01_a")], kept: [path("02_b")] });
  assertEquals(await Deno.readTextFile(path("01_a")), lesson("new"));
  assertEquals(await Deno.readTextFile(path("02_b")), written(lesson("old")));
  assertEquals(await Deno.readTextFile(path("03_c")), written(lesson("same")));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a copy that is its lesson word for word is nobody's, whatever its cells are called", async () => {
  const folder = await lessons({ "01_a": "old" });
  const renamed = lesson("old").replaceAll(/"id": "\w+"/g, '"id": "another"');
  await Deno.writeTextFile(`${folder}/01_a.ipynb`, renamed);
  await copyLessons(folder);
  await Deno.writeTextFile(`${folder}/01_a.ipynb`, lesson("new"));
  assertEquals((await copyLessons(folder)).kept, []);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a notebook that somebody wrote in is not made again, with or without a run", async () => {
  const folder = await lessons({ "01_a": "old" });
  const path = `${folder}/01_a.ipynb`;
  const read = () => readNotebooks(folder);
  await Deno.writeTextFile(`${folder}/src/01_a.ts`, source("new"));
  assertEquals(await refreshTexts(folder, await read()), [path]);
  assertEquals(await Deno.readTextFile(path), lesson("new"));
  await Deno.writeTextFile(path, written(lesson("new")));
  await assertRejects(
    async () => refuseOwnCells(folder, await read()),
    'cell 2 is not from its source (it begins "1 + 2; // mine")',
  );
  await assertRejects(async () => refreshTexts(folder, await read()), "code cell 1 is not the one");
  assertEquals(await Deno.readTextFile(path), written(lesson("new")));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the lessons are what their sources say, text for text, and every code cell was run", async () => {
  const folder = new URL("../notebooks", import.meta.url).pathname;
  for (const { name, cells } of await readNotebooks(folder)) {
    const text = await Deno.readTextFile(`${folder}/${name}.ipynb`);
    assertEquals(ownCells(text, name), [], name);
    const stored: { id: string; cell_type: string; execution_count?: number | null }[] =
      JSON.parse(text).cells;
    assertEquals(stored.map(({ id }) => id), cells.map(({ id }) => id), `${name}: make it again`);
    for (const { cell_type, execution_count } of stored) {
      assert(cell_type !== "code" || typeof execution_count === "number", `${name} was not run`);
    }
  }
});
