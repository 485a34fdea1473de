// Risk spans over characters, and the class that each token takes from them.
// A span says how risky its characters are; text that no span covers is low risk. Two rules turn
// spans into token classes: `classifyTokens` (any overlap, the highest risk wins) is conservative
// for names and other phrases inside a sentence; `classifyTokensBySentence` is the rule that the
// paper's code follows for scored sentences, where the space before a sentence belongs to it.

import { CannotError } from "../base/errors.ts";

/**
 * How risky a piece of text is, as the uint8 classes of the paper's label files.
 *
 * @example
 * ```ts
 * import { Risk } from "@slung/slung";
 *
 * const classes = new Uint8Array(5).fill(Risk.low);
 * classes[3] = Risk.high;
 * ```
 */
export const Risk = { unlabelled: 0, low: 1, possible: 2, high: 3 } as const;
/** One of the four classes of {@linkcode Risk}. */
export type Risk = (typeof Risk)[keyof typeof Risk];

/**
 * A risky stretch of text: UTF-16 offsets, half-open. A text with no spans is all low risk.
 *
 * @example
 * ```ts
 * import { Risk, type RiskSpan } from "@slung/slung";
 *
 * const text = "The old mill was run by Mira Toveld until winter.";
 * const name: RiskSpan = { start: 24, end: 35, risk: Risk.high };
 * console.log(text.slice(name.start, name.end)); // Mira Toveld
 * ```
 */
export interface RiskSpan {
  /** First UTF-16 unit. */
  start: number;
  /** One past the last. */
  end: number;
  /** Holds for every token that the span touches. */
  risk: Risk;
}

/** Where each token lies in its text: UTF-16 offsets, half-open, both ascending. */
export interface TokenSpans {
  /** First UTF-16 unit of each token. */
  starts: ArrayLike<number>;
  /** One past the last of each token. */
  ends: ArrayLike<number>;
}

/**
 * The class of every token: the highest risk among the spans that its characters overlap, else low.
 * Spans may overlap and come in any order. A token without length, such as the later bytes of one
 * character, stands for the character at its start.
 */
export function classifyTokens(tokens: TokenSpans, spans: readonly RiskSpan[]): Uint8Array {
  const count = tokens.starts.length;
  const classes = new Uint8Array(count).fill(Risk.low);
  // The highest risk first, and no token twice, however many spans lie upon it: `open[i]` leads to the first token from
  // `i` on that none has taken.
  const open = Uint32Array.from({ length: count + 1 }, (_, i) => i);
  const firstOpen = (i: number): number => {
    while (open[i] !== i) i = open[i] = open[open[i]!]!;
    return i;
  };
  for (const level of [Risk.high, Risk.possible]) {
    for (const { start, end, risk } of spans) {
      if (risk !== level) continue;
      let i = firstOpen(firstTokenEndingAfter(tokens, start));
      for (; i < count && tokens.starts[i]! < end; i = firstOpen(i + 1)) {
        classes[i] = risk;
        open[i] = i + 1;
      }
    }
  }
  return classes;
}

/**
 * The class of every token under the rule of the paper's code: a token belongs to the first span
 * that ends after the token's last character, so the space between two sentences goes to the
 * second; text after the last span is low risk. The code reaches this by tokenising each sentence
 * on its own, which gives the same ids wherever sentences are cut at white space.
 *
 * @param spans Scored sentences in text order, which do not overlap.
 * @param textLength UTF-16 length of the text.
 * @throws {CannotError} when the spans overlap, are out of order or leave the text.
 * @see llm-decouple, src/modules/data/tokenize.py
 */
export function classifyTokensBySentence(
  tokens: TokenSpans,
  spans: readonly RiskSpan[],
  textLength: number,
): Uint8Array {
  validateSpans(spans, textLength, "the sentence scores");
  for (let k = 1; k < spans.length; k++) {
    if (spans[k]!.start < spans[k - 1]!.end) {
      throw new CannotError(
        `classify tokens by sentence`,
        `sentence ${k} starts at ${spans[k]!.start}, before sentence ${k - 1} ends at ${
          spans[k - 1]!.end
        }`,
        "Give the sentences in text order, or use classifyTokens for spans that overlap",
      );
    }
  }
  let k = 0;
  return Uint8Array.from({ length: tokens.starts.length }, (_, i) => {
    while (k < spans.length && spans[k]!.end <= lastCharacter(tokens, i)) k++;
    return spans[k]?.risk ?? Risk.low;
  });
}

/**
 * Checks spans that came from outside.
 *
 * @param textLength UTF-16 length of the text they lie in.
 * @param where Names the text in the error, e.g. `"reddit.jsonl" line 7`.
 * @throws {CannotError} naming the span, unless 0 ≤ start < end ≤ textLength, all of them whole
 * numbers, and its risk is low, possible or high.
 */
export function validateSpans(
  spans: readonly RiskSpan[],
  textLength: number,
  where: string,
): void {
  spans.forEach(({ start, end, risk }, k) => {
    const fault = !Number.isInteger(start) || !Number.isInteger(end)
      ? "its ends are not whole numbers"
      : start >= end
      ? "it is empty or runs backwards"
      : start < 0 || end > textLength
      ? `it leaves the text of ${textLength} characters`
      : risk !== Risk.low && risk !== Risk.possible && risk !== Risk.high
      ? `its risk is ${risk}, not 1 (low), 2 (possible) or 3 (high)`
      : undefined;
    if (fault === undefined) return;
    throw new CannotError(
      `use span ${k} [${start}, ${end}) of ${where}`,
      fault,
      "Count offsets in UTF-16 code units of the text, the end exclusive",
    );
  });
}

function lastCharacter(tokens: TokenSpans, i: number): number {
  return Math.max(tokens.ends[i]! - 1, tokens.starts[i]!);
}

function firstTokenEndingAfter(tokens: TokenSpans, offset: number): number {
  let low = 0, high = tokens.starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (lastCharacter(tokens, middle) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
