// What --dry-run prints: the whole plan of an experiment and what it will take, before anything is made.

import { describeBytes } from "../src/base/bytes.ts";
import type { Method } from "../src/data/method.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { countParameters } from "../src/model/parameter_shapes.ts";
import type { Terminal } from "../src/report/command_line.ts";
import { renderTable } from "../src/report/table.ts";
import { estimateStep } from "../src/train/estimate.ts";
import {
  adapterMemory,
  describeChange,
  describeParts,
  misfit,
  smallestChange,
} from "../src/train/fitting_memory.ts";
import type { StepShape } from "../src/train/recorded_step.ts";
import { measureStepSpeed } from "../src/train/step_speed.ts";
import { adjustableSteps } from "./training_options.ts";

/** One model of an experiment, as it will be trained. */
export interface PlannedRun {
  /** The method, or the stage. */
  title: string;
  /** Models that are trained so. */
  models: number;
  /** Optimiser steps of each. */
  steps: number;
  /** Tokens of each. */
  tokens: number;
  /** Micro-batches of a step. */
  microBatches: number;
}

/** A plan. */
export interface ExperimentPlan {
  /** Of the experiment, e.g. `tofu, protocol paper`. */
  title: string;
  /** What it follows, and how to have it otherwise. */
  follows: readonly string[];
  /** What it starts from. */
  base: string;
  /** What it reads. */
  data: readonly string[];
  /** How it trains, in a few words each. */
  settings: readonly string[];
  /** What it trains. */
  runs: readonly PlannedRun[];
  /** The micro-batch of all of them. */
  step: StepShape;
  /** What it writes. */
  files: readonly string[];
}

/** What the losses of methods are divided by, as a line of {@linkcode ExperimentPlan.settings}. */
export function describeDenominators(methods: readonly Method[]): string {
  return `losses divided by: ${
    [...new Set(methods.map(({ objective }) => objective.denominator))].join(", ")
  }`;
}

/** Prints a plan with memory and time; returns it for `--json`. */
export async function showPlan(
  gpu: Gpu,
  plan: ExperimentPlan,
  terminal: Terminal,
): Promise<object> {
  const { title, follows, base, data, settings, runs, step, files } = plan;
  const estimate = estimateStep(gpu, step);
  const memory = adapterMemory(gpu);
  const why = misfit(gpu, estimate, memory);
  const change = why === undefined
    ? undefined
    : smallestChange(gpu, step, memory, adjustableSteps)?.change;
  const { flops } = await measureStepSpeed(gpu, step);
  const seconds = (run: PlannedRun) =>
    2 * estimate.multiplyAdds * run.microBatches * run.steps * run.models / flops;
  const total = runs.reduce((sum, run) => sum + seconds(run), 0);
  const list = (heading: string, lines: readonly string[]) =>
    [heading, ...lines.map((line) => `  ${line}`)].join("\n");
  const remedy = change && describeChange(step, change);
  terminal.print([
    title,
    list("Starts from", [
      base,
      `${step.config.family} of ${countParameters(step.config).toLocaleString("en")} parameters`,
    ]),
    list("Reads", data),
    list("Trains", settings),
    renderTable(
      [
        { key: "title", title: "Models" },
        { key: "models", title: "How many" },
        { key: "steps", title: "Steps each", align: "right" },
        { key: "tokens", title: "Tokens each", align: "right" },
        { key: "time", title: "Training, in all", align: "right" },
      ],
      runs.map((run) => ({
        ...{ title: run.title, models: run.models },
        ...{ steps: run.steps.toLocaleString("en"), tokens: run.tokens.toLocaleString("en") },
        time: hours(seconds(run)),
      })),
    ),
    `${hours(total)} of training on ${gpu.adapter.name}, by the speed of a small step; measuring ` +
    "the models comes on top.",
    `Memory: ${describeBytes(estimate.bytes)} for ${step.rows} × ${step.time} tokens at once in ` +
    `${step.precision}: ${describeParts(estimate)}.`,
    ...(why === undefined ? [] : [
      `It does not fit this adapter: ${why}. ` +
      (remedy ? `With ${remedy} it would.` : "No option makes it fit."),
    ]),
    list("Writes", files),
    list("Follows", follows),
  ].join("\n\n"));
  return { ...plan, estimate, fits: why === undefined, why, change, seconds: total };
}

function hours(seconds: number): string {
  if (seconds < 100) return `${seconds.toFixed(0)} s`;
  if (seconds < 6000) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 360_000
    ? `${(seconds / 3600).toFixed(1)} h`
    : `${Math.round(seconds / 86_400).toLocaleString("en")} days`;
}
