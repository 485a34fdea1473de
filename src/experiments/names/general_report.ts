// General knowledge beside the name experiment, over seeds: what training on the target authors should not harm.

import type { Interval } from "../../base/interval.ts";
import { studentInterval } from "../../eval/statistics.ts";
import { renderTable } from "../../report/table.ts";
import { baseTitle } from "../titles.ts";
import type { NameOutcome } from "./experiment.ts";
import type { GeneralKnowledge } from "./general.ts";
import { plusMinus } from "./report.ts";

/** One row of the table, over seeds. */
export interface GeneralSummary {
  /** Name of the method, or `base`. */
  method: string;
  /** Its title. */
  title: string;
  /** By the title of the questions: in percent, but the truth ratio of 0 to 1. */
  values: Record<string, Record<keyof GeneralKnowledge, Interval>>;
}

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

/** The table as text for the terminal: one column of right answers preferred, and their probability, for each set. */
export function renderGeneral(summary: readonly GeneralSummary[]): string {
  const sets = Object.keys(summary[0]?.values ?? {});
  const cell = ({ n, mean, low, high }: Interval) =>
    n > 1 ? plusMinus(mean, (high - low) / 2) : mean.toFixed(1);
  const rows = summary.map(({ title, values }) => ({
    method: title,
    ...Object.fromEntries(sets.flatMap((set) => [
      [set, cell(values[set]!.accuracy)],
      [`${set} probability`, cell(values[set]!.probability)],
    ])),
  }));
  return [
    renderTable<Record<string, string>>([
      { key: "method", title: "Method" },
      ...sets.flatMap((set) => [
        { key: set, title: `${set}: right preferred`, unit: "%", align: "right" } as const,
        { key: `${set} probability`, title: "its probability", unit: "%", align: "right" } as const,
      ]),
    ], rows),
    "What training should not harm: the right answer among all that TOFU gives, by p^(1/n). ± is Student's 95 % interval over seeds.",
  ].join("\n");
}
