// The paper's second experiment (section 5) as a function of its data: a base model that knows the question format is
// trained on the bare answers about some people under each objective, with their names as high risk; then it is asked.
//   generation      how many answers name anyone (three variants of the paper's metric)
//   understanding   facts in the generated answers, and the likelihood of true against perturbed answers
// A small model forgets the question format on answers alone, so that questions about other people are replayed.

import { delimited, lowRiskSequence, type Sequence } from "../data/batch.ts";
import {
  answerSpans,
  countNamedAnswers,
  questionAndAnswer,
  questionPrompt,
  type TofuRow,
} from "../data/tofu.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { type FactRates, gradeAllFacts, gradeFacts } from "../eval/fact_grader.ts";
import { type NameRates, namesGenerated, truncateCompletion } from "../eval/name_generation.ts";
import { rougeL } from "../eval/rouge.ts";
import { scoreSequences } from "../eval/score.ts";
import { mean } from "../eval/statistics.ts";
import { summariseTruth, type TruthSummary } from "../eval/truth_ratio.ts";
import { generate } from "../model/generate.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { encodePrompt } from "../model/pretrained.ts";
import { objective, type ObjectiveName } from "../slung/objective.ts";
import { classifyTokens, Risk, type RiskSpan } from "../slung/risk.ts";
import { fit } from "../train/fit.ts";
import type { LogEntry } from "../train/loop.ts";
import type { OptimiserSettings } from "../train/optimiser.ts";

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
}

/** How the target stage trains. */
export interface NameTaskSettings {
  /** Each is reshuffled by the seed. */
  epochs: number;
  /** Passes over the answers in one epoch, beside one pass over the replay. */
  answerPasses: number;
  /** Sequences per step. */
  perStep: number;
  /** The first step's; it decays linearly to 0. */
  learningRate: number;
  /** The paper uses {@linkcode huggingFaceOptimiser}. */
  optimiser: OptimiserSettings;
  /** Append EOS to the answers; the paper does not, so that its models never learn to stop. */
  endOfText: boolean;
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
  /** In the order of the rows; `named` by whole words, `factRecall` null where the answer holds no fact. */
  answers: {
    question: string;
    answer: string;
    completion: string;
    named: boolean;
    factRecall: number | null;
  }[];
}

/** Tokens of a text with classes from risky spans, behind BOS where the tokenizer has one, optionally ending in EOS. */
export function classedSequence(
  tokenizer: Tokenizer,
  text: string,
  spans: readonly RiskSpan[],
  endOfText: boolean,
): Sequence {
  const encoding = tokenizer.encode(text);
  const sequence = { tokens: encoding.ids, classes: classifyTokens(encoding, spans) };
  return delimited(sequence, tokenizer.special, endOfText);
}

/** Full questions and answers, the given names as high risk; without names, what a base model is trained on. */
export function questionSequences(
  tokenizer: Tokenizer,
  rows: readonly TofuRow[],
  names: readonly string[] = [],
): Sequence[] {
  return rows.map((row) => {
    const text = questionAndAnswer(row);
    return classedSequence(tokenizer, text, answerSpans(text, names), true);
  });
}

/**
 * Bare answers with names as high risk: what SLUNG is trained on. Each begins with the space that it has after
 * "Answer:", so that its first word is the same token there.
 */
export function answerSequences(
  tokenizer: Tokenizer,
  { rows, names }: NameTask,
  endOfText: boolean,
): Sequence[] {
  return rows.map(({ answer }) => {
    const text = ` ${answer}`;
    return classedSequence(tokenizer, text, answerSpans(text, names), endOfText);
  });
}

/** Trains a model on the task under one objective, in place. */
export async function trainOnNames(
  model: LanguageModel,
  tokenizer: Tokenizer,
  task: NameTask,
  method: ObjectiveName,
  settings: NameTaskSettings,
  options: {
    seed: number;
    checkpoint?: { folder: string; every: number };
    onLog?: (entry: LogEntry, steps: number) => void;
    signal?: AbortSignal;
  },
): Promise<void> {
  countNamedAnswers(task.rows, task.names); // throws when there is nothing to protect
  const answers = answerSequences(tokenizer, task, settings.endOfText);
  const replay = questionSequences(tokenizer, task.replay, task.replayNames);
  const epoch = [...Array(settings.answerPasses).fill(answers), replay].flat();
  await fit(model, {
    epochs: Array(settings.epochs).fill(epoch),
    perStep: settings.perStep,
    objective: objective(method),
    optimiser: settings.optimiser,
    schedule: { peak: settings.learningRate, warmup: 0, decay: "linear", final: 0 },
    ...options,
  });
}

/** Asks a model every question and measures what it says and what it knows. */
export async function askAboutNames(
  model: LanguageModel,
  tokenizer: Tokenizer,
  { rows, names }: NameTask,
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
  const answers = rows.map(({ question, answer }, i) => {
    const { completion } = completions[i]!;
    return {
      question,
      answer,
      completion,
      named: namesGenerated([completions[i]!], names).wordBounded > 0,
      factRecall: gradeFacts({ question, answer, completion }, { names })?.recall ?? null,
    };
  });
  const comparable = rows.filter(({ paraphrasedAnswer, perturbedAnswers }) =>
    paraphrasedAnswer && perturbedAnswers
  );
  return {
    names: namesGenerated(completions, names),
    facts: gradeAllFacts(answers, { names }),
    rougeRecall: mean(answers.map((row) => rougeL(row.completion, row.answer).recall)),
    ...(comparable.length > 0 &&
      { truth: await compareAnswers(model, tokenizer, comparable, names) }),
    answers,
  };
}

// Mean log-probability per token of the paraphrased and the perturbed answers, given the question.
async function compareAnswers(
  model: LanguageModel,
  tokenizer: Tokenizer,
  rows: readonly TofuRow[],
  names: readonly string[],
): Promise<{ allTokens: TruthSummary; withoutNames: TruthSummary }> {
  const candidates = rows.flatMap((row) => {
    const prompt = encodePrompt(tokenizer, questionPrompt(row.question));
    return [row.paraphrasedAnswer!, ...row.perturbedAnswers!].map((answer) => {
      const text = ` ${answer}`;
      const encoding = tokenizer.encode(text);
      return {
        answerLength: encoding.ids.length,
        answerClasses: classifyTokens(encoding, answerSpans(text, names)),
        ...lowRiskSequence(Uint32Array.from([...prompt, ...encoding.ids])),
      };
    });
  });
  const scores = await scoreSequences(model, candidates);
  const means = candidates.map(({ answerLength, answerClasses }, i) => {
    const own = [...scores[i]!.slice(-answerLength)];
    const unnamed = own.filter((_, token) => answerClasses[token] !== Risk.high);
    return { allTokens: mean(own), withoutNames: unnamed.length > 0 ? mean(unnamed) : mean(own) };
  });
  let next = 0;
  const questions = rows.map((row) => means.slice(next, next += 1 + row.perturbedAnswers!.length));
  const summary = (key: "allTokens" | "withoutNames") =>
    summariseTruth(questions.map(([paraphrased, ...perturbed]) => ({
      paraphrased: paraphrased![key],
      perturbed: perturbed.map((candidate) => candidate[key]),
    })));
  return { allTokens: summary("allTokens"), withoutNames: summary("withoutNames") };
}
