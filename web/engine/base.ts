// The base model as the page gets it: base.json says what it is, base.bin holds its parameters in f16, one after the other
// in the order in which the model uses them. `deno task page` packs it, the worker opens it.

import { fieldsOf } from "../../src/tokenizers/fields.ts";
import { huggingFaceTokenizer } from "../../src/tokenizers/huggingface.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";
import { CannotError } from "../../src/base/errors.ts";
import type { RiskyText } from "../../src/data/spans.ts";
import type { DecoderConfig, HostTensor } from "../../src/model/config.ts";
import { fromF16 } from "../../src/model/formats/halves.ts";
import type { Model } from "../../src/model/model.ts";
import { parameterShapes } from "../../src/model/parameter_shapes.ts";

/** What base.json holds. */
export interface BaseDescription {
  config: DecoderConfig;
  /** The contents of tokenizer.json and tokenizer_config.json. */
  tokenizer: Record<string, unknown>;
  tokenizerConfig: Record<string, unknown>;
  /** Questions that the base was trained on, mixed in so that it does not forget how to answer; names are risky. */
  replay: RiskyText[];
}

/** The base model, ready for use. */
export interface Base {
  model: Model;
  tokenizer: Tokenizer;
  replay: readonly RiskyText[];
}

/** The parameters as base.bin. */
export function packWeights(
  { config, weights }: Model,
): Uint8Array<ArrayBuffer> {
  const values = [...parameterShapes(config).keys()].flatMap((
    name,
  ) => [...weights.get(name)!.data]);
  return new Uint8Array(new Float16Array(values).buffer);
}

/** Opens what was packed. @throws {CannotError} when the two files do not belong together. */
export function openBase(
  description: BaseDescription,
  bytes: ArrayBuffer,
): Base {
  const { config, tokenizer, tokenizerConfig, replay } = description;
  const halves = new Uint16Array(bytes);
  const weights = new Map<string, HostTensor>();
  let at = 0;
  for (const [name, shape] of parameterShapes(config)) {
    const length = shape.reduce((product, size) => product * size, 1);
    const data = new Float32Array(length);
    fromF16(halves.subarray(at, at += length), data);
    weights.set(name, { shape, data });
  }
  if (at !== halves.length) {
    throw new CannotError(
      "open the base model",
      `base.bin has ${halves.length} numbers, and base.json describes ${at}`,
      "Make the page again with `deno task page`",
    );
  }
  return {
    model: { config, weights },
    tokenizer: huggingFaceTokenizer({
      name: "invented-base",
      json: tokenizer,
      config: tokenizerConfig,
      fields: fieldsOf("tokenizer.json"),
      configFields: fieldsOf("tokenizer_config.json"),
      files: new Map(),
    }),
    replay,
  };
}
