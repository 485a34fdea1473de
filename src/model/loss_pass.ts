// The forward pass over a batch with the selective loss behind it, recorded once: with gradients it is what training
// replays, without them what every measure of likelihood does.

import { stepLength } from "../../kernels/step.ts";
import type { Batch } from "../data/packing.ts";
import { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { selectiveLoss } from "../nn/operations.ts";
import { type Objective, termsToWgsl } from "../slung/objective.ts";
import { BatchTensors } from "./batch_tensors.ts";
import type { Observe } from "./decoder.ts";
import type { LanguageModel } from "./language_model.ts";

/** What a pass is recorded for. */
export interface LossPassOptions {
  /** For labels of its dispatches. */
  name: string;
  /** Rows of a batch, B. */
  rows: number;
  /** Positions per row, T. */
  time: number;
  /** Compiled into the loss kernel. */
  terms: Objective["terms"];
  /** Whether the gradients of all parameters are computed, and added to what is there. */
  training?: boolean;
  /** Compute activations again on the way back instead of keeping them. */
  recompute?: boolean;
  /** Rows whose logits exist at one time. */
  chunkRows?: number;
  /** Is shown the states while they are recorded. */
  observe?: Observe;
}

/** The recorded pass and the tensors it reads and writes. */
export class LossPass implements Disposable {
  /** Its dispatches. */
  readonly program: Program;
  /** The step buffer that the loss reads its divisor from. */
  readonly step: Tensor;
  /** [4] the summed loss of each risk class, added to what is there. */
  readonly classSums: Tensor;
  /** [B·T] of each target, before weight and divisor. */
  readonly losses: Tensor;
  /** [B·T] m of each target. */
  readonly logOdds: Tensor;
  readonly #tensors: BatchTensors;
  readonly #terms: Objective["terms"];

  /** Records the pass, and allocates activations and, for training, their gradients. */
  constructor(model: LanguageModel, options: LossPassOptions) {
    const { name, rows, time, terms, training = false, recompute, chunkRows, observe } = options;
    const program = this.program = new Program(model.gpu, name);
    this.#terms = terms;
    this.#tensors = new BatchTensors(program, rows * time, time);
    this.step = program.allocate("step", [stepLength]);
    this.classSums = program.allocate("class_sums", [4]);
    this.losses = program.allocate("losses", [rows * time]);
    this.logOdds = program.allocate("log_odds", [rows * time]);
    const { tape, hidden } = model.recordBatch(program, this.#tensors, {
      batch: rows,
      training,
      ...(recompute && { recompute }),
      ...(observe && { observe }),
    });
    selectiveLoss(tape, hidden, model.unembedding, {
      ...this.#tensors,
      step: this.step,
      losses: this.losses,
      logOdds: this.logOdds,
      classSums: this.classSums,
      terms: termsToWgsl(terms),
      ...(chunkRows && { chunkRows }),
    });
    tape.backward();
  }

  /** Submits the pass over one batch. */
  run(batch: Batch): void {
    this.write(batch);
    this.program.replay();
  }

  /** Puts a batch where the pass reads it. */
  write(batch: Batch): void {
    this.#tensors.write(batch, this.#terms);
  }

  /** Frees all of it. */
  [Symbol.dispose](): void {
    this.program.destroy();
  }
}
