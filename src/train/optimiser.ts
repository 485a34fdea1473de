// AdamW over all parameters of a model, with global-norm clipping, recorded once as a program of a few dispatches.
// For a model in f16 it also keeps the loss scale, all on the GPU: nothing is read back to find out about an overflow.

import { adamw } from "../../kernels/adamw.ts";
import { gradientNorm, statusLength } from "../../kernels/gradient_norm.ts";
import { scalingOf, writeScaling } from "../../kernels/step.ts";
import { CannotError } from "../base/errors.ts";
import { type AllowedOptions, checkOptions, listOf, number, required } from "../base/options.ts";
import { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { LanguageModel } from "../model/language_model.ts";
import type { OptimiserState } from "./optimiser_state.ts";
import { largestRate } from "./schedule.ts";

/**
 * AdamW's settings.
 *
 * @example
 * ```ts
 * import { olmoOptimiser, type OptimiserSettings } from "@slung/slung";
 *
 * const unclipped: OptimiserSettings = { ...olmoOptimiser, maxGradientNorm: 0 };
 * ```
 */
export interface OptimiserSettings {
  /** Decay of the first and of the second moment. */
  betas: readonly [number, number];
  /** Added to the root of the second moment. */
  epsilon: number;
  /** Decoupled weight decay of matrices; embeddings, norms and biases do not decay. */
  weightDecay: number;
  /** The global gradient norm to clip to; 0 never clips. */
  maxGradientNorm: number;
}

/**
 * OLMo-1B's settings (the authors' repository, `configs/olmo/OLMo-1B_cont_pretrain.yaml`), with the usual epsilon.
 *
 * @example
 * ```ts
 * import { olmoOptimiser } from "@slung/slung";
 *
 * console.log(olmoOptimiser.betas, olmoOptimiser.weightDecay); // [ 0.9, 0.95 ] 0.1
 * ```
 */
export const olmoOptimiser: OptimiserSettings = {
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.1,
  maxGradientNorm: 1,
};

/**
 * The Hugging Face Trainer's defaults, with which the paper trains on TOFU.
 *
 * @example
 * ```ts
 * import { huggingFaceOptimiser } from "@slung/slung";
 *
 * console.log(huggingFaceOptimiser.betas, huggingFaceOptimiser.weightDecay); // [ 0.9, 0.999 ] 0
 * ```
 */
export const huggingFaceOptimiser: OptimiserSettings = {
  betas: [0.9, 0.999],
  epsilon: 1e-8,
  weightDecay: 0,
  maxGradientNorm: 1,
};

/** What each of {@linkcode OptimiserSettings} may be. */
export const allowedOptimiser: AllowedOptions<OptimiserSettings> = {
  betas: required(listOf(number({ min: 0, below: 1 }), 2)),
  epsilon: required(number({ above: 0, max: 1 })),
  weightDecay: required(number({ min: 0, max: largestRate })),
  maxGradientNorm: required(number({ min: 0, max: 3e38 })),
};

/** Dynamic loss scaling of a model in f16 (Micikevicius et al., 2018), with the usual rules. */
export interface LossScaleSettings {
  /** The first scale, at least 1; a power of two, so that scaling rounds nothing. It halves when a gradient overflows. */
  initial: number;
  /** Steps without an overflow after which it doubles. */
  growthInterval: number;
}

/** Starts at 2^16 and doubles after 200 good steps. */
export const defaultLossScale: LossScaleSettings = { initial: 2 ** 16, growthInterval: 200 };

/** The optimiser's program and its state: two moments per parameter arena. */
export class Optimiser {
  /** [norm, factor on gradients, verdict, loss scale] of the last step. */
  readonly status: Tensor;
  /** First and second moments, one arena of each for each arena of what is learned. */
  readonly moments: readonly { first: Tensor; second: Tensor }[];
  /** For a model in f16: what loss scaling goes on from, part of the step buffer. */
  readonly scaling?: Tensor;
  readonly #model: LanguageModel;
  readonly #program: Program;
  readonly #step: Tensor;
  #firstScale = 1;
  #earlierUpdates = 0;

  /**
   * Allocates zeroed moments and records the update of every parameter that is learned.
   *
   * @param options.step The step buffer that kernels read their scalars from.
   * @param options.classSums [4] sums of the step's loss.
   * @param options.lossScale For a model in f16; `defaultLossScale` unless given.
   * @throws {CannotError} for a loss scale that cannot be.
   */
  constructor(
    model: LanguageModel,
    readonly settings: OptimiserSettings,
    options: { step: Tensor; classSums: Tensor; lossScale?: LossScaleSettings },
  ) {
    const program = new Program(model.gpu, "optimiser");
    const { learned } = model.parameters;
    checkOptions("optimise", settings, allowedOptimiser);
    const { betas, epsilon, weightDecay, maxGradientNorm } = settings;
    this.#model = model;
    this.#program = program;
    this.#step = options.step;
    this.status = program.allocate("status", [statusLength]);
    const moment = (name: string, { shape }: Tensor) =>
      program.allocate(name, shape, "f32", { views: true });
    this.moments = learned.map(({ weight }) => ({
      first: moment(`first_moment/${weight.name}`, weight),
      second: moment(`second_moment/${weight.name}`, weight),
    }));
    const gradients = learned.map(({ gradient }) => gradient);
    const norm = { gradients, status: this.status, maxGradientNorm };
    if (model.precision === "f32") {
      gradientNorm(program, norm);
    } else {
      const { initial, growthInterval } = checkLossScale(options.lossScale ?? defaultLossScale);
      this.#firstScale = initial;
      const { step, classSums } = options;
      this.scaling = scalingOf(step);
      writeScaling(model.gpu, step, { scale: initial, updates: 0, betas });
      gradientNorm(program, { ...norm, scaling: { step, classSums, growthInterval, betas } });
    }
    learned.forEach(({ weight, copy, gradient, decays }, i) => {
      adamw(program, {
        step: this.#step,
        status: this.status,
        gradient,
        weight,
        ...(copy && { copy }),
        firstMoment: this.moments[i]!.first,
        secondMoment: this.moments[i]!.second,
        decay: decays ? weightDecay : 0,
        betas,
        epsilon,
      });
    });
    gradients.forEach((gradient) => program.clear(gradient));
  }

  /** Updates taken before this run's first step. */
  get earlierUpdates(): number {
    return this.#earlierUpdates;
  }

  /** Copies the state after `steps` steps of this run to the host. */
  async download(steps: number): Promise<OptimiserState> {
    const { parameters, gpu } = this.#model;
    return {
      updates: this.#earlierUpdates + steps,
      first: await parameters.downloadArenas(this.moments.map(({ first }) => first)),
      second: await parameters.downloadArenas(this.moments.map(({ second }) => second)),
      ...(this.scaling && { lossScaling: await gpu.read(this.scaling) }),
    };
  }

  /**
   * Goes on from a state, of which `steps` updates belong to this run. A model in f16 takes over the loss scale as well,
   * or starts with its own where the state has none.
   *
   * @throws {CannotError} when the state belongs to another model, or one of its numbers is not finite.
   */
  upload(state: OptimiserState, steps: number): void {
    const { parameters, gpu } = this.#model;
    checkFinite(state);
    parameters.uploadArenas(this.moments.map(({ first }) => first), state.first);
    parameters.uploadArenas(this.moments.map(({ second }) => second), state.second);
    this.#earlierUpdates = state.updates - steps;
    if (!this.scaling) return;
    const { updates, lossScaling } = state;
    if (lossScaling) {
      gpu.write(this.scaling, lossScaling);
    } else {
      const { betas } = this.settings;
      writeScaling(gpu, this.#step, { scale: this.#firstScale, updates, betas });
    }
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

function checkFinite({ first, second }: OptimiserState): void {
  for (const [which, moments] of [["first", first], ["second", second]] as const) {
    for (const [name, { data }] of moments) {
      const wrong = data.findIndex((value) => !Number.isFinite(value));
      if (wrong < 0) continue;
      throw new CannotError(
        "go on from an optimiser's state",
        `the ${which} moment of "${name}" is ${data[wrong]} at ${wrong}`,
        "Use a state that was saved before, or start with zero moments",
      );
    }
  }
}

function checkLossScale(settings: LossScaleSettings): LossScaleSettings {
  const { initial, growthInterval } = settings;
  const refuse = (why: string) =>
    new CannotError("scale the loss", why, `Leave it out: ${defaultLossScale.initial} is usual`);
  if (!(initial >= 1 && Number.isInteger(Math.log2(initial)))) {
    throw refuse(`the first scale ${initial} is not 1, 2, 4, …`);
  }
  if (!(Number.isInteger(growthInterval) && growthInterval >= 1)) {
    throw refuse(`it cannot grow every ${growthInterval} steps`);
  }
  return settings;
}
