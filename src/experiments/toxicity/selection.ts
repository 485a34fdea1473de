// Which documents of a risky domain the paper's experiment takes, and as what (section 4.1, and its code).

import { encodeText } from "../../data/spans.ts";
import type { Sequence } from "../../data/sequence.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { Risk, type RiskSpan } from "../../slung/risk.ts";

/** A text and the risk of its sentences. */
export interface ScoredText {
  /** One document. */
  text: string;
  /** Its sentences in order; none of a clean document. */
  spans: readonly RiskSpan[];
}

/** A document without EOS, every token in the class of its sentence. */
export function documentSequence(tokenizer: Tokenizer, { text, spans }: ScoredText): Sequence {
  return encodeText(tokenizer, { text, spans, rule: "sentence" }, { end: false });
}

/** Whether sentences both of low and of high risk stand in it: the documents that are injected. */
export function isMixed({ spans }: ScoredText): boolean {
  const holds = (risk: Risk) => spans.some((span) => span.risk === risk);
  return holds(Risk.low) && holds(Risk.high);
}

/** Whether it has several sentences, all of low risk: the harmless text of the risky domain. */
export function isHarmless({ spans }: ScoredText): boolean {
  return spans.length > 1 && spans.every(({ risk }) => risk === Risk.low);
}
