// What the reports of training runs and of experiments share.

import { CannotError } from "../src/base/errors.ts";
import { shellWord } from "../src/base/words.ts";
import { type Html, html } from "../src/report/html.ts";
import { pageFigure, pageTable } from "../src/report/page.ts";
import { type PlotSpec, renderPlot } from "../src/report/plot.ts";

/** Stands where a model ended at once. */
export const nothing: Html = html`<span class="faint">(nothing)</span>`;

/** A figure of some points; none where there are no points, and a line where the plotting library cannot be had. */
export async function drawn<Point>(
  points: readonly Point[],
  plot: (points: readonly Point[]) => PlotSpec,
  caption: string,
): Promise<Html[]> {
  if (points.length === 0) return [];
  try {
    return [pageFigure(await renderPlot(plot(points)), caption)];
  } catch (error) {
    if (!(error instanceof CannotError)) throw error;
    return [html`<p class="faint">No figure here: ${error.message}</p>`];
  }
}

/** The settings of several runs side by side; those that differ come first. */
export function settingsTable(
  runs: readonly (readonly [name: string, settings: Readonly<Record<string, unknown>>])[],
): Html {
  const show = (value: unknown) =>
    value === undefined || value === null
      ? "–"
      : typeof value === "string"
      ? value
      : JSON.stringify(value);
  const names = [...new Set(runs.flatMap(([, settings]) => Object.keys(settings)))];
  const rows = names.map((name) => [name, ...runs.map(([, settings]) => show(settings[name]))]);
  const differs = ([, ...values]: string[]) => new Set(values).size > 1;
  const table = (some: string[][]) => pageTable(["Setting", ...runs.map(([name]) => name)], some);
  const different = rows.filter(differs), same = rows.filter((row) => !differs(row));
  if (runs.length === 1) return table(rows);
  return html`<h3>Where they differ</h3>${
    different.length > 0 ? table(different) : html`<p>Nowhere.</p>`
  }<h3>What they share</h3>${pageTable(["Setting", "Value"], same.map((row) => row.slice(0, 2)))}`;
}

/** The command that a process was started with, to be typed again: `train.ts` is `deno task train`. */
export function commandToRepeat([script = "", ...args]: readonly string[]): string {
  const name = script.replace(/\.ts$/, "").replaceAll("_", "-");
  return ["deno task", name, ...args.map(shellWord)].join(" ");
}
