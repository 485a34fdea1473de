// Methods in pairs as rows of a table, whatever they are compared on in percent.

import { differenceTest, showP, type TestedDifference } from "../eval/comparison.ts";
import { intervalCell, renderTable } from "../report/table.ts";

/** Two methods on one measure. */
export interface ComparedPair extends TestedDifference {
  /** Name of the method, or `base`. */
  first: string;
  /** The one that is subtracted. */
  second: string;
  /** The name of the measure. */
  on: string;
}

/** Cells of a pair. */
export interface ComparedRow {
  /** Title of a method. */
  first: string;
  /** Title of the one that is subtracted. */
  second: string;
  /** What they are compared on, in words. */
  on: string;
  /** With its interval, in points of percent. */
  difference: string;
  /** After Holm's correction. */
  p: string;
  /** What the test says. */
  differs: "yes" | "not shown" | "one seed";
}

/**
 * The comparisons as rows of a table.
 *
 * @param rows Those of the summary, which have the titles of methods.
 * @param measures Words for each measure.
 */
export function comparedRows(
  comparisons: readonly ComparedPair[],
  rows: readonly { method: string; title: string }[],
  measures: Readonly<Record<string, string>>,
): ComparedRow[] {
  const titles = new Map(rows.map(({ method, title }) => [method, title]));
  return comparisons.map(({ first, second, on, difference, adjusted, separates }) => ({
    first: titles.get(first)!,
    second: titles.get(second)!,
    on: measures[on]!,
    difference: intervalCell(difference, 1),
    p: showP(adjusted),
    differs: separates === null ? "one seed" : separates ? "yes" : "not shown",
  }));
}

/** The columns of {@linkcode comparedRows}. */
export const comparedColumns = [
  { key: "first", title: "method" },
  { key: "second", title: "minus" },
  { key: "on" },
  { key: "difference", title: "points", align: "right" },
  { key: "p", align: "right" },
  { key: "differs" },
] as const;

/** The rows as text for the terminal. */
export function renderComparisons(rows: readonly ComparedRow[]): string {
  return [renderTable(comparedColumns, rows), `Methods are compared ${differenceTest}.`].join("\n");
}
