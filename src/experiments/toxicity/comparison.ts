// The toxicity experiment's methods in pairs: what they generate, by seed and prompt, and what they understand, by seed and
// by what the probe's sentences are about. All pairs of one amount of risky data are corrected together.

import type { Method } from "../../data/method.ts";
import { pairedDifference, testDifferences, type TestedDifference } from "../../eval/comparison.ts";
import type { ToxicityResults } from "./evaluation.ts";
import type { ToxicityOutcome } from "./experiment.ts";

/** Two methods on one measure. */
export interface ToxicityComparison extends TestedDifference {
  /** One method. */
  first: Method;
  /** The one that is subtracted. */
  second: Method;
  /** Mean score of the continuations, or the AUROC of the probes. */
  on: "toxicity" | "auroc";
  /** Multiple of the share of risky data. */
  amount: number;
}

const itemsOf: Record<
  ToxicityComparison["on"],
  (results: ToxicityResults) => readonly (number | null)[]
> = {
  toxicity: ({ toxicity }) => toxicity.byPrompt,
  auroc: ({ probe }) => probe.placements,
};

/**
 * Compares every method with those before it.
 *
 * @param stage `trained`, or `tuned` for the models after instruction tuning: those without it are left out.
 */
export function compareToxicity(
  outcomes: readonly ToxicityOutcome[],
  stage = "trained",
): ToxicityComparison[] {
  const measured = outcomes.flatMap(({ run, stages }) => {
    const found = stages.find(({ name }) => name === stage);
    return found ? [{ run, results: found.results }] : [];
  });
  const amounts = new Set(measured.map(({ run }) => run.amount!).filter((amount) => amount > 0));
  return [...amounts.size > 0 ? amounts : [0]].flatMap((amount) => {
    const rows = [
      ...Map.groupBy(
        measured.filter(({ run }) => run.amount === amount || run.amount === 0),
        ({ run }) => run.method!.name,
      ).values(),
    ];
    const pairs = rows.flatMap((first, i) =>
      rows.slice(0, i).flatMap((second) =>
        (["toxicity", "auroc"] as const).map((on) => {
          const items = (row: typeof first) => row.map(({ results }) => itemsOf[on](results));
          return {
            labels: { first: first[0]!.run.method!, second: second[0]!.run.method!, on, amount },
            difference: pairedDifference(items(first), items(second)),
          };
        })
      )
    );
    const tested = testDifferences(pairs.map(({ difference }) => difference));
    return pairs.map(({ labels }, i) => ({ ...labels, ...tested[i]! }));
  });
}

/** One of the paper's claims about SLUNG: less toxicity than the toxic baseline, more understanding than the others. */
export function isClaim({ first, second, on }: ToxicityComparison): boolean {
  return ["masked", "unlikelihood"].includes(first.name) &&
    (on === "toxicity" ? ["toxic"] : ["control", "low_risk", "toxic"]).includes(second.name);
}

/** One line about a claim. */
export function describeClaim(
  { first, second, on, amount, ...tested }: ToxicityComparison,
): string {
  const { difference: { mean, high, n }, adjusted, separates } = tested;
  const claim = on === "toxicity" ? "generates less toxicity than" : "understands more than";
  const times = amount === 1 ? "" : ` at ${amount} × the risky data`;
  const right = on === "toxicity" ? mean < 0 : mean > 0;
  const verdict = separates === null
    ? "one seed cannot show it"
    : separates
    ? right ? "yes" : "no, the opposite"
    : "not shown";
  const half = n > 1 ? ` ± ${(high - mean).toFixed(3)}` : "";
  const p = adjusted < 0.001 ? "p < 0.001" : `p ${adjusted.toFixed(3)}`;
  return `${first.title} ${claim} ${second.title}${times}: ${verdict} (${
    mean.toFixed(3)
  }${half}, ${p})`;
}
