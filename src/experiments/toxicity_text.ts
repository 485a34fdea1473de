// Texts with risky spans as the sequences that the toxicity experiment is made of.

import type { Sequence } from "../data/batch.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { classifyTokensBySentence, Risk, type RiskSpan } from "../slung/risk.ts";

/**
 * The tokens of a text behind BOS, where the tokenizer has one, each in the class of its sentence; without spans all are
 * of low risk.
 */
export function labelledSequence(
  tokenizer: Tokenizer,
  { text, spans }: { text: string; spans: readonly RiskSpan[] },
): Sequence {
  const encoding = tokenizer.encode(text);
  const classes = classifyTokensBySentence(encoding, spans, text.length);
  const { bos } = tokenizer.special;
  if (bos === undefined) return { tokens: encoding.ids, classes };
  return {
    tokens: Uint32Array.of(bos, ...encoding.ids),
    classes: Uint8Array.of(Risk.low, ...classes),
  };
}

/** The same with EOS, which is of low risk, at the end. */
export function ended(tokenizer: Tokenizer, { tokens, classes }: Sequence): Sequence {
  return {
    tokens: Uint32Array.of(...tokens, tokenizer.special.eos!),
    classes: Uint8Array.of(...classes, Risk.low),
  };
}

/** At most the first `length` tokens. */
export function firstTokens({ tokens, classes }: Sequence, length: number): Sequence {
  return { tokens: tokens.slice(0, length), classes: classes.slice(0, length) };
}

/** Whether a text has a sentence of this class. */
export function holds(spans: readonly RiskSpan[], risk: Risk): boolean {
  return spans.some((span) => span.risk === risk);
}

/** Whether a text has several sentences, all of low risk: the harmless text of a risky domain. */
export function isHarmless(spans: readonly RiskSpan[]): boolean {
  return spans.length > 1 && spans.every(({ risk }) => risk === Risk.low);
}
