// What training and generating take, before anything is allocated: the code that does them records them on a device that
// only takes down. So no formula for memory stands here that could differ from what is allocated.

import { CannotError } from "../base/errors.ts";
import { type Gpu, stagedForRead } from "../gpu/gpu.ts";
import { BatchDecoder } from "../model/generate.ts";
import { LanguageModel } from "../model/language_model.ts";
import { stagedForUpload } from "../nn/parameters.ts";
import { type RecordedStep, recordStep, stepParameters, type StepShape } from "./recorded_step.ts";

/** What memory is for. */
export const memoryParts = [
  "weights",
  "gradients",
  "moments",
  "activations",
  "loss",
  "textures",
  "staging",
] as const;

/**
 * One of {@linkcode memoryParts}: `textures` are copies of operands that a software adapter reads faster, `staging` is for
 * a moment, while weights are loaded or saved.
 */
export type MemoryPart = typeof memoryParts[number];

/** What a training step takes. */
export interface StepEstimate {
  /** Bytes of the adapter by what they are for. */
  parts: Record<MemoryPart, number>;
  /** Bytes in all. */
  bytes: number;
  /** Bytes of the largest range of a buffer that a kernel binds. */
  largestBinding: number;
  /** Multiply-adds of a micro-batch in which every position has a loss. */
  multiplyAdds: number;
  /** Elements of what is learned. */
  learned: number;
  /** Why this adapter cannot do it, however much memory it has. */
  refusal?: string;
}

/**
 * What a training step of one micro-batch takes.
 *
 * @param gpu Decides which kernels are used, and so their scratch memory; nothing is allocated on it.
 * @throws {CannotError} for what no adapter can do, such as a row longer than the model's context.
 */
export function estimateStep(gpu: Gpu, shape: StepShape): StepEstimate {
  const { recorded, refusal } = recordAnyway(gpu, shape);
  const parts = Object.fromEntries(memoryParts.map((part) => [part, 0])) as StepEstimate["parts"];
  for (const { name, bytes } of recorded.inventory) {
    const known = partNames.find(([pattern]) => pattern.test(name));
    parts[known?.[1] ?? "activations"] += bytes;
  }
  // Loading and reading back do not happen at once.
  parts.staging = Math.max(
    stagedForUpload(stepParameters(shape), shape.precision),
    stagedForRead(gpu, 4 * recorded.learned),
  );
  return {
    parts,
    bytes: recorded.memory + parts.staging,
    largestBinding: recorded.pipelines.reduce(
      (most, { largestBinding }) => Math.max(most, largestBinding),
      0,
    ),
    multiplyAdds: recorded.multiplyAdds,
    learned: recorded.learned,
    ...(refusal !== undefined && { refusal }),
  };
}

const partNames: readonly [pattern: RegExp, part: MemoryPart][] = [
  [/^weights/, "weights"],
  [/^gradients\//, "gradients"],
  [/^optimiser\//, "moments"],
  [/^train\/(logits|hidden_chunk|hidden_chunk_gradient|losses|log_odds|class_sums|step)$/, "loss"],
  [/^scalar_ring$/, "loss"],
  [/\/texture$/, "textures"],
];

// Where the adapter's limits do not allow the step, it is recorded without them.
function recordAnyway(gpu: Gpu, shape: StepShape): { recorded: RecordedStep; refusal?: string } {
  const halves = shape.precision === "f16";
  const without = `${gpu.adapter.name} has no shader-f16`;
  try {
    const recorded = recordStep(gpu.recorder({ halves }), shape);
    return { recorded, ...(halves && !gpu.storesHalves && { refusal: without }) };
  } catch (error) {
    if (!(error instanceof CannotError)) throw error;
    const recorded = recordStep(gpu.recorder({ halves, unlimited: true }), shape);
    return { recorded, refusal: error.message };
  }
}

/**
 * Bytes of keys and values while sequences are generated together.
 *
 * @param sizes.batch How many.
 * @param sizes.length Tokens of the longest, its prompt included.
 * @throws {CannotError} for more tokens than the context holds.
 */
export function estimateCache(
  gpu: Gpu,
  { config, precision }: Pick<StepShape, "config" | "precision">,
  { batch, length }: { batch: number; length: number },
): number {
  const { gpu: recorder } = gpu.recorder({ halves: precision === "f16", unlimited: true });
  const model = new LanguageModel(recorder, config, undefined, { precision });
  new BatchDecoder(model, { batch, capacity: length, maxNewTokens: 1 });
  return recorder.inventory()
    .filter(({ name }) => /^decode\/layer\d+\/(keys|values)$/.test(name))
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
