/**
 * SLUNG on Deno and WebGPU: train a language model on risky text without teaching it to produce that text
 * (Wang et al., 2025, "Teaching Models to Understand (but not Generate) High-risk Data").
 *
 * @module
 */

// The method
export * from "./src/slung/risk.ts";
export * from "./src/slung/objective.ts";

// Models and the GPU
export { type AdapterDescription, Gpu } from "./src/gpu/gpu.ts";
export { Program } from "./src/gpu/program.ts";
export type { ElementType, Tensor } from "./src/gpu/tensor.ts";
export * from "./src/model/config.ts";
export { generate, type GenerateOptions } from "./src/model/generate.ts";
export { type InitialisationScheme, initialise } from "./src/model/initialise.ts";
export { LanguageModel } from "./src/model/language_model.ts";
export { encodePrompt, openModel, type Pretrained } from "./src/model/pretrained.ts";
export { type LoadedModel, loadModel, type Model, saveModel } from "./src/model/weights.ts";

// Training
export { fit, type FitOptions } from "./src/train/fit.ts";
export { type LogEntry, train, type TrainingOutcome, type TrainingRun } from "./src/train/loop.ts";
export {
  huggingFaceOptimiser,
  olmoOptimiser,
  type OptimiserSettings,
} from "./src/train/optimiser.ts";
export { learningRate, type Schedule } from "./src/train/schedule.ts";
export { type StepReport, Trainer, type TrainerOptions } from "./src/train/trainer.ts";

// Data
export {
  type Batch,
  lowRiskSequence,
  packSequences,
  type Placement,
  type Sequence,
} from "./src/data/batch.ts";
export { trainBytePair } from "./src/data/byte_pair.ts";
export { type EpochPlan, planEpochs, type PlannedSteps } from "./src/data/epochs.ts";
export * from "./src/data/invented_authors.ts";
export { readJsonRows } from "./src/data/jsonl.ts";
export * from "./src/data/tofu.ts";
export { type Encoding, loadTokenizer, type Tokenizer } from "./src/data/tokenizer.ts";

// Evaluation
export { type FactRates, gradeAllFacts, gradeFacts } from "./src/eval/fact_grader.ts";
export { type NameRates, namesGenerated, truncateCompletion } from "./src/eval/name_generation.ts";
export { type Perplexity, perplexity } from "./src/eval/perplexity.ts";
export { rougeL, type RougeScore } from "./src/eval/rouge.ts";
export { type ScoreOptions, scoreSequences } from "./src/eval/score.ts";
export {
  bootstrapInterval,
  type Interval,
  mean,
  standardDeviation,
  studentInterval,
} from "./src/eval/statistics.ts";
export { summariseTruth, truthRatio, type TruthSummary } from "./src/eval/truth_ratio.ts";

// The experiments
export * from "./src/experiments/invented_world.ts";
export * from "./src/experiments/name_experiment.ts";
export * from "./src/experiments/name_task.ts";
export { pretrain, type PretrainingOptions } from "./src/experiments/pretraining.ts";

// Reports and the command line
export {
  type Command,
  type Options,
  runCommand,
  type Terminal,
} from "./src/report/command_line.ts";
export { createProgress, type Progress } from "./src/report/progress.ts";
export { describeProcess, readResults, type Results, writeResults } from "./src/report/results.ts";
export {
  type Cell,
  type Column,
  renderHtmlTable,
  renderMarkdownTable,
  renderTable,
} from "./src/report/table.ts";

// Small things that every script needs
export { CannotError } from "./src/base/errors.ts";
export { readText, writeFileAtomic } from "./src/base/files.ts";
export { Random } from "./src/base/random.ts";

// What an adapter can do
export { measureCeiling, measureReadBack } from "./kernels/ceiling.ts";
export { type KernelCheck, selfTest, selfTestTolerance } from "./kernels/self_test.ts";
export { megabytes } from "./src/gpu/gpu.ts";
