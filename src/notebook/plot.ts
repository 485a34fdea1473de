// A Vega-Lite figure, drawn without a browser. Only the picture is sent, because Deno's kernel labels a Vega-Lite 6
// specification as another format, and frontends differ in what they draw; the data follow as text.

import { CannotError } from "../base/errors.ts";
import { checkOptions, text, wholeNumber } from "../base/options.ts";
import { renderPlot } from "../report/plot.ts";
import { type Cell, type Column, escapeHtml, renderTable } from "../report/table.ts";
import { type Displayable, displayable } from "./display.ts";

/** How to describe a figure to those who do not see it. */
export interface ShowPlotOptions {
  /** What the figure shows, in a sentence; its title unless given. */
  alternative?: string;
  /** Rows of its data in the text, at most; 12 unless given. */
  limit?: number;
}

/** A Vega-Lite specification. */
export type Spec = Readonly<Record<string, unknown>>;

/**
 * Draws a Vega-Lite specification whose data are inline (`tradeOffPlot`, `lossCurves`, `groupedBars`, or your own).
 *
 * @throws {CannotError} when the specification cannot be drawn, or Vega cannot be had.
 */
export async function showPlot(
  spec: Spec,
  options: ShowPlotOptions = {},
): Promise<Displayable> {
  checkOptions("show a plot", options, { alternative: text, limit: wholeNumber({ min: 0 }) });
  const { alternative = titleOf(spec), limit = 12 } = options;
  const svg = await renderPlot(spec).catch((cause) => {
    throw new CannotError(
      "draw the figure",
      cause.message,
      "Compare the specification with Vega-Lite's",
      {
        cause,
      },
    );
  });
  const label = `<svg role="img" aria-label="${escapeHtml(alternative)}"`;
  return displayable({
    svg: svg.replace("<svg", label),
    text: [alternative, ...dataTables(spec, limit)].join("\n\n"),
  });
}

function titleOf({ title }: Spec): string {
  if (typeof title === "string" && title) return title;
  const text = (title as { text?: unknown } | undefined)?.text;
  return typeof text === "string" ? text : "Figure";
}

/** The inline values as a table of the fields that axes, colours and texts show. */
function dataTables(spec: Spec, limit: number): string[] {
  const tables = parts(spec).flatMap((part) => {
    const values = (part.data as { values?: unknown } | undefined)?.values;
    if (!Array.isArray(values) || values.length === 0) return [];
    const used = new Set(parts(part).flatMap(fieldsOf));
    const keys = Object.keys(values[0]).filter((key) => used.size === 0 || used.has(key));
    const columns: Column<Record<string, Cell>>[] = keys.map((key) => ({ key }));
    const more = values.length > limit ? `\n… and ${values.length - limit} more` : "";
    const text = renderTable(columns, values.slice(0, limit)) + more;
    return [{ cells: values.length * keys.length, text }];
  });
  // Layers repeat parts of the data (a line through some points, a label for each): the largest table has them all.
  const largest = tables.toSorted((a, b) => b.cells - a.cells)[0];
  return largest ? [largest.text] : [];
}

/** The specification and everything nested in it by layers and concatenation. */
function parts(spec: Spec): Spec[] {
  const nested = ["layer", "hconcat", "vconcat", "concat"].flatMap((key) =>
    (spec[key] ?? []) as Spec[]
  );
  const inner = spec.spec ? [spec.spec as Spec] : [];
  return [spec, ...[...nested, ...inner].flatMap(parts)];
}

function fieldsOf({ encoding }: Spec): string[] {
  return Object.values((encoding ?? {}) as Record<string, { field?: unknown }>)
    .flatMap(({ field }) => typeof field === "string" ? [field] : []);
}
