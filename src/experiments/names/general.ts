// What training on the target authors should not harm: TOFU's questions about real authors and the world, each with a right
// answer and wrong ones, read by probabilities alone.

import { CannotError } from "../../base/errors.ts";
import { readTofu } from "../../data/sources/tofu.ts";
import { mean } from "../../eval/statistics.ts";
import { summariseTruth, type TruthSummary } from "../../eval/truth_ratio.ts";
import type { LanguageModel } from "../../model/language_model.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { compareAnswers, type GeneralQuestion } from "./task.ts";

/** What a model knows of them. */
export interface GeneralKnowledge extends TruthSummary {
  /** Mean probability of the right answer among all that are given, by p^(1/n), as TOFU reports it for these. */
  probability: number;
}

/**
 * Reads `real_authors_perturbed.json`, `world_facts_perturbed.json` or the like.
 *
 * @throws {CannotError} naming the file and row that has no wrong answers, besides what `readTofu` refuses.
 */
export async function readGeneralQuestions(file: string): Promise<GeneralQuestion[]> {
  return (await readTofu(file)).map((row, i) => {
    const { perturbedAnswers } = row;
    if (perturbedAnswers && perturbedAnswers.length > 0) return { ...row, perturbedAnswers };
    throw new CannotError(
      `read "${file}" row ${i + 1}`,
      "it has no perturbed_answer to compare the right one with",
      "Give the perturbed file, such as real_authors_perturbed.json",
    );
  });
}

/** Compares the right answer, in other words where there are such, with the wrong ones. */
export async function askGeneral(
  model: LanguageModel,
  tokenizer: Tokenizer,
  rows: readonly GeneralQuestion[],
): Promise<GeneralKnowledge> {
  const compared = await compareAnswers(model, tokenizer, rows, []);
  const answers = compared.map(({ allTokens }) => allTokens);
  const probabilities = answers.map(({ paraphrased, perturbed }) =>
    1 / (1 + perturbed.reduce((sum, wrong) => sum + Math.exp(wrong - paraphrased), 0))
  );
  return { ...summariseTruth(answers), probability: mean(probabilities) };
}
