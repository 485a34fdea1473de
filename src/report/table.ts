// Tables of results: aligned text for the terminal, Markdown for the README, HTML for notebooks.
// One list of columns serves all three; numbers stand right, with a fixed number of decimals, so
// that their points line up.

import type { Interval } from "../base/interval.ts";

/** A value a table can show; `null` and `undefined` show as a dash. */
export type Cell = string | number | boolean | null | undefined;

/** One column over rows of type `Row`. */
export interface Column<Row> {
  /** The field of the row. */
  key: keyof Row & string;
  /** The heading; the key unless given. */
  title?: string;
  /** Stands in brackets behind the heading, e.g. `%` or `ms`. */
  unit?: string;
  /** Decimals of numbers; unless given, integers show whole and others with 4 significant digits. */
  precision?: number;
  /** The side; unless given, right if every value is a number. */
  align?: "left" | "right";
}

/** Rows whose fields are all cells. */
export type TableRow<Row> = { [Key in keyof Row]: Cell };

/** A number and half the width of its interval, `1.0 ± 0.2`, where several values are behind it. @param factor 100 for percent. */
export function intervalCell(
  { mean, low, high, n }: Interval,
  decimals: number,
  factor = 1,
): string {
  const half = n > 1 ? ` ± ${(factor * (high - low) / 2).toFixed(decimals)}` : "";
  return (factor * mean).toFixed(decimals).replace("-", "−") + half;
}

/** A table for the terminal: headings, a rule, then one line per row; columns two spaces apart. */
export function renderTable<Row extends TableRow<Row>>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): string {
  const table = layOut(columns, rows);
  const widths = table.headings.map((heading, i) =>
    Math.max(displayWidth(heading), ...table.body.map((cells) => displayWidth(cells[i]!)))
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => pad(cell, widths[i]!, table.right[i]!)).join("  ").trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [line(table.headings), rule, ...table.body.map(line)].join("\n");
}

/** The same table in Markdown, its columns as wide as `deno fmt` makes them; `|` and line ends in cells are escaped. */
export function renderMarkdownTable<Row extends TableRow<Row>>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): string {
  const table = layOut(columns, rows);
  const escape = (cell: string) => cell.replace(/[\\|]/g, "\\$&").replace(/\r?\n/g, "<br>");
  const lines = [table.headings, ...table.body].map((cells) => cells.map(escape));
  const widths = table.right.map((right, i) =>
    Math.max(right ? 4 : 3, ...lines.map((cells) => displayWidth(cells[i]!)))
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => pad(cell, widths[i]!, table.right[i]!)).join(" | ")} |`;
  const rule = table.right.map((right, i) =>
    right ? `${"-".repeat(widths[i]! - 1)}:` : "-".repeat(widths[i]!)
  );
  return [line(lines[0]!), line(rule), ...lines.slice(1).map(line)].join("\n");
}

/** The same table in HTML; every cell is escaped. */
export function renderHtmlTable<Row extends TableRow<Row>>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): string {
  const table = layOut(columns, rows);
  const line = (tag: "th" | "td") => (cells: readonly string[]) =>
    `<tr>${
      cells.map((cell, i) =>
        `<${tag} style="text-align:${table.right[i] ? "right" : "left"}">${
          escapeHtml(cell)
        }</${tag}>`
      ).join("")
    }</tr>`;
  return [
    "<table>",
    `<thead>${line("th")(table.headings)}</thead>`,
    "<tbody>",
    ...table.body.map(line("td")),
    "</tbody>",
    "</table>",
  ].join("\n");
}

/** Makes any text safe inside an HTML element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

interface Layout {
  headings: string[];
  body: string[][];
  right: boolean[];
}

function layOut<Row extends TableRow<Row>>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): Layout {
  return {
    headings: columns.map(({ key, title = key, unit }) => unit ? `${title} (${unit})` : title),
    body: rows.map((row) => columns.map(({ key, precision }) => formatCell(row[key], precision))),
    right: columns.map(({ key, align }) => align ? align === "right" : isNumeric(rows, key)),
  };
}

function isNumeric<Row extends TableRow<Row>>(rows: readonly Row[], key: keyof Row): boolean {
  const present = rows.map((row) => row[key] as Cell).filter((cell) => cell != null);
  return present.length > 0 && present.every((cell) => typeof cell === "number");
}

/** A cell as text: `precision` decimals, or 4 significant digits for what is no integer. */
export function formatCell(cell: Cell, precision?: number): string {
  if (cell == null) return "–";
  if (typeof cell !== "number" || !Number.isFinite(cell)) return String(cell);
  if (precision !== undefined) return cell.toFixed(precision);
  return Number.isInteger(cell) ? String(cell) : String(Number(cell.toPrecision(4)));
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const wide =
  /^[\p{Emoji_Presentation}\p{sc=Han}\p{sc=Hangul}\p{sc=Hiragana}\p{sc=Katakana}\u3000-\u303e\uff01-\uff60]|\ufe0f$/u;

/** Columns a text takes in a terminal: 2 for East Asian wide characters and emoji, 0 for marks. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (/^[\p{Cc}\p{Cf}\p{Mark}]+$/u.test(segment)) continue;
    width += wide.test(segment) ? 2 : 1;
  }
  return width;
}

function pad(cell: string, width: number, right: boolean): string {
  const space = " ".repeat(width - displayWidth(cell));
  return right ? space + cell : cell + space;
}
