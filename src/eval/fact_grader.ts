// Grades answers offline by the facts they share with the true answer.
// The facts of an answer are its content words: words and numbers of the true answer that are not
// stop words, not in the question and not a name. Recall of them grades the completion. On the 400
// rows of TOFU's retain_perturbed, as shares fully / at least partially correct: true answers
// 1 / 1, paraphrases 0.06 / 0.89, perturbed answers 0 / 0.60, another answer about the same author
// 0 / 0.33, an answer about another author 0 / 0.13 to 0.21, the question itself 0 / 0.

import { CannotError } from "../base/errors.ts";
import { nameParts } from "../label/names.ts";
import { truncateCompletion } from "./name_generation.ts";

/** Recall from which an answer is fully correct unless another one is given. */
export const fullFactRecall = 0.8;

/** One completion to grade. */
export interface GradedAnswer {
  /** Its words are no facts. */
  question: string;
  /** The true answer. */
  answer: string;
  /** What the model said. */
  completion: string;
}

/** How much of the true answer's facts a completion has. */
export interface FactGrade {
  /** Share of the content words that the completion has, 0 to 1. */
  recall: number;
  /** Recall reaches the threshold. */
  full: boolean;
  /** At least one content word is there. */
  partial: boolean;
}

/** Shares over a set of answers. */
export interface FactRates {
  /** Share of graded answers that are fully correct. */
  full: number;
  /** Share of graded answers that are at least partially correct. */
  partial: number;
  /** Mean recall of content words. */
  recall: number;
  /** How many answers were graded. */
  graded: number;
  /** How many have no content word of their own, such as "Yes, he is." They count nowhere above. */
  withoutFacts: number;
}

/** Options of the grader. */
export interface FactGraderOptions {
  /** Full names whose words are no facts. */
  names?: readonly string[];
  /** Recall from which an answer is fully correct; {@linkcode fullFactRecall} unless given. */
  fullRecall?: number;
}

/**
 * Grades one completion, truncated where it invents another question; `undefined` when the true
 * answer adds no content word to the question.
 *
 * This is not the paper's judge. GPT-4o (paper appendix A) reads for meaning: it accepts
 * paraphrases, rejects contradictions and negations, and counts only relevant information. This
 * grader sees words: it misses synonyms, cannot tell a fact from its negation, and one shared word
 * of any weight is "partially correct". Compare its numbers with each other, not with the paper's.
 */
export function gradeFacts(
  { question, answer, completion }: GradedAnswer,
  { names = [], fullRecall = fullFactRecall }: FactGraderOptions = {},
): FactGrade | undefined {
  const facts = contentWords(answer);
  const known = new Set([...words(question), ...names.flatMap(nameParts).flatMap(words)]);
  for (const word of known) facts.delete(word);
  if (facts.size === 0) return undefined;
  const said = new Set(words(truncateCompletion(completion)));
  const found = [...facts].filter((word) => said.has(word)).length;
  const recall = found / facts.size;
  return { recall, full: recall >= fullRecall, partial: found > 0 };
}

/**
 * Grades a set of completions; see {@linkcode gradeFacts} for what the grader can and cannot see.
 *
 * @throws {CannotError} when no answer has a content word of its own.
 */
export function gradeAllFacts(
  answers: readonly GradedAnswer[],
  options: FactGraderOptions = {},
): FactRates {
  const grades = answers.map((answer) => gradeFacts(answer, options))
    .filter((grade) => grade !== undefined);
  const graded = grades.length;
  if (graded === 0) {
    throw new CannotError(
      "grade the answers",
      `none of the ${answers.length} true answers adds a content word to its question`,
      "Check that questions and answers are not swapped",
    );
  }
  return {
    full: grades.filter((grade) => grade.full).length / graded,
    partial: grades.filter((grade) => grade.partial).length / graded,
    recall: grades.reduce((sum, grade) => sum + grade.recall, 0) / graded,
    graded,
    withoutFacts: answers.length - graded,
  };
}

const stopWords = new Set(
  ("a about above after again all also although am among an and any are as at be because been " +
    "before being below between both but by can could did do does doing during each either else " +
    "ever few for from further had has have having he her here hers herself him himself his how " +
    "however i if in indeed into is it its itself just like made make many may me might more most " +
    "much must my no nor not now of off often on once one only or other our out over own per s same " +
    "she should since so some such than that the their them themselves then there these they this " +
    "those though through throughout to too under until up upon us very was we well were what when " +
    "where whether which while who whom whose why will with within without would yes yet you your " +
    "author authors book books work works novel novels write writes writing writer wrote written")
    .split(" ").map(singular),
);

function contentWords(text: string): Set<string> {
  return new Set(words(text).filter((word) => !stopWords.has(word)));
}

/** Lower-case words and numbers, without a plural or possessive s. */
function words(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).map(singular);
}

function singular(word: string): string {
  return word.length > 3 && word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word;
}
