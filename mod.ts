/**
 * SLUNG on Deno and WebGPU: train language models on risky text without teaching them to produce it
 * ([Wang et al., 2025](https://arxiv.org/abs/2505.03052)).
 *
 * A text becomes classed tokens, and an objective gives each class of tokens a loss:
 *
 * ```ts
 * import { encodeText, fit, Gpu, huggingFaceOptimiser, markTexts, objective, openModel, wordLabeller } from "@slung/slung";
 *
 * using gpu = await Gpu.open();
 * const { model, tokenizer } = await openModel(gpu, "path/to/model", { gradients: true });
 * const texts = await markTexts(
 *   ["The old mill was run by Mira Toveld until winter."],
 *   wordLabeller(["Mira Toveld"]),
 * );
 * await fit(model, {
 *   epochs: [texts.map((text) => encodeText(tokenizer, text))],
 *   perStep: 1,
 *   seed: 0,
 *   objective: objective("masked"),
 *   optimiser: huggingFaceOptimiser,
 *   schedule: { peak: 1e-4, warmup: 0, decay: "linear", final: 0 },
 * });
 * ```
 *
 * This module is what a first program needs. The rest has doors of its own:
 *
 * - `@slung/slung/data`: files of texts, packing, mixing, Dolma's formats, TOFU, invented worlds
 * - `@slung/slung/label`: classifiers and other ways to find the risk
 * - `@slung/slung/tokenizers`: every kind of tokenizer
 * - `@slung/slung/method`: risk classes, objectives and a gallery of losses, without GPU or files
 * - `@slung/slung/model`: configurations, weights in and out of folders, generation
 * - `@slung/slung/train`: the trainer, checkpoints, the optimiser's state, pre-training
 * - `@slung/slung/eval`: names, facts, truth ratio, probes, toxicity, gradient flow, intervals
 * - `@slung/slung/experiments`: the paper's two experiments, one on personal data, and the runner
 * - `@slung/slung/report`, `/plot`, `/notebook`, `/frame`: command lines, tables, figures, notebooks
 * - `@slung/slung/gpu`: the device, programs, the tape and kernels, for those who write kernels
 *
 * @module
 */

// What is learned of which token
export { type CustomLoss, customLoss, type LossTerm } from "./src/slung/custom_loss.ts";
export { onHighRisk } from "./src/slung/gallery.ts";
export {
  type Denominator,
  type Objective,
  objective,
  type ObjectiveName,
} from "./src/slung/objective.ts";
export { Risk, type RiskSpan } from "./src/slung/risk.ts";

// Texts, and what is risky in them
export { markTexts } from "./src/data/labelling.ts";
export { lowRiskSequence, type Sequence } from "./src/data/sequence.ts";
export { encodeIntoWindows, encodePrompt, encodeText, type RiskyText } from "./src/data/spans.ts";
export { readRiskyTexts } from "./src/data/span_files.ts";
export {
  type Labeller,
  patternLabeller,
  sentenceLabeller,
  wordLabeller,
} from "./src/label/labeller.ts";
export { trainBytePair } from "./src/tokenizers/byte_pair.ts";
export { openTokenizer } from "./src/tokenizers/open.ts";
export { decodeContinuation, type Tokenizer } from "./src/tokenizers/tokenizer.ts";

// Models
export { Gpu } from "./src/gpu/gpu.ts";
export type { DecoderConfig } from "./src/model/config.ts";
export { presets } from "./src/model/families.ts";
export { generate, type GenerateOptions } from "./src/model/generate.ts";
export { initialise } from "./src/model/initialise.ts";
export { LanguageModel } from "./src/model/language_model.ts";
export { openModel, type Pretrained, readPretrained } from "./src/model/pretrained.ts";
export { smallOlmo } from "./src/experiments/small_olmo.ts";
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
export { perplexity } from "./src/eval/perplexity.ts";
export { scoreSequences } from "./src/eval/score.ts";
export { type Interval, studentInterval } from "./src/eval/statistics.ts";

// Experiments: methods compared over seeds
export { type Method } from "./src/data/method.ts";
export {
  type Experiment,
  type Measure,
  type Outcome,
  type Run,
  runExperiment,
  type Stage,
} from "./src/experiments/runner.ts";
export { type TextExperiment, textExperiment } from "./src/experiments/texts.ts";

// What every program meets
export { CannotError } from "./src/base/errors.ts";
export { Random } from "./src/base/random.ts";
