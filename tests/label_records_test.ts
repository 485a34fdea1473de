// Labelled texts as data sets: what is written as JSON lines and as parquet is read without this toolkit, with the classes
// of another's token ids.

import { parquetMetadataAsync, parquetReadObjects } from "npm:hyparquet@1.31.5";
import fc from "npm:fast-check@4.9.0";
import { type LabelRecord, labelRecord, writeLabelRecords } from "../src/data/label_records.ts";
import { labelTexts } from "../src/data/labelling.ts";
import { readRiskyTexts } from "../src/data/span_files.ts";
import { encodeText } from "../src/data/spans.ts";
import { wordLabeller } from "../src/label/labeller.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { smallDisk } from "./fixtures/small_disk.ts";
import { someTexts, unitTokenizer } from "./fixtures/shards.ts";
import { runTask } from "./fixtures/task.ts";

async function* each<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  yield* items;
}

async function parquetRows(path: string): Promise<Record<string, unknown>[]> {
  const { buffer } = await Deno.readFile(path);
  return await parquetReadObjects({ file: buffer });
}

Deno.test("parquet gives back every record, in as many row groups as memory wants", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a.parquet`;
  const texts = fc.array(
    fc.tuple(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }),
      fc.nat(),
      fc.nat(),
      fc.boolean(),
    ),
    { minLength: 1, maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(texts, fc.boolean(), async (drawn, withTokens) => {
      const records = drawn.map(([text, a, b, isSentence]) => {
        const start = a % text.length, end = start + 1 + b % (text.length - start);
        const spans = isSentence ? [] : [{ start, end, risk: 2 as const }];
        const rule = isSentence ? "sentence" : "overlap";
        return labelRecord({ text, spans, rule }, withTokens ? unitTokenizer(0x10000) : undefined);
      });
      await writeLabelRecords(path, each(records));
      assertEquals(
        await parquetRows(path),
        records.map(({ rule = "overlap", text, spans, ...tokens }) => ({
          text,
          spans,
          rule,
          ...tokens,
        })),
      );
    }),
    { numRuns: 30 },
  );
  const long = [..."abc"].map((letter): LabelRecord => ({
    text: letter.repeat(600_000),
    spans: [],
  }));
  await writeLabelRecords(path, each(long), { labeller: "none" });
  const { row_groups, key_value_metadata } = await parquetMetadataAsync(
    (await Deno.readFile(path)).buffer,
  );
  assertEquals(row_groups.map(({ num_rows }) => num_rows), [2n, 1n]);
  assertEquals(key_value_metadata, [{ key: "labeller", value: "none" }]);
  assertEquals((await parquetRows(path)).map(({ text }) => (text as string)[0]), ["a", "b", "c"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("token ids and classes are those that training would have, with BOS and without EOS", () => {
  const tokenizer = trainBytePair(["the old mill was run by Oda Venn"], 290);
  const text = { text: "Oda Venn ran the mill.", spans: [{ start: 0, end: 8, risk: 3 as const }] };
  const { input_ids, classes } = labelRecord(text, tokenizer);
  const { tokens, classes: expected } = encodeText(tokenizer, text, { end: false });
  assertEquals(input_ids, [...tokens]);
  assertEquals(classes, [...expected]);
  assert(classes!.includes(3) && classes!.includes(1));
  assertEquals(
    labelRecord(text, unitTokenizer(0x3000, true)).input_ids![0],
    60,
    "BOS where texts begin with it",
  );
  assertEquals(Object.keys(labelRecord(text)), ["text", "spans"]);
});

Deno.test("JSON lines with classes are still what training reads", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/labelled.jsonl.gz`;
  const texts = someTexts(5).map(({ text }) => `${text} Zed ${text}`);
  const labeller = wordLabeller(["Zed"]);
  await labelTexts(each(texts), path, labeller, { classesFor: unitTokenizer() });
  const notices: string[] = [];
  const read = await readRiskyTexts(path, { onNotice: (notice) => notices.push(notice) });
  assertEquals(read.map(({ text }) => text), texts);
  assert(read.every(({ spans }) => spans.length === 1));
  assertEquals(notices.length, 2, notices.join()); // input_ids and classes are passed over
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a parquet file appears whole or not at all", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a.parquet`;
  await writeLabelRecords(path, each([{ text: "one", spans: [] }]));
  const failing = async function* (): AsyncGenerator<LabelRecord> {
    yield { text: "two".repeat(1e6), spans: [] };
    await Promise.resolve();
    throw new Error("the texts ended badly");
  };
  await assertRejects(() => writeLabelRecords(path, failing()), "the texts ended badly");
  await assertRejects(
    () => writeLabelRecords(path, each([])),
    "Cannot write parquet: there are no texts",
  );
  assertEquals((await parquetRows(path)).map(({ text }) => text), ["one"]);
  assertEquals(await Array.fromAsync(Deno.readDir(folder), ({ name }) => name), ["a.parquet"]);
  await Deno.remove(folder, { recursive: true });
  await using disk = await smallDisk("64k");
  if (!disk) return;
  const random = crypto.getRandomValues(new Uint8Array(60_000));
  const text = Array.from(random, (byte) => byte.toString(16)).join("");
  await assertRejects(
    () => writeLabelRecords(`${disk.path}/b.parquet`, each([{ text, spans: [] }])),
    `Cannot write "${disk.path}/b.parquet": No space left`,
  );
  assertEquals(await Array.fromAsync(Deno.readDir(disk.path)), []);
});

Deno.test("the task label writes parquet with classes, and says where it cannot", async () => {
  const folder = await Deno.makeTempDir();
  await trainBytePair(["the old mill by the river"], 270).save!(folder);
  await Deno.writeTextFile(`${folder}/texts.txt`, "The old mill.\nOda Venn lives there.\n");
  await Deno.writeTextFile(`${folder}/words.txt`, "Oda Venn\n");
  const texts = ["--text", `${folder}/texts.txt`, "--words", `${folder}/words.txt`];
  const out = `${folder}/out.parquet`;
  const { code, text } = await runTask("label", [...texts, "--classes-for", folder, "--out", out]);
  assertEquals(code, 0, text);
  const rows = await parquetRows(out) as unknown as Required<LabelRecord>[];
  assertEquals(rows.map(({ text }) => text), ["The old mill.", "Oda Venn lives there."]);
  assertEquals(rows[1]!.spans, [{ start: 0, end: 8, risk: 3 }]);
  assertEquals(rows[1]!.input_ids.length, rows[1]!.classes.length);
  assert(rows[1]!.classes.includes(3) && !rows[0]!.classes.includes(3));
  const documents = ["--documents", `${folder}/texts.txt`, "--linear", "x"];
  for (const more of [["--out", out], ["--out", `${folder}/a.jsonl`, "--classes-for", folder]]) {
    const refused = await runTask("label", [...documents, ...more]);
    assert(refused.text.includes("Cannot write the attributes of documents"), refused.text);
  }
  await Deno.remove(folder, { recursive: true });
});
