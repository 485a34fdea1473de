// Words and names found in text as a reader finds them: whole words, whatever their case, composed or decomposed, with
// either apostrophe, and with any white space between the parts of a name.

import type { Risk, RiskSpan } from "../slung/risk.ts";

/** Finds phrases in texts. */
export interface PhraseFinder {
  /** Their occurrences that are not part of a longer word, merged where they overlap or touch, in text order. */
  find(text: string): RiskSpan[];
  /** The phrases that occur, each folded to one spelling. */
  found(text: string): Set<string>;
}

/**
 * Prepares a search for phrases; blank ones are left out. Letters, combining marks, digits and the underscore are word
 * characters.
 *
 * @param risk What an occurrence is.
 */
export function phraseFinder(phrases: Iterable<string>, risk: Risk): PhraseFinder {
  const patterns = new Set<string>();
  for (const phrase of phrases) {
    const words = fold(phrase).text.match(/\S+/g);
    if (words) patterns.add(words.map(escaped).join("\\s+"));
  }
  if (patterns.size === 0) return { find: () => [], found: () => new Set() };
  // Longest first: of "Oda" and "Oda Venn", the whole name is taken where it stands. Only looked at and not consumed,
  // since another phrase may begin inside it.
  const longestFirst = [...patterns].sort((a, b) => b.length - a.length);
  const expression = new RegExp(`(?<!${word})(?=(${longestFirst.join("|")})(?!${word}))`, "gu");
  return {
    find(text) {
      const folded = fold(text);
      const found = Array.from(folded.text.matchAll(expression), ({ 1: match, index }) => ({
        start: folded.starts?.[index] ?? index,
        end: folded.ends?.[index + match!.length - 1] ?? index + match!.length,
        risk,
      }));
      return mergeSpans(found);
    },
    found(text) {
      const matches = fold(text).text.matchAll(expression);
      return new Set(Array.from(matches, ({ 1: match }) => match!.replace(/\s+/g, " ")));
    },
  };
}

/** The occurrences of a few phrases in one text; see {@linkcode phraseFinder}. */
export function phraseSpans(text: string, phrases: Iterable<string>, risk: Risk): RiskSpan[] {
  return phraseFinder(phrases, risk).find(text);
}

/** Whether two words are the same but for case, composition and apostrophes. */
export function sameWords(a: string, b: string): boolean {
  return fold(a).text === fold(b).text;
}

const word = String.raw`[\p{L}\p{M}\p{N}_]`;
const apostrophes = /[\u2018\u2019\u02bc\uff07`\u00b4]/g;
const hyphens = /[\u2010\u2011]/g;
const otherSpaces = /[\u0085\u200b]/g; // which are none for a regular expression
const unseen = /\p{Default_Ignorable_Code_Point}/gu; // soft hyphens, joiners, marks of direction

interface Folded {
  text: string;
  /** Where each unit of the folded text begins in the original; at its own place where absent. */
  starts?: Uint32Array;
  /** Where it ends; one further where absent. */
  ends?: Uint32Array;
}

function fold(text: string): Folded {
  // deno-lint-ignore no-control-regex -- ASCII folds character by character
  if (/^[\x00-\x7f]*$/.test(text)) return { text: text.toLowerCase().replace(apostrophes, "'") };
  const parts: string[] = [], starts: number[] = [], ends: number[] = [];
  let at = 0;
  for (const character of text) {
    const folded = foldCharacter(character);
    parts.push(folded);
    for (let i = 0; i < folded.length; i++) {
      starts.push(at);
      ends.push(at + character.length);
    }
    at += character.length;
  }
  return { text: parts.join(""), starts: Uint32Array.from(starts), ends: Uint32Array.from(ends) };
}

const foldings = new Map<string, string>(); // of the characters met so far: normalising is slow

function foldCharacter(character: string): string {
  let folded = foldings.get(character);
  if (folded === undefined) {
    // By way of capitals "ß" becomes "ss", as in "WEISS", and both sigmas the same.
    folded = character.normalize("NFD").replace(otherSpaces, " ").replace(unseen, "")
      .toUpperCase().toLowerCase()
      .replace(apostrophes, "'").replace(hyphens, "-");
    foldings.set(character, folded);
  }
  return folded;
}

function escaped(text: string): string {
  return text.replace(
    /[\\^$.*+?()[\]{}|/-]/g,
    (character) => character === "-" ? "\\x2d" : `\\${character}`,
  );
}

/** Spans in text order, those that overlap or touch as one of their highest risk. */
export function mergeSpans(sorted: readonly RiskSpan[]): RiskSpan[] {
  const merged: RiskSpan[] = [];
  for (const span of sorted) {
    const last = merged.at(-1);
    if (last === undefined || span.start > last.end) {
      merged.push({ ...span });
      continue;
    }
    last.end = Math.max(last.end, span.end);
    if (span.risk > last.risk) last.risk = span.risk;
  }
  return merged;
}
