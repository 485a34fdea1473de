/** Decoders: configurations, weights in and out of folders, generation, and the recorded passes. @module */

export * from "./batch_tensors.ts";
export * from "./check_config.ts";
export * from "./config.ts";
export { type ChosenDecoding, decodingOf, type DecodingOptions } from "./decoding.ts";
export * from "./families.ts";
export { generate, type GenerateOptions } from "./generate.ts";
export * from "./initialise.ts";
export * from "./language_model.ts";
export { type LoraSettings } from "./lora.ts";
export * from "./loss_pass.ts";
export * from "./parameter_shapes.ts";
export * from "./pretrained.ts";
export * from "./rotary.ts";
export * from "./weights.ts";
export type { Observe } from "./decoder.ts";
export {
  fromHuggingFace,
  type HuggingFaceConfig,
  toHuggingFace,
} from "./formats/huggingface/config.ts";
export type { Dtype } from "./formats/tensor_data.ts";
