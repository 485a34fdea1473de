import { gzipSync, zstdCompressSync } from "node:zlib";
import { describeBytes } from "../src/base/bytes.ts";
import { CannotError } from "../src/base/errors.ts";
import { readJson, readText, writeFileAtomic, writeFolder } from "../src/base/files.ts";
import { freeSpace } from "../src/base/free_space.ts";
import { parseJson } from "../src/base/json.ts";
import { readLines } from "../src/data/lines.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { smallDisk } from "./fixtures/small_disk.ts";

const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const path = `${folder}/file`;

Deno.test("a text that is not UTF-8 is refused by its line, not decoded to something else", async () => {
  const encode = (text: string) => new TextEncoder().encode(text);
  const latin1 = [...encode("one\ntwo\ncaf"), 0xe9, ...encode("\nfour")];
  await Deno.writeFile(path, Uint8Array.from(latin1));
  await assertRejects(() => readText(path), `Cannot read "${path}" line 3: it is not UTF-8`);
  await Deno.writeFile(path, Uint8Array.from([...encode("one\ntwo"), 0xc3])); // cut in a character
  await assertRejects(() => readText(path), "line 2");
  const utf16 = Uint8Array.of(0xff, 0xfe, 0x41, 0x00);
  await Deno.writeFile(path, utf16);
  await assertRejects(() => readText(path), "line 1");
});

Deno.test("a byte order mark is no part of a text, line ends are", async () => {
  await Deno.writeTextFile(path, "\ufeffone\r\ntwo \ufeff🙂\n");
  assertEquals(await readText(path), "one\r\ntwo \ufeff🙂\n");
});

Deno.test("a JSON file that is too long is refused before it is read", async () => {
  await Deno.writeTextFile(path, '"twenty characters"  ');
  assertEquals(await readJson(path, 21), "twenty characters");
  await assertRejects(
    () => readJson(path, 20),
    "it has 21 bytes, and such a file at most 20 bytes",
  );
});

Deno.test("JSON is parsed down to 200 levels, whatever its strings hold", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assertEquals(JSON.stringify(parseJson(nested(200))), nested(200));
  assertThrows(() => parseJson(nested(201)), "nested more than 200 deep");
  assertThrows(() => parseJson('{"a":'.repeat(1e6)), "nested more than 200 deep");
  for (const text of ["[".repeat(300), '"'.repeat(300) + "[".repeat(300), "\\".repeat(299)]) {
    assertEquals(parseJson(JSON.stringify({ [text]: [text] })), { [text]: [text] });
  }
  assertThrows(() => parseJson('{"never closed'), "JSON");
  assertThrows(() => parseJson('"\\'), "JSON");
});

Deno.test("bytes are given in the largest unit that there is one of", () => {
  assertEquals([0, 1, 1023, 1024, 1536, 2 ** 36, 5e17].map(describeBytes), [
    "0 bytes",
    "1 byte",
    "1,023 bytes",
    "1 KiB",
    "1.5 KiB",
    "64 GiB",
    "444.1 PiB",
  ]);
});

Deno.test("free space is that of the disk on which a folder will be", async () => {
  await using disk = await smallDisk("200k");
  if (!disk) return;
  assertEquals(await freeSpace(disk.path), 200 * 1024);
  assertEquals(await freeSpace(`${disk.path}/not/there/yet`), 200 * 1024);
});

Deno.test("text with NULs, which is UTF-16 without its mark, is refused with file and line", async () => {
  const path = `${await Deno.makeTempDir()}/text.txt`;
  const units = Uint16Array.from("The\nold mill", (character) => character.charCodeAt(0));
  await Deno.writeFile(path, new Uint8Array(units.buffer));
  const why = `Cannot read "${path}" line 1: it holds a NUL, as UTF-16 and binary files do`;
  await assertRejects(() => readText(path), why);
  await assertRejects(() => Array.fromAsync(readLines(path)), why);
  const malformed: string[] = [];
  const onMalformed = ({ message }: Error) => malformed.push(message);
  await Array.fromAsync(readLines(path, { onMalformed }));
  assertEquals(malformed.length, 2);
  for (const compress of [gzipSync, zstdCompressSync]) {
    await Deno.writeFile(path, compress("The old mill.".repeat(50)));
    await assertRejects(() => readText(path), `Cannot read "${path}": it is compressed`);
  }
  await Deno.writeTextFile(path, "The\nold\0mill");
  await assertRejects(() => readText(path), `Cannot read "${path}" line 2: it holds a NUL`);
});

Deno.test("JSON of millions of empty lists is refused before it takes fifty times its size", () => {
  const lists = (count: number) => `[${"[],".repeat(count - 2)}[]]`;
  assertThrows(() => parseJson(lists(4_000_001)), "more than 4000000 objects and lists");
  assertEquals((parseJson(lists(1000)) as unknown[]).length, 999);
});

Deno.test("a device that never ends is read up to the limit and refused", async () => {
  if (Deno.build.os !== "linux") return;
  await assertRejects(() => readText("/dev/zero", 2 ** 20), 'read "/dev/zero": it has more');
});

Deno.test("what is quoted from a file can have any length, and the sentence stays short", () => {
  const { message } = new CannotError("read x", `field "a" is ${"b".repeat(1e6)}`, "Correct it");
  assert(message.length < 1300 && message.endsWith("bb…. Correct it."), message.slice(-40));
});

Deno.test("the files of a folder are written together: a full disk leaves those of before, and no new one", async () => {
  await using disk = await smallDisk("64k");
  if (!disk) return;
  const out = `${disk.path}/page`, large = "x".repeat(80_000);
  await writeFolder(out, new Map([["index.html", "old"], ["parts/a.js", "old a"]]));
  await assertRejects(
    () =>
      writeFolder(out, new Map([["index.html", "new"], ["parts/b.js", "b"], ["base.bin", large]])),
    `Cannot write "${out}/base.bin": No space left`,
  );
  assertEquals(await Deno.readTextFile(`${out}/index.html`), "old");
  const names = async (path: string) =>
    (await Array.fromAsync(Deno.readDir(path), ({ name }) => name)).sort();
  assertEquals([await names(out), await names(`${out}/parts`)], [["index.html", "parts"], [
    "a.js",
  ]]);
  await writeFolder(out, new Map([["index.html", "new"]]));
  assertEquals(await Deno.readTextFile(`${out}/index.html`), "new");
});

Deno.test("content that fails while it comes leaves the file of before", async () => {
  await writeFileAtomic(path, "before");
  const failing = function* () {
    yield new TextEncoder().encode("half");
    throw new Error("no more");
  };
  await assertRejects(() => writeFileAtomic(path, failing()), "no more");
  assertEquals(await Deno.readTextFile(path), "before");
  assertEquals(await Deno.stat(`${path}.partial`).catch(() => undefined), undefined);
});
