// The name experiment for the runner: the untouched base model and one model for each method and seed, each asked the same
// questions.

import {
  checkOptions,
  flag,
  listOf,
  number,
  object,
  required,
  seedNumber,
  wholeNumber,
} from "../../base/options.ts";
import type { LabelNoise } from "../../data/label_noise.ts";
import { type Method, takenBy, withHiddenToken } from "../../data/method.ts";
import { rotateNames } from "../../data/sources/tofu.ts";
import type { Sequence } from "../../data/sequence.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { Model } from "../../model/weights.ts";
import { digestSequences } from "../../train/fingerprint.ts";
import type { OptimiserSettings } from "../../train/optimiser.ts";
import type { Schedule } from "../../train/schedule.ts";
import {
  comparedRuns,
  type Experiment,
  type HeldModel,
  type Measure,
  type Outcome,
} from "../runner.ts";
import { fittingStage } from "../texts.ts";
import { askGeneral, type GeneralKnowledge } from "./general.ts";
import {
  answerSequences,
  askAboutNames,
  checkRoomForAnswers,
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
  /** The peak. */
  learningRate: number;
  /** Around the peak: no warm-up and a linear decay to 0 unless given. */
  schedule?: Omit<Schedule, "peak" | "steps">;
  /** As `FitOptions.mostPositions`. */
  mostPositions?: number | undefined;
  /** As `FitOptions.recompute`. */
  recompute?: boolean | undefined;
  /** The paper uses {@linkcode huggingFaceOptimiser}. */
  optimiser: OptimiserSettings;
  /** Append EOS to the answers; the paper does not, so that its models never learn to stop. */
  endOfText: boolean;
  /** Whether answers begin with the space that they have behind "Answer:"; they do unless given, in the paper they do not. */
  space?: boolean;
  /** Spoils the labels of the answers; they are as good as they are unless given. */
  labelNoise?: LabelNoise;
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
  /** How models are held while they are trained; in f32 and whole unless given. */
  held?: HeldModel;
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
  /** What it knows besides, by the title of the questions; left out where none were given. */
  general?: Record<string, GeneralKnowledge>;
}

/** One model's outcome; the base model has no method. */
export type NameOutcome = Outcome<NameResults>;

/** What one model did, after its last stage. */
export function nameResult({ stages }: NameOutcome): NameTaskResult {
  return stages.at(-1)!.results.asked;
}

/** What its models are trained on in an epoch: the answers, as often as there are passes, and the replay. */
export function nameSequences(
  { tokenizer, task, training }: Pick<NameExperiment, "tokenizer" | "task" | "training">,
): { answers: Sequence[]; replay: Sequence[] } {
  return {
    answers: trainedAnswers(tokenizer, task, training),
    replay: questionSequences(tokenizer, task.replay, task.replayNames),
  };
}

function trainedAnswers(
  tokenizer: Tokenizer,
  task: NameTask,
  { endOfText, space, labelNoise }: NameTraining,
): Sequence[] {
  return answerSequences(tokenizer, task, endOfText, {
    ...(space !== undefined && { space }),
    ...(labelNoise && { labelNoise }),
  });
}

/** What a method is trained on of the answers; a control that takes wrong facts, the same ones about the next person. */
export function answersTakenBy(
  method: Method,
  { tokenizer, task, training }: Pick<NameExperiment, "tokenizer" | "task" | "training">,
): Sequence[] {
  if (method.takes !== "wrong facts") {
    return takenBy(withHiddenToken(method, tokenizer), trainedAnswers(tokenizer, task, training));
  }
  const rotated = { ...task, rows: rotateNames(task.rows, task.names) };
  const answers = trainedAnswers(tokenizer, rotated, training);
  return takenBy({ ...method, takes: "everything" }, answers);
}

/** Makes an experiment of it, for `runExperiment`. @throws {CannotError} when no answer has a name. */
export async function nameExperiment(
  experiment: NameExperiment,
): Promise<Experiment<NameResults>> {
  checkExperiment(experiment);
  const { base, tokenizer, task, training, held, methods, seeds, maxNewTokens } = experiment;
  const { epochs, perStep, optimiser, answerPasses, mostPositions, recompute } = training;
  checkRoomForAnswers(base.config, tokenizer, task, maxNewTokens);
  const { answers, replay } = nameSequences(experiment);
  const fitting = {
    ...{ epochs, perStep, optimiser },
    ...(mostPositions !== undefined && { mostPositions }),
    ...(recompute && { recompute }),
  };
  const schedule = {
    peak: training.learningRate,
    ...training.schedule ?? { warmup: 0, decay: "linear", final: 0 },
  };
  const data = { answerPasses, sequences: await digestSequences([...answers, ...replay]) };
  const stage = fittingStage("trained", { ...fitting, schedule }, data, (method) => {
    const taken = answersTakenBy(method, experiment);
    return [...Array<readonly Sequence[]>(answerPasses).fill(taken), replay].flat();
  });
  const { rows, names, general = [] } = task;
  const known: Measure<NameResults> = {
    name: "general",
    identity: general,
    measure: async ({ model }) => {
      const opened = await model();
      const results: [string, GeneralKnowledge][] = [];
      for (const { title, rows } of general) {
        results.push([title, await askGeneral(opened, tokenizer, rows)]);
      }
      return Object.fromEntries(results);
    },
  };
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
    ...(held && { held }),
    runs: comparedRuns(methods, seeds),
    stages: [stage],
    measures: general.length > 0 ? [asked, known] : [asked],
  };
}

function checkExperiment(experiment: NameExperiment): void {
  const what = "plan a name experiment";
  checkOptions(what, experiment, {
    base: required(object),
    tokenizer: required(object),
    task: required(object),
    training: required(object),
    held: object,
    methods: required(listOf(object)),
    seeds: required(listOf(seedNumber)),
    maxNewTokens: required(wholeNumber({ min: 1 })),
  });
  checkOptions(what, experiment.training, {
    epochs: required(wholeNumber({ min: 1 })),
    answerPasses: required(wholeNumber({ min: 1 })),
    perStep: required(wholeNumber({ min: 1 })),
    learningRate: required(number({ min: 0 })),
    schedule: object,
    mostPositions: wholeNumber({ min: 1 }),
    recompute: flag,
    optimiser: required(object),
    endOfText: required(flag),
    space: flag,
    labelNoise: object,
  }, "training.");
}
