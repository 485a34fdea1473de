// The one interface through which everything else sees a tokenizer.
// All tokenizers give exact UTF-16 offsets: risk spans are stated in characters, and a token that is
// misplaced by one character is trained on with the wrong loss.

import { CannotError } from "../base/errors.ts";

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
  /** Writes the tokenizer to a folder, from which `openTokenizer` reads it back. */
  save?(folder: string): Promise<void>;
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
