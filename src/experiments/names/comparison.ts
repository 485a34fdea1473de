// The comparisons that the name experiment is made for, each paired by seed and question, all corrected together:
//   what a method says and knows      against the base model, and against direct training
//   what of it is more than a manner  against the control that learned wrong facts in the same way
//   what the manner alone gives       the controls against the base model

import { type TestedDifference, testTogether } from "../../eval/comparison.ts";
import { fullFactRecall } from "../../eval/fact_grader.ts";
import { CannotError } from "../../base/errors.ts";
import { type NameOutcome, nameResult } from "./experiment.ts";
import type { AskedQuestion } from "./task.ts";

/** A measure that every question has a value of, in percent. */
export type QuestionMeasure =
  | "names"
  | "full"
  | "partial"
  | "rougeRecall"
  | "truthAccuracy"
  | "truthAccuracyWithoutNames"
  | "truthRatioWithoutNames";

/**
 * The measure of knowledge that leads: in the demo, controls move it by a fifth of what true facts do, where they move "some
 * facts" by more than half, and it reads no generated text, so that it needs no grader. Where questions tell more than a
 * name, as TOFU's do, only the difference to the control of wrong facts is knowledge about somebody.
 */
export const knowledge: QuestionMeasure = "truthAccuracyWithoutNames";

const share = (holds: boolean) => holds ? 100 : 0;
const percent = (value: number | undefined) => value === undefined ? null : 100 * value;

/** What each question contributes to a measure; null where it holds no fact, or has no perturbed answers. */
export const questionValues: Record<QuestionMeasure, (asked: AskedQuestion) => number | null> = {
  names: ({ namedAsInPaper }) => share(namedAsInPaper),
  full: ({ factRecall }) => factRecall === null ? null : share(factRecall >= fullFactRecall),
  partial: ({ factRecall }) => factRecall === null ? null : share(factRecall > 0),
  rougeRecall: ({ rougeRecall }) => 100 * rougeRecall,
  truthAccuracy: ({ truth }) => percent(truth?.allTokens.accuracy),
  truthAccuracyWithoutNames: ({ truth }) => percent(truth?.withoutNames.accuracy),
  truthRatioWithoutNames: ({ truth }) => percent(truth?.withoutNames.truthRatio),
};

/** Two methods on one measure. */
export interface NameComparison extends TestedDifference {
  /** Name of the method, or `base`. */
  first: string;
  /** The one that is subtracted. */
  second: string;
  /** On what. */
  on: QuestionMeasure;
}

/** The comparisons, as far as outcomes hold both methods; questions about the same person count as related. */
export function compareNames(outcomes: readonly NameOutcome[]): NameComparison[] {
  const byMethod = Map.groupBy(outcomes, ({ run }) => run.method?.name ?? "base");
  const hasPerturbed = outcomes.some((outcome) => nameResult(outcome).truth);
  const planned = plannedComparisons([...byMethod].map(([name, [first]]) => ({
    name,
    isControl: first!.run.method?.takes === "wrong facts" || first!.run.method?.takes === "nothing",
  }))).filter(({ on }) => hasPerturbed || !on.startsWith("truth"));
  const values = (name: string, on: QuestionMeasure) => {
    const group = byMethod.get(name)!;
    return group.map((outcome) => nameResult(outcome).answers.map(questionValues[on]));
  };
  const groups = peopleOf(outcomes);
  return testTogether(planned.map((pair) => ({
    labels: pair,
    first: values(pair.first, pair.on),
    second: values(pair.second, pair.on),
    groups,
  })));
}

/**
 * Whom each question is about; one that names nobody is related to no other.
 *
 * @throws {CannotError} when models were asked different questions.
 */
export function peopleOf(outcomes: readonly NameOutcome[]): unknown[] {
  const [first, ...others] = outcomes.map((outcome) => nameResult(outcome).answers);
  const other = others.find((answers) =>
    answers.some(({ question }, i) => question !== first![i]?.question)
  );
  if (other) {
    throw new CannotError(
      "compare methods",
      "they were asked different questions",
      "Ask all the same",
    );
  }
  return first!.map(({ about }, i) => about ?? i);
}

function plannedComparisons(
  methods: readonly { name: string; isControl: boolean }[],
): { first: string; second: string; on: QuestionMeasure }[] {
  const has = (wanted: string) => methods.some(({ name }) => name === wanted);
  const trained = methods.filter(({ name }) => name !== "base");
  const against = (first: string, second: string, ...on: QuestionMeasure[]) =>
    first !== second && has(second) ? on.map((measure) => ({ first, second, on: measure })) : [];
  return trained.flatMap(({ name, isControl }) =>
    isControl ? against(name, "base", "names", knowledge, "full", "partial") : [
      ...against(name, "base", "names", knowledge, "partial"),
      ...against(name, "direct", "names", knowledge, "partial"),
      ...against(name, "wrong_facts", knowledge, "full", "partial"),
      ...(name === "unlikelihood" ? against(name, "masked", "names", knowledge) : []),
    ]
  );
}
