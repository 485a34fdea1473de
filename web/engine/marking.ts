// Spans in a text that is being edited: they move with the text, and a stretch is marked, or marked otherwise.

import { Risk, type RiskSpan } from "../../src/slung/risk.ts";
import type { RiskyText } from "../../src/data/spans.ts";

/** What a stretch can be marked as; low means that it is not marked. */
export type Mark = typeof Risk.low | typeof Risk.possible | typeof Risk.high;

/** Marks a stretch: what lay there before is cut off; neighbours of the same risk grow together. */
export function markStretch(
  spans: readonly RiskSpan[],
  { start, end }: { start: number; end: number },
  risk: Mark,
): RiskSpan[] {
  if (start >= end) return [...spans];
  const rest = spans.flatMap((span) => [
    { ...span, end: Math.min(span.end, start) },
    { ...span, start: Math.max(span.start, end) },
  ]).filter((span) => span.start < span.end);
  const all = risk === Risk.low ? rest : [...rest, { start, end, risk }];
  const merged: RiskSpan[] = [];
  for (const span of all.sort((a, b) => a.start - b.start)) {
    const before = merged.at(-1);
    if (before && before.end >= span.start && before.risk === span.risk) {
      before.end = span.end;
    } else merged.push({ ...span });
  }
  return merged;
}

/** The risk that a whole stretch has; low where it is not all marked alike. */
export function markOf(
  spans: readonly RiskSpan[],
  { start, end }: { start: number; end: number },
): Mark {
  const found = spans.find((span) => span.start <= start && span.end >= end);
  return (found?.risk ?? Risk.low) as Mark;
}

/** The next of: not marked, definitely risky, possibly risky. */
export function nextMark(mark: Mark): Mark {
  return mark === Risk.low ? Risk.high : mark === Risk.high ? Risk.possible : Risk.low;
}

/** Where the spans lie after an edit, which is what differs between the two texts. Typing inside a span widens it. */
export function moveSpans(
  spans: readonly RiskSpan[],
  before: string,
  after: string,
): RiskSpan[] {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) {
    tail++;
  }
  const removedTo = before.length - tail, shift = after.length - before.length;
  return spans.flatMap((span) => {
    const { start, end, risk } = span;
    if (end <= head) return [span];
    if (start >= removedTo) {
      return [{ start: start + shift, end: end + shift, risk }];
    }
    const from = start < head ? start : head;
    const to = end >= removedTo ? end + shift : head;
    const rest = stretchAt(after, from, Math.max(from + 1, to)); // a space left over would mark the next word
    return from < to && rest ? [{ ...rest, risk }] : [];
  });
}

/** The word around a place, or the selection without the spaces at its ends; nothing in the middle of spaces. */
export function stretchAt(
  text: string,
  start: number,
  end: number,
): { start: number; end: number } | undefined {
  if (start === end) {
    const before = text.slice(0, start).match(/[\p{L}\p{M}\p{N}_'’-]*$/u)![0];
    const after = text.slice(start).match(/^[\p{L}\p{M}\p{N}_'’-]*/u)![0];
    return before + after === ""
      ? undefined
      : { start: start - before.length, end: start + after.length };
  }
  while (start < end && /\s/.test(text[start]!)) start++;
  while (end > start && /\s/.test(text[end - 1]!)) end--;
  return start < end ? { start, end } : undefined;
}

/** One text for each line that is not blank, with the spans in it. */
export function textsOfLines(
  text: string,
  spans: readonly RiskSpan[],
): RiskyText[] {
  const texts: RiskyText[] = [];
  let at = 0;
  for (const line of text.split("\n")) {
    const from = at + line.length - line.trimStart().length;
    const to = from + line.trim().length;
    at += line.length + 1;
    if (from === to) continue;
    const inside = spans
      .map((span) => ({
        ...span,
        start: Math.max(span.start, from),
        end: Math.min(span.end, to),
      }))
      .filter(({ start, end }) => start < end)
      .map(({ start, end, risk }) => ({
        start: start - from,
        end: end - from,
        risk,
      }));
    texts.push({ text: line.trim(), spans: inside });
  }
  return texts;
}

/** The lines of some texts as one, with their spans. */
export function linesOfTexts(
  texts: readonly RiskyText[],
): { text: string; spans: RiskSpan[] } {
  const spans: RiskSpan[] = [];
  let at = 0;
  for (const each of texts) {
    for (const { start, end, risk } of each.spans) {
      spans.push({ start: start + at, end: end + at, risk });
    }
    at += each.text.length + 1;
  }
  return { text: texts.map(({ text }) => text).join("\n"), spans };
}
