// A run that came to nothing and still ends with all steps done: its loss stands far above where it began, or at ln V with
// no gradient, where the model says the same of every text.

import type { StepReport } from "./trainer.ts";

/** What tells how the run goes, of every step. */
type Watched = Pick<StepReport, "loss" | "gradientNorm">;

const window = 8; // steps over which the beginning and the end are averaged

/**
 * Why a run has diverged, in one sentence; `undefined` for one that has not.
 *
 * @param log Its steps in order.
 * @param vocabularySize V.
 */
export function divergenceOf(log: readonly Watched[], vocabularySize: number): string | undefined {
  if (log.length < 2) return undefined;
  const first = meanLoss(log.slice(0, Math.min(window, Math.ceil(log.length / 2))));
  const ending = log.slice(-Math.min(window, Math.floor(log.length / 2)));
  const last = meanLoss(ending), uniform = Math.log(vocabularySize);
  if (last > first + 1 && last > 1.5 * first) {
    return `The run has diverged: its loss rose from ${first.toFixed(2)} to ${last.toFixed(2)}.`;
  }
  const still = ending.every(({ gradientNorm }) => gradientNorm < 1e-4);
  if (still && Math.abs(last - uniform) < 0.02) {
    return `The run has diverged: its loss stands at ln V = ${uniform.toFixed(2)} without a ` +
      "gradient, so that every token is equally likely.";
  }
  return undefined;
}

function meanLoss(steps: readonly Watched[]): number {
  return steps.reduce((sum, { loss }) => sum + loss, 0) / steps.length;
}
