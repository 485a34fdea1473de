// Rows of results as a danfo.js DataFrame, for notebooks: filter, group, describe, show.
// danfojs-node brings TensorFlow.js, so it is loaded by the first call: importing or checking this
// module downloads nothing. It asks for one permission: --allow-env=NODE_NDEBUG.

import process from "node:process";
import { CannotError } from "../base/errors.ts";
import { importPackage } from "../base/packages.ts";
import { type Cell, renderHtmlTable, renderTable, type TableRow } from "../report/table.ts";

export type { Cell, TableRow };

/**
 * The part of danfo's DataFrame that is typed here; the object has all the rest (`groupby`, `query`,
 * …). Its own types would bring Node's into every program that imports this module.
 */
export interface DataFrame {
  /** Rows, columns. */
  readonly shape: number[];
  /** Column names. */
  readonly columns: string[];
  /** Row labels. */
  readonly index: (string | number)[];
  /** Cells, row by row. */
  readonly values: unknown;
  /** One cell, by position. */
  iat(row: number, column: number): unknown;
  /** The first rows, 5 unless given. */
  head(rows?: number): DataFrame;
  /** The rows ordered by a column, ascending unless told otherwise. */
  sortValues(column: string, options?: { ascending?: boolean }): DataFrame;
  /** Statistics of the numeric columns. */
  describe(): DataFrame;
  /** Prints the frame with `console.log`. */
  print(): void;
}

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
  frame: DataFrame,
  table: (columns: { key: string; title: string }[], rows: FrameRow[]) => string,
): string {
  // Keys are positions, because two columns of a frame may share a name.
  const columns = ["", ...frame.columns].map((title, i) => ({ key: String(i), title }));
  const rows = (frame.values as Cell[][]).map((values, i) =>
    Object.fromEntries([frame.index[i], ...values].map((cell, j) => [String(j), cell as Cell]))
  );
  return table(columns, rows);
}

interface Danfo {
  DataFrame: new (rows: Record<string, unknown>[]) => DataFrame;
}

let danfo: Promise<Danfo> | undefined;

function loadDanfo(): Promise<Danfo> {
  danfo ??= withoutDeprecations(() => importPackage<Danfo>("danfo"));
  return danfo;
}

/** One of its dependencies still loads Node's punycode, which warns once; nobody here can act. */
async function withoutDeprecations<T>(load: () => Promise<T>): Promise<T> {
  const before: unknown = Reflect.get(process, "noDeprecation"); // missing from Deno's Node types
  Reflect.set(process, "noDeprecation", true);
  try {
    return await load();
  } finally {
    Reflect.set(process, "noDeprecation", before);
  }
}
