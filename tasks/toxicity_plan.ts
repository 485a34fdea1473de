// How the stream of `deno task toxicity` is trained, as its options say it, and what --dry-run prints of that.

import { describeBytes } from "../src/base/bytes.ts";
import type { Method } from "../src/data/method.ts";
import { lowRiskSequence } from "../src/data/sequence.ts";
import type { HeldModel } from "../src/experiments/runner.ts";
import type { ToxicityExperiment } from "../src/experiments/toxicity/experiment.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { DecoderConfig } from "../src/model/config.ts";
import { countParameters } from "../src/model/parameter_shapes.ts";
import type { Terminal } from "../src/report/command_line.ts";
import { expectFitting } from "../src/train/fitting_memory.ts";
import { optimiserOf } from "../src/train/optimiser.ts";
import type { StepShape } from "../src/train/recorded_step.ts";
import { toxicityPaperChoices } from "./paper_values.ts";
import { describeDenominators, showPlan } from "./plan.ts";
import { adjustableSteps, countMicroBatches, largestStep } from "./training_options.ts";

/** The options of the stream's training; what is left out is the protocol's. */
export interface StreamOptions {
  decay?: "constant" | "linear" | "cosine" | undefined;
  warmup?: number | undefined;
  finalRate?: number | undefined;
  betas?: readonly number[] | undefined;
  epsilon?: number | undefined;
  weightDecay?: number | undefined;
  maxGradientNorm?: number | undefined;
  microBatch?: number | undefined;
  recompute: boolean;
}

type Training = ToxicityExperiment["training"];

/** A protocol's training, with what the options say otherwise. */
export function changedTraining(training: Training, options: StreamOptions): Training {
  const { decay, warmup, finalRate, betas = [], microBatch, recompute } = options;
  const { epsilon, weightDecay, maxGradientNorm } = options;
  const final = decay === "constant" ? 1 : finalRate ?? (decay && 0);
  return {
    ...training,
    optimiser: optimiserOf({
      ...training.optimiser,
      ...(betas.length > 0 && { betas }),
      ...(epsilon !== undefined && { epsilon }),
      ...(weightDecay !== undefined && { weightDecay }),
      ...(maxGradientNorm !== undefined && { maxGradientNorm }),
    }),
    schedule: {
      ...training.schedule,
      ...(decay && { decay }),
      ...(warmup !== undefined && { warmup }),
      ...(final !== undefined && { final }),
    },
    ...(microBatch !== undefined && { mostPositions: microBatch }),
    ...(recompute && { recompute }),
  };
}

/** What is trained on the stream, and how a protocol has it. */
export type Stream =
  & Pick<ToxicityExperiment, "mixing" | "training">
  & { config: DecoderConfig };

function streamStep(
  { config, mixing: { length }, training }: Stream,
  options: StreamOptions,
  held: HeldModel | undefined,
): StepShape {
  const longest = lowRiskSequence(new Uint32Array(length));
  return largestStep(config, longest, changedTraining(training, options), held);
}

/** @throws {CannotError} when a step does not fit the adapter, with the smallest change with which it would. */
export function expectStreamFits(
  gpu: Gpu,
  stream: Stream,
  options: StreamOptions,
  held: HeldModel | undefined,
): void {
  expectFitting(gpu, streamStep(stream, options, held), { adjustable: adjustableSteps });
}

/** The options of the whole experiment that a plan tells of. */
export interface PlanOptions extends StreamOptions {
  protocol: string;
  base?: string | undefined;
  data?: string | undefined;
  out: string;
  seeds: readonly number[];
  amounts: readonly number[];
  chats?: string | undefined;
  chatEpochs: number;
  chatPerStep: number;
  chatLearningRate: number;
  checkpointEvery?: number | undefined;
}

/** Prints the plan; returns it for `--json`. */
export async function showToxicityPlan(
  gpu: Gpu,
  stream: Stream,
  options: PlanOptions,
  { methods, held }: { methods: readonly Method[]; held: HeldModel | undefined },
  terminal: Terminal,
): Promise<object> {
  const { config, mixing: { tokens, share, length } } = stream;
  const { protocol, seeds, amounts, out, chats, checkpointEvery = 200 } = options;
  const step = streamStep(stream, options, held);
  const { schedule, optimiser, perStep } = changedTraining(stream.training, options);
  return await showPlan(gpu, {
    title: `Toxicity, protocol ${protocol}`,
    follows: protocol === "paper"
      ? toxicityPaperChoices
      : ["Sizes of its own; --protocol paper has the paper's values"],
    base: options.base ??
      (protocol === "invented-scratch"
        ? "fresh weights"
        : `a base of its own, which is trained first, in ${out}/base`),
    data: [options.data ?? "an invented world"],
    settings: [
      `${
        tokens.toLocaleString("en")
      } tokens a model in sequences of ${length}, ${perStep} a step; ` +
      `${(100 * share).toFixed(1)} % of them from risky documents, times ${amounts.join(", ")}`,
      `learning rate ${schedule.peak}, ${schedule.warmup} steps of warm-up, then ${schedule.decay}; ` +
      `seeds ${seeds.join(", ")}`,
      `AdamW: ${JSON.stringify(optimiser)}`,
      describeDenominators(methods),
      ...(held?.lora ? [`LoRA: ${JSON.stringify(held.lora)}`] : []),
      ...(held?.freeze ? [`without ${held.freeze.join(", ")}`] : []),
      ...(chats === undefined ? [] : [
        `then ${options.chatEpochs} epochs over ${chats}, ${options.chatPerStep} chats a step, ` +
        `learning rate ${options.chatLearningRate}`,
      ]),
    ],
    runs: methods.map((method) => ({
      title: method.title,
      models: seeds.length * (method.takes === "nothing" ? 1 : amounts.length),
      steps: Math.ceil(Math.floor(tokens / length) / perStep),
      tokens,
      microBatches: countMicroBatches(step, { perStep, length }),
    })),
    step,
    files: [
      `${out}/results.json and figures`,
      `${out}/runs/METHOD-xAMOUNT-seedN: measures, and models of ${
        describeBytes(4 * countParameters(config))
      } each unless --keep-models no`,
      `${out}/checkpoints, every ${checkpointEvery} steps, while a model is trained`,
    ],
  }, terminal);
}
