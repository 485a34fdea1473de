/** Training: steps, optimiser, checkpoints, and whole runs. @module */

export * from "./checkpoint.ts";
export * from "./fingerprint.ts";
export * from "./fit.ts";
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
export * from "./run_log.ts";
export { largestRate, learningRate, type Schedule } from "./schedule.ts";
export * from "./span_training.ts";
export * from "./starting_model.ts";
export * from "./trainer.ts";
