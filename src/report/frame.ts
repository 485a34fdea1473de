// Rows of results as a danfo.js DataFrame, for notebooks: filter, group, describe, show.
// danfojs-node brings TensorFlow.js (about 200 MB), so it is loaded by the first call and never by
// an import of this module. It asks for one permission: --allow-env=NODE_NDEBUG.

import process from "node:process";
import type { DataFrame } from "danfojs-node";
import { CannotError } from "../base/errors.ts";
import { type Cell, renderHtmlTable, renderTable, type TableRow } from "./table.ts";

/**
 * Builds a DataFrame with one column per field, in the order of first appearance.
 *
 * @throws {CannotError} when there are no rows: danfo needs at least one to know the columns.
 */
export async function toDataFrame<Row extends TableRow<Row>>(
  rows: readonly Row[],
): Promise<DataFrame> {
  if (rows.length === 0) {
    throw new CannotError("build a DataFrame", "there are no rows", "Pass at least one row");
  }
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))] as (keyof Row)[];
  // danfo takes the columns from the first row alone, so every row gets every field.
  const complete = rows.map((row) =>
    Object.fromEntries(names.map((name) => [name, row[name] ?? null]))
  );
  const { DataFrame } = await loadDanfo();
  return new DataFrame(complete);
}

/** Count, mean, standard deviation, minimum, median, maximum and variance of numeric columns. */
export function describeFrame(frame: DataFrame): string {
  return render(frame.describe(), renderTable);
}

/** A DataFrame as an HTML table, with every cell escaped. */
export function frameToHtml(frame: DataFrame): string {
  return render(frame, renderHtmlTable);
}

type FrameRow = Record<string, Cell>;

function render(
  frame: Pick<DataFrame, "columns" | "values" | "index">,
  table: (columns: { key: string; title: string }[], rows: FrameRow[]) => string,
): string {
  // Keys are positions, because two columns of a frame may share a name.
  const columns = ["", ...frame.columns].map((title, i) => ({ key: String(i), title }));
  const rows = (frame.values as Cell[][]).map((values, i) =>
    Object.fromEntries([frame.index[i], ...values].map((cell, j) => [String(j), cell as Cell]))
  );
  return table(columns, rows);
}

let danfo: Promise<typeof import("danfojs-node")> | undefined;

function loadDanfo(): Promise<typeof import("danfojs-node")> {
  danfo ??= withoutDeprecations(() => {
    const specifier = "danfojs-node"; // a value, so that Deno downloads it only here
    return import(specifier);
  });
  return danfo;
}

/** One of its dependencies still loads Node's punycode, which warns once; nobody here can act. */
async function withoutDeprecations<T>(load: () => Promise<T>): Promise<T> {
  const before = process.noDeprecation;
  process.noDeprecation = true;
  try {
    return await load();
  } finally {
    process.noDeprecation = before;
  }
}
