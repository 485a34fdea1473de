/**
 * SLUNG on Deno and WebGPU: train language models on risky text without teaching them to produce it.
 *
 * This is the method and what a first program needs. The rest has doors of its own:
 * `@slung/slung/data`, `/label`, `/tokenizers`, `/model`, `/train`, `/eval`, `/experiments`, `/report`, `/plot`,
 * `/notebook`, and `/gpu` for those who write kernels.
 *
 * @module
 */

// The method
export { type CustomLoss, customLoss } from "./src/slung/custom_loss.ts";
export { onHighRisk } from "./src/slung/gallery.ts";
export {
  type Denominator,
  type LossTerm,
  type Objective,
  objective,
  type ObjectiveName,
} from "./src/slung/objective.ts";
export { Risk, type RiskSpan } from "./src/slung/risk.ts";

// Texts
export {
  type Labeller,
  patternLabeller,
  sentenceLabeller,
  wordLabeller,
} from "./src/label/labeller.ts";
export { openTokenizer } from "./src/tokenizers/open.ts";
export { type Tokenizer } from "./src/tokenizers/tokenizer.ts";
export { trainBytePair } from "./src/tokenizers/byte_pair.ts";
export { cutIntoWindows, lowRiskSequence, type Sequence } from "./src/data/sequence.ts";
export { encodePrompt, encodeText, readRiskyTexts, type RiskyText } from "./src/data/spans.ts";

// Models
export { Gpu } from "./src/gpu/gpu.ts";
export { type DecoderConfig, presets } from "./src/model/config.ts";
export { generate, type GenerateOptions } from "./src/model/generate.ts";
export { initialise } from "./src/model/initialise.ts";
export { LanguageModel } from "./src/model/language_model.ts";
export { openModel, type Pretrained } from "./src/model/pretrained.ts";
export { type Model, saveModel } from "./src/model/weights.ts";

// Training
export { checkpointsIn } from "./src/train/checkpoint.ts";
export { fit, type FitOptions } from "./src/train/fit.ts";
export { type LogEntry, type TrainingOutcome } from "./src/train/loop.ts";
export {
  huggingFaceOptimiser,
  olmoOptimiser,
  type OptimiserSettings,
} from "./src/train/optimiser.ts";
export { type Schedule } from "./src/train/schedule.ts";
export { type SpanTrainingSettings, trainOnSpans } from "./src/train/span_training.ts";

// Measures
export { gradientFlow } from "./src/eval/gradient_flow.ts";
export { namesGenerated } from "./src/eval/name_generation.ts";
export { perplexity } from "./src/eval/perplexity.ts";
export { scoreSequences } from "./src/eval/score.ts";
export { type Interval, studentInterval } from "./src/eval/statistics.ts";

// Experiments
export { type Method } from "./src/data/method.ts";
export {
  type Experiment,
  type Measure,
  type Outcome,
  type Run,
  runExperiment,
  type Stage,
} from "./src/experiments/runner.ts";
export { type NameExperiment, nameExperiment } from "./src/experiments/names/experiment.ts";
export {
  type ToxicityExperiment,
  toxicityExperiment,
} from "./src/experiments/toxicity/experiment.ts";

// Small things that every program needs
export { CannotError } from "./src/base/errors.ts";
export { Random } from "./src/base/random.ts";
