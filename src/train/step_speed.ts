// How fast an adapter trains, measured on a small step of the same kind of model: one layer as wide as the model's, or
// narrower where that takes too long, with the same options.

import { packSequences } from "../data/packing.ts";
import { lowRiskSequence } from "../data/sequence.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { DecoderConfig } from "../model/config.ts";
import { LanguageModel } from "../model/language_model.ts";
import { objective } from "../slung/objective.ts";
import { estimateStep } from "./estimate.ts";
import { olmoOptimiser } from "./optimiser.ts";
import type { StepShape } from "./recorded_step.ts";
import { Trainer } from "./trainer.ts";

/** What was measured. */
export interface StepSpeed {
  /** Floating-point operations a second of its products, a multiply-add counted as two; all else took part of the time. */
  flops: number;
  /** The step that was measured. */
  shape: StepShape;
}

const vocabularySize = 2048;
const leastSeconds = 0.25;
const mostSteps = 32;

/** Measures the speed of a step that resembles one of `shape`. */
export async function measureStepSpeed(gpu: Gpu, shape: StepShape): Promise<StepSpeed> {
  const cut = cutStep(gpu, shape);
  const { config, precision, rows, time, recompute = false, lora } = cut;
  // All weights are zero: what is computed takes the same time.
  using model = new LanguageModel(gpu, config, undefined, {
    ...{ gradients: true, precision },
    ...(lora && { lora }),
  });
  const terms = objective("unlikelihood");
  using trainer = new Trainer(model, {
    ...{ rows, time, recompute, objective: terms, optimiser: olmoOptimiser },
  });
  const sequence = lowRiskSequence(new Uint32Array(time + 1));
  const { batches } = packSequences(new Array(rows).fill(sequence), { rows, time });
  let done = 0;
  const seconds = async (steps: number) => {
    const began = performance.now();
    for (let i = 0; i < steps; i++) trainer.step(done++, batches, 0);
    await trainer.drain();
    return (performance.now() - began) / 1000;
  };
  await seconds(1);
  let steps = 1, took = await seconds(steps);
  while (took < leastSeconds && steps < mostSteps) took = await seconds(steps *= 2);
  return { flops: 2 * trainer.pass.program.multiplyAdds * steps / took, shape: cut };
}

// One layer, halved in width until the step takes little.
function cutStep(gpu: Gpu, shape: StepShape): StepShape {
  const { software } = gpu.adapter;
  const mostTime = software ? 128 : 1024;
  const mostBytes = software ? 300e6 : 2e9;
  const { freeze: _, ...kept } = shape; // may name layers that are cut off
  let cut: StepShape = {
    ...kept,
    precision: gpu.storesHalves ? shape.precision : "f32",
    config: {
      ...shape.config,
      layers: 1,
      vocabularySize: Math.min(vocabularySize, shape.config.vocabularySize),
    },
    rows: 1,
    time: Math.min(mostTime, shape.time),
  };
  while (canBeHalved(cut) && !fits(gpu, cut, mostBytes)) {
    cut = { ...cut, config: halfAsWide(cut.config) };
  }
  return cut;
}

function canBeHalved({ config: { heads, kvHeads, headWidth }, lora }: StepShape): boolean {
  return heads % 2 === 0 && kvHeads % 2 === 0 && kvHeads / 2 * headWidth >= (lora?.rank ?? 1);
}

function fits(gpu: Gpu, shape: StepShape, mostBytes: number): boolean {
  const { refusal, bytes } = estimateStep(gpu, shape);
  return refusal === undefined && bytes <= mostBytes;
}

function halfAsWide(config: DecoderConfig): DecoderConfig {
  const { width, heads, kvHeads, feedForward } = config;
  return {
    ...config,
    ...{ width: width / 2, heads: heads / 2, kvHeads: kvHeads / 2 },
    feedForward: 4 * Math.round(feedForward / 8),
  };
}
