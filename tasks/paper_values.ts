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
  "Answers begin with the space that they have behind 'Answer:', so that their first word is the same token there; the " +
  "paper's are bare. Otherwise: --answers bare",
  "−log(1 − p) exactly, losses divided by the tokens that carry one, names as the code counts them: as in the paper's " +
  "protocol",
  "Two controls beside the three methods (--methods), three seeds (--seeds)",
  "--protocol paper has the paper's values",
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
