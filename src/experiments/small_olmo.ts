// The architecture of the models that are trained here from the start: OLMo's, at any size.

import { checkOptions, required, wholeNumber } from "../base/options.ts";
import type { DecoderConfig } from "../model/config.ts";
import { architectures } from "../model/families.ts";

/**
 * A small OLMo: non-parametric layer norm, SwiGLU, rotary positions, tied embedding.
 *
 * @example
 * ```ts
 * import { smallOlmo } from "@slung/slung";
 *
 * const config = smallOlmo({ width: 64, layers: 2, heads: 4, vocabularySize: 1024 });
 * console.log(config.headWidth, config.feedForward); // 16 192
 * ```
 */
export function smallOlmo(
  options: {
    width: number;
    layers: number;
    heads: number;
    vocabularySize: number;
    contextLength?: number;
  },
): DecoderConfig {
  const size = required(wholeNumber({ min: 1 }));
  checkOptions("make an architecture", options, {
    ...{ width: size, layers: size, heads: size, vocabularySize: size },
    contextLength: wholeNumber({ min: 1 }),
  });
  const { width, layers, heads, vocabularySize, contextLength = 256 } = options;
  return {
    family: "olmo",
    vocabularySize,
    contextLength,
    width,
    layers,
    heads,
    kvHeads: heads,
    headWidth: width / heads,
    feedForward: Math.ceil(width * 8 / 3 / 32) * 32, // as many parameters as a plain MLP of 4 × width
    ...architectures.olmo,
    normEpsilon: 1e-5,
    positions: { theta: 10_000, pairing: "half", share: 1 },
    tiedEmbedding: true,
  };
}
