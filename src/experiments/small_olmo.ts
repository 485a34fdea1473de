// The architecture of the models that are trained here from the start: OLMo's, at any size.

import type { DecoderConfig } from "../model/config.ts";

/** A small OLMo: non-parametric layer norm, SwiGLU, rotary positions, tied embedding. */
export function smallOlmo(
  { width, layers, heads, vocabularySize, contextLength = 256 }: {
    width: number;
    layers: number;
    heads: number;
    vocabularySize: number;
    contextLength?: number;
  },
): DecoderConfig {
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
    norm: "layer",
    normEpsilon: 1e-5,
    activation: "swiglu",
    rotaryTheta: 10_000,
    rotaryPairing: "half",
    tiedEmbedding: true,
  };
}
