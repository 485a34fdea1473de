// The parts of a model that training can leave as they are.

import { CannotError } from "../base/errors.ts";
import type { DecoderConfig } from "./config.ts";
import { parameterShapes } from "./parameter_shapes.ts";

const patterns = {
  embeddings: /^model\.embed_/,
  attention: /\.self_attn\./,
  feed_forward: /\.mlp\./,
  norms: /norm\.(weight|bias)$/,
  unembedding: /^lm_head\./,
} as const;

/** The parts of a model by name; `layers:FROM-TO` are some of its layers, counted from 0. */
export const modelParts: readonly string[] = Object.keys(patterns);

const someLayers = /^layers:(\d+)(?:-(\d+))?$/;

/**
 * Which parameters belong to some parts of a model.
 *
 * @param parts `embeddings`, `attention`, `feed_forward`, `norms`, `unembedding`, `layers:3` or `layers:0-7`.
 * @throws {CannotError} naming the part that the model does not have.
 */
export function parametersOf(config: DecoderConfig, parts: readonly string[]): Set<string> {
  const names = [...parameterShapes(config).keys()];
  const chosen = new Set<string>();
  for (const part of parts) {
    const own = names.filter(belongsTo(config, part));
    if (own.length === 0) throw lacking(config, part);
    for (const name of own) chosen.add(name);
  }
  return chosen;
}

function belongsTo({ layers }: DecoderConfig, part: string): (name: string) => boolean {
  if (Object.hasOwn(patterns, part)) {
    const pattern = patterns[part as keyof typeof patterns];
    return (name) => pattern.test(name);
  }
  const [, from, to = from] = someLayers.exec(part) ?? [];
  if (from === undefined || Number(to) >= layers) return () => false;
  return (name) => {
    const [, layer] = /^model\.layers\.(\d+)\./.exec(name) ?? [];
    return layer !== undefined && Number(layer) >= Number(from) && Number(layer) <= Number(to);
  };
}

function lacking({ family, layers, tiedEmbedding }: DecoderConfig, part: string): CannotError {
  const what = `choose the part "${part}"`;
  if (part === "unembedding" && tiedEmbedding) {
    return new CannotError(what, "it is the embedding here", 'Give "embeddings"');
  }
  const known = `${modelParts.join(", ")}, or layers:FROM-TO below ${layers}`;
  return new CannotError(what, `this ${family} has none of this name`, `Give ${known}`);
}
