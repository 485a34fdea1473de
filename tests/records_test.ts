// Records of JSON: what is tolerated, and what is refused by name.

import {
  type Fields,
  numberField,
  readRecords,
  stringField,
  stringsField,
} from "../src/data/records.ts";
import { assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.writeFile(path, bytes);
  return path;
}

const numbered = (fields: Fields, where: string): [number, Fields] => [
  Number(where.match(/ (?:line|row) (\d+)$/)![1]),
  fields,
];

async function linesAndRows(path: string): Promise<[number, Fields][]> {
  return await Array.fromAsync(readRecords(path, numbered));
}

Deno.test("JSON lines tolerate a byte order mark, CRLF, blank lines and a missing last line feed", async () => {
  const path = await written("a.jsonl", '\uFEFF{"x":1}\r\n\r\n  \n{"x":"ä\u2028"}\n{"x":3}');
  assertEquals(await linesAndRows(path), [[1, { x: 1 }], [4, { x: "ä\u2028" }], [5, { x: 3 }]]);
});

Deno.test("a line longer than a read of the file arrives whole", async () => {
  const long = "ß".repeat(300_000);
  const path = await written("a.jsonl", `{"x":"${long}"}\n{"x":"end"}\n`);
  assertEquals(await linesAndRows(path), [[1, { x: long }], [2, { x: "end" }]]);
});

Deno.test("a malformed line, a line that is no object and one that is no UTF-8 are named", async () => {
  const broken = await written("broken.jsonl", '{"x":1}\n\n{"x":\n');
  await assertRejects(() => linesAndRows(broken), 'broken.jsonl" line 3: ');
  const list = await written("list.jsonl", '{"x":1}\n[2]\n');
  await assertRejects(() => linesAndRows(list), 'list.jsonl" line 2: it is not a JSON object');
  const latin1 = await written("latin1.jsonl", new Uint8Array([0x7b, 0x7d, 0x0a, 0xe4, 0x0a]));
  await assertRejects(() => linesAndRows(latin1), 'latin1.jsonl" line 2: ');
});

Deno.test("a missing file is named", async () => {
  await assertRejects(() => linesAndRows("nowhere.jsonl"), '"nowhere.jsonl": there is no such');
  await assertRejects(() => linesAndRows("nowhere.json"), '"nowhere.json": there is no such');
});

Deno.test("a .json file may hold an array of objects, or JSON lines as TOFU's do", async () => {
  const array = await written("a.json", '\n[{"x":1},\n{"x":2}]');
  assertEquals(await linesAndRows(array), [[1, { x: 1 }], [2, { x: 2 }]]);
  const lines = await written("b.json", '{"x":1}\n{"x":2}\n');
  assertEquals(await linesAndRows(lines), [[1, { x: 1 }], [2, { x: 2 }]]);
  const mixed = await written("c.json", '[{"x":1}, 2]');
  await assertRejects(() => linesAndRows(mixed), 'c.json" row 2: it is not a JSON object');
});

Deno.test("reading may stop early without leaving the file open", async () => {
  const path = await written("a.jsonl", '{"x":1}\n'.repeat(100_000));
  for await (const [line] of readRecords(path, numbered)) if (line === 2) break;
});

Deno.test("a field of the wrong kind is named with its file, line and name", async () => {
  const path = await written("a.jsonl", '{"text":"t","score":0.5,"list":["a"],"mixed":["a",1]}\n');
  for await (const [row, where] of readRecords(path, (...record) => record)) {
    assertEquals(stringField(row, "text", where), "t");
    assertEquals(numberField(row, "score", where), 0.5);
    assertEquals(stringsField(row, "list", where), ["a"]);
    assertThrows(
      () => stringField(row, "answer", where),
      'a.jsonl" line 1: field "answer" is missing. Give it a string, or remove the row.',
    );
    assertThrows(() => stringField(row, "score", where), 'field "score" is not a string');
    assertThrows(() => stringField(row, "toString", where), 'field "toString" is missing');
    assertThrows(() => numberField(row, "text", where), 'field "text" is not a finite number');
    assertThrows(() => stringsField(row, "mixed", where), 'field "mixed" is not a list');
  }
});

Deno.test("the rows of TOFU are all there", async () => {
  const full = sharedData("tofu/full.jsonl"), retain = sharedData("tofu/retain_perturbed.json");
  if (!full || !retain) return;
  for (const [path, rows] of [[full, 4000], [retain, 400]] as const) {
    const read = await linesAndRows(path);
    assertEquals(read.length, rows);
    for (const [line, row] of read) {
      stringField(row, "question", `row ${line}`);
    }
  }
});
