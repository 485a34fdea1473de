// What finds the risk in a text: by the words in it, by patterns, by what a classifier says of its sentences, or by a
// model of named entities. Each gives spans, and several can be used together.

import { CannotError } from "../base/errors.ts";
import { Risk, type RiskSpan } from "../slung/risk.ts";
import { classifierInput, type TextClassifier } from "./classifier.ts";
import { phraseFinder } from "./phrases.ts";
import { paperThresholds, type RiskThresholds, scoredSpans, sentenceRanges } from "./sentences.ts";

/** Finds what is risky in texts. */
export interface Labeller {
  /** Says what it looks for, in results. */
  readonly name: string;
  /** Whether its spans are all sentences of a text, harmless ones too, so that each token belongs to one. */
  readonly sentences?: boolean;
  /** The spans of each text, in text order. */
  label(texts: readonly string[]): RiskSpan[][] | Promise<RiskSpan[][]>;
}

/** Finds words and names, whole and whatever their case and apostrophes; see `phraseFinder`. */
export function wordLabeller(words: readonly string[], risk: Risk = Risk.high): Labeller {
  const finder = phraseFinder(words, risk);
  return {
    name: `${words.length} words`,
    label: (texts) => texts.map((text) => finder.find(text)),
  };
}

/** Patterns by name: what they find is personal, and shaped so that a rule can find it. */
export const knownPatterns: Readonly<Record<string, RegExp>> = {
  email: /[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}/gu,
  phone:
    /(?<![\p{L}\p{N}])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?\d{2,5}(?:[ .-]\d{2,5}){1,4}(?![\p{L}\p{N}])/gu,
  url: /(?:https?:\/\/|www\.)[^\s<>"']+[^\s<>"'.,;:!?)\]]/giu,
};

/**
 * Finds what a regular expression matches.
 *
 * @param pattern One of the {@linkcode knownPatterns}, or an expression between slashes, e.g. `/AB-\d{4}/u`.
 * @throws {CannotError} when it is neither.
 */
export function patternLabeller(pattern: string, risk: Risk = Risk.high): Labeller {
  const expression = knownPatterns[pattern] ?? parseExpression(pattern);
  return {
    name: `pattern ${pattern}`,
    label: (texts) =>
      texts.map((text) =>
        Array.from(text.matchAll(expression), ({ 0: match, index }) => ({
          start: index,
          end: index + match.length,
          risk,
        })).filter(({ start, end }) => start < end)
      ),
  };
}

/** Gives every sentence the risk that a classifier's score stands for. */
export function sentenceLabeller(
  classifier: TextClassifier,
  thresholds: RiskThresholds = paperThresholds,
): Labeller {
  return {
    sentences: true,
    name:
      `${classifier.name}, possible risk above ${thresholds.low}, high above ${thresholds.high}`,
    async label(texts) {
      const ranges = texts.map(sentenceRanges);
      const sentences = texts.flatMap((text, i) =>
        ranges[i]!.map(({ start, end }) => classifierInput(text.slice(start, end)))
      );
      const scores = await classifier.score(sentences);
      if (scores.length !== sentences.length) {
        throw new CannotError(
          "label texts",
          `the classifier "${classifier.name}" gave ${scores.length} scores for ${sentences.length} sentences`,
          "Use a classifier that returns one score for each text",
        );
      }
      let at = 0;
      return ranges.map((own) => {
        const mine = scores.slice(at, at += own.length);
        return scoredSpans(own, mine, thresholds);
      });
    },
  };
}

/** The risky spans of several labellers together, in text order; they may overlap. */
export function allOf(labellers: readonly Labeller[]): Labeller {
  if (labellers.length === 1) return labellers[0]!;
  return {
    name: labellers.map(({ name }) => name).join("; "),
    async label(texts) {
      const found: RiskSpan[][][] = [];
      for (const labeller of labellers) found.push(await labeller.label(texts));
      return texts.map((_, i) =>
        found.flatMap((spans) => spans[i]!).filter(({ risk }) => risk !== Risk.low).sort((a, b) =>
          a.start - b.start || a.end - b.end
        )
      );
    },
  };
}

function parseExpression(pattern: string): RegExp {
  const [, body, flags = ""] = pattern.match(/^\/(.+)\/([dgimsuvy]*)$/s) ?? [];
  const refuse = (why: string) =>
    new CannotError(
      `look for the pattern "${pattern}"`,
      why,
      `Give one of ${Object.keys(knownPatterns).join(", ")}, or an expression between slashes`,
    );
  if (body === undefined) throw refuse("there is none of this name, and it is no expression");
  try {
    return new RegExp(body, flags.replace(/[gy]/g, "") + "g");
  } catch (cause) {
    throw refuse((cause as Error).message);
  }
}
