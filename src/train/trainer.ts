// One optimiser step on the GPU: for each micro-batch the same recorded program (forward, selective loss, backward, into
// accumulating gradients), then one update. The divisor Z counts the whole step, so that the split into micro-batches
// does not change it. Nothing is read back here; `drain` brings the scalars of many steps at once.

import { CannotError } from "../base/errors.ts";
import { activeRows, type Batch, countTargets, weightByClass } from "../data/packing.ts";
import { ScalarRing } from "../gpu/ring.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { stepVerdict } from "../../kernels/gradient_norm.ts";
import { writeStep } from "../../kernels/step.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { LossPass } from "../model/loss_pass.ts";
import { divisor, type Objective } from "../slung/objective.ts";
import { type LossScaleSettings, Optimiser, type OptimiserSettings } from "./optimiser.ts";

/** What a trainer is built for. */
export interface TrainerOptions {
  /** Rows of one micro-batch, B. */
  rows: number;
  /** Positions per row, T. */
  time: number;
  /** Compiled into the loss kernel. */
  objective: Objective;
  /** AdamW, with one update per step. */
  optimiser: OptimiserSettings;
  /** Rows whose logits exist at one time; see `defaultChunkRows`. */
  chunkRows?: number;
  /** Keep no activations of the layers but compute them again on the way back: less memory for a third more time. */
  recompute?: boolean;
  /** Of a model in f16; `defaultLossScale` unless given. */
  lossScale?: LossScaleSettings;
}

/** What one step reports. */
export interface StepReport {
  /** Counted from 0. */
  step: number;
  /** The objective: Σ weight · loss / Z, in nats. */
  loss: number;
  /** Mean loss by risk class; `undefined` for a class without tokens. */
  lossByClass: (number | undefined)[];
  /** Global gradient norm before clipping; not finite for a step that was skipped. */
  gradientNorm: number;
  /** Set by the schedule. */
  learningRate: number;
  /** Predicted positions, masked or not. */
  tokens: number;
  /** Of a model in f16: by what the loss was scaled, and whether a gradient overflowed so that nothing was learned. */
  scaling?: { scale: number; skipped: boolean };
}

const ringCapacity = 64;

/** Trains a model step by step. The model must have been made with gradients. */
export class Trainer {
  /** Its moments are part of a checkpoint. */
  readonly optimiser: Optimiser;
  /** As given. */
  readonly objective: Objective;
  readonly #model: LanguageModel;
  /** Forward and backward pass of one micro-batch. */
  readonly pass: LossPass;
  readonly #ring: ScalarRing;
  #pending: (Pick<StepReport, "step" | "learningRate" | "tokens"> & {
    classWeights: number[];
    divisor: number;
    batches: readonly Batch[];
  })[] = [];

  /** Records forward, backward and update, and allocates the moments and activations. */
  constructor(model: LanguageModel, options: TrainerOptions) {
    const { gpu } = model;
    if (!model.parameters.groups.every(({ gradient }) => gradient)) {
      throw new CannotError(
        "train this model",
        "it was made without gradients",
        "Make or open it with `{ gradients: true }`",
      );
    }
    const { rows, time, objective, chunkRows, recompute = false } = options;
    this.#model = model;
    this.objective = objective;
    this.pass = new LossPass(model, {
      name: "train",
      rows,
      time,
      terms: objective.terms,
      training: true,
      recompute,
      ...(chunkRows && { chunkRows }),
    });
    const { step, classSums } = this.pass;
    this.optimiser = new Optimiser(model, options.optimiser, {
      step,
      classSums,
      ...(options.lossScale && { lossScale: options.lossScale }),
    });
    this.#ring = new ScalarRing(gpu, [this.optimiser.status, classSums], ringCapacity);
  }

  /** Steps submitted but not yet reported; at most 64 may be pending. */
  get pending(): number {
    return this.#pending.length;
  }

  /**
   * Submits one optimiser step over its micro-batches.
   *
   * @param step The number of the step, from 0.
   * @throws {CannotError} when no token of the step carries a loss.
   */
  step(step: number, batches: readonly Batch[], learningRate: number): void {
    const divisor = this.accumulate(step, batches, learningRate);
    this.optimiser.update();
    this.#ring.push();
    const classWeights = [0, 0, 0, 0];
    let tokens = 0;
    for (const batch of batches) {
      weightByClass(batch, this.objective.terms).forEach((weight, risk) => {
        classWeights[risk]! += weight;
      });
      for (const predicted of batch.predicted) tokens += predicted;
    }
    this.#pending.push({ step, learningRate, tokens, classWeights, divisor, batches });
  }

  /** Submits forward and backward only: gradients are then in the model's parameters. Returns Z. */
  accumulate(step: number, batches: readonly Batch[], learningRate = 0): number {
    const { terms, denominator } = this.objective;
    const counts = batches.map((batch) => countTargets(batch, terms));
    const scalars = {
      learningRate,
      update: this.optimiser.earlierUpdates + step + 1,
      divisor: divisor(denominator, counts, `step ${step}`),
    };
    writeStep(this.#model.gpu, this.pass.step, scalars, this.optimiser.settings.betas);
    this.#model.gpu.write(this.pass.classSums, new Float32Array(4));
    batches.forEach((batch, i) => {
      if (counts[i]!.active > 0) this.pass.run(batch); // else no gradient, no context for others
    });
    return scalars.divisor;
  }

  /**
   * Waits for all submitted steps and reports them.
   *
   * @throws {CannotError} when a loss or gradient became NaN or infinite, naming the step and the first bad tensor;
   * the weights are those before that step. Overflows that a smaller loss scale can avoid are only reported.
   */
  async drain(): Promise<StepReport[]> {
    const rows = await this.#ring.drain();
    const pending = this.#pending;
    this.#pending = [];
    const reports: StepReport[] = [];
    for (const [i, { classWeights, divisor, batches, ...report }] of pending.entries()) {
      const [gradientNorm, , verdict, scale, updateOverflowed, ...sums] = rows[i]!;
      if (updateOverflowed) throw overflow(report);
      if (verdict === stepVerdict.halted) throw await this.#diagnose(report.step, batches);
      reports.push({
        ...report,
        gradientNorm: gradientNorm!,
        loss: sums.reduce((total, sum) => total + sum, 0) / divisor,
        lossByClass: sums.map((sum, risk) =>
          classWeights[risk] ? sum / classWeights[risk]! : undefined
        ),
        ...(this.optimiser.scaling &&
          { scaling: { scale: scale!, skipped: verdict === stepVerdict.skipped } }),
      });
    }
    return reports;
  }

  /** Per-token losses and log-odds of one batch under the current weights, in the batch's positions. */
  async losses(batch: Batch): Promise<{ losses: Float32Array; logOdds: Float32Array }> {
    this.accumulate(0, [batch]);
    const { gpu, parameters } = this.#model;
    const [losses, logOdds] = await gpu.readAll([this.pass.losses, this.pass.logOdds]);
    parameters.clearGradients();
    const active = new Set(activeRows(batch, this.objective.terms));
    const only = (values: ArrayBuffer) =>
      new Float32Array(values).map((value, row) => active.has(row) ? value : NaN);
    return { losses: only(losses!), logOdds: only(logOdds!) };
  }

  /** Frees everything but the model. */
  destroy(): void {
    this.pass[Symbol.dispose]();
    this.#ring.destroy();
    this.optimiser.destroy();
  }

  /** Frees everything but the model at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  async #diagnose(step: number, batches: readonly Batch[]): Promise<CannotError> {
    const remedy =
      "Lower the learning rate or clip gradients; the weights are those before this step";
    const what = `go on training after step ${step}`;
    const { gpu, parameters } = this.#model;
    const isBad = async (tensor: Tensor) => (await gpu.read(tensor)).some((x) => !isFinite(x));
    for (const name of parameters.names) {
      if (await isBad(parameters.get(name).value)) {
        return new CannotError(what, `the weight "${name}" is not finite`, "Load other weights");
      }
    }
    for (const batch of batches) {
      this.pass.write(batch);
      const found = await this.pass.program.findFirst(isBad);
      if (found) {
        const why = `"${found.tensor}", written by kernel ${found.kernel}, became NaN or infinite`;
        return new CannotError(what, why, remedy);
      }
    }
    return new CannotError(what, "the sum of the squared gradients overflowed", remedy);
  }
}

function overflow({ step, learningRate }: Pick<StepReport, "step" | "learningRate">): CannotError {
  return new CannotError(
    `go on training after step ${step}`,
    `AdamW's update left the range of its numbers at the learning rate ${learningRate}`,
    "Lower the learning rate or the weight decay; weights that would have, kept their values",
  );
}
