// General knowledge beside the name experiment, over seeds: what training on the target authors should not harm.

import type { Interval } from "../../base/interval.ts";
import { studentInterval } from "../../eval/statistics.ts";
import { type Column, intervalCell, renderTable } from "../../report/table.ts";
import { baseTitle } from "../titles.ts";
import type { NameOutcome } from "./experiment.ts";
import type { GeneralKnowledge } from "./general.ts";

/** One row of the table, over seeds. */
export interface GeneralSummary {
  /** Name of the method, or `base`. */
  method: string;
  /** Its title. */
  title: string;
  /** By the title of the questions: in percent, but the truth ratio of 0 to 1. */
  values: Record<string, Record<keyof GeneralKnowledge, Interval>>;
}

/** Cells by the keys of the {@linkcode generalColumns}. */
export type GeneralRow = Record<string, string>;

/** Sums outcomes up over seeds; empty where no such questions were asked. */
export function summariseGeneral(outcomes: readonly NameOutcome[]): GeneralSummary[] {
  const asked = outcomes.flatMap(({ run: { method }, stages }) => {
    const { general } = stages.at(-1)!.results;
    return general
      ? [{ method: method?.name ?? "base", title: method?.title ?? baseTitle, general }]
      : [];
  });
  return [...Map.groupBy(asked, ({ method }) => method)].map(([method, group]) => {
    const over = (questions: string, measure: keyof GeneralKnowledge) => {
      const scale = measure === "truthRatio" ? 1 : 100;
      return studentInterval(group.map(({ general }) => scale * general[questions]![measure]));
    };
    const values = Object.keys(group[0]!.general).map((questions) =>
      [questions, {
        accuracy: over(questions, "accuracy"),
        probability: over(questions, "probability"),
        truthRatio: over(questions, "truthRatio"),
      }] as const
    );
    return { method, title: group[0]!.title, values: Object.fromEntries(values) };
  });
}

/** A column of right answers preferred, and one of their probability, for each set of questions. */
export function generalColumns(summary: readonly GeneralSummary[]): Column<GeneralRow>[] {
  return [
    { key: "method", title: "Method" },
    ...Object.keys(summary[0]?.values ?? {}).flatMap((set) => [
      { key: set, title: `${set}: right preferred`, unit: "%", align: "right" } as const,
      { key: `${set} probability`, title: "its probability", unit: "%", align: "right" } as const,
    ]),
  ];
}

/** The cells of the {@linkcode generalColumns}. */
export function generalRows(summary: readonly GeneralSummary[]): GeneralRow[] {
  return summary.map(({ title, values }) => ({
    method: title,
    ...Object.fromEntries(
      Object.entries(values).flatMap(([set, { accuracy, probability }]) => [
        [set, intervalCell(accuracy, 1)],
        [`${set} probability`, intervalCell(probability, 1)],
      ]),
    ),
  }));
}

/** What the numbers are. */
export const generalMeaning: string =
  "What training should not harm: the right answer among all that TOFU gives, by p^(1/n). ± is Student's 95 % interval over seeds.";

/** The table as text for the terminal. */
export function renderGeneral(summary: readonly GeneralSummary[]): string {
  return [renderTable(generalColumns(summary), generalRows(summary)), generalMeaning].join("\n");
}
