// Lines of files, plain and compressed: nothing lost, whatever the format, and written whole or not at all.

import { gzipSync, zstdCompressSync } from "node:zlib";
import { readLines, writeLines } from "../src/data/lines.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  await Deno.writeFile(path, typeof content === "string" ? utf8(content) : content);
  return path;
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const textsOf = async (path: string) => await Array.fromAsync(readLines(path), ({ text }) => text);

Deno.test("lines come back from plain, gzip and Zstandard files, recognised by their bytes", async () => {
  const lines = ["one", "", "ünï 🎉", "x".repeat(200_000), "last"];
  const content = utf8(lines.join("\n"));
  for (const bytes of [content, gzipSync(content), zstdCompressSync(content)]) {
    assertEquals(await textsOf(await written("named.txt", bytes)), lines);
  }
  assertEquals(await textsOf(await written("crlf.txt", "\uFEFFone\r\ntwo\r\n")), ["one", "two"]);
});

Deno.test("all members of a gzip file and all frames of a Zstandard file are read", async () => {
  const parts = ["a\nb", "c\n", "d\n"].map(utf8);
  const skippable = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
  const gzip = joined(...parts.map((part) => new Uint8Array(gzipSync(part))));
  const [a, b, c] = parts.map((part) => new Uint8Array(zstdCompressSync(part)));
  assertEquals(await textsOf(await written("a.gz", gzip)), ["a", "bc", "d"]);
  assertEquals(await textsOf(await written("a.zst", joined(skippable, a!, skippable, b!, c!))), [
    "a",
    "bc",
    "d",
  ]);
});

Deno.test("frames of many blocks, of one repeated byte and without end of line survive", async () => {
  const random = crypto.getRandomValues(new Uint8Array(50_000));
  const varied = Array.from(random, (byte) => byte.toString(16)).join("").repeat(6); // 3 blocks
  for (const text of [varied, "z".repeat(400_000)]) {
    const frame = new Uint8Array(zstdCompressSync(utf8(text)));
    const path = await written("a.zst", joined(frame, frame));
    const [line] = await textsOf(path);
    assert(line === text + text, "both frames");
  }
});

Deno.test("a file that is cut off or continued with something else is refused by name", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(30_000)).map((byte) => 97 + byte % 26);
  for (const pack of [gzipSync, zstdCompressSync]) {
    const whole = new Uint8Array(pack(bytes));
    const cut = await written("cut.bin", whole.subarray(0, whole.length - 5));
    await assertRejects(() => textsOf(cut), "cut.bin");
    const followed = await written("followed.bin", joined(whole, utf8("something else")));
    await assertRejects(() => textsOf(followed), "followed.bin");
  }
  await assertRejects(() => textsOf("nowhere.zst"), '"nowhere.zst": there is no such file');
});

Deno.test("lines are written whole or not at all, compressed as the extension says", async () => {
  const folder = await Deno.makeTempDir();
  const magic: Record<string, number> = { "a.txt": 0x61, "a.gz": 0x1f, "a.zst": 0x28 };
  for (const [name, first] of Object.entries(magic)) {
    await writeLines(`${folder}/${name}`, ["a", "ünï"]);
    assertEquals((await Deno.readFile(`${folder}/${name}`))[0], first);
    assertEquals(await textsOf(`${folder}/${name}`), ["a", "ünï"]);
    await assertRejects(
      () =>
        writeLines(
          `${folder}/${name}`,
          function* () {
            yield "b";
            throw new Error("the lines ended badly");
          }(),
        ),
      "the lines ended badly",
    );
    assertEquals(await textsOf(`${folder}/${name}`), ["a", "ünï"]);
  }
  const left = (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
  assertEquals(left, ["a.gz", "a.txt", "a.zst"]);
});

Deno.test("a line that is not UTF-8 is named, or counted and left out", async () => {
  const path = await written(
    "a.txt",
    joined(utf8("one\n"), Uint8Array.of(0xe4, 10), utf8("three")),
  );
  await assertRejects(() => textsOf(path), 'a.txt" line 2: it is not UTF-8');
  const messages: string[] = [];
  const lines = readLines(path, { onMalformed: ({ message }) => messages.push(message) });
  assertEquals(await Array.fromAsync(lines, ({ text }) => text), ["one", "three"]);
  assertEquals(messages.length, 1);
});

Deno.test("reading reports how many bytes of the file it has read and may stop early", async () => {
  const bytes = new Uint8Array(gzipSync(utf8("line\n".repeat(50_000))));
  const path = await written("a.gz", bytes);
  let read = 0;
  for await (const { line } of readLines(path, { onRead: (bytes) => read = bytes })) {
    if (line === 2) break;
  }
  await Array.fromAsync(readLines(path, { onRead: (bytes) => read = bytes }));
  assertEquals(read, bytes.length);
});
