// A training step of any size on a device that only records: what it allocates, binds and computes, told by the code that
// does it.

import { packSequences } from "../data/packing.ts";
import { lowRiskSequence } from "../data/sequence.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { RecordedPipeline } from "../gpu/recording_device.ts";
import type { Precision } from "../gpu/tensor.ts";
import type { DecoderConfig } from "../model/config.ts";
import { LanguageModel } from "../model/language_model.ts";
import { type LoraSettings, loraShapes } from "../model/lora.ts";
import { parameterShapes } from "../model/parameter_shapes.ts";
import { objective } from "../slung/objective.ts";
import { olmoOptimiser } from "./optimiser.ts";
import { Trainer } from "./trainer.ts";

/** What decides the kernels and the memory of a step. */
export interface StepShape {
  /** The model. */
  config: DecoderConfig;
  /** What it runs in. */
  precision: Precision;
  /** Rows of the micro-batch, B. */
  rows: number;
  /** Positions of a row, T. */
  time: number;
  /** As `TrainerOptions.recompute`. */
  recompute?: boolean | undefined;
  /** As `LanguageModelOptions.lora`. */
  lora?: LoraSettings | undefined;
  /** As `LanguageModelOptions.freeze`. */
  freeze?: readonly string[] | undefined;
}

/** A step as it would be. */
export interface RecordedStep {
  /** In the order in which the step first needs them. */
  pipelines: readonly RecordedPipeline[];
  /** Bytes of all buffers and textures. */
  memory: number;
  /** Buffers and textures, largest first. */
  inventory: { name: string; bytes: number }[];
  /** Multiply-adds of all products of a micro-batch in which every position has a loss. */
  multiplyAdds: number;
  /** Elements of what is learned. */
  learned: number;
}

/** Shapes of all parameters of a step, those of LoRA included. */
export function stepParameters({ config, lora }: StepShape): Map<string, readonly number[]> {
  return new Map([...parameterShapes(config), ...lora ? loraShapes(config, lora) : []]);
}

/**
 * Records one step of one micro-batch, in which every position has a loss.
 *
 * @param recorder From `Gpu.recorder`.
 * @throws {CannotError} where the limits of the adapter do not allow the step, naming the tensor and what would.
 */
export function recordStep(
  { gpu, pipelines }: ReturnType<Gpu["recorder"]>,
  shape: StepShape,
): RecordedStep {
  const { config, precision, rows, time, recompute = false, lora, freeze } = shape;
  const data = new Float32Array(); // nothing is kept, whatever is written
  const weights = new Map(
    Array.from(stepParameters(shape), ([name, shape]) => [name, { shape, data }]),
  );
  const model = new LanguageModel(gpu, config, weights, {
    ...{ gradients: true, precision },
    ...(lora && { lora }),
    ...(freeze && { freeze }),
  });
  const terms = objective("unlikelihood"); // all losses take the same memory
  const options = { rows, time, recompute, optimiser: olmoOptimiser, objective: terms };
  const trainer = new Trainer(model, options);
  const sequence = lowRiskSequence(new Uint32Array(time + 1));
  const { batches } = packSequences(new Array(rows).fill(sequence), { rows, time });
  trainer.step(0, batches, 0);
  return {
    ...{ pipelines, memory: gpu.bytes, inventory: gpu.inventory() },
    multiplyAdds: trainer.pass.program.multiplyAdds,
    learned: model.parameters.learned.reduce((sum, { weight }) => sum + weight.length, 0),
  };
}
