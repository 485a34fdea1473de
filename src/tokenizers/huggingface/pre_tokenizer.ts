// The pre-tokenizers of tokenizer.json cut a text into words, which are merged one by one.
// They follow the Rust of Hugging Face's tokenizers (pre_tokenizers/, tokenizer/normalizer.rs).

import { escapePattern } from "../../base/escape_pattern.ts";
import type { Fields } from "../fields.ts";
import {
  type Component,
  componentsOf,
  matchesOf,
  patternOf,
  supported,
  unsupported,
} from "./component.ts";
import { space } from "./pattern.ts";

/** A stretch of a text that is tokenised on its own. */
export interface Piece {
  text: string;
  /** Where the text lies, after its first `added` units. */
  at: number;
  /** Units in front that the text does not have: the space or "▁" that a pre-tokenizer puts before a word. */
  added: number;
}

/** How a text is cut, and whether its words become bytes. */
export interface PreTokenizer {
  /** Cuts a text. @param first Whether it begins the whole text. */
  split(text: string, first: boolean): Piece[];
  /** Whether tokens are spelt in the byte alphabet. */
  byteLevel: boolean;
}

type Cut = (piece: Piece, first: boolean) => Piece[];

/** What `behavior` does with the matches of a pattern. */
export const behaviours = [
  "Isolated",
  "Removed",
  "Contiguous",
  "MergedWithPrevious",
  "MergedWithNext",
] as const;
type Behaviour = (typeof behaviours)[number];

/** The words of GPT-2 (openai/gpt-2, encoder.py), with the white space of Rust. */
export const words = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${space}\\p{L}\\p{N}]+|` +
    `${space}+(?!\\P{White_Space})|${space}+`,
  "gu",
);

// Rust's own tables: numbers of Unicode 17, punctuation of Unicode 8, where JavaScript's lie between or beyond.
const number = new RegExp("[\\p{N}\\u{11de0}-\\u{11de9}\\u{16ff4}-\\u{16ff6}]", "gu");
const punctuation = new RegExp(
  "[[\\p{P}\\u{166d}\\u{111c9}\\$+<=>\\^`\\|~]--[\\u{61d}\\u{9fd}\\u{a76}\\u{c77}\\u{c84}\\u{1b4e}\\u{1b4f}" +
    "\\u{1b7d}-\\u{1b7f}\\u{2e43}-\\u{2e5d}\\u{10d6e}-\\u{10f89}\\u{113d4}-\\u{113d8}\\u{1144b}-\\u{1145d}" +
    "\\u{11660}-\\u{116b9}\\u{1183b}-\\u{11b09}\\u{11be1}-\\u{11fff}\\u{12ff1}\\u{12ff2}" +
    "\\u{16d6d}-\\u{16fe2}\\u{1e5ff}-\\u{1e95f}]]",
  "gv",
);
const spaces = new RegExp(space, "gu");
const wordOrSymbols = new RegExp(
  `[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]+|` +
    `[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}${space}]+`,
  "gu",
);

/**
 * The pre-tokenizer of a tokenizer.json.
 *
 * @throws {CannotError} naming the first one, or the option, that is not known.
 */
export function readPreTokenizer(json: unknown, fields: Fields): PreTokenizer {
  const components = componentsOf(json, "pre_tokenizer", "pretokenizers", fields);
  const cuts = components.map((component) => readCut(component, fields));
  const bytes = components.findIndex(({ type }) => type === "ByteLevel");
  const next = bytes < 0 ? undefined : components[bytes + 1];
  if (next) throw fields.refuse(next.name, "comes after ByteLevel, and would cut bytes", supported);
  return {
    split(text, first) {
      let pieces: Piece[] = [{ text, at: 0, added: 0 }];
      for (const cut of cuts) {
        pieces = pieces.flatMap((piece) => cut(piece, first && piece.at === 0));
        pieces = pieces.filter((piece) => piece.text !== "");
      }
      return pieces;
    },
    byteLevel: bytes >= 0,
  };
}

function readCut(component: Component, fields: Fields): Cut {
  const { type, name, json } = component;
  const flag = (key: string, fallback?: boolean) =>
    fields.flag(json[key], `${name}.${key}`, fallback);
  switch (type) {
    case "ByteLevel": {
      const prefix = flag("add_prefix_space"), useWords = flag("use_regex", true);
      return (piece) => {
        const whole = prefix ? withPrefix(piece, " ") : piece;
        return useWords ? cutAt(whole, words, "Isolated") : [whole];
      };
    }
    case "Split": {
      const pattern = patternOf(component, fields), invert = flag("invert", false);
      const behaviour = readBehaviour(component, fields);
      return (piece) => cutAt(piece, pattern, behaviour, invert);
    }
    case "Digits": {
      const behaviour = flag("individual_digits") ? "Isolated" : "Contiguous";
      return (piece) => cutAt(piece, number, behaviour);
    }
    case "Punctuation": {
      const behaviour = readBehaviour(component, fields, "Isolated");
      return (piece) => cutAt(piece, punctuation, behaviour);
    }
    case "Whitespace":
      return (piece) => cutAt(piece, wordOrSymbols, "Removed", true);
    case "WhitespaceSplit":
      return (piece) => cutAt(piece, spaces, "Removed");
    case "Metaspace":
      return readMetaspace(component, fields);
    default:
      throw unsupported(fields, component);
  }
}

function readBehaviour({ json, name }: Component, fields: Fields, fallback?: Behaviour): Behaviour {
  const value = fields.string(json.behavior ?? fallback, `${name}.behavior`);
  const known = behaviours.find((behaviour) => behaviour === value);
  if (known) return known;
  throw fields.refuse(`${name}.behavior`, `is "${value}", not one of ${behaviours.join(", ")}`);
}

function readMetaspace({ json, name }: Component, fields: Fields): Cut {
  const mark = fields.string(json.replacement, `${name}.replacement`);
  if (mark.length !== 1) throw fields.refuse(`${name}.replacement`, "is not one character");
  const scheme = fields.string(json.prepend_scheme ?? "always", `${name}.prepend_scheme`);
  if (!["always", "first", "never"].includes(scheme)) {
    throw fields.refuse(`${name}.prepend_scheme`, `is "${scheme}", not always, first or never`);
  }
  const prefix = fields.flag(json.add_prefix_space, `${name}.add_prefix_space`, scheme !== "never");
  if (prefix !== (scheme !== "never")) {
    throw fields.refuse(`${name}.add_prefix_space`, `is ${prefix}, prepend_scheme "${scheme}"`);
  }
  const split = fields.flag(json.split, `${name}.split`, true);
  const marks = new RegExp(escapePattern(mark), "gu");
  return (piece, first) => {
    const marked = { ...piece, text: piece.text.replaceAll(" ", mark) };
    const prepends = scheme === "always" || (scheme === "first" && first);
    const whole = prepends ? withPrefix(marked, mark) : marked;
    return split ? cutAt(whole, marks, "MergedWithNext") : [whole];
  };
}

function withPrefix(piece: Piece, prefix: string): Piece {
  if (piece.text.startsWith(prefix)) return piece;
  return { ...piece, text: prefix + piece.text, added: piece.added + prefix.length };
}

function cutAt(piece: Piece, pattern: RegExp, behaviour: Behaviour, invert = false): Piece[] {
  const stretches: Stretch[] = [];
  let done = 0;
  for (const { start, end } of matchesOf(piece.text, pattern)) {
    if (start > done) stretches.push({ start: done, end: start, matches: invert });
    stretches.push({ start, end, matches: !invert });
    done = end;
  }
  const { length } = piece.text;
  if (done < length) stretches.push({ start: done, end: length, matches: invert });
  return join(stretches, behaviour).map(({ start, end }) => slice(piece, start, end));
}

interface Stretch {
  start: number;
  end: number;
  matches: boolean;
}

/** Joins stretches as `NormalizedString::split` does. */
function join(stretches: Stretch[], behaviour: Behaviour): { start: number; end: number }[] {
  if (behaviour === "Isolated") return stretches;
  if (behaviour === "Removed") return stretches.filter(({ matches }) => !matches);
  if (behaviour === "MergedWithNext") return joinBackwards(stretches);
  const joined: Stretch[] = [];
  let previous = false; // whether the stretch before matches
  for (const stretch of stretches) {
    const { matches } = stretch;
    const joins = behaviour === "Contiguous" ? matches === previous : matches && !previous;
    const last = joined.at(-1);
    if (joins && last) last.end = stretch.end;
    else joined.push({ ...stretch });
    previous = matches;
  }
  return joined;
}

function joinBackwards(stretches: readonly Stretch[]): Stretch[] {
  const joined: Stretch[] = [];
  let next = false; // whether the stretch behind matches
  for (const stretch of stretches.toReversed()) {
    const last = joined.at(-1);
    if (stretch.matches && !next && last) last.start = stretch.start;
    else joined.push({ ...stretch });
    next = stretch.matches;
  }
  return joined.reverse();
}

function slice({ text, at, added }: Piece, start: number, end: number): Piece {
  const kept = Math.max(0, Math.min(added, end) - start);
  return { text: text.slice(start, end), at: at + Math.max(0, start - added), added: kept };
}
