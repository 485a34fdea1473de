// The paper's own values for `--protocol paper`, from the authors' configurations, and what these follow where paper and
// code differ. Each is an option that says otherwise when it is given.

import { huggingFaceOptimiser } from "../src/train/optimiser.ts";

const { betas, epsilon, weightDecay, maxGradientNorm } = huggingFaceOptimiser;

/** The model that the experiment starts from. */
export const paperModel = "allenai/OLMo-1B-hf";

/** Of the experiment on TOFU (`configs/training/train_hf_tofu_configs.yaml`). */
export const tofuPaperValues = {
  ...{ methods: ["direct", "masked", "unlikelihood"], seeds: [0, 1, 2] },
  ...{ epochs: 3, answerPasses: 1, replay: 0, perStep: 32 },
  ...{ learningRate: 5e-5, warmup: 0, decay: "linear", finalRate: 0 },
  ...{ betas, epsilon, weightDecay, maxGradientNorm },
  ...{ precision: "f16", answers: "bare", maxNewTokens: 100, checkpointEvery: 13 },
} as const;

/** What these follow. */
export const tofuPaperChoices: readonly string[] = [
  "3 epochs at batch 32 and 5e-5: paper and code. The code's configuration at submission: --epochs 5 " +
  "--learning-rate 1e-5 --warmup 2",
  "Mixed precision with f32 weights and loss scaling: the code (fp16). Otherwise: --precision f32",
  "Bare answers without question, BOS and EOS: paper and code. Otherwise: --answers spaced, --end-of-text",
  "−log(1 − p) exactly: the paper. Clamped at 1e-9 as in the code: --methods unlikelihood_clamped",
  "Losses divided by the tokens that carry one: the code; the paper writes a sum. Otherwise: --denominator",
  "Names as the code counts them (parts of the 20 names anywhere in the answer), and by whole words beside",
  "Facts are graded offline by shared words, not by GPT-4o; the order is of our own random numbers",
];

/** What the small protocol does, and where that is not the paper's; its values are the defaults of the options. */
export const tofuSmallChoices: readonly string[] = [
  "A base of its own (--width, --layers, --vocabulary) that reads the other authors' questions and answers " +
  "(--base-authors, --base-epochs, --base-learning-rate), names changing places in every epoch; the paper has OLMo-1B",
  "Each epoch passes twice over the answers (--answer-passes), beside 400 of the base's questions (--replay), without " +
  "which so small a model forgets to answer; the paper has one pass and no replay",
  "Bare answers without question, BOS, EOS and the space that they have behind 'Answer:': as the paper's. Otherwise: " +
  "--answers spaced, --end-of-text",
  "−log(1 − p) exactly, losses divided by the tokens that carry one, names as the code counts them: as in the paper's " +
  "protocol",
  "Two controls beside the three methods (--methods), three seeds (--seeds)",
  "--protocol paper has the paper's values",
];

/** Of the experiment on toxicity: the continual pre-training (section 4 of the paper), instruction tuning, measures. */
export const toxicityPaperValues = {
  ...{ methods: ["control", "low_risk", "toxic", "masked", "unlikelihood"], seeds: [0, 1, 2] },
  ...{ tokens: 1020 * 2048 * 2048, share: 212 / 4278, perStep: 2048, precision: "f16" },
  ...{ learningRate: 4e-5, warmup: 0, decay: "constant", finalRate: 1 },
  ...{ betas: [0.9, 0.95], epsilon: 1e-5, weightDecay: 0.1, maxGradientNorm: 1 },
  ...{ low: 1e-4, high: 0.99, perplexity: "packed", topK: 50, samples: 1 },
  ...{ chatEpochs: 1, chatLearningRate: 2e-6, chatPerStep: 128 },
} as const;

/** What these follow. */
export const toxicityPaperChoices: readonly string[] = [
  "1,020 steps of 2,048 sequences: paper and code; 212 of their 4,278 million tokens are risky. Otherwise: --tokens, " +
  "--per-step, --share",
  "4e-5 throughout: what the code does, by a side effect of its scheduler; the paper says that of the original run, which " +
  "has come down to 4e-5 as well. Otherwise: --learning-rate, --decay",
  "AdamW's moments of the base where optimiser.safetensors lies beside it, as in the code; epsilon 1e-5 is the code's",
  "Mixed precision in f16 with f32 weights and loss scaling; the code's is bf16, which WebGPU has not. Otherwise: " +
  "--precision f32",
  "Continuations drawn from the 50 likeliest tokens: the code; the paper says greedy. Otherwise: --top-k 1",
  "Perplexity of documents packed to the context: the code. Otherwise: --perplexity documents",
  "Instruction tuning (--chats) in batches of 128 at 2e-6 with 3 % of warm-up: the code. Otherwise: --chat-per-step, " +
  "--chat-learning-rate",
  "Tuned models go on from plain prompts and are probed as a user's turn: the code",
  "Three seeds draw different documents: the paper; the code's shipped configuration only reorders the same ones",
  "Risky documents are mixed in as documents: the paper; the code replaces packed sequences",
];

/** Options with a protocol's values where they are not given. */
export function withProtocol<Chosen extends object>(
  options: Chosen,
  values: { readonly [Name in keyof Chosen]?: unknown },
  given: ReadonlySet<string>,
): Chosen {
  const missing = Object.entries(values).filter(([name]) => !given.has(name));
  return { ...options, ...Object.fromEntries(missing) };
}
