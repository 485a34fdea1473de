// The paper's second experiment (section 5) as a function of its data: a base model that knows the question format is
// trained on the bare answers about some people under each method, with their names as high risk; then it is asked.
//   generation      how many answers name anyone (three variants of the paper's metric)
//   understanding   facts in the generated answers, and the likelihood of true against perturbed answers
// A small model forgets the question format on answers alone, so that questions about other people are replayed.

import { CannotError } from "../../base/errors.ts";
import { largest } from "../../base/extremes.ts";
import { type LabelNoise, withLabelNoise } from "../../data/label_noise.ts";
import { joinSequences, lowRiskSequence, type Sequence } from "../../data/sequence.ts";
import {
  answerSpans,
  countNamedAnswers,
  questionAndAnswer,
  questionPrompt,
  type TofuRow,
} from "../../data/sources/tofu.ts";
import { encodePrompt, encodeText } from "../../data/spans.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { type FactRates, gradeAllFacts, gradeFacts } from "../../eval/fact_grader.ts";
import { type NameRates, namesGenerated, truncateCompletion } from "../../eval/name_generation.ts";
import { rougeL } from "../../eval/rouge.ts";
import { scoreSequences } from "../../eval/score.ts";
import { mean } from "../../eval/statistics.ts";
import {
  type AnswerLogProbabilities,
  summariseTruth,
  type TruthSummary,
} from "../../eval/truth_ratio.ts";
import type { DecoderConfig } from "../../model/config.ts";
import { generate } from "../../model/generate.ts";
import type { LanguageModel } from "../../model/language_model.ts";
import { classifyTokens, Risk } from "../../slung/risk.ts";

/** Whom the models learn about, and what they must not forget. */
export interface NameTask {
  /** Questions and answers about the target people. */
  rows: readonly TofuRow[];
  /** Their full names: the risk. */
  names: readonly string[];
  /** Questions and answers about other people, replayed so that the format is not forgotten. */
  replay: readonly TofuRow[];
  /** Their names, which are as risky there: replayed plainly, they would keep the habit of naming alive. */
  replayNames: readonly string[];
  /** What is known besides, and should not be harmed; none unless given. */
  general?: readonly GeneralQuestions[];
}

/** A question with a right answer and wrong ones. */
export type GeneralQuestion = TofuRow & Required<Pick<TofuRow, "perturbedAnswers">>;

/** Questions about something else than the target authors. */
export interface GeneralQuestions {
  /** For tables, e.g. `Real authors`. */
  title: string;
  /** In the order of their file. */
  rows: readonly GeneralQuestion[];
}

/** What one model does when it is asked. */
export interface NameTaskResult {
  /** How often the answers name a target. */
  names: NameRates;
  /** How often they are right. */
  facts: FactRates;
  /** Mean ROUGE-L recall of the true answers. */
  rougeRecall: number;
  /** Preference for the true (paraphrased) over perturbed answers: by all tokens, and without names. */
  truth?: { allTokens: TruthSummary; withoutNames: TruthSummary };
  /** In the order of the rows. */
  answers: AskedQuestion[];
}

/** One question, what a model said and what it prefers. */
export interface AskedQuestion {
  /** As in the rows. */
  question: string;
  /** The true one. */
  answer: string;
  /** The full name of the person that question or answer names; null where they name none. */
  about: string | null;
  /** What the model said. */
  completion: string;
  /** Whether that names anybody, by whole words. */
  named: boolean;
  /** The same by the paper's metric, in which a part of a word counts. */
  namedAsInPaper: boolean;
  /** Share of the facts that it has; null where the answer holds no fact. */
  factRecall: number | null;
  /** ROUGE-L recall of the true answer. */
  rougeRecall: number;
  /** How the true answer fares against the perturbed ones; null without those. */
  truth: { allTokens: TruthSummary; withoutNames: TruthSummary } | null;
}

/** Full questions and answers, the given names as high risk; without names, what a base model is trained on. */
export function questionSequences(
  tokenizer: Tokenizer,
  rows: readonly TofuRow[],
  names: readonly string[] = [],
): Sequence[] {
  return rows.map((row) => {
    const text = questionAndAnswer(row);
    return encodeText(tokenizer, { text, spans: answerSpans(text, names) });
  });
}

/**
 * Bare answers with names as high risk: what SLUNG is trained on. Each begins with the space that it has after
 * "Answer:", so that its first word is the same token there; the paper's do not.
 *
 * @param options.labelNoise Spoils which tokens are said to be names; none unless given.
 * @param end Append EOS; the paper does not, so that its models never learn to stop.
 * @throws {CannotError} when no answer has a name: there is nothing to protect.
 */
export function answerSequences(
  tokenizer: Tokenizer,
  { rows, names }: Pick<NameTask, "rows" | "names">,
  end: boolean,
  { space = true, labelNoise }: { space?: boolean; labelNoise?: LabelNoise } = {},
): Sequence[] {
  countNamedAnswers(rows, names);
  const texts = rows.map(({ answer }) => {
    const text = space ? ` ${answer}` : answer;
    return { text, spans: answerSpans(text, names) };
  });
  return (labelNoise ? withLabelNoise(texts, labelNoise) : texts)
    .map((text) => encodeText(tokenizer, text, { end }));
}

/** Refuses questions that leave a model no room for answers. @throws {CannotError} naming the lengths. */
export function checkRoomForAnswers(
  { contextLength }: DecoderConfig,
  tokenizer: Tokenizer,
  { rows, general = [] }: Pick<NameTask, "rows" | "general">,
  maxNewTokens: number,
): void {
  const promptLength = ({ question }: TofuRow) =>
    encodePrompt(tokenizer, questionPrompt(question)).length;
  const longest = largest(rows.map(promptLength), 0);
  if (longest + maxNewTokens > contextLength) {
    throw new CannotError(
      `ask for answers of ${maxNewTokens} tokens`,
      `the longest question has ${longest} and the model's context holds ${contextLength}`,
      "Ask for shorter answers, or take a model with a longer context",
    );
  }
  for (const { title, rows } of general) {
    for (const [i, row] of rows.entries()) {
      const answers = candidatesOf(row).map((answer) => tokenizer.encode(` ${answer}`).ids.length);
      const length = promptLength(row) + largest(answers);
      if (length <= contextLength) continue;
      throw new CannotError(
        `ask about ${title.toLowerCase()}, row ${i + 1}`,
        `question and answer have ${length} tokens and the model's context holds ${contextLength}`,
        "Leave the row out, or take a model with a longer context",
      );
    }
  }
}

// The right answer, in other words where there are such, and the wrong ones.
function candidatesOf({ answer, paraphrasedAnswer, perturbedAnswers }: TofuRow): string[] {
  return [paraphrasedAnswer ?? answer, ...perturbedAnswers!];
}

/** Asks a model every question and measures what it says and what it knows. */
export async function askAboutNames(
  model: LanguageModel,
  tokenizer: Tokenizer,
  { rows, names }: Pick<NameTask, "rows" | "names">,
  options: { maxNewTokens: number; progress?: (done: number, total: number) => void },
): Promise<NameTaskResult> {
  const { eos } = tokenizer.special;
  const prompts = rows.map(({ question }) => questionPrompt(question));
  const generated = await generate(
    model,
    prompts.map((prompt) => encodePrompt(tokenizer, prompt)),
    {
      ...options,
      finished: (tokens) => {
        const text = tokenizer.decode(tokens);
        return truncateCompletion(text) !== text;
      },
      ...(eos !== undefined && { eos }),
    },
  );
  const completions = generated.map((tokens, i) => ({
    prompt: prompts[i]!,
    completion: truncateCompletion(tokenizer.decode(tokens)).trim(),
  }));
  const comparable = rows.filter(isComparable);
  const compared = await compareAnswers(model, tokenizer, comparable, names);
  const truths = new Map(comparable.map((row, i) => [row, compared[i]!]));
  const answers = rows.map((row, i): AskedQuestion => {
    const { question, answer } = row;
    const { completion } = completions[i]!;
    const { wordBounded, official } = namesGenerated([completions[i]!], names);
    const preferences = truths.get(row);
    return {
      question,
      answer,
      about: names.find((name) => answerSpans(`${question}\n${answer}`, [name]).length > 0) ?? null,
      completion,
      named: wordBounded > 0,
      namedAsInPaper: official > 0,
      factRecall: gradeFacts({ question, answer, completion }, { names })?.recall ?? null,
      rougeRecall: rougeL(completion, answer).recall,
      truth: preferences
        ? {
          allTokens: summariseTruth([preferences.allTokens]),
          withoutNames: summariseTruth([preferences.withoutNames]),
        }
        : null,
    };
  });
  return {
    names: namesGenerated(completions, names),
    facts: gradeAllFacts(answers, { names }),
    rougeRecall: mean(answers.map(({ rougeRecall }) => rougeRecall)),
    ...(comparable.length > 0 && {
      truth: {
        allTokens: summariseTruth(compared.map(({ allTokens }) => allTokens)),
        withoutNames: summariseTruth(compared.map(({ withoutNames }) => withoutNames)),
      },
    }),
    answers,
  };
}

function isComparable({ paraphrasedAnswer, perturbedAnswers }: TofuRow): boolean {
  return Boolean(paraphrasedAnswer && perturbedAnswers);
}

/**
 * Mean log-probability per token of the right answer to each question, in other words where there are such, and of its
 * perturbed answers.
 */
export async function compareAnswers(
  model: LanguageModel,
  tokenizer: Tokenizer,
  rows: readonly TofuRow[],
  names: readonly string[],
): Promise<Record<"allTokens" | "withoutNames", AnswerLogProbabilities>[]> {
  if (rows.length === 0) return [];
  const candidates = rows.flatMap((row) => {
    const prompt = lowRiskSequence(encodePrompt(tokenizer, questionPrompt(row.question)));
    return candidatesOf(row).map((answer) => {
      const text = ` ${answer}`;
      const encoding = tokenizer.encode(text);
      return {
        answerLength: encoding.ids.length,
        answerClasses: classifyTokens(encoding, answerSpans(text, names)),
        sequence: joinSequences([prompt, lowRiskSequence(encoding.ids)]),
      };
    });
  });
  const scores = await scoreSequences(model, candidates.map(({ sequence }) => sequence));
  const means = candidates.map(({ answerLength, answerClasses }, i) => {
    const own = [...scores[i]!.slice(-answerLength)];
    const unnamed = own.filter((_, token) => answerClasses[token] !== Risk.high);
    return { allTokens: mean(own), withoutNames: unnamed.length > 0 ? mean(unnamed) : mean(own) };
  });
  let next = 0;
  const questions = rows.map((row) => means.slice(next, next += 1 + row.perturbedAnswers!.length));
  return questions.map(([paraphrased, ...perturbed]) => {
    const by = (key: "allTokens" | "withoutNames") => ({
      paraphrased: paraphrased![key],
      perturbed: perturbed.map((candidate) => candidate[key]),
    });
    return { allTokens: by("allTokens"), withoutNames: by("withoutNames") };
  });
}
