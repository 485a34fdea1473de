// The toxicity experiment's methods in pairs: what they generate, by seed and prompt, and what they understand, by seed and
// by what the probe's sentences are about. All pairs of one amount of risky data are corrected together; so is all that more
// of it changes, and all that instruction tuning does.

import type { Method } from "../../data/method.ts";
import {
  differenceTest,
  type ItemValues,
  showP,
  type TestedDifference,
  testTogether,
} from "../../eval/comparison.ts";
import { intervalCell } from "../../report/table.ts";
import type { ToxicityResults } from "./evaluation.ts";
import type { ToxicityOutcome } from "./experiment.ts";
import { mainAmount, type ToxicityStage } from "./summary.ts";

/** Mean score of the continuations, or the AUROC of the probes. */
export type ComparedMeasure = "toxicity" | "auroc";

/** Two methods on one measure. */
export interface ToxicityComparison extends TestedDifference {
  /** One method. */
  first: Method;
  /** The one that is subtracted. */
  second: Method;
  /** What is compared. */
  on: ComparedMeasure;
  /** Multiple of the share of risky data. */
  amount: number;
}

/** What more risky data, or instruction tuning, changes in a method: after minus before. */
export interface ToxicityChange extends TestedDifference {
  /** The method. */
  method: Method;
  /** Another one whose own change is subtracted, where two changes are compared. */
  beyond?: Method;
  /** What changes. */
  on: ComparedMeasure;
}

const measures = ["toxicity", "auroc"] as const;

/**
 * Compares every method with those before it.
 *
 * @param stage `trained`, or `tuned` for the models after instruction tuning: those without it are left out.
 */
export function compareToxicity(
  outcomes: readonly ToxicityOutcome[],
  stage: ToxicityStage = "trained",
): ToxicityComparison[] {
  const amounts = amountsOf(outcomes);
  return [...amounts.length > 0 ? amounts : [0]].flatMap((amount) => {
    const rows = methodsAt(outcomes, amount, stage);
    return testTogether(
      rows.flatMap((first, i) =>
        rows.slice(0, i).flatMap((second) =>
          measures.map((on) => ({
            labels: { first: first.method, second: second.method, on, amount },
            first: first.items[on],
            second: second.items[on],
          }))
        )
      ),
    );
  });
}

/**
 * What the largest amount of risky data changes against the smallest (Figure 3), for every method that takes some, and for
 * every two of them by how much it changes one more than the other; nothing for a single amount.
 */
export function compareAmounts(outcomes: readonly ToxicityOutcome[]): ToxicityChange[] {
  const amounts = amountsOf(outcomes).sort((a, b) => a - b);
  if (amounts.length < 2) return [];
  const taking = outcomes.filter(({ run }) => run.amount! > 0);
  const most = methodsAt(taking, amounts.at(-1)!, "trained");
  const least = methodsAt(taking, amounts[0]!, "trained");
  const rows = most.map(({ method, items }, i) => ({ method, items, before: least[i]!.items }));
  return testTogether(measures.flatMap((on) =>
    rows.flatMap(({ method, items, before }, i) => [
      { labels: { method, on }, first: items[on], second: before[on] },
      ...rows.slice(0, i).map((other) => ({
        labels: { method, beyond: other.method, on },
        first: changes(items[on], before[on]),
        second: changes(other.items[on], other.before[on]),
      })),
    ])
  ));
}

/** What instruction tuning changes in every method at the main amount (Figure 2b); nothing without it. */
export function compareTuning(outcomes: readonly ToxicityOutcome[]): ToxicityChange[] {
  const amount = mainAmount(outcomes.map(({ run }) => run.amount!));
  const before = methodsAt(outcomes, amount, "trained");
  return testTogether(
    measures.flatMap((on) =>
      methodsAt(outcomes, amount, "tuned").map(({ method, items }) => ({
        labels: { method, on },
        first: items[on],
        second: before.find((own) => own.method.name === method.name)!.items[on],
      }))
    ),
  );
}

/** The positive ones, in the order in which they first appear. */
function amountsOf(outcomes: readonly ToxicityOutcome[]): number[] {
  return [...new Set(outcomes.map(({ run }) => run.amount!).filter((amount) => amount > 0))];
}

/** What every method scored after a stage, by seed and item: those of an amount, and those that take no risky data. */
function methodsAt(
  outcomes: readonly ToxicityOutcome[],
  amount: number,
  stage: ToxicityStage,
): { method: Method; items: Record<ComparedMeasure, ItemValues> }[] {
  const measured = outcomes.flatMap(({ run, stages }) => {
    const found = stages.find(({ name }) => name === stage);
    const isMeant = run.amount === amount || run.amount === 0;
    return found && isMeant ? [{ method: run.method!, results: found.results }] : [];
  });
  const byMethod = Map.groupBy(measured, ({ method }) => method.name);
  return Array.from(byMethod.values(), (bySeed) => {
    const over = (items: (results: ToxicityResults) => readonly (number | null)[]) =>
      bySeed.map(({ results }) => items(results));
    return {
      method: bySeed[0]!.method,
      items: {
        toxicity: over(({ toxicity }) => toxicity.byPrompt),
        auroc: over(({ probe }) => probe.placements),
      },
    };
  });
}

function changes(after: ItemValues, before: ItemValues): ItemValues {
  return after.map((items, seed) =>
    items.map((value, i) => {
      const other = before[seed]![i];
      return value === null || other == null ? null : value - other;
    })
  );
}

/** One of the paper's claims about SLUNG: less toxicity than the toxic baseline, more understanding than the others. */
export function isClaim({ first, second, on }: ToxicityComparison): boolean {
  return ["masked", "unlikelihood"].includes(first.name) &&
    (on === "toxicity" ? ["toxic"] : ["control", "low_risk", "toxic"]).includes(second.name);
}

/** One line about a claim. */
export function describeClaim(comparison: ToxicityComparison): string {
  const { first, second, on, amount } = comparison;
  const claim = on === "toxicity" ? "generates less toxicity than" : "understands more than";
  const times = amount === 1 ? "" : ` at ${amount} × the risky data`;
  const asked = `${first.title} ${claim} ${second.title}${times}`;
  return `${asked}: ${verdict(comparison, on === "toxicity" ? -1 : 1)}`;
}

/** One line about a change. @param by What makes it: more risky data, or instruction tuning. */
export function describeChange(change: ToxicityChange, by: "amount" | "tuning"): string {
  const { method, beyond, on } = change;
  const cause = by === "amount" ? "More risky data" : "Instruction tuning";
  const what = on === "toxicity" ? "toxicity" : "understanding";
  const more = beyond ? ` more than that of ${beyond.title}` : "";
  return `${cause} raises the ${what} of ${method.title}${more}: ${verdict(change, 1)}`;
}

/** A line about each of the paper's claims among comparisons, and how they were compared. */
export function claimLines(comparisons: readonly ToxicityComparison[]): string[] {
  const lines = comparisons.filter(isClaim).map(describeClaim);
  return lines.length > 0 ? [...lines, `Compared ${differenceTest}.`] : [];
}

// Whether a difference has the sign that it should have, and its numbers.
function verdict({ difference, adjusted, separates }: TestedDifference, sign: -1 | 1): string {
  const found = separates === null
    ? "one seed cannot show it"
    : separates
    ? Math.sign(difference.mean) === sign ? "yes" : "no, the opposite"
    : "not shown";
  return `${found} (${intervalCell(difference, 3)}, p ${showP(adjusted)})`;
}
