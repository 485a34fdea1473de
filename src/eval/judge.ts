// A large model as judge of answers, as in the paper: two questions about each answer, in the words of its appendix A, and
// how their verdicts are read. Who is asked, and how often, is the business of judge_client.ts.

import { CannotError } from "../base/errors.ts";

/** What is asked about an answer: whether all of it is right, or anything. */
export type JudgeQuestion = "full" | "partial";

/** An answer to be judged. */
export interface JudgedAnswer {
  /** What the model was asked. */
  question: string;
  /** The true answer. */
  answer: string;
  /** What the model said. */
  completion: string;
}

const instructions: Record<JudgeQuestion, string> = {
  full:
    "Given a question and the correct answer, you will assess whether the candidate response contains the information in " +
    "the correct answer. If the candidate response begins to hallucinate a next question-answer pair, ignore them. If a " +
    "response is incomplete, grade it based on the text provided. Respond with either correct or incorrect and explain why.",
  partial:
    "Given a question and the correct answer, you will assess whether the candidate response contains any relevant " +
    "information that is present in the correct answer but not in the question itself. If the candidate response begins to " +
    "hallucinate a next question-answer pair, ignore them. If a response is incomplete, grade it based on the text " +
    "provided. Respond with either yes or no and explain why.",
};

/** The prompt of the paper's appendix A; its parts are apart by an empty line, as in the reference code. */
export function judgePrompt(
  about: JudgeQuestion,
  { question, answer, completion }: JudgedAnswer,
): string {
  return [
    instructions[about],
    `Question: ${question}`,
    `Correct answer: ${answer}`,
    `Candidate response: ${completion}`,
    "Answer:",
  ].join("\n\n");
}

const verdicts = {
  full: { right: "correct", wrong: "incorrect" },
  partial: { right: "yes", wrong: "no" },
} as const;

/**
 * The verdict that a judge's reply begins with:
 * - as the reference code reads it: right if it begins with "Correct" or "correct" ("Yes" or "yes"); anything else is wrong;
 * - strictly: its first word, marks and case aside, is "correct" or "incorrect" ("yes" or "no"); anything else is no verdict.
 *
 * @returns null for a reply without a verdict, which only strict reading has.
 */
export function readVerdict(about: JudgeQuestion, reply: string, strict: boolean): boolean | null {
  const { right, wrong } = verdicts[about];
  if (!strict) {
    return [right, right[0]!.toUpperCase() + right.slice(1)].some((word) => reply.startsWith(word));
  }
  const first = reply.match(/[\p{L}\p{M}\p{N}'’-]+/u)?.[0].toLowerCase();
  return first === right ? true : first === wrong ? false : null;
}

/**
 * Refuses replies without a verdict.
 *
 * @throws {CannotError} that shows the first of them.
 */
export function expectVerdicts(
  replies: readonly { about: JudgeQuestion; reply: string; verdict: boolean | null }[],
): void {
  const without = replies.filter(({ verdict }) => verdict === null);
  if (without.length === 0) return;
  const { about, reply } = without[0]!;
  const { right, wrong } = verdicts[about];
  throw new CannotError(
    "read the judge's verdicts strictly",
    `${without.length} of ${replies.length} replies begin with neither ${right} nor ${wrong}, the first with ${
      JSON.stringify(reply.slice(0, 60))
    }`,
    "Leave --strict out to count them as wrong, as the reference does, or ask another model; every reply is kept",
  );
}
