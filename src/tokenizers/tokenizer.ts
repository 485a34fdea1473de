// The one interface through which everything else sees a tokenizer.
// All tokenizers give exact UTF-16 offsets: risk spans are stated in characters, and a token that is
// misplaced by one character is trained on with the wrong loss.

import { escapePattern } from "../base/escape_pattern.ts";
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

/** How a text is tokenised. */
export interface EncodeOptions {
  /**
   * What a special token becomes that is spelt out in the text ("</s>", "<|endoftext|>"): that token, or plain text
   * like any other. Those of llama2.c and GGUF are always text, as in their originals; for all other tokenizers the
   * default is "tokens", as in Hugging Face's, where "text" is called `split_special_tokens`. Text that a stranger
   * wrote can end a document or a turn unless it is "text".
   */
  special?: "tokens" | "text";
}

/**
 * Text to token ids and back.
 *
 * @example Which token a character belongs to
 * ```ts
 * import { type Tokenizer, trainBytePair } from "@slung/slung";
 *
 * function tokenAt(tokenizer: Tokenizer, text: string, character: number): number {
 *   return tokenizer.encode(text).ends.findIndex((end) => end > character);
 * }
 * console.log(tokenAt(trainBytePair(["mill"], 258), "mill", 2)); // 2
 * ```
 */
export interface Tokenizer {
  /** What to call it in messages and logs. */
  readonly name: string;
  /** One more than the highest token id. */
  readonly vocabularySize: number;
  /**
   * The ids of the special tokens it has. `bos` begins every text, and is absent where the tokenizer's files have
   * none or say that texts begin without it; `eos` ends a document; `pad` fills rows.
   */
  readonly special: { bos?: number; eos?: number; pad?: number };
  /** How its special tokens are spelt where `encode` finds them in a text; absent where it finds none. */
  readonly specialTexts?: readonly string[];
  /** Tokenises a text and adds no special token. */
  encode(text: string, options?: EncodeOptions): Encoding;
  /**
   * The text of token ids; an id without a token becomes U+FFFD. Special tokens are spelt out, but for those of llama2.c
   * and GGUF, which have no text, as in their originals.
   */
  decode(ids: ArrayLike<number>): string;
  /** Writes the tokenizer to a folder, from which `openTokenizer` reads it back. */
  save?(folder: string): Promise<void>;
}

/**
 * What is missing before token ids at the start of a context: BOS, where the tokenizer's texts begin with one and these
 * ids do not already.
 *
 * @returns One id or none.
 */
export function missingBos({ bos }: Tokenizer["special"], ids: ArrayLike<number>): number[] {
  return bos === undefined || ids[0] === bos ? [] : [bos];
}

/** How many special tokens texts spell out: where a text by a stranger could end a document or a turn. */
export function countSpeltOut(
  { specialTexts = [] }: Pick<Tokenizer, "specialTexts">,
  texts: Iterable<string>,
): number {
  if (specialTexts.length === 0) return 0;
  const longestFirst = specialTexts.toSorted((a, b) => b.length - a.length);
  const spelling = new RegExp(longestFirst.map(escapePattern).join("|"), "gu");
  let count = 0;
  for (const text of texts) {
    for (const _ of text.matchAll(spelling)) count++;
  }
  return count;
}

/**
 * The text that token ids add to the text of a prompt. It is not their text alone: a tokenizer may drop a space where
 * a text begins, and a character's bytes may lie on both sides.
 *
 * @example
 * ```ts
 * import { decodeContinuation, encodePrompt, trainBytePair } from "@slung/slung";
 *
 * const tokenizer = trainBytePair(["the old mill"], 270);
 * const prompt = encodePrompt(tokenizer, "the");
 * const { ids } = tokenizer.encode(" mill");
 * console.log(JSON.stringify(decodeContinuation(tokenizer, prompt, ids))); // " mill"
 * ```
 */
export function decodeContinuation(
  tokenizer: Tokenizer,
  prompt: ArrayLike<number>,
  continuation: ArrayLike<number>,
): string {
  const ids = new Uint32Array(prompt.length + continuation.length);
  ids.set(prompt);
  ids.set(continuation, prompt.length);
  return tokenizer.decode(ids).slice(tokenizer.decode(prompt).length);
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
