// Texts with risky spans, and the one way from them to classed tokens:
//   a line of JSON (`span_record.ts`)  ->  RiskyText  ->  encodeText  ->  Sequence  ->  cutIntoWindows

import { checkOptions, flag, oneOf, required } from "../base/options.ts";
import {
  classifyTokens,
  classifyTokensBySentence,
  type RiskSpan,
  validateSpans,
} from "../slung/risk.ts";
import { cutIntoWindows, delimit, type Sequence } from "./sequence.ts";
import { type EncodeOptions, missingBos, type Tokenizer } from "../tokenizers/tokenizer.ts";

/**
 * Which tokens a span covers: `overlap`, every token that it touches (for names and other phrases); or `sentence`, the
 * rule of the paper's code for scored sentences, where the space before a sentence belongs to it.
 */
export type SpanRule = "overlap" | "sentence";

/**
 * A text, what is risky in it, and how much its tokens count.
 *
 * @example
 * ```ts
 * import { Risk, type RiskyText } from "@slung/slung";
 *
 * const text: RiskyText = {
 *   text: "Mira Toveld ran the mill.",
 *   spans: [{ start: 0, end: 11, risk: Risk.high }],
 *   weight: 0.5,
 * };
 * ```
 */
export interface RiskyText {
  /** One document. */
  text: string;
  /** Its risky stretches, in UTF-16 units; the rest is low risk. */
  spans: readonly RiskSpan[];
  /** Multiplies the loss of every token; 1 unless given. */
  weight?: number;
  /** `overlap` unless given. */
  rule?: SpanRule;
}

/** How {@linkcode encodeText} reads a text, and what it puts around the tokens. */
export interface EncodingOptions extends EncodeOptions {
  /** End in EOS, where the tokenizer has one; true unless given. */
  end?: boolean;
}

/**
 * The tokens of a text, each in the class of its span: behind BOS, where the tokenizer's texts begin with one and
 * this one does not spell it out, and before EOS, both of low risk.
 *
 * @throws {CannotError} for spans that leave the text; under the rule `sentence`, for spans that overlap.
 *
 * @example
 * ```ts
 * import { encodeText, Risk, trainBytePair } from "@slung/slung";
 *
 * const text = "Mira ran the mill.";
 * const tokenizer = trainBytePair([text], 258); // a token for each byte, no more
 * const spans = [{ start: 0, end: 4, risk: Risk.high }];
 * const { classes } = encodeText(tokenizer, { text, spans });
 * console.log(classes.join("")); // 3333111111111111111
 * ```
 */
export function encodeText(
  tokenizer: Tokenizer,
  { text, spans, weight = 1, rule = "overlap" }: RiskyText,
  encoding: EncodingOptions = {},
): Sequence {
  checkOptions("encode a text", encoding, { end: flag, special: oneOf("tokens", "text") });
  checkOptions("encode a text", { rule }, { rule: required(oneOf("overlap", "sentence")) });
  const { end = true, ...options } = encoding;
  validateSpans(spans, text.length, "a text");
  const encoded = tokenizer.encode(text, options);
  const classes = rule === "overlap"
    ? classifyTokens(encoded, spans)
    : classifyTokensBySentence(encoded, spans, text.length);
  const [bos] = missingBos(tokenizer.special, encoded.ids);
  const { eos } = tokenizer.special;
  const sequence = delimit({ tokens: encoded.ids, classes }, {
    ...(bos !== undefined && { bos }),
    ...(end && eos !== undefined && { eos }),
  });
  if (weight === 1) return sequence;
  return { ...sequence, weights: new Float32Array(sequence.tokens.length).fill(weight) };
}

/**
 * The tokens of a text as a model expects them at the start of a context: as {@linkcode encodeText}, without EOS.
 *
 * @example
 * ```ts
 * import { encodePrompt, trainBytePair } from "@slung/slung";
 *
 * const tokenizer = trainBytePair(["the mill"], 258);
 * console.log(encodePrompt(tokenizer, "the").length); // 3
 * ```
 */
export function encodePrompt(
  tokenizer: Tokenizer,
  text: string,
  options: EncodeOptions = {},
): Uint32Array {
  return encodeText(tokenizer, { text, spans: [] }, { ...options, end: false }).tokens;
}

/**
 * The tokens of a text in windows of at most `length` tokens, in which every token after the first is predicted once: BOS,
 * where there is one, begins each window; else its first token is the last of the window before.
 *
 * @throws {CannotError} as {@linkcode encodeText}, and for a length that leaves nothing to predict.
 *
 * @example
 * ```ts
 * import { encodeIntoWindows, trainBytePair } from "@slung/slung";
 *
 * const tokenizer = trainBytePair(["the mill"], 258);
 * const windows = encodeIntoWindows(tokenizer, { text: "the old mill", spans: [] }, 8);
 * console.log(windows.map(({ tokens }) => tokens.length).join()); // 8,6
 * ```
 */
export function encodeIntoWindows(
  tokenizer: Tokenizer,
  text: RiskyText,
  length: number,
  options: EncodingOptions = {},
): Sequence[] {
  return cutIntoWindows(encodeText(tokenizer, text, options), length, prefixLength(tokenizer));
}

/** How many tokens stand before every text of a tokenizer: `cutIntoWindows` repeats them in each window. */
export function prefixLength({ special }: Tokenizer): number {
  return special.bos === undefined ? 0 : 1;
}
