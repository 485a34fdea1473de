// Fresh weights. "mitchell" is OLMo's scheme (allenai/OLMo olmo/initialization.py, init_weights, and
// the reset_parameters of olmo/model.py): a normal truncated at 3 sigma, with
//   sigma = 1/sqrt(C) for the embedding, for projections into a block and for the unembedding,
//   sigma = 1/sqrt(2 (i + 1) d) for projections back to the residual stream in layer i, d their input.
// "normal" is the default of `transformers`: sigma = 0.02 everywhere (initializer_range).

import { checkOptions, oneOf, required, seedNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";
import { checkConfig } from "./check_config.ts";
import type { DecoderConfig, Weights } from "./config.ts";
import type { ModelSource, NamedTensor } from "./model.ts";
import { parameterShapes } from "./parameter_shapes.ts";

/** How fresh weights are drawn. */
export type InitialisationScheme = "mitchell" | "normal";

/**
 * Draws the weights of a new model; norm weights are 1 and biases 0.
 * Each tensor has its own random stream, by seed and name, so that adding a tensor changes no other.
 *
 * @throws {CannotError} when the configuration is inconsistent.
 *
 * @example
 * ```ts
 * import { initialise, smallOlmo } from "@slung/slung";
 *
 * const config = smallOlmo({ width: 16, layers: 1, heads: 2, vocabularySize: 320 });
 * const weights = initialise(config, 0); // the same seed, the same weights
 * ```
 */
export function initialise(
  config: DecoderConfig,
  seed: number,
  scheme: InitialisationScheme = "mitchell",
): Weights {
  return new Map(drawn(config, seed, scheme));
}

/**
 * A new model whose tensors are drawn, one at a time, when they are asked for; the same ones as of {@linkcode initialise}.
 *
 * @throws {CannotError} when the configuration is inconsistent.
 */
export function freshModel(config: DecoderConfig, seed: number): ModelSource {
  checkConfig(config);
  return {
    config,
    async *tensors() {
      yield* drawn(config, seed, "mitchell");
    },
  };
}

function* drawn(
  config: DecoderConfig,
  seed: number,
  scheme: InitialisationScheme,
): Generator<NamedTensor> {
  checkOptions("initialise a model", { seed, scheme }, {
    seed: required(seedNumber),
    scheme: required(oneOf("mitchell", "normal")),
  });
  checkConfig(config);
  for (const [name, shape] of parameterShapes(config)) {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    if (shape.length === 1) data.fill(name.endsWith(".bias") ? 0 : 1);
    else fillNormal(data, new Random(seed, name), deviation(config, name, scheme), scheme);
    yield [name, { shape, data }];
  }
}

function deviation(config: DecoderConfig, name: string, scheme: InitialisationScheme): number {
  if (scheme === "normal") return 0.02;
  const output = /^model\.layers\.(\d+)\..*\.(o_proj|down_proj)\.weight$/.exec(name);
  if (!output) return 1 / Math.sqrt(config.width);
  const heads = config.heads * config.headWidth;
  const inputWidth = output[2] === "o_proj" ? heads : config.feedForward;
  return 1 / Math.sqrt(2 * (Number(output[1]) + 1) * inputWidth);
}

function fillNormal(
  data: Float32Array,
  random: Random,
  sigma: number,
  scheme: InitialisationScheme,
): void {
  const cutoff = scheme === "mitchell" ? 3 : Infinity;
  for (let i = 0; i < data.length; i++) {
    let value = random.normal();
    while (Math.abs(value) > cutoff) value = random.normal(); // 0.27 % of the draws
    data[i] = sigma * value;
  }
}
