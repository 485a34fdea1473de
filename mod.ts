/**
 * SLUNG on Deno and WebGPU: train a language model on risky text without teaching it to produce that text
 * (Wang et al., 2025, "Teaching Models to Understand (but not Generate) High-risk Data").
 *
 * @module
 */

export { CannotError } from "./src/base/errors.ts";
export { readText, writeFileAtomic } from "./src/base/files.ts";
export { Random } from "./src/base/random.ts";
export { Gpu } from "./src/gpu/gpu.ts";
export { LanguageModel } from "./src/model/language_model.ts";
export { generate } from "./src/model/generate.ts";
export { encodePrompt, openModel } from "./src/model/pretrained.ts";
export { perplexity } from "./src/eval/perplexity.ts";
export { createProgress } from "./src/report/progress.ts";
export { runCommand } from "./src/report/command_line.ts";
