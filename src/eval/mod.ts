/** Measures: each takes a model and texts, and gives numbers. @module */

export * from "./auroc.ts";
export * from "./comparison.ts";
export * from "./fact_grader.ts";
export * from "./gradient_flow.ts";
export * from "./hidden_states.ts";
export * from "./judge.ts";
export * from "./judge_all.ts";
export * from "./judge_cache.ts";
export * from "./judge_client.ts";
export * from "./name_generation.ts";
export * from "./perplexity.ts";
export * from "./probe.ts";
export * from "./probe_chance.ts";
export * from "./probe_samples.ts";
export * from "./rouge.ts";
export { type ScoreOptions, scoreSequences, scoringRows } from "./score.ts";
export * from "./slowdown.ts";
export * from "./statistics.ts";
export * from "./toxicity_generation.ts";
export * from "./truth_ratio.ts";
