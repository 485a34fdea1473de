// A model on the host: in memory, or still where its weights are read from.

import type { DecoderConfig, HostTensor, Weights } from "./config.ts";

/**
 * A configuration and the weights that fit it.
 *
 * @example
 * ```ts
 * import { initialise, type Model, smallOlmo } from "@slung/slung";
 *
 * const config = smallOlmo({ width: 16, layers: 1, heads: 2, vocabularySize: 320 });
 * const base: Model = { config, weights: initialise(config, 0) };
 * ```
 */
export interface Model {
  /** The architecture. */
  config: DecoderConfig;
  /** In host memory, float32. */
  weights: Weights;
}

/** A configuration and weights that are read when they are needed, so that memory holds one tensor at a time. */
export interface ModelSource {
  /** The architecture. */
  config: DecoderConfig;
  /** Every parameter once, in any order; may be asked for again. */
  tensors(): AsyncIterable<NamedTensor>;
}

/** A parameter by its name. */
export type NamedTensor = readonly [name: string, tensor: HostTensor];

/** A model in memory, to be read like one in files. */
export function inMemory({ config, weights }: Model): ModelSource {
  return {
    config,
    async *tensors() {
      yield* weights;
    },
  };
}

/** A model with other values of some of its parameters. */
export function withWeights(source: ModelSource, weights: Weights): ModelSource {
  return {
    config: source.config,
    async *tensors() {
      for await (const [name, tensor] of source.tensors()) {
        yield [name, weights.get(name) ?? tensor];
      }
    },
  };
}
