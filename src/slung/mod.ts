/** The method itself, without GPU or files: risk classes, objectives, own losses. @module */

export * from "./custom_loss.ts";
export * from "./derivative.ts";
export type { Expression, ValueType } from "./expression.ts";
export * from "./gallery.ts";
export * from "./objective.ts";
export * from "./risk.ts";
