/** Decoders: configurations, weights in and out of folders, generation, and the recorded passes. @module */

export * from "./batch_tensors.ts";
export * from "./config.ts";
export * from "./generate.ts";
export * from "./initialise.ts";
export * from "./language_model.ts";
export * from "./loss_pass.ts";
export * from "./pretrained.ts";
export * from "./weights.ts";
export type { Observe } from "./decoder.ts";
export type { Dtype } from "./safetensors.ts";
