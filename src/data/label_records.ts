// Labelled texts as files that others can use: lines of JSON, or a parquet file as Hugging Face's data sets are. With a
// tokenizer, each record has token ids and their classes too (`label_record.ts`).

import { CannotError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { importPackage } from "../base/packages.ts";
import type { LabelRecord } from "./label_record.ts";
import { writeLines } from "./lines.ts";

export { type LabelRecord, labelRecord } from "./label_record.ts";

/**
 * Writes records to a file, whole or not at all: parquet where its name ends in `.parquet`, otherwise JSON lines,
 * compressed as its extension says.
 *
 * @param about What a reader of the parquet file can learn about it, e.g. the tokenizer.
 * @throws {CannotError} naming the file, when it cannot be written; what the records throw passes.
 */
export async function writeLabelRecords(
  path: string,
  records: AsyncIterable<LabelRecord>,
  about: Readonly<Record<string, string>> = {},
): Promise<void> {
  if (isParquet(path)) await writeFileAtomic(path, parquetOf(records, about));
  else await writeLines(path, mapped(records, (record) => JSON.stringify(record)));
}

/** Whether a file of this name is written as parquet. */
export function isParquet(path: string): boolean {
  return path.toLowerCase().endsWith(".parquet");
}

// What is used here of hyparquet-writer.
interface SchemaElement {
  name: string;
  type?: string;
  converted_type?: string;
  repetition_type?: string;
  num_children?: number;
}
interface ParquetPackage {
  ByteWriter: new () => { index: number; getBytes(): Uint8Array };
  ParquetWriter: new (options: {
    writer: object;
    schema: SchemaElement[];
    kvMetadata: { key: string; value: string }[];
  }) => {
    write(rows: { columnData: { name: string; data: unknown[] }[]; rowGroupSize: number }): void;
    finish(): void;
  };
}

const groupValues = 1 << 20; // characters and tokens of a row group, which is what memory holds

async function* parquetOf(
  records: AsyncIterable<LabelRecord>,
  about: Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array> {
  const { ByteWriter, ParquetWriter } = await importPackage<ParquetPackage>("parquet");
  const writer = new ByteWriter();
  const taken = () => {
    const bytes = writer.getBytes().slice();
    writer.index = 0;
    return bytes;
  };
  const kvMetadata = Object.entries(about).map(([key, value]) => ({ key, value }));
  let file: InstanceType<ParquetPackage["ParquetWriter"]> | undefined;
  let rows: LabelRecord[] = [], values = 0;
  const group = () => {
    const withTokens = rows[0]!.input_ids !== undefined;
    file ??= new ParquetWriter({ writer, schema: schemaOf(withTokens), kvMetadata });
    file.write({ columnData: columnsOf(rows, withTokens), rowGroupSize: rows.length });
    rows = [];
    values = 0;
    return taken();
  };
  for await (const record of records) {
    rows.push(record);
    values += record.text.length + 2 * (record.input_ids?.length ?? 0);
    if (values >= groupValues) yield group();
  }
  if (rows.length > 0) yield group();
  if (!file) throw new CannotError("write parquet", "there are no texts", "Give one or more");
  file.finish();
  yield taken();
}

function columnsOf(
  rows: readonly LabelRecord[],
  withTokens: boolean,
): { name: string; data: unknown[] }[] {
  return [
    { name: "text", data: rows.map(({ text }) => text) },
    { name: "spans", data: rows.map(({ spans }) => spans) },
    { name: "rule", data: rows.map(({ rule = "overlap" }) => rule) },
    ...(withTokens
      ? [
        { name: "input_ids", data: rows.map(({ input_ids }) => input_ids) },
        { name: "classes", data: rows.map(({ classes }) => classes) },
      ]
      : []),
  ];
}

function schemaOf(withTokens: boolean): SchemaElement[] {
  const required = { repetition_type: "REQUIRED" } as const;
  const string = { type: "BYTE_ARRAY", converted_type: "UTF8" } as const;
  const integer = { type: "INT32" } as const;
  const list = (name: string, element: SchemaElement[]): SchemaElement[] => [
    { name, ...required, converted_type: "LIST", num_children: 1 },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    ...element,
  ];
  return [
    { name: "root", num_children: withTokens ? 5 : 3 },
    { name: "text", ...required, ...string },
    ...list("spans", [
      { name: "element", ...required, num_children: 3 },
      ...["start", "end", "risk"].map((name) => ({ name, ...required, ...integer })),
    ]),
    { name: "rule", ...required, ...string },
    ...(withTokens
      ? [
        ...list("input_ids", [{ name: "element", ...required, ...integer }]),
        ...list("classes", [
          { name: "element", ...required, ...integer, converted_type: "UINT_8" },
        ]),
      ]
      : []),
  ];
}

async function* mapped<From, To>(
  items: AsyncIterable<From>,
  change: (item: From) => To,
): AsyncGenerator<To> {
  for await (const item of items) yield change(item);
}
