// Token shards: what is written comes back by position, whoever made them and however often they were interrupted; what is
// damaged, in the way or of other texts is refused.

import { fileURLToPath } from "node:url";
import fc from "npm:fast-check@4.9.0";
import { digestTokenizer } from "../src/data/shards/digest.ts";
import { buildShards, type ShardSettings } from "../src/data/shards/build.ts";
import { manifestFile, partFiles, readManifest, tokenType } from "../src/data/shards/format.ts";
import { openShards, withoutEnds } from "../src/data/shards/open.ts";
import { allOf, sliceSequence } from "../src/data/sequence.ts";
import { encodeText } from "../src/data/spans.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { smallDisk } from "./fixtures/small_disk.ts";
import { files, makeShards, someTexts, sourceOf, unitTokenizer } from "./fixtures/shards.ts";

const script = fileURLToPath(new URL("fixtures/shards.ts", import.meta.url));

async function temporaryFolder() {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Every file of a folder, by name. */
async function contents(folder: string): Promise<Record<string, Uint8Array>> {
  const found: Record<string, Uint8Array> = {};
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  for (const name of names.sort()) found[name] = await Deno.readFile(`${folder}/${name}`);
  return found;
}

async function damaged(folder: string, name: string, change: (bytes: Uint8Array) => Uint8Array) {
  const path = `${folder}/${name}`;
  const whole = await Deno.readFile(path);
  await Deno.writeFile(path, change(whole));
  return { [Symbol.asyncDispose]: () => Deno.writeFile(path, whole) };
}

Deno.test("every document comes back with its tokens and classes, whatever the parts and slices", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat(1000), { maxLength: 12 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      async (seeds, partTokens, of, begin) => {
        await using folder = await temporaryFolder();
        const texts = seeds.map((file) => file.flatMap((seed) => someTexts(1, { seed })));
        const tokenizer = unitTokenizer(0x3000, begin);
        const settings = { tokenizer, partTokens };
        for (let number = 1; number <= of; number++) {
          const made = await buildShards(folder.path, sourceOf(texts), {
            ...settings,
            slice: { number, of },
          });
          assertEquals(made !== undefined, number === of, "whole with the last slice");
        }
        using shards = await openShards(folder.path);
        const kept = texts.map((file) => file.filter((_, i) => i % 5 !== 4));
        const expected = kept.flat().map((text) => encodeText(tokenizer, text));
        const key = ({ tokens, classes }: { tokens: Uint32Array; classes: Uint8Array }) =>
          `${tokens} ${classes}`;
        const read = allOf(shards);
        // Parts of different slices take turns, so only one slice keeps the order of the texts.
        if (of === 1) assertEquals(read, expected);
        assertEquals(read.map(key).sort(), expected.map(key).sort());
        assertEquals(
          read.map((_, i) => shards.lengthOf(i)),
          read.map(({ tokens }) => tokens.length),
        );
        const { tokens, documents, tokensByClass, leftOut, parts } = shards.manifest;
        assertEquals(documents, expected.length);
        assertEquals(tokens, expected.reduce((sum, { tokens }) => sum + tokens.length, 0));
        const classes = expected.flatMap(({ classes }) => [...classes]);
        assertEquals(
          tokensByClass,
          [0, 1, 2, 3].map((risk) => classes.filter((c) => c === risk).length),
        );
        assertEquals(leftOut.fifth ?? 0, texts.flat().length - kept.flat().length);
        for (const part of parts) {
          const longest = Math.max(...read.map(({ tokens }) => tokens.length));
          assert(part.tokens < partTokens + longest, "complete at the document that fills it");
        }
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("token files are plain little-endian ids, 16 bits up to 65,536 of them and 32 above", async () => {
  for (const [size, type, width] of [[0x10000, "uint16", 2], [0x10001, "uint32", 4]] as const) {
    assertEquals(tokenType(size), type);
    await using folder = await temporaryFolder();
    const tokenizer = unitTokenizer(size);
    const texts = [{ text: "a\u1234\uffff", spans: [{ start: 1, end: 2, risk: 3 as const }] }];
    const manifest = await buildShards(folder.path, sourceOf([texts]), {
      tokenizer,
      partTokens: 9,
    });
    assertEquals(manifest!.dtype, type);
    const { tokens, classes, documents } = partFiles(0);
    const bytes = await Deno.readFile(`${folder.path}/${tokens}`);
    const view = new DataView(bytes.buffer);
    const ids = Array.from(
      { length: 4 },
      (_, i) => width === 2 ? view.getUint16(2 * i, true) : view.getUint32(4 * i, true),
    );
    assertEquals([bytes.length, ...ids], [4 * width, 0x61, 0x1234, 0xffff, 62]);
    assertEquals([...await Deno.readFile(`${folder.path}/${classes}`)], [1, 3, 1, 1]);
    const ends = new BigUint64Array((await Deno.readFile(`${folder.path}/${documents}`)).buffer);
    assertEquals([...ends], [4n]);
  }
});

Deno.test("a document of 200,000 tokens is one document, of one part, and comes back", async () => {
  await using folder = await temporaryFolder();
  const long = { text: "word ".repeat(200_000), spans: [{ start: 5, end: 9, risk: 3 as const }] };
  const tokenizer = trainBytePair(["word word word word"], 260);
  const settings = { tokenizer, partTokens: 1000 };
  const manifest = await buildShards(folder.path, sourceOf([[long, ...someTexts(3)]]), settings);
  assertEquals(manifest!.parts.length, 2);
  assert(manifest!.parts[0]!.tokens > 131_072);
  using shards = await openShards(folder.path);
  assert(tokenizer.decode(shards.at(0).tokens).startsWith(long.text));
  const risky = manifest!.parts[0]!.tokensByClass[3]!;
  assert(risky > 0 && risky < 5, `${risky} tokens of one word`);
});

Deno.test("an interrupted process goes on from its last part, and ends with the same bytes", async () => {
  await using whole = await temporaryFolder();
  await makeShards(whole.path);
  const expected = await contents(whole.path);
  assert(Object.keys(expected).length > 15, "several parts");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 6 }), async (stops) => {
      await using folder = await temporaryFolder();
      for (const texts of stops) {
        const controller = new AbortController();
        let seen = 0;
        await makeShards(folder.path, {
          signal: controller.signal,
          onText: () => ++seen === texts && controller.abort(),
        });
      }
      assert(await makeShards(folder.path));
      assertEquals(await contents(folder.path), expected);
    }),
    { numRuns: 8 },
  );
});

Deno.test("a process killed at any moment leaves what the next one needs", async () => {
  await using whole = await temporaryFolder();
  await makeShards(whole.path);
  await using folder = await temporaryFolder();
  for (const documents of [3, 30, 31, 70]) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", script, folder.path],
      stdout: "piped",
    }).spawn();
    let said = "", killed = false;
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      said += text;
      if (killed || !said.split("\n").includes(String(documents))) continue;
      child.kill("SIGKILL");
      killed = true;
    }
    assertEquals((await child.status).signal, "SIGKILL");
  }
  assert(await makeShards(folder.path));
  assertEquals(await contents(folder.path), await contents(whole.path));
});

Deno.test("processes side by side give the bytes of the same ones in a row, and nothing else", async () => {
  await using inARow = await temporaryFolder();
  await using sideBySide = await temporaryFolder();
  const slices = [1, 2, 3].map((number) => ({ number, of: 3 }));
  for (const slice of slices) await makeShards(inARow.path, { slice });
  await Promise.all(slices.map((slice) => makeShards(sideBySide.path, { slice })));
  assertEquals(await contents(sideBySide.path), await contents(inARow.path));
  const left = Object.keys(await contents(inARow.path)).filter((name) =>
    !/part_\d{4}\./.test(name)
  );
  assertEquals(left, [manifestFile]);
});

Deno.test("two processes cannot make the same slice, and one that was killed holds it no longer", async () => {
  await using folder = await temporaryFolder();
  let second: Promise<unknown> | undefined;
  await makeShards(folder.path, {
    onText: () => second ??= makeShards(folder.path).catch((e) => e),
  });
  const error = await second as Error;
  assert(error.message.includes("another process is at work there"), error.message);
  assertEquals((await readManifest(folder.path)).documents, 81);
});

Deno.test("a folder goes on only with the texts and settings that it was begun with", async () => {
  await using folder = await temporaryFolder();
  const others: [string, Partial<ShardSettings>, string?][] = [
    ["part size", { partTokens: 401 }],
    ["slices", { slice: { number: 1, of: 2 } }],
    ["special tokens", { special: "text" }],
    ["tokenizer", { tokenizer: unitTokenizer(0x3001) }],
    ["columns", { columns: [{ fileOf: () => "more", bytesOf: () => new Uint8Array() }] }],
    ["texts", {}, "other texts"],
  ];
  const attempt = (settings: Partial<ShardSettings>, identity = "texts") =>
    buildShards(folder.path, sourceOf(files, identity), {
      ...{ tokenizer: unitTokenizer(), partTokens: 400 },
      ...settings,
    });
  const controller = new AbortController();
  await attempt({ signal: controller.signal, onText: () => controller.abort() });
  for (const [what, settings, identity] of others) {
    await assertRejects(() => attempt(settings, identity), "shards are being made there of other");
    assert(what);
  }
  const made = await attempt({});
  for (const [, settings, identity] of others) {
    await assertRejects(() => attempt(settings, identity), "it holds shards of other texts");
  }
  assertEquals(await attempt({}), made, "finished: nothing to do");
});

Deno.test("texts that shards cannot hold are named: weights, and a tokenizer without an end", async () => {
  await using folder = await temporaryFolder();
  const weighed = sourceOf([[...someTexts(2), { ...someTexts(1)[0]!, weight: 0.5 }]]);
  const settings = { tokenizer: unitTokenizer(), partTokens: 9 };
  await assertRejects(
    () => buildShards(folder.path, weighed, settings),
    'Cannot put text 3 of "file 0" into shards: it has the weight 0.5',
  );
  const endless = { ...unitTokenizer(), special: {} };
  await assertRejects(
    () => buildShards(folder.path, weighed, { ...settings, tokenizer: endless }),
    'Cannot make shards with the tokenizer "units": it has no end-of-text token',
  );
});

Deno.test("a full disk keeps the finished parts, and with more room the same call goes on to the same bytes", async () => {
  await using disk = await smallDisk("64k");
  if (!disk) return;
  await using whole = await temporaryFolder();
  await makeShards(whole.path);
  const folder = `${disk.path}/shards`;
  await assertRejects(() => makeShards(folder), "No space left");
  const names = Object.keys(await contents(folder));
  assert(names.some((name) => name.startsWith("token_ids_part_")), names.join());
  assert(!names.some((name) => name.endsWith(".partial")), names.join());
  await disk.remount("size=4m");
  assert(await makeShards(folder));
  assertEquals(await contents(folder), await contents(whole.path));
});

Deno.test("a disk that cannot be written is named before a text is read", async () => {
  await using disk = await smallDisk("64k");
  if (!disk) return;
  await Deno.mkdir(`${disk.path}/shards`);
  await disk.remount("ro");
  await assertRejects(
    () => makeShards(`${disk.path}/shards`),
    `Cannot write "${disk.path}/shards/plan`,
  );
  await assertRejects(
    () => makeShards(`${disk.path}/new`),
    `Cannot make the folder "${disk.path}/new"`,
  );
});

Deno.test("shards that were cut off, that lack a file or whose documents make no sense are named", async () => {
  await using folder = await temporaryFolder();
  await makeShards(folder.path);
  const { tokens, classes, documents } = partFiles(1);
  const open = async () => (await openShards(folder.path))[Symbol.dispose]();
  for (const name of [tokens, classes, documents]) {
    await using _ = await damaged(folder.path, name, (bytes) => bytes.slice(0, -1));
    await assertRejects(open, `Cannot read "${folder.path}/${name}": it has `);
    await Deno.remove(`${folder.path}/${name}`);
    await assertRejects(open, `Cannot read "${folder.path}/${name}": No such file`);
  }
  await open();
  await using _ = await damaged(folder.path, documents, (bytes) => bytes.fill(7, 8, 16));
  using shards = await openShards(folder.path);
  const first = shards.manifest.parts[0]!.documents;
  shards.at(first);
  for (const index of [first + 1, first + 2]) assertThrows(() => shards.at(index), documents);
  for (const index of [-1, shards.length, 0.5]) assertThrows(() => shards.at(index), "document");
});

Deno.test("a class that there is not is named by file and token", async () => {
  await using folder = await temporaryFolder();
  await makeShards(folder.path);
  const { classes } = partFiles(0);
  await using _ = await damaged(folder.path, classes, (bytes) => bytes.fill(4, 1, 2));
  using shards = await openShards(folder.path);
  assertThrows(() => shards.at(0), `read token 1 of "${folder.path}/${classes}": its class is 4`);
});

Deno.test("a file that shrinks while it is read is named", async () => {
  await using folder = await temporaryFolder();
  await makeShards(folder.path);
  using shards = await openShards(folder.path);
  const { tokens } = partFiles(0);
  await Deno.truncate(`${folder.path}/${tokens}`, 5);
  assertThrows(() => shards.at(3), `Cannot read "${folder.path}/${tokens}": it ends at byte`);
});

Deno.test("more parts than may be open at one time are read in any order", async () => {
  await using folder = await temporaryFolder();
  await makeShards(folder.path, { partTokens: 1 });
  using shards = await openShards(folder.path);
  assert(shards.manifest.parts.length > 60);
  const forwards = allOf(shards);
  const backwards = Array.from(
    { length: shards.length },
    (_, i) => shards.at(shards.length - 1 - i),
  );
  assertEquals(backwards.reverse(), forwards);
  assertEquals(
    allOf(withoutEnds(shards)),
    forwards.map((document) => sliceSequence(document, 0, -1)),
  );
  assertEquals(withoutEnds(shards).lengthOf!(5), shards.lengthOf(5) - 1);
});

Deno.test("shards are told apart by tokens, classes, documents and tokenizer, not by how they came about", async () => {
  const identityOf = async (settings: Partial<ShardSettings>, texts = files) => {
    await using folder = await temporaryFolder();
    await buildShards(folder.path, sourceOf(texts), {
      ...{ tokenizer: unitTokenizer(), partTokens: 1e6 },
      ...settings,
    });
    return (await openShards(folder.path)).identity;
  };
  const identity = await identityOf({});
  assertEquals(await identityOf({ special: "text" }), identity, "there was no special token");
  const reclassed = files.map((texts) => texts.map(({ text }) => ({ text, spans: [] })));
  const others = [
    await identityOf({ tokenizer: unitTokenizer(0x3001) }),
    await identityOf({}, reclassed),
    await identityOf({}, files.toReversed()),
  ];
  assertEquals(new Set([identity, ...others]).size, 4);
});

Deno.test("tokenizers are told apart by what they do: ids, special tokens, and where texts are cut", () => {
  const own = trainBytePair(["the old mill by the old river"], 264);
  const digest = digestTokenizer(own);
  assertEquals(digestTokenizer(trainBytePair(["the old mill by the old river"], 264)), digest);
  const others = [
    trainBytePair(["the old mill by the old river"], 262),
    { ...own, special: { ...own.special, pad: 3 } },
    { ...own, decode: (ids: ArrayLike<number>) => own.decode(ids).replace("q", "Q") },
    { ...own, encode: (text: string) => own.encode(text.toLowerCase()) },
  ];
  assertEquals(new Set([digest, ...others.map(digestTokenizer)]).size, 5);
});

Deno.test("a manifest that was edited or belongs to another program is refused by field", async () => {
  await using folder = await temporaryFolder();
  await makeShards(folder.path);
  const manifest = JSON.parse(await Deno.readTextFile(`${folder.path}/${manifestFile}`));
  // deno-lint-ignore no-explicit-any -- whatever JSON holds
  const refused = async (change: (manifest: any) => void, why: string) => {
    const copy = structuredClone(manifest);
    change(copy);
    await Deno.writeTextFile(`${folder.path}/${manifestFile}`, JSON.stringify(copy));
    await assertRejects(() => readManifest(folder.path), why);
  };
  await refused((m) => m.format = "other", "it is not the manifest of token shards");
  await refused((m) => m.version = 2, "its version is 2");
  await refused((m) => m.dtype = "uint32", 'field "dtype" is "uint32"');
  await refused((m) => m.tokens++, 'field "tokens" is');
  await refused(
    (m) => m.documents = "81",
    'field "documents" is "81", and that of its parts is 81',
  );
  await refused((m) => m.tokensByClass[0] = 1, 'field "tokensByClass" is');
  await refused((m) => delete m.tokenizer, 'field "tokenizer" is undefined');
  await refused((m) => m.tokenizer.digest = 3, 'field "tokenizer.digest" is 3');
  await refused((m) => m.tokenizer.eos = 0x3000, 'field "tokenizer.eos" is 12288');
  await refused((m) => delete m.tokenizer.eos, 'field "tokenizer.eos" is undefined');
  await refused((m) => m.tokenizer.vocabularySize = -1, 'field "tokenizer.vocabularySize" is -1');
  await refused((m) => m.leftOut = [], 'field "leftOut" is []');
  await refused((m) => m.leftOut.fifth = 0.5, 'field "leftOut.fifth" is 0.5');
  await refused((m) => m.parts = {}, 'field "parts" is {…}');
  await refused((m) => m.parts[1] = null, 'field "parts[1]" is null');
  await refused((m) => m.parts[1].number = 0, 'field "parts[1].number" is 0');
  await refused((m) => m.parts.at(-1).number = 10000, ".number");
  await refused((m) => m.parts[1].tokens += 1, "other tokens than its");
  await refused((m) => m.parts[1].documents = -1, 'field "parts[1].documents" is -1');
  await refused(
    (m) => m.parts[1].tokensByClass = [1, 2],
    'field "parts[1].tokensByClass" is [1, 2]',
  );
  await refused((m) => m.parts[1].files = 1, 'field "parts[1].files" is 1');
  await refused((m) => delete m.parts[1].files["token_ids_part_0001.npy"], 'files["token_ids_part');
  for (const text of ["", "null", "[]", '"text"', "{"]) {
    await Deno.writeTextFile(`${folder.path}/${manifestFile}`, text);
    await assertRejects(
      () => readManifest(folder.path),
      `Cannot read "${folder.path}/manifest.json"`,
    );
  }
});
