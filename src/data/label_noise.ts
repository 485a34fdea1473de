// Labels as bad as one likes: what does a method still do when spans are missed, lie elsewhere, or take in their surroundings?
//   miss   a span is left out
//   flip   a span is left out, and as long a stretch elsewhere in the text, which was not risky, is marked instead
//   widen  a span takes in the word before it and the one behind

import { checkOptions, number, oneOf, required, seedNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";
import type { RiskSpan } from "../slung/risk.ts";
import type { RiskyText } from "./spans.ts";

/** The kinds of noise. */
export const labelNoises = ["miss", "flip", "widen"] as const;

/** How labels are spoilt. */
export interface LabelNoise {
  /** What happens to a span that is spoilt. */
  kind: typeof labelNoises[number];
  /** The probability of that, for each span on its own. */
  share: number;
  /** Decides which. */
  seed: number;
}

/**
 * Texts whose spans are spoilt; the same seed spoils the same ones, and with a larger share also others.
 *
 * @throws {CannotError} for a share that is none.
 */
export function withLabelNoise(texts: readonly RiskyText[], noise: LabelNoise): RiskyText[] {
  checkOptions("spoil labels", noise, {
    kind: required(oneOf(...labelNoises)),
    share: required(number({ min: 0, max: 1 })),
    seed: required(seedNumber),
  });
  const chance = new Random(noise.seed, "label noise"), place = new Random(noise.seed, "places");
  const { kind, share } = noise;
  return texts.map((risky) => {
    const { text, spans } = risky;
    const free = kind === "flip" ? freeStretches(text.length, spans) : [];
    const spoilt = spans.flatMap((span): RiskSpan[] => {
      const [isSpoilt, where] = [chance.uniform() < share, place.uniform()];
      if (!isSpoilt) return [span];
      if (kind === "miss") return [];
      return [kind === "widen" ? widened(text, span) : moved(span, free, where)];
    });
    return { ...risky, spans: spoilt };
  });
}

const wordBefore = /[\p{L}\p{M}\p{N}'’-]+[^\p{L}\p{M}\p{N}]*$/u;
const wordBehind = /^[^\p{L}\p{M}\p{N}]*[\p{L}\p{M}\p{N}'’-]+/u;

function widened(text: string, { start, end, risk }: RiskSpan): RiskSpan {
  const before = text.slice(0, start).match(wordBefore)?.[0].length ?? 0;
  const behind = text.slice(end).match(wordBehind)?.[0].length ?? 0;
  return { start: start - before, end: end + behind, risk };
}

interface Stretch {
  start: number;
  end: number;
}

// What no span covers.
function freeStretches(length: number, spans: readonly RiskSpan[]): Stretch[] {
  const ends = spans.toSorted((a, b) => a.start - b.start);
  let from = 0;
  const free = ends.map(({ start, end }): Stretch => {
    const stretch = { start: from, end: start };
    from = Math.max(from, end);
    return stretch;
  });
  return [...free, { start: from, end: length }].filter(({ start, end }) => end > start);
}

// Into one of the stretches, as long as it was or as that one is; where nothing is free, it stays.
function moved(span: RiskSpan, free: readonly Stretch[], where: number): RiskSpan {
  if (free.length === 0) return span;
  const wide = free.filter(({ start, end }) => end - start >= span.end - span.start);
  const choices = wide.length > 0
    ? wide
    : [free.reduce((a, b) => lengthOf(b) > lengthOf(a) ? b : a)];
  const at = where * choices.length, { start, end } = choices[Math.floor(at)]!;
  const length = Math.min(span.end - span.start, end - start);
  const from = start + Math.floor((at % 1) * (end - start - length + 1));
  return { start: from, end: from + length, risk: span.risk };
}

function lengthOf({ start, end }: Stretch): number {
  return end - start;
}
