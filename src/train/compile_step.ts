// What an adapter makes of a training step: every kernel of a step of any size is compiled on it, without the memory
// that the step would take and without computing it. So a machine that is too small for a model, or that nobody of this
// project has, can still say whether its kernels would run.

import type { Gpu } from "../gpu/gpu.ts";
import type { RecordedPipeline } from "../gpu/recording_device.ts";
import { type WorkgroupNeeds, workgroupNeeds } from "../gpu/workgroup_needs.ts";
import { recordStep, type StepShape } from "./recorded_step.ts";

/** What the adapter said to one kernel, and what of its limits the kernel takes. */
export interface CompiledKernel extends Omit<RecordedPipeline, "source" | "entryPoint"> {
  /** From WGSL to a pipeline. */
  milliseconds: number;
  /** Of one workgroup. */
  workgroup: WorkgroupNeeds;
  /** What the adapter has against it. */
  problem?: string;
}

/** What an adapter makes of a step. */
export interface CompiledStep {
  /** In the order in which the step first needs them. */
  kernels: CompiledKernel[];
  /** Bytes of all buffers and textures of the step. */
  memory: number;
  /** The largest of them. */
  inventory: { name: string; bytes: number }[];
}

/**
 * Compiles every kernel of a training step, one after the other.
 *
 * @throws {CannotError} where the adapter's limits do not allow the step, naming the tensor and what would.
 */
export async function compileStep(gpu: Gpu, shape: StepShape): Promise<CompiledStep> {
  const { memory, inventory, pipelines } = recordStep(gpu.recorder(), shape);
  const kernels: CompiledKernel[] = [];
  for (const pipeline of pipelines) {
    const { source, entryPoint, ...record } = pipeline;
    kernels.push({
      ...record,
      ...await compile(gpu.device, pipeline),
      workgroup: workgroupNeeds(source, entryPoint),
    });
  }
  return { kernels, memory, inventory: inventory.slice(0, 10) };
}

async function compile(
  device: GPUDevice,
  { name, source, entryPoint }: RecordedPipeline,
): Promise<{ milliseconds: number; problem?: string }> {
  device.pushErrorScope("internal");
  device.pushErrorScope("validation");
  const began = performance.now();
  let thrown: string | undefined;
  try {
    const module = device.createShaderModule({ label: name, code: source });
    const compute = { module, entryPoint };
    await device.createComputePipelineAsync({ label: name, layout: "auto", compute });
  } catch (error) {
    thrown = (error as Error).message;
  }
  const errors = [await device.popErrorScope(), await device.popErrorScope()];
  const milliseconds = performance.now() - began;
  const problem = errors.find((error) => error)?.message ?? thrown;
  return { milliseconds, ...(problem !== undefined && { problem }) };
}
