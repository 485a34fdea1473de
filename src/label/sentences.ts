// Sentences and the risk of each: text -> ranges -> scores -> spans with a risk class.
// A range covers the sentence without the white space around it, as the spans of Dolma's splitter
// do; under `classifyTokensBySentence` the space between two sentences then belongs to the second.
// Buckets are the paper's: not toxic t ≤ 1e-4, possibly toxic, definitely toxic t > 0.99.

import { CannotError } from "../base/errors.ts";
import { Risk, type RiskSpan } from "../slung/risk.ts";

/** A stretch of text: UTF-16 offsets, half-open. */
export interface TextRange {
  /** First UTF-16 unit. */
  start: number;
  /** One past the last. */
  end: number;
}

/** Where possible and high risk begin; both are exclusive, so a score equal to one stays below it. */
export interface RiskThresholds {
  /** Scores above this are possibly risky. */
  low: number;
  /** Scores above this are definitely risky. */
  high: number;
}

/** The thresholds of the paper, which fit Dolma's fastText classifiers and few others. */
export const paperThresholds: Readonly<RiskThresholds> = { low: 1e-4, high: 0.99 };

/**
 * The splitter and its version, for results. Sentence breaks follow Unicode Annex 29 with the rules
 * for English of the ICU that the JavaScript engine carries, so the version of Deno fixes them.
 */
export const splitterName: string = `Intl.Segmenter (en, sentence) of ${navigator.userAgent}`;

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/** The sentences of a text in order, without white space around them; a line break ends one. */
export function sentenceRanges(text: string): TextRange[] {
  const ranges: TextRange[] = [];
  for (const { segment, index } of segmenter.segment(text)) {
    const end = index + segment.trimEnd().length;
    const start = index + segment.length - segment.trimStart().length;
    if (start < end) ranges.push({ start, end });
  }
  return ranges;
}

/** A score as Dolma writes it, and so as the paper buckets it: rounded to five decimals. */
export function roundScore(score: number): number {
  return Math.round(score * 1e5) / 1e5;
}

/**
 * The risk class of a classifier's score, after rounding it to five decimals.
 *
 * @throws {CannotError} when the score is not a number ≥ 0 or the thresholds are out of order.
 * @see llm-decouple, src/modules/data/tokenize.py
 */
export function riskOfScore(score: number, thresholds: RiskThresholds = paperThresholds): Risk {
  const { low, high } = thresholds;
  if (!(low <= high)) {
    throw new CannotError(
      "bucket a score",
      `the threshold of high risk, ${high}, is below that of possible risk, ${low}`,
      "Give thresholds with low ≤ high",
    );
  }
  const rounded = roundScore(score);
  if (!(rounded >= 0)) {
    throw new CannotError(
      "bucket a score",
      `it is ${score}`,
      "Use a classifier whose scores are numbers from 0 to 1",
    );
  }
  return rounded > high ? Risk.high : rounded > low ? Risk.possible : Risk.low;
}

/**
 * Scored ranges as risk spans, one each, low risk included.
 *
 * @param scores One for each range.
 * @throws {CannotError} when there are more or fewer scores than ranges, or one is no score.
 */
export function scoredSpans(
  ranges: readonly TextRange[],
  scores: ArrayLike<number>,
  thresholds: RiskThresholds = paperThresholds,
): RiskSpan[] {
  if (scores.length !== ranges.length) {
    throw new CannotError(
      "turn scores into risk spans",
      `there are ${scores.length} scores for ${ranges.length} sentences`,
      "Use a classifier that returns one score for each text",
    );
  }
  return ranges.map(({ start, end }, k) => ({
    start,
    end,
    risk: riskOfScore(scores[k]!, thresholds),
  }));
}

/** The sentences of a text as risk spans, each scored by itself; see {@linkcode scoredSpans}. */
export function sentenceSpans(
  text: string,
  scoreOf: (sentence: string) => number,
  thresholds: RiskThresholds = paperThresholds,
): RiskSpan[] {
  const ranges = sentenceRanges(text);
  const scores = ranges.map(({ start, end }) => scoreOf(text.slice(start, end)));
  return scoredSpans(ranges, scores, thresholds);
}
