// Configurations as Hugging Face's config.json says them, read and written. `families/` has one mapping for each
// model_type. Whatever a file says is computed, refused by name, or told to the caller; nothing is passed over in silence.

import { CannotError } from "../../../base/errors.ts";
import { checkOptions, wholeNumber } from "../../../base/options.ts";
import { checkConfig } from "../../check_config.ts";
import { type DecoderConfig, families, type Family, type SpecialTokens } from "../../config.ts";
import type { Naming } from "../naming.ts";
import { gpt2 } from "./families/gpt2.ts";
import { gptNeox } from "./families/gpt_neox.ts";
import { llama } from "./families/llama.ts";
import { mistral } from "./families/mistral.ts";
import { olmo } from "./families/olmo.ts";
import { olmo2 } from "./families/olmo2.ts";
import { qwen2 } from "./families/qwen2.ts";
import { qwen3 } from "./families/qwen3.ts";
import { Fields } from "./fields.ts";
import type { FamilyFormat } from "./format.ts";
import { passOver } from "./other_fields.ts";

/** A parsed `config.json`. */
export type HuggingFaceConfig = Record<string, unknown>;

const formats: Readonly<Record<Family, FamilyFormat>> = {
  olmo,
  olmo2,
  llama,
  mistral,
  qwen2,
  qwen3,
  gpt_neox: gptNeox,
  gpt2,
};

/** The `model_type` under which a decoder is saved that no Hugging Face family can describe. */
const ownType = "slung_decoder";

/**
 * Reads a Hugging Face `config.json` of one of the {@linkcode families}, or one that {@linkcode toHuggingFace} wrote.
 * Absent fields have the defaults of `transformers`.
 *
 * @param where The file, for errors.
 * @param onUnknown Is told the names of fields that no such family has in `transformers`, which then ignores them too.
 * @throws {CannotError} naming the file, the field and its value, when it asks for what is not implemented.
 */
export function fromHuggingFace(
  json: unknown,
  where: string,
  onUnknown?: (names: string[]) => void,
): DecoderConfig {
  const fields = new Fields(json, where);
  const type = fields.choice("model_type", [...families, ownType]);
  if (type === ownType) {
    const config = fields.value("decoder") as DecoderConfig;
    fields.section("decoder"); // refuses what is no object
    checkConfig(config, `"${where}"`);
    return config;
  }
  const config = formats[type as Family].read(fields);
  const unknown = passOver(fields, type);
  if (unknown.length > 0) onUnknown?.(unknown);
  checkConfig(config, `"${where}"`);
  return config;
}

/**
 * The `config.json` with which `transformers` reads the model. What its family cannot describe (an OLMo with GELU)
 * gets a model_type of our own, which `transformers` refuses rather than misreads.
 *
 * @throws {CannotError} for interleaved rotary pairs, which `transformers` does not know:
 *   permute the weights first with `withRotaryPairing`, as `saveModel` does.
 */
export function toHuggingFace(
  config: DecoderConfig,
  special: SpecialTokens = {},
): HuggingFaceConfig {
  checkConfig(config);
  const tokenId = wholeNumber({ min: 0, max: config.vocabularySize - 1 });
  checkOptions(
    "describe the model",
    special,
    { bos: tokenId, eos: tokenId, pad: tokenId },
    "special.",
  );
  if (config.positions !== "learned" && config.positions.pairing !== "half") {
    throw new CannotError(
      "describe the model as a Hugging Face config.json",
      `its rotary pairing is "${config.positions.pairing}"`,
      'Convert config and weights with withRotaryPairing(model, "half")',
    );
  }
  if (!isDescribable(config)) return { model_type: ownType, decoder: { ...config } };
  const { architecture, write } = formats[config.family];
  return {
    architectures: [architecture],
    model_type: config.family,
    ...write(config),
    // Written even when unknown: the defaults of `transformers` are another tokenizer's ids.
    bos_token_id: special.bos ?? null,
    eos_token_id: special.eos ?? null,
    pad_token_id: special.pad ?? null,
  };
}

/** Whether a configuration has our own model_type, which no other program reads. */
export function isOwnType(json: HuggingFaceConfig): boolean {
  return json.model_type === ownType;
}

/** What the tensors beside a `config.json` are called: as ours, where no family describes the model. */
export function namingOf(json: HuggingFaceConfig, { family }: DecoderConfig): Naming | undefined {
  return isOwnType(json) ? undefined : formats[family].naming;
}

// Whether the family's own configuration says all of it: written and read again it is the same.
function isDescribable(config: DecoderConfig): boolean {
  const { read, write } = formats[config.family];
  try {
    return sameData(read(new Fields(write(config), "a configuration")), config);
  } catch (error) {
    if (error instanceof CannotError) return false;
    throw error;
  }
}

function sameData(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) =>
      sameData((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name])
    );
}
