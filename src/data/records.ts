// Records from a file: JSON, one object a line, plain or compressed and read as a stream, or an array of objects in a .json
// file; the rows of a .csv file, whose fields are texts; or those of a .parquet file. Every error names the file and the line or row, because a data set with one bad line among a million is the
// usual case, and a line that is skipped in silence changes the experiment.

import { describeBytes } from "../base/bytes.ts";
import { CannotError } from "../base/errors.ts";
import { parseJson } from "../base/json.ts";
import { readCsv } from "./csv.ts";
import type { Fields } from "./fields.ts";
import { malformed, type ReadingOptions, readLines } from "./lines.ts";
import { readParquet } from "./parquet.ts";

export { type Fields, numberField, stringField, stringsField } from "./fields.ts";

const recordFile = /\.(jsonl?(\.gz|\.zst)?|csv(\.gz|\.zst)?|parquet)$/i;

/** Whether a file of this name holds records, as {@linkcode readRecords} reads them. */
export function isRecordFile(name: string): boolean {
  return recordFile.test(name);
}

/**
 * One record for each object of a file, or for each row of a `.csv` or `.parquet` one; blank lines are passed over. A `.json` file that begins with `[` is an array of
 * objects; others of that name are read as lines, since some data sets, TOFU among them, call JSON lines so.
 *
 * @param parse Makes the record from its fields and from where they stand (`"data.jsonl" line 7`); `undefined` leaves it
 * out. A {@linkcode CannotError} that it throws makes the line malformed.
 * @throws {CannotError} naming the file when it cannot be read, and the line that is not UTF-8, no JSON object or refused
 * by `parse`, unless `onMalformed` takes it.
 */
export async function* readRecords<Record>(
  path: string,
  parse: (fields: Fields, where: string) => Record | undefined,
  options: ReadingOptions = {},
): AsyncGenerator<Record> {
  if (/\.(parquet|csv(\.gz|\.zst)?)$/i.test(path)) {
    const rows = path.toLowerCase().endsWith(".parquet") ? readParquet : readAnyCsv;
    for await (const { fields, where } of rows(path, options)) {
      const record = attempt(options, where, () => parse(fields, where));
      if (record !== undefined) yield record;
    }
    return;
  }
  let array: string[] | undefined, units = 0; // of a .json file
  let first = true;
  for await (const { text, where } of readLines(path, options)) {
    if (text.trim() === "") continue;
    if (first && isJsonName.test(path) && text.trimStart().startsWith("[")) array = [];
    first = false;
    if (array) {
      array.push(text);
      units += text.length + 1;
      if (units > LONGEST_ARRAY) {
        const why = `its array is longer than ${describeBytes(LONGEST_ARRAY)}`;
        throw new CannotError(`read "${path}"`, why, "Write one object a line, as .jsonl");
      }
      continue;
    }
    const record = attempt(options, where, () => parse(parseObject(text), where));
    if (record !== undefined) yield record;
  }
  if (!array) return;
  for (const [i, value] of parseArray(array.join("\n"), path).entries()) {
    const where = `"${path}" row ${i + 1}`;
    const record = attempt(options, where, () => parse(asObject(value), where));
    if (record !== undefined) yield record;
  }
}

const readAnyCsv = (path: string, options: ReadingOptions) => readCsv(path, [], options);

const LONGEST_ARRAY = 2 ** 26; // it is parsed as a whole
const isJsonName = /\.json(\.gz|\.zst)?$/;

// Why a line is no record; where it stands is known further out.
class Unreadable extends Error {}

function attempt<Record>(
  options: ReadingOptions,
  where: string,
  read: () => Record,
): Record | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Unreadable) malformed(options, where, error.message, error.cause);
    else if (error instanceof CannotError && options.onMalformed) options.onMalformed(error);
    else throw error;
    return undefined;
  }
}

function parseObject(text: string): Fields {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw new Unreadable((cause as Error).message, { cause });
  }
  return asObject(value);
}

function asObject(value: unknown): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Unreadable("it is not a JSON object");
}

function parseArray(text: string, path: string): unknown[] {
  try {
    return parseJson(text) as unknown[]; // it begins with a bracket
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CannotError(`read "${path}"`, why, "Check that it is JSON", { cause });
  }
}
