// Rows of JSON from a file: one object a line (.jsonl, read as a stream), or an array of objects in
// a .json file. Every error names the file and the line or row, because a data set with one bad line
// among a million is the usual case, and a line that is skipped silently changes the experiment.

import { CannotError } from "../base/errors.ts";
import { readJson } from "../base/files.ts";

/** One object of a file. */
export interface JsonRow {
  /** The object. */
  row: Record<string, unknown>;
  /** The line in a .jsonl file, the row in a .json array, counted from 1. */
  line: number;
  /** Where this is, for messages: `"data.jsonl" line 7` or `"data.json" row 7`. */
  where: string;
}

/**
 * Reads the objects of a `.jsonl` file (a byte order mark, CRLF and blank lines are tolerated) or of
 * an array in a `.json` file. Some data sets, TOFU among them, call JSON lines `.json`: a `.json`
 * file that does not begin with `[` is read as lines.
 *
 * @throws {CannotError} naming the file and the line, when one is not a JSON object.
 */
export async function* readJsonRows(path: string): AsyncGenerator<JsonRow> {
  if (path.endsWith(".json") && await beginsWithBracket(path)) {
    const rows = await readJson(path) as unknown[];
    for (const [i, row] of rows.entries()) {
      const where = `"${path}" row ${i + 1}`;
      yield { row: asObject(row, where), line: i + 1, where };
    }
    return;
  }
  const decoder = new TextDecoder("utf-8", { fatal: true }); // drops a byte order mark
  let line = 0;
  for await (const bytes of linesOf(path)) {
    line++;
    const where = `"${path}" line ${line}`;
    let row: unknown;
    try {
      const text = decoder.decode(bytes);
      if (text.trim() === "") continue;
      row = JSON.parse(text);
    } catch (cause) {
      const why = (cause as Error).message;
      throw new CannotError(`read ${where}`, why, "Correct or remove the line", { cause });
    }
    yield { row: asObject(row, where), line, where };
  }
}

/** The text in a field. @throws {CannotError} naming file, line and field, when it is not a string. */
export function stringField(row: Record<string, unknown>, name: string, where: string): string {
  const value = row[name];
  if (typeof value === "string") return value;
  throw wrongField(row, name, where, "a string");
}

/** The number in a field. @throws {CannotError} naming file, line and field, when it is none. */
export function numberField(row: Record<string, unknown>, name: string, where: string): number {
  const value = row[name];
  if (typeof value === "number") return value;
  throw wrongField(row, name, where, "a number");
}

/** The list of texts in a field. @throws {CannotError} naming file, line and field, when it is none. */
export function stringsField(row: Record<string, unknown>, name: string, where: string): string[] {
  const value = row[name];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw wrongField(row, name, where, "a list of strings");
}

function wrongField(
  row: Record<string, unknown>,
  name: string,
  where: string,
  expected: string,
): CannotError {
  const why = Object.hasOwn(row, name)
    ? `field "${name}" is not ${expected}`
    : `field "${name}" is missing`;
  return new CannotError(`read ${where}`, why, `Give it ${expected}, or remove the row`);
}

function asObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new CannotError(`read ${where}`, "it is not a JSON object", "Write it as {…} or remove it");
}

async function beginsWithBracket(path: string): Promise<boolean> {
  using file = await open(path);
  const head = new Uint8Array(1024);
  const length = await file.read(head) ?? 0;
  return new TextDecoder().decode(head.subarray(0, length)).trimStart().startsWith("[");
}

async function open(path: string): Promise<Deno.FsFile> {
  return await Deno.open(path).catch((cause) => {
    const why = cause instanceof Deno.errors.NotFound ? "there is no such file" : cause.message;
    throw new CannotError(`read "${path}"`, why, "Check the path and its permissions", { cause });
  });
}

/** The lines of a file as bytes, without their line feeds. */
async function* linesOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  let parts: Uint8Array[] = []; // of a line that spans several chunks
  for await (const chunk of file.readable) {
    let start = 0;
    for (let end; (end = chunk.indexOf(0x0a, start)) >= 0; start = end + 1) {
      yield joined([...parts, chunk.subarray(start, end)]);
      parts = [];
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
  if (parts.length > 0) yield joined(parts);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
