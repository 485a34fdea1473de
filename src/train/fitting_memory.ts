// Whether a training step fits an adapter and its memory, and if not the smallest change with which it would.

import { describeBytes } from "../base/bytes.ts";
import { CannotError } from "../base/errors.ts";
import { hostMemory } from "./host_memory.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { estimateStep, memoryParts, type StepEstimate } from "./estimate.ts";
import type { StepShape } from "./recorded_step.ts";

/** What of a step can be changed so that it fits. */
export type StepChange = Partial<
  Pick<StepShape, "rows" | "time" | "recompute" | "precision" | "lora">
>;

const stepChanges: readonly (keyof StepChange)[] = [
  ...["rows", "recompute", "precision", "lora", "time"] as const,
];

/** A change, and what the step then takes. */
export interface FittingChange {
  /** What is different. */
  change: StepChange;
  /** With it. */
  estimate: StepEstimate;
}

/** Bytes that an adapter has, as far as that can be known: those of a software adapter are the machine's. */
export function adapterMemory(gpu: Gpu): number | undefined {
  return gpu.adapter.software ? hostMemory() : undefined;
}

/** Why a step does not fit, if it does not. */
export function misfit(
  gpu: Gpu,
  { refusal, bytes }: Pick<StepEstimate, "refusal" | "bytes">,
  memory: number | undefined,
): string | undefined {
  if (refusal !== undefined) return refusal.replace(/\.$/, "");
  if (memory === undefined || bytes <= memory) return undefined;
  return `it takes ${describeBytes(bytes)} and ${gpu.adapter.name} has ${describeBytes(memory)}`;
}

const shortestTime = 64;
const suggestedRank = 8;

/**
 * The smallest change with which a step fits: first what changes no number (a smaller micro-batch, then computing
 * activations again), then f16, then LoRA, then shorter rows; undefined where none of them is enough.
 *
 * @param adjustable Which of these there are; all unless given.
 */
export function smallestChange(
  gpu: Gpu,
  shape: StepShape,
  memory: number | undefined,
  adjustable: readonly (keyof StepChange)[] = stepChanges,
): FittingChange | undefined {
  const tried = (change: StepChange): FittingChange | undefined => {
    const estimate = estimateStep(gpu, { ...shape, ...change });
    return misfit(gpu, estimate, memory) === undefined ? { change, estimate } : undefined;
  };
  const fewest = adjustable.includes("rows") ? 1 : shape.rows;
  const stages = changesOf(gpu, shape, adjustable);
  for (const stage of stages) {
    const withRows = (rows: number) => tried(rows < shape.rows ? { ...stage, rows } : stage);
    const least = withRows(fewest);
    if (!least) continue;
    for (let rows = shape.rows; rows > fewest; rows = Math.floor(rows / 2)) {
      const more = withRows(rows);
      if (more) return more;
    }
    return least;
  }
  if (!adjustable.includes("time")) return undefined;
  const last = { ...stages.at(-1)!, ...(shape.rows > fewest && { rows: fewest }) };
  for (let time = Math.floor(shape.time / 2); time >= shortestTime; time = Math.floor(time / 2)) {
    const found = tried({ ...last, time });
    if (found) return found;
  }
  return undefined;
}

// Each with all that come before it.
function changesOf(
  gpu: Gpu,
  shape: StepShape,
  adjustable: readonly (keyof StepChange)[],
): StepChange[] {
  const { recompute, precision, lora, config } = shape;
  const stages: StepChange[] = [{}];
  const add = (change: StepChange) => {
    const [name] = Object.keys(change) as (keyof StepChange)[];
    if (adjustable.includes(name!)) stages.push({ ...stages.at(-1), ...change });
  };
  if (!recompute) add({ recompute: true });
  if (precision === "f32" && gpu.storesHalves) add({ precision: "f16" });
  if (!lora && !shape.freeze && config.width >= suggestedRank) {
    const targets = ["q_proj", "v_proj"] as const;
    add({ lora: { rank: suggestedRank, alpha: 2 * suggestedRank, targets } });
  }
  return stages;
}

/** A change as options of a command line: `--micro-batch 2048 --recompute`. */
export function describeChange(
  { rows, time }: StepShape,
  change: StepChange,
  timeOption = "--max-length",
): string {
  const positions = (change.rows ?? rows) * (change.time ?? time);
  return [
    ...(change.rows !== undefined ? [`--micro-batch ${positions}`] : []),
    ...(change.recompute ? ["--recompute"] : []),
    ...(change.precision ? [`--precision ${change.precision}`] : []),
    ...(change.lora ? [`--lora ${change.lora.rank}`] : []),
    ...(change.time !== undefined ? [`${timeOption} ${change.time}`] : []),
  ].join(" ");
}

/** Bytes by part in one line, largest first. */
export function describeParts({ parts }: Pick<StepEstimate, "parts">): string {
  return memoryParts.filter((part) => parts[part] > 0)
    .sort((a, b) => parts[b] - parts[a])
    .map((part) => `${part} ${describeBytes(parts[part])}`)
    .join(", ");
}

/**
 * Refuses a step that this adapter cannot do or has no memory for, before anything of it is loaded.
 *
 * @param options.memory Bytes that the adapter has; by default those of {@linkcode adapterMemory}.
 * @param options.timeOption The option that decides the length of rows.
 * @param options.adjustable As of {@linkcode smallestChange}.
 * @returns What it takes.
 * @throws {CannotError} with the bytes by part, and the smallest change that would fit.
 */
export function expectFitting(
  gpu: Gpu,
  shape: StepShape,
  options: {
    memory?: number | undefined;
    timeOption?: string;
    adjustable?: readonly (keyof StepChange)[];
  } = {},
): StepEstimate {
  const { memory = adapterMemory(gpu), timeOption = "--max-length" } = options;
  const estimate = estimateStep(gpu, shape);
  const why = misfit(gpu, estimate, memory);
  if (why === undefined) return estimate;
  const fitting = smallestChange(gpu, shape, memory, options.adjustable);
  throw new CannotError(
    `train on ${shape.rows} × ${shape.time} tokens at once in ${shape.precision}`,
    `${why} (${describeParts(estimate)})`,
    fitting
      ? `Give ${describeChange(shape, fitting.change, timeOption)}: ` +
        `${describeBytes(fitting.estimate.bytes)}`
      : "Use a smaller model",
  );
}
