/**
 * What of SLUNG runs wherever WebGPU does, in browsers and in Node: texts with risky spans, tokenizers, models, losses and
 * training. Files are left to whoever uses it.
 *
 * @module
 */

export * from "../src/base/errors.ts";
export * from "../src/data/offsets.ts";
export * from "../src/data/sequence.ts";
export * from "../src/data/spans.ts";
export { riskyText, type SpanRecordOptions } from "../src/data/span_record.ts";
export { Gpu } from "../src/gpu/gpu.ts";
export type { DecoderConfig } from "../src/model/config.ts";
export { generate, type GenerateOptions } from "../src/model/generate.ts";
export { initialise } from "../src/model/initialise.ts";
export { LanguageModel } from "../src/model/language_model.ts";
export { scoreSequences } from "../src/eval/score.ts";
export { smallOlmo } from "../src/experiments/small_olmo.ts";
export * from "../src/slung/mod.ts";
export { trainBytePair } from "../src/tokenizers/byte_pair.ts";
export type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
export { fit, type FitOptions } from "../src/train/fit.ts";
export type { LogEntry, TrainingOutcome } from "../src/train/loop.ts";
export * from "../src/train/optimiser.ts";
export type { Schedule } from "../src/train/schedule.ts";
