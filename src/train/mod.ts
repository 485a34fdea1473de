/** Training: steps, optimiser, checkpoints, and whole runs. @module */

export * from "./checkpoint.ts";
export * from "./code_version.ts";
export * from "./estimate.ts";
export * from "./fingerprint.ts";
export * from "./fit.ts";
export * from "./fitting_memory.ts";
export * from "./loop.ts";
export {
  defaultLossScale,
  huggingFaceOptimiser,
  type LossScaleSettings,
  olmoOptimiser,
  Optimiser,
  type OptimiserSettings,
} from "./optimiser.ts";
export * from "./optimiser_state.ts";
export type { Shapes } from "./parameter_tensors.ts";
export * from "./pretraining.ts";
export type { StepShape } from "./recorded_step.ts";
export * from "./run_log.ts";
export * from "./run_record.ts";
export * from "./samples.ts";
export { largestRate, learningRate, type Schedule } from "./schedule.ts";
export * from "./span_training.ts";
export * from "./starting_model.ts";
export * from "./trainer.ts";
export * from "./watch.ts";
