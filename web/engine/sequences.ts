// From the sentences on the page to what the models are trained on.

import type { RiskyText } from "../../src/data/spans.ts";
import { encodeText } from "../../src/data/spans.ts";
import type { Sequence } from "../../src/data/sequence.ts";
import type { Tokenizer } from "../../src/tokenizers/tokenizer.ts";

/**
 * A sentence as it stands behind "Answer:": it begins with a space there, so that its first word is the same token when
 * it is learned and when it is asked for.
 */
export function sentenceSequence(
  tokenizer: Tokenizer,
  { text, spans }: RiskyText,
): Sequence {
  const shifted = spans.map(({ start, end, risk }) => ({
    start: start + 1,
    end: end + 1,
    risk,
  }));
  return encodeText(tokenizer, { text: ` ${text}`, spans: shifted });
}

const passes = 2;

/** An epoch: every sentence twice, and a quarter as many questions that are replayed, others in every epoch. */
export function epochsOf(
  tokenizer: Tokenizer,
  texts: readonly RiskyText[],
  replay: readonly RiskyText[],
): Sequence[][] {
  const sentences = texts.map((text) => sentenceSequence(tokenizer, text));
  const questions = replay.map((text) => encodeText(tokenizer, text));
  const each = Math.ceil(texts.length * passes / 4);
  const kinds = Math.ceil(questions.length / each);
  return Array.from({ length: kinds }, (_, k) => [
    ...new Array<Sequence[]>(passes).fill(sentences).flat(),
    ...questions.slice(k * each, (k + 1) * each),
  ]);
}

/** A token as the page shows it. */
export interface ShownToken {
  text: string;
  risk: number;
}

/** The tokens of a sentence with their classes, the end of text left out. */
export function shownTokens(
  tokenizer: Tokenizer,
  text: RiskyText,
): ShownToken[] {
  const { tokens, classes } = sentenceSequence(tokenizer, text);
  const end = tokens.at(-1) === tokenizer.special.eos ? tokens.length - 1 : tokens.length;
  return Array.from({ length: end }, (_, i) => ({
    text: tokenizer.decode([tokens[i]!]),
    risk: classes[i]!,
  }));
}
