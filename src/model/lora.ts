// Low-rank changes that are learned instead of weights (LoRA: Hu et al., 2021). A projection y = x · Wᵀ becomes
// y = x · Wᵀ + s · (x · Aᵀ) · Bᵀ with A [r, in] and B [out, r]; W stays as it is. B begins at zero, and so the change.
// Merged, W + s · B · A computes the same without A and B.

import { CannotError } from "../base/errors.ts";
import {
  type AllowedOptions,
  checkOptions,
  flag,
  listOf,
  number,
  oneOf,
  required,
  seedNumber,
  wholeNumber,
} from "../base/options.ts";
import { Random } from "../base/random.ts";
import {
  type DecoderConfig,
  type HostTensor,
  type Projection,
  projections,
  type Weights,
} from "./config.ts";
import type { ModelSource, NamedTensor } from "./model.ts";
import { parameterShapes } from "./parameter_shapes.ts";

/** Which projections change, and how much they can. */
export interface LoraSettings {
  /** r, the rank of every change. */
  rank: number;
  /** α: changes are scaled by s = α / r. */
  alpha: number;
  /** The projections that change, in every layer. */
  targets: readonly Projection[];
  /** s = α / √r instead (Kalajdzievski, 2023); not unless given. */
  rankStabilised?: boolean;
}

const allowed: AllowedOptions<LoraSettings> = {
  rank: required(wholeNumber({ min: 1 })),
  alpha: required(number({ above: 0 })),
  targets: required(listOf(oneOf(...projections))),
  rankStabilised: flag,
};

/**
 * Checks that a model can be changed so.
 *
 * @throws {CannotError} naming the setting, for targets that the model does not have, and for a rank above that of a weight.
 */
export function checkLora(config: DecoderConfig, lora: LoraSettings): void {
  checkOptions("change weights by LoRA", lora, allowed, "lora.");
  const refuse = (why: string, remedy: string) =>
    new CannotError("change weights by LoRA", why, remedy);
  if (lora.targets.length === 0) throw refuse("it has no targets", "Give q_proj and v_proj, say");
  const shapes = targetShapes(config);
  for (const target of lora.targets) {
    const shape = shapes.get(target);
    if (!shape) {
      const there = [...shapes.keys()].join(", ");
      throw refuse(`a ${config.family} has no ${target}`, `Choose among ${there}`);
    }
    const most = Math.min(...shape);
    if (lora.rank <= most) continue;
    throw refuse(`its rank ${lora.rank} is above that of ${target}, ${most}`, "Use a lower rank");
  }
}

// The shapes of the projections of a layer, by name.
function targetShapes(config: DecoderConfig): Map<Projection, number[]> {
  const shapes = new Map<Projection, number[]>();
  for (const [name, shape] of parameterShapes({ ...config, layers: 1 })) {
    const [, projection] = /\.(\w+_proj)\.weight$/.exec(name) ?? [];
    if (projection) shapes.set(projection as Projection, shape);
  }
  return shapes;
}

/** s, by which a change is multiplied. */
export function loraScale({ rank, alpha, rankStabilised = false }: LoraSettings): number {
  return alpha / (rankStabilised ? Math.sqrt(rank) : rank);
}

/** What A and B of a projection's weight are called. */
export function loraNames(weight: string): { a: string; b: string } {
  const module = weight.replace(/\.weight$/, "");
  return { a: `${module}.lora_A.weight`, b: `${module}.lora_B.weight` };
}

/** Whether a parameter is an A or a B. */
export function isLora(name: string): boolean {
  return /\.lora_[AB]\.weight$/.test(name);
}

/** The shape of every A [r, in] and B [out, r] by its name. */
export function loraShapes(config: DecoderConfig, lora: LoraSettings): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  for (const [weight, [out, input]] of parameterShapes(config)) {
    if (!lora.targets.some((target) => weight.endsWith(`.${target}.weight`))) continue;
    const { a, b } = loraNames(weight);
    shapes.set(a, [lora.rank, input!]);
    shapes.set(b, [out!, lora.rank]);
  }
  return shapes;
}

/**
 * Draws the first values of a change, as PEFT does: A uniformly within ±1 / √in, B zero. Each tensor has its own random
 * stream, by seed and name.
 *
 * @throws {CannotError} as {@linkcode checkLora}.
 */
export function initialiseLora(config: DecoderConfig, lora: LoraSettings, seed: number): Weights {
  checkLora(config, lora);
  checkOptions("initialise LoRA", { seed }, { seed: required(seedNumber) });
  const weights: Weights = new Map();
  for (const [name, shape] of loraShapes(config, lora)) {
    const data = new Float32Array(shape[0]! * shape[1]!);
    if (name.endsWith(".lora_A.weight")) {
      const random = new Random(seed, name);
      const limit = 1 / Math.sqrt(shape[1]!);
      for (let i = 0; i < data.length; i++) data[i] = (2 * random.uniform() - 1) * limit;
    }
    weights.set(name, { shape, data });
  }
  return weights;
}

/** A model with the parameters of a change beside its own, for a model on a GPU that keeps them apart. */
export function withLora(source: ModelSource, changes: Weights): ModelSource {
  return {
    config: source.config,
    async *tensors() {
      yield* source.tensors();
      yield* changes;
    },
  };
}

/**
 * A model with a change in its weights, W + s · B · A.
 *
 * @param changes A and B of any of its projections.
 * @param scale s, from {@linkcode loraScale}.
 */
export function mergeLora(source: ModelSource, changes: Weights, scale: number): ModelSource {
  return {
    config: source.config,
    async *tensors() {
      for await (const [name, tensor] of source.tensors()) {
        const { a, b } = loraNames(name);
        const changed = changes.get(a), by = changes.get(b);
        yield changed && by ? merged(name, tensor, { a: changed, b: by, scale }) : [name, tensor];
      }
    },
  };
}

function merged(
  name: string,
  { shape, data }: HostTensor,
  { a, b, scale }: { a: HostTensor; b: HostTensor; scale: number },
): NamedTensor {
  const [out, input] = shape as [number, number];
  const rank = a.shape[0]!;
  const changed = new Float32Array(data.length);
  const row = new Float64Array(input);
  for (let i = 0; i < out; i++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = scale * b.data[i * rank + k]!;
      const from = k * input;
      for (let j = 0; j < input; j++) row[j]! += factor * a.data[from + j]!;
    }
    const start = i * input;
    for (let j = 0; j < input; j++) changed[start + j] = data[start + j]! + row[j]!;
  }
  return [name, { shape, data: changed }];
}
