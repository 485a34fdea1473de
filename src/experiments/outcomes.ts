// Whether what is summed up are the outcomes of the experiment that is meant.

import { CannotError } from "../base/errors.ts";

/**
 * Throws unless a value is a list of outcomes of an experiment.
 *
 * @param kind Of the experiment, e.g. `name`.
 * @param measure One that only such an experiment has.
 * @throws {CannotError} saying what to give instead.
 */
export function expectOutcomes(
  value: unknown,
  kind: "name" | "notes" | "toxicity",
  measure: string,
): void {
  const isOutcome = (each: { stages?: { results: Record<string, unknown> }[] } | null) =>
    each?.stages?.[0]?.results[measure] !== undefined;
  if (Array.isArray(value) && value.every(isOutcome)) return;
  throw new CannotError(
    `sum up a ${kind} experiment`,
    "these are not its outcomes",
    `Give them as runExperiment returns them for a ${kind}Experiment`,
  );
}
