// AdamW over all parameters of a model, with global-norm clipping, recorded once as a program of a few dispatches.

import { adamw } from "../../kernels/adamw.ts";
import { gradientNorm } from "../../kernels/gradient_norm.ts";
import { stepLength } from "../../kernels/step.ts";
import { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { LanguageModel } from "../model/language_model.ts";

/** AdamW's settings. */
export interface OptimiserSettings {
  /** Decay of the first and of the second moment. */
  betas: readonly [number, number];
  /** Added to the root of the second moment. */
  epsilon: number;
  /** Decoupled weight decay of matrices; embeddings, norms and biases do not decay. */
  weightDecay: number;
  /** The global gradient norm to clip to; 0 never clips. */
  maxNorm: number;
}

/** OLMo-1B's settings (the authors' repository, `configs/olmo/OLMo-1B_cont_pretrain.yaml`), with the usual epsilon. */
export const olmoOptimiser: OptimiserSettings = {
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxNorm: 1,
};

/** The Hugging Face Trainer's defaults, with which the paper trains on TOFU. */
export const huggingFaceOptimiser: OptimiserSettings = {
  betas: [0.9, 0.999],
  epsilon: 1e-8,
  weightDecay: 0,
  maxNorm: 1,
};

/** The optimiser's program and its state: two moments per parameter arena. */
export class Optimiser {
  /** The step buffer that kernels read their scalars from. */
  readonly step: Tensor;
  /** [norm, clip factor, halted] of the last update. */
  readonly status: Tensor;
  /** First and second moments, one arena of each for each parameter arena. */
  readonly moments: readonly { first: Tensor; second: Tensor }[];
  readonly #program: Program;

  /** Allocates zeroed moments and records the update of every parameter. */
  constructor(model: LanguageModel, readonly settings: OptimiserSettings) {
    const program = new Program(model.gpu, "optimiser");
    const { groups } = model.parameters;
    const { betas, epsilon, weightDecay, maxNorm } = settings;
    this.#program = program;
    this.step = program.allocate("step", [stepLength]);
    this.status = program.allocate("status", [3]);
    this.moments = groups.map(({ weight }) => ({
      first: program.allocate(`first_moment/${weight.name}`, weight.shape),
      second: program.allocate(`second_moment/${weight.name}`, weight.shape),
    }));
    const gradients = groups.map(({ gradient }) => gradient!);
    gradientNorm(program, { gradients, status: this.status, maxNorm });
    groups.forEach(({ weight, gradient, decays }, i) => {
      adamw(program, {
        step: this.step,
        status: this.status,
        gradient: gradient!,
        weight,
        firstMoment: this.moments[i]!.first,
        secondMoment: this.moments[i]!.second,
        decay: decays ? weightDecay : 0,
        betas,
        epsilon,
      });
    });
    gradients.forEach((gradient) => program.clear(gradient));
  }

  /** Submits one update; gradients are zero afterwards. */
  update(): void {
    this.#program.replay();
  }

  /** Frees the moments. */
  destroy(): void {
    this.#program.destroy();
  }
}
