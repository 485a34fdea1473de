// A labelled text as a record that others can use. With a tokenizer, each record has token ids and their classes too, so that nobody needs our rules to get from spans to tokens.
//
//   text       string
//   spans      list of {start, end, risk}: UTF-16 units, the end exclusive; risk 1 low, 2 possible, 3 high
//   rule       "overlap" or "sentence": which tokens a span covers; see SpanRule
//   input_ids  list of token ids, behind BOS where the tokenizer's texts begin with one, without EOS
//   classes    list of their classes: 1 low, 2 possible, 3 high

import type { RiskSpan } from "../slung/risk.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { encodeText, type RiskyText, type SpanRule } from "./spans.ts";

/** A labelled text, as it is written. */
export interface LabelRecord {
  /** All of it. */
  text: string;
  /** What is risky in it. */
  spans: readonly RiskSpan[];
  /** Which tokens a span covers; `overlap` where absent. */
  rule?: SpanRule;
  /** Token ids, if there is a tokenizer. */
  input_ids?: number[];
  /** The risk class of each. */
  classes?: number[];
}

/** A labelled text as a record, with the classes of its tokens if there is a tokenizer. */
export function labelRecord(labelled: RiskyText, tokenizer?: Tokenizer): LabelRecord {
  const { text, spans, rule } = labelled;
  const record = { text, spans, ...(rule === "sentence" && { rule }) };
  if (!tokenizer) return record;
  const { tokens, classes } = encodeText(tokenizer, labelled, { end: false });
  return { ...record, input_ids: [...tokens], classes: [...classes] };
}
