// One folder, one process: who comes second is told so, what a kill leaves is taken over, and files that two write are whole.

import { writeFileAtomic } from "../src/base/files.ts";
import { holdFolder, lockFile } from "../src/base/lock.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";

const root = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));
const namesIn = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();

Deno.test("a folder that is held is refused by name, and free again afterwards, with nothing left in it", async () => {
  const folder = await Deno.makeTempDir({ dir: root });
  {
    using _held = await holdFolder(folder);
    await assertRejects(
      () => holdFolder(folder),
      `Cannot work in "${folder}": another process is at work there. Wait for it`,
    );
    using _other = await holdFolder(folder, { file: "part.lock" });
    assertEquals(await namesIn(folder), [lockFile, "part.lock"]);
  }
  assertEquals(await namesIn(folder), []);
  using _again = await holdFolder(folder);
});

Deno.test("a folder that another process holds is refused until it is killed, which leaves the file", async () => {
  const folder = await Deno.makeTempDir({ dir: root });
  const code = `import { holdFolder } from "${new URL("../src/base/lock.ts", import.meta.url)}";
    const held = await holdFolder(${JSON.stringify(folder)});
    console.log("held");
    Deno.stdin.readSync(new Uint8Array(1));
    held[Symbol.dispose]();`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", code],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await assertRejects(() => holdFolder(folder), "another process is at work there");
  child.kill("SIGKILL");
  await child.status;
  await Promise.all([reader.cancel(), child.stdin.close().catch(() => {})]);
  assertEquals(await namesIn(folder), [lockFile]);
  using _held = await holdFolder(folder);
});

Deno.test("a folder that cannot be written is named", async () => {
  await assertRejects(() => holdFolder(`${root}/none`), `Cannot work in "${root}/none": `);
});

Deno.test("two that write one file at a time both end, and what ends last is there whole", async () => {
  const folder = await Deno.makeTempDir({ dir: root }), path = `${folder}/a`;
  const slow = async function* (letter: string) {
    for (let i = 0; i < 20; i++) {
      yield new TextEncoder().encode(letter.repeat(1000));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await Promise.all(["a", "b", "c"].map((letter) => writeFileAtomic(path, slow(letter))));
  const text = await Deno.readTextFile(path);
  assert(/^(a{20000}|b{20000}|c{20000})$/.test(text), text.slice(0, 9));
  assertEquals(await namesIn(folder), ["a"]);
});

Deno.test("what a kill left half-written is written over, not added to", async () => {
  const folder = await Deno.makeTempDir({ dir: root });
  await Deno.writeTextFile(`${folder}/a.partial`, "longer than what follows");
  await writeFileAtomic(`${folder}/a`, "short");
  assertEquals(await Deno.readTextFile(`${folder}/a`), "short");
  assertEquals(await namesIn(folder), ["a"]);
});

Deno.test("what the content throws is not blamed on the file that is written", async () => {
  const folder = await Deno.makeTempDir({ dir: root });
  const failing = async function* () {
    yield new Uint8Array(10);
    await Promise.reject(new Error("the source failed"));
  };
  await assertRejects(() => writeFileAtomic(`${folder}/a`, failing()), "the source failed");
  assertEquals(await namesIn(folder), []);
});
