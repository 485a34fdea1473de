// Where an objective's gradient goes (paper, figure 1): for one sequence, how long the gradient of the loss is with
// respect to the state of every position, before the unembedding and before every layer. Before the unembedding only
// positions that predict a token with a loss have one; below, attention brings it to the tokens that they look back at,
// so that a masked token's own prediction is not trained but its state is, by the tokens after it.
// Gradients of activations are scratch memory. A backward step recorded right after a state was made runs when all its
// readers have contributed and before its memory is lent again: there the gradient is copied.

import { checkOptions, number, object, required } from "../base/options.ts";
import { writeStep } from "../../kernels/step.ts";
import { CannotError } from "../base/errors.ts";
import { activeRows, type Batch, countTargets, packSequences } from "../data/packing.ts";
import type { Sequence } from "../data/sequence.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { LossPass } from "../model/loss_pass.ts";
import { divisor, type Objective } from "../slung/objective.ts";
import { expectFinite } from "./finite.ts";

/** The gradients of one sequence of T + 1 tokens: position t reads token t and predicts token t + 1. */
export interface GradientFlow {
  /** [T] unweighted loss of each position's target, NaN where it has no term. */
  losses: Float64Array;
  /** [T] log-odds m of each position's target, NaN where it has no term. */
  logOdds: Float64Array;
  /** [T] ‖∂L/∂h_t‖ of the final hidden states, which the unembedding reads. */
  hidden: Float64Array;
  /** [layers][T] ‖∂L/∂x_t‖ of the states that enter each layer; `layers[0]` are the embeddings. */
  layers: Float64Array[];
}

/** How the loss of every single target reaches every state. */
export interface AttentionPath {
  /** [T][T] ‖∂L_j/∂x_i‖ in row j and column i, where L_j is the part of the loss that position j's target carries. */
  map: Float64Array[];
  /** The layer whose input the states are. */
  layer: number;
}

/**
 * The gradient of the mean loss of one sequence with respect to the states of its positions.
 *
 * @param model Made with gradients; its parameters' gradients are zero afterwards.
 * @throws {CannotError} when no token carries a loss, the model has no gradients or the sequence does not fit.
 */
export async function gradientFlow(
  model: LanguageModel,
  sequence: Sequence,
  objective: Objective,
): Promise<GradientFlow> {
  using probe = new Probe(model, sequence, objective);
  return await probe.measure(probe.batch);
}

/**
 * The path of the gradient from every target back to every position: one backward pass for each target alone, over the
 * same divisor Z as the whole.
 *
 * @param options.layer The states entering which layer; 0, the embeddings, unless given.
 * @throws {CannotError} as {@linkcode gradientFlow}, and for a layer that the model does not have.
 */
export async function attentionPath(
  model: LanguageModel,
  sequence: Sequence,
  objective: Objective,
  options: { layer?: number } = {},
): Promise<AttentionPath> {
  checkOptions("trace gradients", options, { layer: number() });
  const { layer = 0 } = options;
  if (!Number.isInteger(layer) || layer < 0 || layer >= model.config.layers) {
    throw new CannotError(
      `trace gradients to the input of layer ${layer}`,
      `the model has layers 0 to ${model.config.layers - 1}`,
      "Choose one of them",
    );
  }
  using probe = new Probe(model, sequence, objective);
  const { batch } = probe;
  const active = new Set(activeRows(batch, objective.terms));
  const map: Float64Array[] = [];
  for (let target = 0; target < batch.tokens.length; target++) {
    if (!active.has(target)) {
      map.push(new Float64Array(batch.tokens.length));
      continue;
    }
    const weights = batch.weights.map((weight, row) => row === target ? weight : 0);
    map.push((await probe.measure({ ...batch, weights })).layers[layer]!);
  }
  return { map, layer };
}

/** The recorded forward and backward pass of one sequence, with a copy of every state's gradient. */
class Probe {
  readonly batch: Batch;
  readonly #model: LanguageModel;
  readonly #objective: Objective;
  readonly #pass: LossPass;
  readonly #gradients: Tensor[] = []; // of the layers' inputs, then of the final hidden states

  constructor(model: LanguageModel, sequence: Sequence, objective: Objective) {
    checkOptions("trace gradients", { objective }, { objective: required(object) });
    if (!model.parameters.groups.every(({ gradient }) => gradient)) {
      throw new CannotError(
        "trace gradients through this model",
        "it, or a part of it, has no gradients",
        "Make or open it with `{ gradients: true }`",
      );
    }
    const time = Math.max(1, sequence.tokens.length - 1);
    const { width } = model.config;
    this.#model = model;
    this.#objective = objective;
    this.batch = packSequences([sequence], { rows: 1, time }).batches[0]!;
    const counts = countTargets(this.batch, objective.terms);
    const z = divisor(objective.denominator, [counts], "this sequence");
    this.#pass = new LossPass(model, {
      name: "gradient_flow",
      rows: 1,
      time,
      terms: objective.terms,
      training: true,
      observe: (tape, state) => {
        const copy = tape.program.allocate(`gradient${this.#gradients.length}`, [time, width]);
        this.#gradients.push(copy);
        tape.recordInPlace(state, () => tape.program.copy(state.gradient!, copy));
      },
    });
    const { step } = this.#pass;
    writeStep(model.gpu, step, { learningRate: 0, update: 1, divisor: z }, [0, 0]);
  }

  async measure(batch: Batch): Promise<GradientFlow> {
    const { gpu, config, parameters } = this.#model;
    const { terms } = this.#objective;
    this.#pass.run(batch);
    const { losses: ownLosses, logOdds: ownLogOdds } = this.#pass;
    const results = await gpu.readAll([ownLosses, ownLogOdds, ...this.#gradients]);
    parameters.clearGradients();
    const active = new Set(activeRows(batch, terms));
    const [losses, logOdds, ...gradients] = results.map((bytes) => new Float32Array(bytes));
    for (const gradient of gradients) expectFinite("trace gradients", gradient);
    const only = (values: Float32Array) =>
      Float64Array.from(values, (value, row) => active.has(row) ? value : NaN);
    const layers = gradients.map((gradient) => rowNorms(gradient, config.width));
    const hidden = layers.pop()!;
    return { losses: only(losses!), logOdds: only(logOdds!), hidden, layers };
  }

  [Symbol.dispose](): void {
    this.#pass[Symbol.dispose]();
  }
}

function rowNorms(values: Float32Array, width: number): Float64Array {
  return Float64Array.from(
    { length: values.length / width },
    (_, row) => Math.sqrt(sumOfSquares(values.subarray(row * width, (row + 1) * width))),
  );
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
