// Comma-separated values as RFC 4180 has them, strictly: a field may stand in double quotes, then it
// may hold commas, line breaks and doubled quotes. Every row has as many fields as the header names;
// spreadsheets and pandas write this, and a quote that is never closed would swallow the file.

import { CannotError } from "../base/errors.ts";
import { malformed, type ReadingOptions, readLines } from "./lines.ts";

/** One row of a file. */
export interface CsvRow {
  /** Its fields, by the names in the header. */
  fields: { [column: string]: string };
  /** Where its first line is, for messages: `"comments.csv" line 7`. */
  where: string;
}

const LONGEST_ROW = 1 << 24; // UTF-16 units, which bounds what an open quote can swallow

/**
 * The rows of a CSV file with a header, plain or compressed.
 *
 * @param columns Names that the header must have.
 * @throws {CannotError} naming the file, when a column is missing or a quote is never closed, and
 * the line, when a row is malformed and there is no `onMalformed`.
 */
export async function* readCsv(
  path: string,
  columns: readonly string[],
  options: ReadingOptions = {},
): AsyncGenerator<CsvRow> {
  let header: string[] | undefined;
  let text = "", where = "", open = false; // the row at hand, and whether it ends within quotes
  for await (const line of readLines(path, options)) {
    if (!open) [text, where] = [line.text, line.where];
    else text += `\n${line.text}`;
    open = oddQuotes(line.text) !== open;
    if (open && text.length <= LONGEST_ROW) continue;
    if (open) throw unclosed(where);
    if (text === "") continue;
    const fields = splitRow(text);
    if (typeof fields === "string") {
      malformed(options, where, fields);
    } else if (header === undefined) {
      header = fields;
      checkHeader(header, columns, path);
    } else if (fields.length !== header.length) {
      malformed(options, where, `it has ${fields.length} fields, the header ${header.length}`);
    } else {
      yield {
        fields: Object.fromEntries(header.map((name, i) => [name, fields[i]!])),
        where,
      };
    }
  }
  if (open) throw unclosed(where);
  if (header === undefined) checkHeader([], columns, path);
}

/** The fields of a row, or what is wrong with it. */
function splitRow(text: string): string[] | string {
  const fields: string[] = [];
  for (let at = 0;; at++) { // past the comma
    if (text[at] !== '"') {
      const comma = text.indexOf(",", at), end = comma < 0 ? text.length : comma;
      const field = text.slice(at, end);
      if (field.includes('"')) {
        return `field ${fields.length + 1} has a quote, but does not begin with one`;
      }
      fields.push(field);
      at = end;
    } else {
      let end = at + 1;
      while (text[end] !== '"' || text[end + 1] === '"') end += text[end] === '"' ? 2 : 1;
      fields.push(text.slice(at + 1, end).replaceAll('""', '"'));
      at = end + 1;
      if (at < text.length && text[at] !== ",") {
        return `field ${fields.length} goes on after its closing quote`;
      }
    }
    if (at >= text.length) return fields;
  }
}

function oddQuotes(text: string): boolean {
  let odd = false;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) odd = !odd;
  return odd;
}

function checkHeader(header: readonly string[], columns: readonly string[], path: string): void {
  const missing = columns.find((column) => !header.includes(column));
  if (missing === undefined) return;
  throw new CannotError(
    `read "${path}"`,
    `it has no column "${missing}"; its header is "${header.join(",")}"`,
    "Give the file as its publisher wrote it",
  );
}

function unclosed(where: string): CannotError {
  return new CannotError(
    `read ${where}`,
    "it opens a quote that is not closed",
    'Close it, or double it ("") if it belongs to the text',
  );
}
