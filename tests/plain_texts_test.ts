// Texts in the forms in which people have them: records, lines, paragraphs, whole files and folders of these.

import { gzipSync, zstdCompressSync } from "node:zlib";
import { readPlainTexts, type TextUnit } from "../src/data/plain_texts.ts";
import type { ReadingOptions } from "../src/data/lines.ts";
import { assertEquals, assertRejects } from "./assert.ts";

async function folderWith(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
  return folder;
}

const texts = (path: string, unit?: TextUnit, options?: ReadingOptions) =>
  Array.fromAsync(readPlainTexts(path, unit, options));

const plain = "\uFEFFOda ran.\r\nTovik sat.\r\n \r\n\r\nThen she ran.\r\n";
const units: Record<TextUnit, string[]> = {
  line: ["Oda ran.", "Tovik sat.", "Then she ran."],
  paragraph: ["Oda ran.\nTovik sat.", "Then she ran."],
  file: ["Oda ran.\nTovik sat.\n \n\nThen she ran."],
};

Deno.test("a plain file is lines, paragraphs or one text, whatever its line ends and compression", async () => {
  const folder = await folderWith({
    "a.txt": plain,
    "a.txt.gz": new Uint8Array(gzipSync(plain)),
    "a.zst": new Uint8Array(zstdCompressSync(plain)),
  });
  for (const name of ["a.txt", "a.txt.gz", "a.zst"]) {
    for (const [unit, expected] of Object.entries(units) as [TextUnit, string[]][]) {
      assertEquals(await texts(`${folder}/${name}`, unit), expected, `${name} by ${unit}`);
    }
    assertEquals(await texts(`${folder}/${name}`), units.line);
  }
});

Deno.test("records give their field text, whatever the unit, and blank ones are left out", async () => {
  const lines = '{"text":"a\\nb","id":1}\n\n{"text":"  "}\n{"text":"c"}\n';
  const folder = await folderWith({
    "a.jsonl": lines,
    "b.jsonl.gz": new Uint8Array(gzipSync(lines)),
    "c.json": '[{"text":"a\\nb"},\n{"text":"c"}]',
  });
  for (const name of ["a.jsonl", "b.jsonl.gz", "c.json"]) {
    assertEquals(await texts(`${folder}/${name}`, "paragraph"), ["a\nb", "c"], name);
  }
});

Deno.test("a folder gives its files in the order of their names, each as one text unless another unit is asked for", async () => {
  const folder = await folderWith({
    "b.txt": "two\n\nthree",
    "a.jsonl": '{"text":"one"}\n',
    ".hidden": "never",
  });
  await Deno.mkdir(`${folder}/c`);
  await Deno.writeTextFile(`${folder}/c/deep.txt`, "never");
  await Deno.symlink(`${folder}/b.txt`, `${folder}/d.txt`);
  assertEquals(await texts(folder), ["one", "two\n\nthree", "two\n\nthree"]);
  assertEquals(await texts(folder, "line"), ["one", "two", "three", "two", "three"]);
});

Deno.test("what is missing or malformed is named, or left out for whoever asks for it", async () => {
  const folder = await folderWith({
    "latin1.txt": new Uint8Array([0x61, 0x0a, 0xe4, 0x0a, 0x62]),
    "a.jsonl": '{"text":"a"}\n{"txt":"b"}\n{"text":"c"}\n',
  });
  await assertRejects(() => texts(`${folder}/none`), "there is no such file or folder");
  for (const unit of ["line", "paragraph", "file"] as const) {
    await assertRejects(() => texts(`${folder}/latin1.txt`, unit), 'latin1.txt" line 2: it is not');
  }
  await assertRejects(() => texts(`${folder}/a.jsonl`), 'line 2: field "text" is missing');
  const messages: string[] = [];
  const onMalformed = ({ message }: Error) => messages.push(message);
  assertEquals(await texts(folder, "line", { onMalformed }), ["a", "c", "a", "b"]);
  assertEquals(messages.length, 2);
});
