/**
 * SLUNG on Deno and WebGPU: train a language model on risky text without teaching it to produce that text
 * (Wang et al., 2025, "Teaching Models to Understand (but not Generate) High-risk Data").
 *
 * @module
 */

// The method
export {
  type CustomLoss,
  customLoss,
  evaluateTerm,
  lossVariables,
} from "./src/slung/custom_loss.ts";
export * from "./src/slung/gallery.ts";
export * from "./src/slung/risk.ts";
export * from "./src/slung/objective.ts";
export * from "./src/slung/sentences.ts";

// Models and the GPU
export { measureCeiling, measureReadBack } from "./kernels/ceiling.ts";
export { chooseKernels } from "./kernels/tuning.ts";
export { type KernelCheck, selfTest, selfTestTolerance } from "./kernels/self_test.ts";
export {
  type AttentionRows,
  type AttentionTiles,
  type AttentionVariant,
  describeChoices,
  type DirectVariant,
  type KernelChoices,
  type LossVariant,
  type MatmulChoices,
  type MatmulVariant,
  type TiledVariant,
} from "./src/gpu/choices.ts";
export { type AdapterDescription, Gpu, megabytes } from "./src/gpu/gpu.ts";
export { type Binding, type Kernel, kernel } from "./src/gpu/kernel.ts";
export * from "./src/gpu/precision.ts";
export * from "./src/gpu/program.ts";
export * from "./src/gpu/tensor.ts";
export * from "./src/nn/parameters.ts";
export * from "./src/nn/tape.ts";
export * from "./src/model/batch_tensors.ts";
export * from "./src/model/config.ts";
export type { Observe } from "./src/model/decoder.ts";
export { generate, type GenerateOptions } from "./src/model/generate.ts";
export { type InitialisationScheme, initialise } from "./src/model/initialise.ts";
export * from "./src/model/language_model.ts";
export * from "./src/model/pretrained.ts";
export type { Dtype } from "./src/model/safetensors.ts";
export * from "./src/model/weights.ts";

// Training
export { fit, type FitOptions } from "./src/train/fit.ts";
export { type LogEntry, train, type TrainingOutcome, type TrainingRun } from "./src/train/loop.ts";
export * from "./src/train/optimiser.ts";
export * from "./src/train/optimiser_state.ts";
export { learningRate, type Schedule } from "./src/train/schedule.ts";
export { type StepReport, Trainer, type TrainerOptions } from "./src/train/trainer.ts";

// Risk labelling
export * from "./src/label/classifier.ts";
export * from "./src/label/fasttext.ts";
export * from "./src/label/label_documents.ts";
export * from "./src/label/linear_classifier.ts";
export * from "./src/label/perspective.ts";
export * from "./src/label/transformers_classifier.ts";

// Data
export {
  type Batch,
  lowRiskSequence,
  packSequences,
  type Placement,
  type Sequence,
} from "./src/data/batch.ts";
export { trainBytePair } from "./src/data/byte_pair.ts";
export {
  type ChatEncoding,
  type ChatMessage,
  chatPrompt,
  chatRoles,
  chatSequence,
  type ChatSequences,
  chatSequences,
  readChats,
} from "./src/data/chat.ts";
export * from "./src/data/comments.ts";
export {
  type ReadingOptions,
  readLines,
  readRecords,
  type TextLine,
  writeLines,
} from "./src/data/compressed.ts";
export * from "./src/data/csv.ts";
export * from "./src/data/dolma.ts";
export { type EpochPlan, planEpochs, type PlannedSteps } from "./src/data/epochs.ts";
export * from "./src/data/invented_authors.ts";
export * from "./src/data/invented_toxicity.ts";
export { type JsonRow, readJsonRows } from "./src/data/jsonl.ts";
export * from "./src/data/mixing.ts";
export * from "./src/data/tofu.ts";
export { type Encoding, loadTokenizer, type Tokenizer } from "./src/data/tokenizer.ts";

// Evaluation
export * from "./src/eval/auroc.ts";
export * from "./src/eval/fact_grader.ts";
export * from "./src/eval/gradient_flow.ts";
export * from "./src/eval/hidden_states.ts";
export * from "./src/eval/name_generation.ts";
export * from "./src/eval/pareto.ts";
export * from "./src/eval/perplexity.ts";
export * from "./src/eval/probe.ts";
export * from "./src/eval/rouge.ts";
export { type ScoreOptions, scoreSequences } from "./src/eval/score.ts";
export * from "./src/eval/statistics.ts";
export * from "./src/eval/toxicity_generation.ts";
export * from "./src/eval/truth_ratio.ts";

// The experiments
export * from "./src/experiments/invented_world.ts";
export * from "./src/experiments/name_experiment.ts";
export * from "./src/experiments/name_task.ts";
export { pretrain, type PretrainingOptions } from "./src/experiments/pretraining.ts";
export * from "./src/experiments/span_training.ts";
export * from "./src/experiments/toxicity_comments.ts";
export * from "./src/experiments/toxicity_dolma.ts";
export * from "./src/experiments/toxicity_experiment.ts";
export * from "./src/experiments/toxicity_invented.ts";
export * from "./src/experiments/toxicity_presets.ts";
export * from "./src/experiments/toxicity_report.ts";

// Reports and the command line
export { type Command, runCommand, type Terminal } from "./src/report/command_line.ts";
export { loadPlots } from "./src/report/load_plots.ts";
export * from "./src/report/options.ts";
export type { PlotSpec } from "./src/report/plot_style.ts";
export {
  createProgress,
  type Progress,
  type ProgressOptions,
  type ProgressOutput,
} from "./src/report/progress.ts";
export * from "./src/report/results.ts";
export {
  type Cell,
  type Column,
  renderHtmlTable,
  renderMarkdownTable,
  renderTable,
  type TableRow,
} from "./src/report/table.ts";
export * from "./src/report/toxicity_plots.ts";
export * from "./src/report/toxicity_tables.ts";

// Small things that every script needs
export { CannotError } from "./src/base/errors.ts";
export { readText, writeFileAtomic } from "./src/base/files.ts";
export { Random } from "./src/base/random.ts";
