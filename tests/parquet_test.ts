// Records of parquet and CSV files: the same as those of JSON lines, whoever reads them.

import { ByteWriter, parquetWrite } from "npm:hyparquet-writer@0.17.0";
import { openCollection } from "../src/data/collection.ts";
import { writeLabelRecords } from "../src/data/label_records.ts";
import { readParquet } from "../src/data/parquet.ts";
import { readPlainTexts } from "../src/data/plain_texts.ts";
import { readRecords, stringField } from "../src/data/records.ts";
import { readRiskyTexts } from "../src/data/span_files.ts";
import { readTexts } from "../src/data/texts.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";

type Column = Parameters<typeof parquetWrite>[0]["columnData"][number];
type Codec = Parameters<typeof parquetWrite>[0]["codec"];

async function written(
  name: string,
  columnData: Column[],
  options: { rowGroupSize?: number; codec?: Codec; compressors?: object } = {},
): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  const writer = new ByteWriter();
  parquetWrite({ writer, columnData, ...options });
  await Deno.writeFile(path, writer.getBytes());
  return path;
}

const everything = async (path: string) =>
  await Array.fromAsync(readRecords(path, (fields, where) => ({ fields, where })));

Deno.test("rows come in order over all row groups, with numbers of 64 bits as JSON has them", async () => {
  const path = await written("a.parquet", [
    { name: "text", data: Array.from({ length: 25 }, (_, i) => `ä ${i}`) },
    { name: "count", data: Array.from({ length: 25 }, (_, i) => BigInt(i)), type: "INT64" },
    { name: "huge", data: Array(25).fill(2n ** 60n), type: "INT64" },
    {
      name: "score",
      data: Array.from({ length: 25 }, (_, i) => i === 3 ? null : i / 2),
      type: "DOUBLE",
    },
  ], { rowGroupSize: 10 });
  const read: number[] = [];
  const rows = await Array.fromAsync(
    readRecords(path, (fields, where) => ({ fields, where }), { onRead: (at) => read.push(at) }),
  );
  assertEquals(rows.length, 25);
  assertEquals(rows[24], {
    fields: { text: "ä 24", count: 24, huge: 2n ** 60n, score: 12 },
    where: `"${path}" row 25`,
  });
  assertEquals(rows[3]!.fields.score, null);
  const { size } = await Deno.stat(path);
  assertEquals(read, [Math.round(size / 3), Math.round(2 * size / 3), size]);
});

Deno.test("labelled texts are read back from parquet as from JSON lines, spans included", async () => {
  const folder = await Deno.makeTempDir();
  const texts = [
    { text: "The mill was run by Oda Venn.", spans: [{ start: 20, end: 28, risk: 3 as const }] },
    { text: "It stood still.", spans: [] },
  ];
  const each = async function* () {
    yield* texts;
  };
  for (const name of ["a.parquet", "b.jsonl"]) await writeLabelRecords(`${folder}/${name}`, each());
  const fromParquet = await readRiskyTexts(`${folder}/a.parquet`);
  assertEquals(fromParquet, await readRiskyTexts(`${folder}/b.jsonl`));
  assertEquals(fromParquet.map(({ text }) => text), texts.map(({ text }) => text));
  await Deno.writeTextFile(`${folder}/README.md`, "About them.");
  assertEquals(await readTexts(folder), [...fromParquet, ...fromParquet]);
  const { train } = await openCollection(folder);
  assertEquals(train.files.length, 2);
  const read = await Array.fromAsync(train.read(0, () => {}));
  assertEquals(read.map((each) => "text" in each && each.text.text), texts.map(({ text }) => text));
});

Deno.test("what compresses a column in other programs is opened, and what cannot be is named", async () => {
  const { gzipSync, zstdCompressSync, brotliCompressSync } = await import("node:zlib");
  const text = "the mill ".repeat(100);
  const column = { name: "text", data: [text, text] };
  const compressors = { GZIP: gzipSync, ZSTD: zstdCompressSync, BROTLI: brotliCompressSync };
  for (const codec of ["SNAPPY", "UNCOMPRESSED", "GZIP", "ZSTD", "BROTLI"] as const) {
    const path = await written("a.parquet", [column], { codec, compressors });
    assertEquals(await Array.fromAsync(readPlainTexts(path)), [text, text], codec);
  }
  const path = await written("a.parquet", [column], {
    codec: "LZ4_RAW",
    compressors: { LZ4_RAW: (bytes: Uint8Array) => bytes },
  });
  await assertRejects(
    () => everything(path),
    `Cannot read "${path}": parquet unsupported compression`,
  );
});

Deno.test("a damaged file, another kind of file and a missing one are named, and a wrong row with its number", async () => {
  const path = await written("a.parquet", [{ name: "text", data: ["a", "b"] }, {
    name: "n",
    data: [1, 2],
    type: "INT32",
  }]);
  await assertRejects(
    () => Array.fromAsync(readRecords(path, (fields, where) => stringField(fields, "n", where))),
    `Cannot read "${path}" row 1: field "n" is not a string`,
  );
  const malformed: string[] = [];
  const kept = await Array.fromAsync(readRecords(path, (fields, where) => {
    if (fields.n === 1) stringField(fields, "n", where);
    return fields.text;
  }, { onMalformed: ({ message }) => malformed.push(message) }));
  assertEquals([kept, malformed.length], [["b"], 1]);
  const bytes = await Deno.readFile(path);
  await Deno.writeFile(path, bytes.subarray(0, bytes.length - 3));
  await assertRejects(() => everything(path), `Cannot read "${path}": `);
  await Deno.writeTextFile(path, '{"text": "a"}\n');
  await assertRejects(() => everything(path), "Check that it is a parquet file");
  await assertRejects(
    () => everything("nowhere.parquet"),
    '"nowhere.parquet": there is no such file',
  );
});

Deno.test("reading may stop early without leaving the file open", async () => {
  const path = await written("a.parquet", [{ name: "text", data: ["a", "b", "c"] }]);
  for await (const { where } of readParquet(path)) {
    assert(where.endsWith("row 1"));
    break;
  }
});

Deno.test("a CSV file with a header is one of records, for whoever wants a field text", async () => {
  const path = `${await Deno.makeTempDir()}/a.csv`;
  await Deno.writeTextFile(path, 'id,text\n1,"The mill, it stood\nstill"\n2,b,c\n3,d\n');
  const malformed: string[] = [];
  const onMalformed = ({ message }: Error) => malformed.push(message);
  const texts = await Array.fromAsync(readPlainTexts(path, undefined, { onMalformed }));
  assertEquals(texts, ["The mill, it stood\nstill", "d"]);
  assertEquals(malformed, [
    `Cannot read "${path}" line 4: it has 3 fields, the header 2. Correct or remove the line.`,
  ]);
  assertEquals(await everything(path).catch((error) => error.message), malformed[0]);
});
