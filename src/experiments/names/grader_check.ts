// How well the offline grader tells right answers from wrong ones, on TOFU's own: each question has its true answer in other
// words, and five answers that say something else in much the same words.

import type { Interval } from "../../base/interval.ts";
import { answerSpans } from "../../data/sources/tofu.ts";
import { placements } from "../../eval/auroc.ts";
import { gradeFacts } from "../../eval/fact_grader.ts";
import { bootstrapInterval } from "../../eval/statistics.ts";
import type { NameTask } from "./task.ts";

/** How many answers got which grade. */
export interface GradeCounts {
  /** All of the facts. */
  full: number;
  /** Some of them. */
  partial: number;
  /** None. */
  nothing: number;
}

/** What came out. */
export interface GraderCheck {
  /** The probability that a right answer is graded above a wrong one, with a 95 % bootstrap interval over people. */
  auroc: Interval;
  /** Grades of the right answers, and of the wrong ones. */
  confusion: { right: GradeCounts; wrong: GradeCounts };
  /** Questions whose true answer holds no fact of its own; they count nowhere else. */
  withoutFacts: number;
}

/**
 * Grades the paraphrased and the perturbed answers of each question.
 *
 * @throws {CannotError} when no question has both.
 */
export function checkGrader({ rows, names }: Pick<NameTask, "rows" | "names">): GraderCheck {
  let withoutFacts = 0;
  const graded = rows.flatMap(({ question, answer, paraphrasedAnswer, perturbedAnswers }, i) => {
    if (!paraphrasedAnswer || !perturbedAnswers) return [];
    const about = names.find((name) => answerSpans(`${question}\n${answer}`, [name]).length > 0);
    const grades = [paraphrasedAnswer, ...perturbedAnswers].map((completion) =>
      gradeFacts({ question, answer, completion }, { names })
    );
    if (grades[0] === undefined) {
      withoutFacts++;
      return [];
    }
    return grades.map((grade, k) => ({ ...grade!, right: k === 0, about: about ?? i }));
  });
  const placed = placements(
    graded.map(({ recall }) => recall),
    graded.map(({ right }) => right ? 1 : 0),
  );
  const isRight = (_: unknown, i: number) => graded[i]!.right;
  const count = (wanted: boolean): GradeCounts => {
    const own = graded.filter(({ right }) => right === wanted);
    const full = own.filter((grade) => grade.full).length;
    const some = own.filter((grade) => grade.partial).length;
    return { full, partial: some - full, nothing: own.length - some };
  };
  return {
    auroc: bootstrapInterval(placed.filter(isRight), {
      seed: 0,
      groups: graded.filter(isRight).map(({ about }) => about),
    }),
    confusion: { right: count(true), wrong: count(false) },
    withoutFacts,
  };
}
