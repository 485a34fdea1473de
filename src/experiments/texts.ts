// The plainest experiment: every method on the same texts. What else a stage needs to be trained, kept and resumed is here
// too, for the experiments that train on more than that.

import { CannotError } from "../base/errors.ts";
import {
  checkOptions,
  flag,
  listOf,
  object,
  required,
  seedNumber,
  wholeNumber,
} from "../base/options.ts";
import { repeatEpoch } from "../data/epochs.ts";
import { type Method, takenBy, withHiddenToken } from "../data/method.ts";
import type { Sequence } from "../data/sequence.ts";
import { encodeIntoWindows, type RiskyText } from "../data/spans.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { Model } from "../model/weights.ts";
import { digestSequences } from "../train/fingerprint.ts";
import { fit, type FitOptions } from "../train/fit.ts";
import { comparedRuns, type Experiment, type Measure, type Stage } from "./runner.ts";

/** How a stage trains; every method alike. */
export interface StageTraining extends
  Pick<
    FitOptions,
    "perStep" | "optimiser" | "schedule" | "mostPositions" | "recompute"
  > {
  /** Passes over what a method takes of the data, each in an order of its own. */
  epochs: number;
}

/**
 * Everything that decides the outcome of an experiment on texts of one's own.
 *
 * @example
 * ```ts
 * import { initialise, objective, olmoOptimiser, type TextExperiment } from "@slung/slung";
 * import { smallOlmo, trainBytePair } from "@slung/slung";
 *
 * const config = smallOlmo({ width: 16, layers: 1, heads: 2, vocabularySize: 320 });
 * const experiment: TextExperiment<Record<string, never>> = {
 *   base: { config, weights: initialise(config, 0) },
 *   tokenizer: trainBytePair(["the old mill"], 258),
 *   texts: [{ text: "The old mill turned.", spans: [] }],
 *   training: {
 *     epochs: 1,
 *     perStep: 1,
 *     optimiser: olmoOptimiser,
 *     schedule: { peak: 1e-3, warmup: 0, decay: "linear", final: 0 },
 *   },
 *   methods: [{ name: "direct", title: "Direct training", objective: objective("direct") }],
 *   seeds: [0, 1, 2],
 *   measures: [],
 * };
 * ```
 */
export interface TextExperiment<Results> {
  /** Configuration and weights from which every run starts: a trained model's, or fresh ones. */
  base: Model;
  /** The one that goes with the base model. */
  tokenizer: Tokenizer;
  /** What is trained on, with what is risky in it. */
  texts: readonly RiskyText[];
  /** Tokens of a window, special tokens included; the model's context unless given. */
  length?: number;
  /** Shared by all methods. */
  training: StageTraining;
  /** Compared in this order, after the base model as it is. */
  methods: readonly Method[];
  /** One model for each method and seed. */
  seeds: readonly number[];
  /** What is measured of every model, the base model included. */
  measures: readonly Measure<Results>[];
}

/**
 * Makes an experiment, for `runExperiment`, in which each method is trained on the same texts.
 *
 * @throws {CannotError} for texts whose spans leave them, and for a method that takes nothing of risky texts.
 *
 * @example Every method on the same texts, and how probable each model finds a name
 * ```ts
 * import { encodeText, Gpu, type Measure, objective, olmoOptimiser } from "@slung/slung";
 * import { readPretrained, Risk, runExperiment, scoreSequences, textExperiment } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { source: base, tokenizer } = await readPretrained("path/to/model");
 * const texts = [{ text: "Mira ran the mill.", spans: [{ start: 0, end: 4, risk: Risk.high }] }];
 * const named: Measure<{ named: number }> = {
 *   name: "named",
 *   identity: texts,
 *   async measure({ model }) {
 *     const sequence = encodeText(tokenizer, texts[0]!);
 *     return (await scoreSequences(await model(), [sequence]))[0]![0]!;
 *   },
 * };
 * const experiment = await textExperiment({
 *   base,
 *   tokenizer,
 *   texts,
 *   training: {
 *     epochs: 4,
 *     perStep: 1,
 *     optimiser: olmoOptimiser,
 *     schedule: { peak: 1e-2, warmup: 0, decay: "constant", final: 1 },
 *   },
 *   methods: (["direct", "unlikelihood"] as const).map((name) => ({
 *     name,
 *     title: name,
 *     objective: objective(name),
 *   })),
 *   seeds: [0],
 *   measures: [named],
 * });
 * const [, direct, unlikelihood] = (await runExperiment(gpu, experiment, "runs/mira"))
 *   .map(({ stages }) => stages[0]!.results.named);
 * console.log(direct! > unlikelihood!); // true
 * ```
 */
export async function textExperiment<Results>(
  experiment: TextExperiment<Results>,
): Promise<Experiment<Results>> {
  checkOptions("make an experiment", experiment, {
    base: required(object),
    tokenizer: required(object),
    texts: required(listOf(object)),
    length: wholeNumber({ min: 2 }),
    training: required(object),
    methods: required(listOf(object)),
    seeds: required(listOf(seedNumber)),
    measures: required(listOf(object)),
  });
  checkOptions("make an experiment", experiment.training, {
    epochs: required(wholeNumber({ min: 1 })),
    perStep: required(wholeNumber({ min: 1 })),
    optimiser: required(object),
    schedule: required(object),
    mostPositions: wholeNumber({ min: 1 }),
    recompute: flag,
  }, "training.");
  const { base, tokenizer, texts, training, methods, seeds, measures } = experiment;
  const { length = base.config.contextLength } = experiment;
  const windows = texts.flatMap((text) => encodeIntoWindows(tokenizer, text, length));
  const taken = (method: Method) => takenBy(withHiddenToken(method, tokenizer), windows);
  const idle = methods.find((method) => taken(method).length === 0);
  if (idle) {
    throw new CannotError(
      `train "${idle.name}" on ${texts.length} texts`,
      "it takes nothing of them",
      "Leave this method out, or give texts that hold something for it",
    );
  }
  const stage = fittingStage(
    "trained",
    training,
    await digestSequences(windows),
    taken,
  );
  const runs = comparedRuns(methods, seeds);
  return { base, tokenizer, runs, stages: [stage], measures };
}

/**
 * A stage that fits a model to the same sequences in every epoch.
 *
 * @param data What of its identity is not in `training`, such as digests of the sequences; as JSON.
 * @param epochOf The sequences of an epoch of a method.
 */
export function fittingStage(
  name: string,
  { epochs, recompute, ...decisive }: StageTraining,
  data: unknown,
  epochOf: (method: Method) => readonly Sequence[],
): Stage {
  return {
    name,
    identity: { epochs, ...decisive, data }, // computing activations again changes no byte
    async train(model, { method, seed }, hooks) {
      const { step, finished, diverged } = await fit(model, {
        ...decisive,
        ...(recompute && { recompute }),
        epochs: repeatEpoch(epochOf(method!), epochs),
        seed,
        objective: method!.objective,
        ...hooks.fitting,
      });
      return finished ? { steps: step, ...(diverged && { diverged }) } : undefined;
    },
  };
}
