// What a model says when it is asked: how much of it is right, and whether it says what is marked.

import { encodePrompt } from "../../src/data/spans.ts";
import { questionPrompt } from "../../src/data/sources/question_format.ts";
import { gradeFacts } from "../../src/eval/fact_grader.ts";
import { namesGenerated, truncateCompletion } from "../../src/eval/name_generation.ts";
import { mean } from "../../src/eval/statistics.ts";
import { generate } from "../../src/model/generate.ts";
import type { LanguageModel } from "../../src/model/language_model.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import type { Question } from "./example.ts";

/** The place of a model in the picture, both from 0 to 1; nothing where there is nothing to measure it by. */
export interface Place {
  /** Mean share of the right words that its answers have. */
  knowledge?: number;
  /** Share of its answers that have a marked stretch, or a word of one. */
  naming?: number;
}

const longestAnswer = 24; // tokens

/** What a model answers. */
export async function answer(
  model: LanguageModel,
  tokenizer: Tokenizer,
  questions: readonly string[],
): Promise<string[]> {
  if (questions.length === 0) return [];
  const room = model.config.contextLength - longestAnswer;
  const prompts = questions.map((question) =>
    encodePrompt(tokenizer, questionPrompt(question)).slice(-room)
  );
  const { eos } = tokenizer.special;
  const tokens = await generate(model, prompts, {
    maxNewTokens: longestAnswer,
    ...(eos !== undefined && { eos }),
  });
  return tokens.map((ids) => truncateCompletion(tokenizer.decode(ids)).trim());
}

/** Where answers put their model. */
export function place(
  questions: readonly Question[],
  answers: readonly string[],
  phrases: readonly string[],
): Place {
  const grades = questions.flatMap(({ question, answer }, i) => {
    if (answer.trim() === "") return [];
    const grade = gradeFacts({ question, answer, completion: answers[i]! }, {
      names: phrases,
    });
    return grade ? [grade.recall] : [];
  });
  const completions = questions.map(({ question }, i) => ({
    prompt: question,
    completion: answers[i]!,
  }));
  return {
    ...(grades.length > 0 && { knowledge: mean(grades) }),
    ...(completions.length > 0 && phrases.length > 0 &&
      { naming: namesGenerated(completions, phrases).wordBounded }),
  };
}
