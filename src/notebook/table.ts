// Rows or a danfo DataFrame as a table: HTML in a notebook, aligned text in a terminal.

import { checkOptions, decimals, listOf, object, wholeNumber } from "../base/options.ts";
import {
  type Cell,
  type Column,
  renderHtmlTable,
  renderTable,
  type TableRow,
} from "../report/table.ts";
import { type Displayable, displayable } from "./display.ts";

/** How to show a table. */
export interface ShowTableOptions<Row> {
  /** Which fields, in which order, with what headings; every field unless given. Of plain rows only. */
  columns?: readonly Column<Row>[];
  /** Rows to show at most, 50 unless given; what is left out is counted below the table. */
  limit?: number;
  /** Decimals of columns that do not say otherwise, unless all their numbers are integers. */
  precision?: number;
}

/** The part of a danfo DataFrame that is read here. */
export interface Frame {
  /** Column names. */
  readonly columns: readonly string[];
  /** Row labels. */
  readonly index: readonly (string | number)[];
  /** Cells, row by row. */
  readonly values: unknown;
}

/** Shows rows, or a DataFrame with its index, as a table. */
export function showTable<Row extends TableRow<Row>>(
  data: readonly Row[] | Frame,
  options: ShowTableOptions<Row> = {},
): Displayable {
  checkOptions<ShowTableOptions<Row>>("show a table", options, {
    columns: listOf(object),
    limit: wholeNumber({ min: 0 }),
    precision: decimals,
  });
  const { columns, rows } = "columns" in data
    ? fromFrame(data)
    : { columns: options.columns ?? columnsOf(data), rows: data };
  return render<Row>(columns as readonly Column<Row>[], rows as readonly Row[], options);
}

function render<Row extends TableRow<Row>>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { limit = 50, precision }: ShowTableOptions<Row>,
): Displayable {
  const shown = rows.slice(0, limit);
  const whole = (key: keyof Row) =>
    rows.every((row) => typeof row[key] !== "number" || Number.isInteger(row[key]));
  const exact = columns.map((column) =>
    precision === undefined || whole(column.key) ? column : { precision, ...column }
  );
  const more = rows.length > limit ? `and ${rows.length - limit} more rows` : "";
  return displayable({
    html: renderHtmlTable(exact, shown) + (more && `\n<p>… ${more}</p>`),
    text: renderTable(exact, shown) + (more && `\n… ${more}`),
  });
}

function columnsOf<Row>(rows: readonly Row[]): Column<Row>[] {
  const keys = new Set(rows.flatMap((row) => Object.keys(row as object)));
  return [...keys].map((key) => ({ key: key as keyof Row & string }));
}

type FrameRow = Record<string, Cell>;

// Keys are positions, because two columns of a frame may share a name.
function fromFrame({ columns, index, values }: Frame): {
  columns: Column<FrameRow>[];
  rows: FrameRow[];
} {
  return {
    columns: ["", ...columns].map((title, i) => ({ key: String(i), title })),
    rows: (values as Cell[][]).map((cells, i) =>
      Object.fromEntries([index[i], ...cells].map((cell, j) => [String(j), cell as Cell]))
    ),
  };
}
