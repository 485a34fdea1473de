// Texts with risky spans as the sequences that the toxicity experiment is made of.

import { delimited, type Sequence } from "../data/batch.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
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
  return delimited({ tokens: encoding.ids, classes }, tokenizer.special, false);
}

/** The same with EOS, which is of low risk, at the end. */
export function ended({ special: { eos } }: Tokenizer, sequence: Sequence): Sequence {
  return delimited(sequence, eos === undefined ? {} : { eos }, true);
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
