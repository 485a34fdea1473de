// The name experiment for the runner: the untouched base model and one model for each method and seed, each asked the same
// questions.

import { type Method, takenBy } from "../../data/method.ts";
import type { Sequence } from "../../data/sequence.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { Model } from "../../model/weights.ts";
import { digestSequences } from "../../train/fingerprint.ts";
import { fit } from "../../train/fit.ts";
import type { OptimiserSettings } from "../../train/optimiser.ts";
import type { Experiment, Measure, Outcome, Run, Stage } from "../runner.ts";
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
  /** What else is measured of every model, under names of its own. */
  measures?: readonly Measure<Record<string, unknown>>[];
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

/** Makes an experiment of it, for `runExperiment`. @throws {CannotError} when no answer has a name. */
export async function nameExperiment(
  { base, tokenizer, task, training, methods, seeds, maxNewTokens, measures = [] }: NameExperiment,
): Promise<Experiment<NameResults>> {
  const answers = answerSequences(tokenizer, task, training.endOfText);
  const replay = questionSequences(tokenizer, task.replay, task.replayNames);
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
    runs: namedRuns(methods, seeds),
    stages: [await trainingStage(training, answers, replay)],
    measures: [asked, ...measures as unknown as Measure<NameResults>[]],
  };
}

function namedRuns(methods: readonly Method[], seeds: readonly number[]): Run[] {
  return [
    { name: "base", method: undefined, seed: 0 },
    ...seeds.flatMap((seed) =>
      methods.map((method) => ({ name: `${method.name}-seed${seed}`, method, seed }))
    ),
  ];
}

async function trainingStage(
  { epochs, answerPasses, perStep, learningRate, optimiser }: NameTraining,
  answers: readonly Sequence[],
  replay: readonly Sequence[],
): Promise<Stage> {
  return {
    name: "trained",
    identity: {
      ...{ epochs, answerPasses, perStep, learningRate, optimiser },
      sequences: await digestSequences([...answers, ...replay]),
    },
    async train(model, { method, seed }, hooks) {
      const taken = takenBy(method!, answers);
      const epoch = [...Array<readonly Sequence[]>(answerPasses).fill(taken), replay].flat();
      const { step, finished, diverged } = await fit(model, {
        epochs: Array<readonly Sequence[]>(epochs).fill(epoch),
        perStep,
        seed,
        objective: method!.objective,
        optimiser,
        schedule: { peak: learningRate, warmup: 0, decay: "linear", final: 0 },
        ...hooks.fitting,
      });
      return finished ? { steps: step, ...(diverged && { diverged }) } : undefined;
    },
  };
}
