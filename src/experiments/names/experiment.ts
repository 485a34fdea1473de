// The name experiment for the runner: the untouched base model and one model for each method and seed, each asked the same
// questions.

import { type Method, takenBy } from "../../data/method.ts";
import { rotateNames } from "../../data/sources/tofu.ts";
import type { Sequence } from "../../data/sequence.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { Model } from "../../model/weights.ts";
import { digestSequences } from "../../train/fingerprint.ts";
import type { OptimiserSettings } from "../../train/optimiser.ts";
import { comparedRuns, type Experiment, type Measure, type Outcome } from "../runner.ts";
import { fittingStage } from "../texts.ts";
import {
  answerSequences,
  askAboutNames,
  type NameTask,
  type NameTaskResult,
  questionSequences,
} from "./task.ts";

/** How the target stage trains. */
export interface NameTraining {
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

/** Everything that decides the outcome of a name experiment. */
export interface NameExperiment {
  /** Configuration and weights from which every run starts. */
  base: Model;
  /** The one that the base model was trained with. */
  tokenizer: Tokenizer;
  /** Whom to learn about. */
  task: NameTask;
  /** Shared by all methods. */
  training: NameTraining;
  /** Compared in this order, after the base model. */
  methods: readonly Method[];
  /** One training run for each method and seed. */
  seeds: readonly number[];
  /** Length of an answer at most, in tokens. */
  maxNewTokens: number;
}

/** What is measured of every model. */
export interface NameResults {
  /** Its answers to all questions. */
  asked: NameTaskResult;
}

/** One model's outcome; the base model has no method. */
export type NameOutcome = Outcome<NameResults>;

/** What one model did, after its last stage. */
export function nameResult({ stages }: NameOutcome): NameTaskResult {
  return stages.at(-1)!.results.asked;
}

// The same answers, each about the next person.
function wrongFacts(task: NameTask): NameTask {
  return { ...task, rows: rotateNames(task.rows, task.names) };
}

/** Makes an experiment of it, for `runExperiment`. @throws {CannotError} when no answer has a name. */
export async function nameExperiment(
  { base, tokenizer, task, training, methods, seeds, maxNewTokens }: NameExperiment,
): Promise<Experiment<NameResults>> {
  const { answerPasses, learningRate, endOfText, ...fitting } = training;
  const answers = answerSequences(tokenizer, task, endOfText);
  const replay = questionSequences(tokenizer, task.replay, task.replayNames);
  const schedule = { peak: learningRate, warmup: 0, decay: "linear", final: 0 } as const;
  const data = { answerPasses, sequences: await digestSequences([...answers, ...replay]) };
  const wrong = methods.some(({ takes }) => takes === "wrong facts")
    ? answerSequences(tokenizer, wrongFacts(task), endOfText)
    : [];
  const stage = fittingStage("trained", { ...fitting, schedule }, data, (method) => {
    const taken = method.takes === "wrong facts"
      ? takenBy({ ...method, takes: "everything" }, wrong)
      : takenBy(method, answers);
    return [...Array<readonly Sequence[]>(answerPasses).fill(taken), replay].flat();
  });
  const { rows, names } = task;
  const asked: Measure<NameResults> = {
    name: "asked",
    identity: {
      ...{ rows, names, maxNewTokens, special: tokenizer.special },
      questions: await digestSequences(questionSequences(tokenizer, rows)),
    },
    measure: async ({ model, progress }) =>
      await askAboutNames(await model(), tokenizer, task, { maxNewTokens, progress }),
  };
  return {
    base,
    tokenizer,
    runs: comparedRuns(methods, seeds),
    stages: [stage],
    measures: [asked],
  };
}
