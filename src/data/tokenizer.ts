// The one interface through which everything else sees a tokenizer, and the door that opens a folder.
// All tokenizers give exact UTF-16 offsets: risk spans are stated in characters, and a token that is
// misplaced by one character is trained on with the wrong loss.

import { CannotError } from "../base/errors.ts";
import { readJson } from "../base/files.ts";
import { loadBytePair } from "./byte_pair.ts";
import { loadHuggingFaceTokenizer } from "./huggingface_tokenizer.ts";
import { loadLlama2cTokenizer, loadRankTokenizer } from "./sentencepiece_tokenizer.ts";

/** A tokenised text. */
export interface Encoding {
  /** Token ids. */
  ids: Uint32Array;
  /** Where each token begins in the text, in UTF-16 units. */
  starts: Uint32Array;
  /** Where each token ends, exclusive. */
  ends: Uint32Array;
}

/** Text to token ids and back. */
export interface Tokenizer {
  /** What to call it in messages and logs. */
  readonly name: string;
  /** One more than the highest token id. */
  readonly vocabularySize: number;
  /** The ids of the special tokens it has. */
  readonly special: { bos?: number; eos?: number; pad?: number };
  /**
   * Tokenises a text and adds no special token. A byte-level tokenizer recognises a special token
   * that is spelt out in the text, as Hugging Face does.
   */
  encode(text: string): Encoding;
  /**
   * The text of token ids; an id without a token becomes U+FFFD. Special tokens of byte-level
   * tokenizers are spelt out, those of the SentencePiece kind have no text, as in their originals.
   */
  decode(ids: ArrayLike<number>): string;
  /** Writes the tokenizer to a folder, from which `loadTokenizer` reads it back. */
  save?(folder: string): Promise<void>;
}

/**
 * Opens the tokenizer in a folder, whichever kind its files show:
 * - `tokenizer.json` and a `tokenizer_config.json` with `"slung"`: byte-level BPE trained here
 * - any other `tokenizer.json`: through transformers.js
 * - `tokenizer.bin` or `tok512.bin` (any number): llama2.c
 * - `vocab.json`, an array in merge order, and `gguf_metadata.json`: as TinyStories-656K
 *
 * @throws {CannotError} naming the folder and what was looked for, when none of these is there.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const files = await fileNames(folder);
  if (files.includes("tokenizer.json")) {
    const ours = files.includes("tokenizer_config.json") &&
      isObjectWith(await readJson(`${folder}/tokenizer_config.json`), "slung");
    return ours ? await loadBytePair(folder) : await loadHuggingFaceTokenizer(folder);
  }
  const llama2c = files.find((name) => /^tok(enizer|\d+)\.bin$/.test(name));
  if (llama2c) return await loadLlama2cTokenizer(`${folder}/${llama2c}`);
  if (files.includes("vocab.json") && Array.isArray(await readJson(`${folder}/vocab.json`))) {
    return await loadRankTokenizer(folder);
  }
  throw new CannotError(
    `find a tokenizer in "${folder}"`,
    "it holds no tokenizer.json, no tokenizer.bin or tok512.bin (llama2.c), " +
      "and no vocab.json that is an array",
    "Put one of these files there or name another folder",
  );
}

/**
 * Checks that every id of the tokenizer has a row in the model's embedding.
 * The model may have more rows: OLMo pads 50,280 ids to 50,304 rows.
 *
 * @throws {CannotError} giving both numbers, when the tokenizer has more ids.
 */
export function checkVocabulary(tokenizer: Tokenizer, modelVocabularySize: number): void {
  if (tokenizer.vocabularySize <= modelVocabularySize) return;
  throw new CannotError(
    `use the tokenizer "${tokenizer.name}" with this model`,
    `it has ${tokenizer.vocabularySize} token ids, but the model's vocabulary has only ` +
      `${modelVocabularySize} rows`,
    "Use the tokenizer that the model was trained with",
  );
}

async function fileNames(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).sort();
  } catch (cause) {
    throw new CannotError(
      `find a tokenizer in "${folder}"`,
      (cause as Error).message,
      "Check that it is a folder",
      { cause },
    );
  }
}

function isObjectWith(value: unknown, key: string): boolean {
  return typeof value === "object" && value !== null && key in value;
}
