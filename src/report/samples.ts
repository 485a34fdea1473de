// Texts with what is risky in them, as a terminal shows them: coloured where it has colours, in brackets elsewhere.

import type { RiskSpan } from "../slung/risk.ts";
import { Risk } from "../slung/risk.ts";
import { colours, printable } from "./printable.ts";
import { displayWidth } from "./table.ts";

/** How a sample is shown. */
export interface SampleOptions {
  /** Colour what is risky, instead of putting it in brackets. */
  colour: boolean;
  /** Characters around the first risky span; 160 unless given. */
  width?: number;
}

const marks = {
  colour: {
    [Risk.possible]: [colours.possible, colours.end],
    [Risk.high]: [colours.high, colours.end],
  },
  plain: { [Risk.possible]: ["(", ")"], [Risk.high]: ["[", "]"] },
} as const;

/** One line of a text, around the first risky span: possible risk yellow or (…), high risk red or […]. */
export function renderSample(
  { text, spans }: { text: string; spans: readonly RiskSpan[] },
  { colour, width = 160 }: SampleOptions,
): string {
  const risky = spans.filter(({ risk }) => risk >= Risk.possible)
    .toSorted((a, b) => a.start - b.start);
  const first = risky[0]?.start ?? 0;
  const from = text.length <= width
    ? 0
    : Math.max(0, Math.min(first - width / 4, text.length - width));
  const start = wholeCharacter(text, Math.floor(from));
  const end = wholeCharacter(text, Math.min(text.length, start + width));
  let shown = start > 0 ? "…" : "";
  let at = start;
  for (const span of risky) {
    const low = Math.max(at, span.start), high = Math.min(end, span.end);
    if (low >= high) continue;
    const [open, close] = marks[colour ? "colour" : "plain"][span.risk as 2 | 3];
    shown += printable(text.slice(at, low)) + open + printable(text.slice(low, high)) + close;
    at = high;
  }
  return shown + printable(text.slice(at, end)) + (end < text.length ? "…" : "");
}

/** The same behind a title, for several below each other; an empty text is said to be one. */
export function renderTitledSample(
  title: string,
  sample: { text: string; spans: readonly RiskSpan[] },
  { titleWidth, ...options }: SampleOptions & {
    /** Columns of the longest title. */
    titleWidth: number;
  },
): string {
  const gap = " ".repeat(titleWidth - displayWidth(title) + 2);
  return `${title}${gap}${renderSample(sample, options) || "(nothing)"}`;
}

function wholeCharacter(text: string, at: number): number {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at - 1 : at;
}
