// The model that a run starts from: one in a folder, or a fresh one of a known size or a config.json.

import { CannotError } from "../base/errors.ts";
import { readJson } from "../base/files.ts";
import { trainBytePair } from "../tokenizers/byte_pair.ts";
import { openTokenizer } from "../tokenizers/open.ts";
import { checkVocabulary, type Tokenizer } from "../tokenizers/tokenizer.ts";
import { presets } from "../model/families.ts";
import { fromHuggingFace } from "../model/formats/huggingface/config.ts";
import { freshModel } from "../model/initialise.ts";
import { countParameters } from "../model/parameter_shapes.ts";
import { type ModelSource, openModelFiles } from "../model/weights.ts";

/** Which model to start from. */
export interface StartingChoice {
  /** A folder, or the name of a size, one of `modelSizes`. */
  model?: string | undefined;
  /** A fresh one of the sizes in this Hugging Face config.json instead. */
  config?: string | undefined;
  /** The folder of the tokenizer; that of the model unless given. */
  tokenizer?: string | undefined;
  /** Token ids of a byte-pair tokenizer to be trained on the texts; for fresh models only. */
  vocabulary?: number | undefined;
  /** Of fresh weights. */
  seed: number;
}

/** A model to start from, and the tokenizer that goes with it. */
export interface StartingModel {
  /** Configuration and weights: those of a folder are still in its files. */
  source: ModelSource;
  /** The folder that it lies in; undefined for fresh models. */
  folder?: string | undefined;
  /** Reads the texts. */
  tokenizer: Tokenizer;
  /** The token ids that end its texts, where its files name them; undefined for fresh models. */
  ends?: readonly number[] | undefined;
  /** One line about the model. */
  description: string;
  /** Where the tokenizer's files are; undefined for one that was trained here. */
  tokenizerFolder: string | undefined;
}

/** The names of model sizes. */
export const modelSizes: readonly string[] = Object.keys(presets);

/**
 * Opens or makes the model that a run starts from.
 *
 * @param texts What a tokenizer is trained on, if one is.
 * @throws {CannotError} when not exactly one model and one tokenizer are chosen, or they do not fit each other.
 */
export async function openStartingModel(
  choice: StartingChoice,
  texts: readonly string[],
): Promise<StartingModel> {
  const { model, config: configFile, seed } = choice;
  if ((model === undefined) === (configFile === undefined)) {
    throw new CannotError(
      "choose a model",
      model === undefined ? "none is given" : "both --model and --config are given",
      `Give --model with a folder or one of ${modelSizes.join(", ")}, or --config FILE`,
    );
  }
  const folder = model === undefined || modelSizes.includes(model) ? undefined : model;
  const tokenizerFolder = choice.vocabulary === undefined ? choice.tokenizer ?? folder : undefined;
  const tokenizer = await chooseTokenizer(choice, folder, texts);
  if (folder !== undefined) {
    const source = await openModelFiles(folder);
    checkVocabulary(tokenizer, source.config.vocabularySize);
    const { describe: description, ends } = source;
    return { source, folder, tokenizer, ends, description, tokenizerFolder };
  }
  // A size takes the vocabulary of its tokenizer, padded as OLMo pads its own: 50,280 ids to 50,304 rows.
  const config = configFile !== undefined
    ? fromHuggingFace(await readJson(configFile), configFile)
    : {
      ...presets[model as keyof typeof presets],
      vocabularySize: Math.ceil(tokenizer.vocabularySize / 128) * 128,
    };
  checkVocabulary(tokenizer, config.vocabularySize);
  const description = `new ${config.family} of ${countParameters(config).toLocaleString("en")} ` +
    `parameters (${config.layers} layers, width ${config.width}, vocabulary ${config.vocabularySize})`;
  const source = freshModel(config, seed);
  return { source, tokenizer, description, tokenizerFolder };
}

async function chooseTokenizer(
  { tokenizer, vocabulary }: StartingChoice,
  folder: string | undefined,
  texts: readonly string[],
): Promise<Tokenizer> {
  const refuse = (why: string, remedy: string) =>
    new CannotError("choose a tokenizer", why, remedy);
  if (vocabulary !== undefined) {
    if (folder !== undefined) {
      throw refuse("a trained model needs the one it was trained with", "Leave out --vocabulary");
    }
    if (tokenizer !== undefined) {
      throw refuse("both a folder and a size to train are given", "Leave out one of them");
    }
    return trainBytePair(texts, vocabulary);
  }
  const from = tokenizer ?? folder;
  if (from !== undefined) return await openTokenizer(from);
  throw refuse("a new model has none", "Give --tokenizer FOLDER, or --vocabulary to train one");
}
