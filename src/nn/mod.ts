/** What the models are made of, for those who write kernels: device, programs, tape, operations, kernels. @module */

export * from "../gpu/choices.ts";
export * from "../gpu/gpu.ts";
export type { Constants } from "../gpu/directives.ts";
export * from "../gpu/kernel.ts";
export * from "../gpu/precision.ts";
export * from "../gpu/program.ts";
export type { RecordedPipeline } from "../gpu/recording_device.ts";
export * from "../gpu/tensor.ts";
export * from "./operations.ts";
export * from "./parameters.ts";
export * from "./tape.ts";
export type { GeluForm } from "../../kernels/activation.ts";
export * from "../../kernels/ceiling.ts";
export { matmul, type MatmulRequest } from "../../kernels/matmul.ts";
export {
  type LossInputs,
  type LossOutputs,
  selectiveLoss as runSelectiveLoss,
  type SelectiveLossRequest,
} from "../../kernels/selective_loss.ts";
export { stepLength } from "../../kernels/step.ts";
export * from "../../kernels/self_test.ts";
export { chooseKernels } from "../../kernels/tuning.ts";
