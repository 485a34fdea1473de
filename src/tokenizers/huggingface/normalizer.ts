// The normalisers of tokenizer.json change a text before it is cut; tokens have to be led back to the text as it was.
// Each says what it replaces. Replacements are applied to a text that knows, for every UTF-16 unit, where it comes from.

import type { Fields } from "../fields.ts";
import { componentsOf, matchesOf, patternOf, unsupported } from "./component.ts";

/** A text, and for each of its UTF-16 units the span of the original text that it comes from. */
export interface Aligned {
  text: string;
  /** Absent while the text is still the original. */
  origin?: { starts: Uint32Array; ends: Uint32Array };
}

/** What a normaliser puts in the place of a stretch. */
interface Edit {
  start: number;
  end: number;
  text: string;
}

/**
 * The normaliser of a tokenizer.json.
 *
 * @throws {CannotError} naming the first one that is not known.
 */
export function readNormalizer(json: unknown, fields: Fields): (text: string) => Aligned {
  const steps = componentsOf(json, "normalizer", "normalizers", fields).map((component) => {
    const { type, name, json } = component;
    if (type === "NFC") return composed;
    if (type === "Prepend") return prepended(fields.string(json.prepend, `${name}.prepend`));
    if (type !== "Replace") throw unsupported(fields, component);
    const pattern = patternOf(component, fields);
    return replaced(pattern, fields.string(json.content, `${name}.content`));
  });
  return (text) =>
    steps.reduce((aligned: Aligned, edits) => edit(aligned, edits(aligned.text)), { text });
}

const prepended = (prefix: string) => (text: string): Edit[] =>
  text === "" ? [] : [{ start: 0, end: 0, text: prefix }];

const replaced = (pattern: RegExp, content: string) => (text: string): Edit[] =>
  Array.from(matchesOf(text, pattern), (match) => ({ ...match, text: content }));

const graphemes = new Intl.Segmenter("en");

/** NFC never composes across graphemes, and ASCII composes with nothing before it. */
export function composed(text: string): Edit[] {
  if (text.normalize("NFC") === text) return [];
  const edits: Edit[] = [];
  for (const { 0: run, index } of text.matchAll(/[^]?[^\0-\x7f]+/g)) {
    if (run.normalize("NFC") === run) continue;
    for (const { segment, index: offset } of graphemes.segment(run)) {
      const form = segment.normalize("NFC");
      const start = index + offset;
      if (form !== segment) edits.push({ start, end: start + segment.length, text: form });
    }
  }
  return edits;
}

function edit({ text, origin }: Aligned, edits: readonly Edit[]): Aligned {
  if (edits.length === 0) return origin ? { text, origin } : { text };
  const growth = edits.reduce((sum, { start, end, text }) => sum + text.length - (end - start), 0);
  const starts = new Uint32Array(text.length + growth);
  const ends = new Uint32Array(text.length + growth);
  const startOf = (unit: number): number =>
    origin ? origin.starts[unit] ?? origin.ends.at(-1) ?? 0 : unit;
  const endOf = (unit: number): number => origin ? origin.ends[unit]! : unit + 1;

  const parts: string[] = [];
  let from = 0, to = 0; // positions in the text before and after
  const keep = (until: number): void => {
    parts.push(text.slice(from, until));
    for (; from < until; from++, to++) {
      starts[to] = startOf(from);
      ends[to] = endOf(from);
    }
  };
  for (const { start, end, text: content } of edits) {
    keep(start);
    parts.push(content);
    const begin = startOf(start), stop = end > start ? endOf(end - 1) : begin;
    starts.fill(begin, to, to + content.length);
    ends.fill(stop, to, to + content.length);
    to += content.length;
    from = end;
  }
  keep(text.length);
  return { text: parts.join(""), origin: { starts, ends } };
}
