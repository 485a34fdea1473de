// The paper's main experiment (section 4) for the runner, as a function of its data: from one base model, continual
// pre-training on a stream with risky documents under every method, and instruction tuning after it where there are chats.

import {
  checkOptions,
  listOf,
  number,
  object,
  required,
  seedNumber,
  text,
} from "../../base/options.ts";
import { CannotError } from "../../base/errors.ts";
import { repeatEpoch } from "../../data/epochs.ts";
import type { Method } from "../../data/method.ts";
import { paperMethods, withHiddenToken } from "../../data/method.ts";
import { type BucketTokens, type MixSettings, mixSource, mixStream } from "../../data/mixing.ts";
import { allOf, type Sequence, type SequenceSource } from "../../data/sequence.ts";
import { prefixLength } from "../../data/spans.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { scoreSequences } from "../../eval/score.ts";
import type { LanguageModel } from "../../model/language_model.ts";
import type { Model } from "../../model/weights.ts";
import { objective } from "../../slung/objective.ts";
import { digestOptimiserState, digestSequences } from "../../train/fingerprint.ts";
import { fit, type FitOptions } from "../../train/fit.ts";
import type { OptimiserSettings } from "../../train/optimiser.ts";
import type { OptimiserState } from "../../train/optimiser_state.ts";
import type {
  Experiment,
  HeldModel,
  Measure,
  Outcome,
  Run,
  Stage,
  TrainingHooks,
} from "../runner.ts";
import {
  checkEvaluation,
  type ToxicityEvaluation,
  toxicityMeasures,
  type ToxicityResults,
} from "./evaluation.ts";

/** Everything that decides the outcome. */
export interface ToxicityExperiment {
  /** Configuration and weights from which every run starts: a base model, or fresh weights to pre-train from scratch. */
  base: Model;
  /** AdamW's state that goes with it, as in the paper; zero moments if left out. */
  optimiserState?: OptimiserState;
  /** The one the base model was trained with. */
  tokenizer: Tokenizer;
  /** Documents of the clean stream, without EOS, in memory or in shards. */
  clean: SequenceSource;
  /** Documents of the risky domain, without EOS, with their classes. */
  risky: SequenceSource;
  /** How they are mixed; the share is that of amount 1. */
  mixing: Pick<MixSettings, "tokens" | "share" | "length" | "acrossDocuments">;
  /** Shared by all methods. */
  training: Pick<
    FitOptions,
    "perStep" | "optimiser" | "schedule" | "mostPositions" | "recompute"
  >;
  /** How models are held while they are trained; in f32 and whole unless given. */
  held?: HeldModel;
  /** Compared in this order. */
  methods: readonly Method[];
  /** One run for each method, amount and seed. */
  seeds: readonly number[];
  /** Multiples of the share (Figure 3); a method that takes no risky documents runs once. */
  amounts: readonly number[];
  /** Shared by all methods. */
  evaluation: ToxicityEvaluation;
  /** Tunes every model afterwards and measures it again: from plain prompts, and probed as a user's turn. */
  tuning?: InstructionTuning;
  /** What else is measured of every model, under names of its own. */
  measures?: readonly Measure<Record<string, unknown>>[];
}

/** Instruction tuning after the stream, as in the paper's Figure 2b: the loss is on assistant turns alone. */
export interface InstructionTuning {
  /** From `chatSequences`, behind the tokenizer's BOS, or its EOS if it has none. */
  chats: readonly Sequence[];
  /** Passes over them. */
  epochs: number;
  /** Conversations per step; 128 in the paper. */
  perStep: number;
  /** The peak, after 3 % of warm-up; 2e-6 in the paper. */
  learningRate: number;
  /** That of the stream unless given. */
  optimiser?: OptimiserSettings;
}

/** One model's outcome. */
export type ToxicityOutcome = Outcome<ToxicityResults>;

/** What the training of a model tells about itself. */
export interface StreamTraining {
  /** What it was trained on. */
  buckets: BucketTokens;
  /** Why the training has diverged, where it has. */
  diverged?: string;
}

/**
 * Makes an experiment of it, for `runExperiment`.
 *
 * @throws {CannotError} for an unknown or missing key, when the evaluation cannot be done, or the model has no room for
 * control tokens.
 */
export async function toxicityExperiment(
  experiment: ToxicityExperiment,
): Promise<Experiment<ToxicityResults>> {
  checkExperiment(experiment);
  const { base, tokenizer, held, evaluation, tuning, measures = [] } = experiment;
  checkEvaluation(evaluation, tokenizer, base);
  const controlTokens = controlTokensOf(experiment);
  return {
    base,
    tokenizer,
    ...(held && { held }),
    runs: plannedRuns(experiment),
    stages: [
      await streamStage(experiment, controlTokens),
      ...(tuning ? [await tuningStage(experiment, tuning)] : []),
    ],
    measures: [
      ...await toxicityMeasures(evaluation, tokenizer, controlTokens.low),
      ...measures as unknown as Measure<ToxicityResults>[],
    ],
  };
}

// Prepared data is spread into it with its remarks and its shards, which are not read here.
function checkExperiment(
  experiment: ToxicityExperiment & { remarks?: readonly string[]; shards?: Disposable },
): void {
  checkOptions("plan a toxicity experiment", experiment, {
    base: required(object),
    tokenizer: required(object),
    clean: required(object),
    risky: required(object),
    mixing: required(object),
    training: required(object),
    methods: required(listOf(object)),
    seeds: required(listOf(seedNumber)),
    amounts: required(listOf(number({ min: 0 }))),
    evaluation: required(object),
    optimiserState: object,
    held: object,
    tuning: object,
    measures: listOf(object),
    remarks: listOf(text),
    shards: object,
  });
}

function plannedRuns({ methods, seeds, amounts }: ToxicityExperiment): Run[] {
  return seeds.flatMap((seed) =>
    methods.flatMap((method) =>
      (method.takes === "nothing" ? [0] : amounts).map((amount) => ({
        name: `${method.name}-x${amount}-seed${seed}`,
        method,
        seed,
        amount,
      }))
    )
  );
}

// The two ids after those of the tokenizer, which a model's padded vocabulary has to spare.
function controlTokensOf(
  { base, tokenizer, methods }: ToxicityExperiment,
): MixSettings["controlTokens"] {
  const { vocabularySize } = tokenizer;
  const wanted = methods.find((method) => method.controlTokens);
  if (wanted && base.config.vocabularySize < vocabularySize + 2) {
    throw new CannotError(
      `train with control tokens (${wanted.name})`,
      `the model has ${base.config.vocabularySize} rows for the ${vocabularySize} ids of its tokenizer`,
      "Leave this method out, or use a base model with two rows to spare",
    );
  }
  return { low: vocabularySize, risky: vocabularySize + 1 };
}

async function streamStage(
  experiment: ToxicityExperiment,
  controlTokens: MixSettings["controlTokens"],
): Promise<Stage> {
  const { optimiserState, tokenizer, clean, risky, mixing, training } = experiment;
  const { recompute: _, ...decisive } = training; // computing again changes no byte
  const { eos } = tokenizer.special;
  if (eos === undefined) {
    throw new CannotError(
      `mix documents of the tokenizer "${tokenizer.name}"`,
      "it has no end-of-text token to put between them",
      "Use another tokenizer",
    );
  }
  return {
    name: "trained",
    identity: {
      training: decisive,
      mixing,
      special: tokenizer.special,
      controlTokens,
      documents: [await digestSequences(clean), await digestSequences(risky)],
      ...(optimiserState && { optimiserState: await digestOptimiserState(optimiserState) }),
    },
    async train(model, run, hooks): Promise<StreamTraining | undefined> {
      const { seed, amount = 1 } = run;
      const method = withHiddenToken(run.method!, tokenizer);
      const settings: MixSettings = {
        ...mixing,
        share: mixing.share * amount,
        prefix: prefixLength(tokenizer),
        eos,
        controlTokens,
        seed,
      };
      const { sequences, buckets } = mixSource(method, clean, risky, settings);
      const common = { ...training, ...(optimiserState && { optimiserState }), seed };
      const epoch = method.weighByReference
        ? await weighByReference(
          model,
          experiment,
          { method, settings, sequences: allOf(sequences), common },
          hooks,
        )
        : sequences;
      if (epoch === undefined) return undefined;
      const { finished, diverged } = await fit(model, {
        ...common,
        epochs: [epoch],
        objective: method.objective,
        ...hooks.fitting,
      });
      return finished ? { buckets, ...(diverged && { diverged }) } : undefined;
    },
  };
}

// The reference model is the low-risk baseline of the same seed, so that what is only in risky text is hard for it. It is
// trained in the place of the model, which then starts anew. Stream and losses are kept in memory.
async function weighByReference(
  model: LanguageModel,
  { clean, risky }: ToxicityExperiment,
  { method, settings, sequences, common }: {
    method: Method;
    settings: MixSettings;
    sequences: readonly Sequence[];
    common: Omit<FitOptions, "epochs" | "objective">;
  },
  hooks: TrainingHooks,
): Promise<Sequence[] | undefined> {
  const losses = async () =>
    (await scoreSequences(model, sequences)).map((scores) => scores.map((score) => -score));
  const before = await losses();
  const initial = await model.download("learned");
  const lowRisk = paperMethods.find(({ name }) => name === "low_risk")!;
  const { finished } = await fit(model, {
    ...common,
    epochs: [mixStream(lowRisk, clean, risky, settings).sequences],
    objective: lowRisk.objective,
    ...hooks.fittingOf("reference"),
  });
  if (!finished) return undefined;
  const weighed = method.weighByReference!(sequences, before, await losses());
  model.parameters.uploadLearned(initial);
  return weighed;
}

async function tuningStage(
  { training }: ToxicityExperiment,
  { chats, epochs, perStep, learningRate, optimiser }: InstructionTuning,
): Promise<Stage> {
  const { recompute, ...decisive } = { ...training, ...(optimiser && { optimiser }) };
  const schedule: FitOptions["schedule"] = {
    peak: learningRate,
    warmup: Math.round(0.03 * epochs * Math.ceil(chats.length / perStep)),
    decay: "linear",
    final: 0,
  };
  return {
    name: "tuned",
    identity: {
      ...{ training: decisive, epochs, perStep, schedule },
      chats: await digestSequences(chats),
    },
    async train(model, { seed }, hooks) {
      const { finished } = await fit(model, {
        ...decisive,
        ...(recompute && { recompute }),
        epochs: repeatEpoch(chats, epochs),
        perStep,
        seed,
        objective: objective("direct"),
        schedule,
        ...hooks.fitting,
      });
      return finished ? {} : undefined;
    },
  };
}
