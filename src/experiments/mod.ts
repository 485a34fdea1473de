/** The experiments, and the runner that they stand on. @module */

export * from "./claims.ts";
export * from "./record.ts";
export * from "./runner.ts";
export * from "./small_olmo.ts";
export * from "./texts.ts";
export * from "./titles.ts";
export * from "./names/claims.ts";
export * from "./names/comparison.ts";
export * from "./names/experiment.ts";
export * from "./names/grader_check.ts";
export * from "./names/invented.ts";
export * from "./names/report.ts";
export * from "./names/task.ts";
export * from "./names/tofu.ts";
export * from "./toxicity/claims.ts";
export * from "./toxicity/comments.ts";
export * from "./toxicity/comparison.ts";
export * from "./toxicity/dolma.ts";
export * from "./toxicity/evaluation.ts";
export * from "./toxicity/experiment.ts";
export * from "./toxicity/invented.ts";
export * from "./toxicity/paper_tables.ts";
export * from "./toxicity/protocols.ts";
export * from "./toxicity/report.ts";
export * from "./toxicity/selection.ts";
export * from "./toxicity/summary.ts";
