// The regular expressions of tokenizer.json are Oniguruma's, and JavaScript reads many of them otherwise: its `\s` has
// U+FEFF and lacks U+0085, its `\d` and `\w` are ASCII, `$` ends the text instead of a line, `++` is an error. Here a
// pattern is read construct by construct and written for JavaScript, and whatever is not known for certain to mean the
// same is refused. Checked against Hugging Face's tokenizers over all code points.

import { escapePattern } from "../../base/escape_pattern.ts";

/** White space as Unicode and Rust have it, unlike JavaScript's `\s`. */
export const space = "\\p{White_Space}";

const wordClass = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
// Oniguruma's `\w` has six more characters outside brackets than inside.
const word = `[${wordClass}\\u{b2}\\u{b3}\\u{b9}\\u{bc}-\\u{be}]`;
const notWord = `[^${wordClass}\\u{b2}\\u{b3}\\u{b9}\\u{bc}-\\u{be}]`;

/** Escapes that stand for a set of characters, as they are written inside brackets. */
const sets: Readonly<Record<string, string>> = {
  s: space,
  S: "\\P{White_Space}",
  d: "\\p{Nd}",
  D: "\\P{Nd}",
  w: `[${wordClass}]`,
  W: `[^${wordClass}]`,
  h: "[0-9A-Fa-f]",
  H: "[^0-9A-Fa-f]",
};

/** Escapes that match a place and no character, or read differently outside brackets. */
const outside: Readonly<Record<string, string>> = {
  w: word,
  W: notWord,
  b: `(?:(?<=${word})(?!${word})|(?<!${word})(?=${word}))`,
  B: `(?:(?<=${word})(?=${word})|(?<!${word})(?!${word}))`,
  A: "^",
  z: "$",
};

const controls: Readonly<Record<string, number>> = {
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  f: 0x0c,
  v: 0x0b,
  a: 0x07,
  e: 0x1b,
};

const mostNesting = 50;

// Two letters that Oniguruma also finds as one character when case is ignored ("ss" in "ß", "fi" in "ﬁ").
const foldedPairs = /^(?:ss|st|ff|fi|fl)$/i;

/**
 * The JavaScript form of a pattern of tokenizer.json.
 *
 * @returns A global expression in which white space, digits, letters and lines are those of Oniguruma.
 * @throws {SyntaxError} naming the construct that cannot be carried over.
 */
export function translatePattern(source: string): RegExp {
  return new RegExp(new Translation(source).all(), "gv");
}

/** A pattern that finds a text as it is written. */
export function literalPattern(text: string): RegExp {
  return new RegExp(escapePattern(text), "gv");
}

class Translation {
  #source: string;
  #at = 0;
  #depth = 0;
  #captures = 0;
  #ignoresCase = false;
  #lastLetter = "";

  constructor(source: string) {
    this.#source = source;
  }

  all(): string {
    const insensitive = this.#take(/\(\?i\)/y);
    this.#ignoresCase = insensitive !== undefined;
    const body = this.#alternatives();
    if (this.#at < this.#source.length) throw this.#unknown();
    return insensitive ? `(?i:${body})` : body;
  }

  #alternatives(): string {
    const parts = [this.#sequence()];
    while (this.#take(/\|/y)) parts.push(this.#sequence());
    return parts.join("|");
  }

  #sequence(): string {
    let out = "";
    this.#lastLetter = "";
    while (this.#at < this.#source.length && !/[|)]/.test(this.#source[this.#at]!)) {
      out += this.#quantified();
    }
    return out;
  }

  #quantified(): string {
    let item = this.#atom();
    for (let first = true;; first = false) {
      const start = this.#at;
      const quantifier = this.#take(/[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\}/y)?.[0];
      if (quantifier === undefined) return item;
      if (!first) item = `(?:${item})`;
      const times = quantifier.replace("{,", "{0,");
      // After `{n}`, "?" is a second quantifier and not a lazy one; after any braces, so is "+".
      if (/^\{\d+\}$/.test(quantifier) && this.#source[this.#at] === "?") {
        throw this.#unknown(start);
      }
      const mode = this.#take(quantifier.startsWith("{") ? /\?/y : /[?+]/y)?.[0] ?? "";
      item = mode === "+" ? this.#withoutReturn(item + times) : item + times + mode;
      this.#lastLetter = "";
    }
  }

  /** Possessive quantifiers and atomic groups: what a lookahead has found is taken whole, or not at all. */
  #withoutReturn(item: string): string {
    const name = `whole${this.#captures++}`;
    return `(?:(?=(?<${name}>${item}))\\k<${name}>)`;
  }

  #atom(): string {
    if (this.#take(/\(/y)) return this.#group();
    if (this.#take(/\[/y)) return this.#brackets();
    if (this.#take(/\./y)) return "[^\\n]";
    if (this.#take(/\^/y)) return "(?:^|(?<=\\n)(?!$))";
    if (this.#take(/\$/y)) return "(?=\\n|$)";
    if (this.#take(/\\/y)) return this.#escape(false);
    const start = this.#at;
    const [character] = this.#take(/[^*+?]/vy) ?? [];
    if (character === undefined) throw this.#unknown(start);
    this.#checkFolding(character, start);
    return literal(character);
  }

  #group(): string {
    const start = this.#at - 1;
    const [opening] = this.#take(/\?(?:[:=!>]|<[=!]|i:|-i:|<[A-Za-z_]\w*>)|(?!\?)/y) ?? [];
    if (opening === undefined || ++this.#depth > mostNesting) throw this.#unknown(start);
    const ignoredCase = this.#ignoresCase;
    if (opening === "?i:") this.#ignoresCase = true;
    if (opening === "?-i:") this.#ignoresCase = false;
    const captures = this.#captures;
    const body = this.#alternatives();
    if (!this.#take(/\)/y)) throw this.#unknown(start);
    // JavaScript walks a lookbehind backwards, where a lookahead's capture has not been made yet.
    if (/^\?<[=!]/.test(opening) && this.#captures > captures) throw this.#unknown(start);
    this.#ignoresCase = ignoredCase;
    this.#depth--;
    this.#lastLetter = "";
    if (opening === "?>") return this.#withoutReturn(body);
    // No backward reference is let through, so groups need not capture.
    const captureless = opening === "" || /^\?<[A-Za-z_]/.test(opening);
    return `(${captureless ? "?:" : opening}${body})`;
  }

  /** What follows "[": unions, ranges, nested brackets and intersections, as JavaScript's `v` flag has them. */
  #brackets(): string {
    const start = this.#at - 1;
    if (++this.#depth > mostNesting) throw this.#unknown(start);
    const negation = this.#take(/\^/y) ? "^" : "";
    const operands = [""];
    if (this.#source[this.#at] === "]") throw this.#unknown(start);
    while (!this.#take(/\]/y)) {
      const place = this.#at;
      if (this.#take(/&&/y)) operands.push("");
      else if (this.#take(/\[(?!:)/y)) operands[operands.length - 1] += this.#brackets();
      else operands[operands.length - 1] += this.#member(place);
    }
    this.#depth--;
    if (operands.length === 1) return `[${negation}${operands[0]}]`;
    if (negation || operands.includes("")) throw this.#unknown(start);
    return `[${operands.map((operand) => `[${operand}]`).join("&&")}]`;
  }

  /** One character, set or range inside brackets. */
  #member(start: number): string {
    const low = this.#classAtom(start);
    if (!/^-[^\]]/v.test(this.#source.slice(this.#at, this.#at + 2))) return low;
    const single = (atom: string) => /^(?:\\u\{[0-9a-f]+\})$/.test(atom);
    this.#at++;
    const high = this.#classAtom(this.#at);
    if (!single(low) || !single(high)) throw this.#unknown(start);
    return `${low}-${high}`;
  }

  #classAtom(start: number): string {
    if (this.#take(/\\/y)) return this.#escape(true);
    const [character] = this.#take(/[^\[\]]/vy) ?? [];
    if (character === undefined) throw this.#unknown(start);
    return literal(character);
  }

  #escape(inBrackets: boolean): string {
    const start = this.#at - 1;
    const code = this.#take(/x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})/y);
    if (code) {
      const value = parseInt(code[1] ?? code[2] ?? code[3]!, 16);
      if (value > 0x10ffff) throw this.#unknown(start);
      return literal(String.fromCodePoint(value));
    }
    const property = this.#take(/([pP])\{(\^?)(\w+)\}/y);
    if (property) return this.#property(property, start);
    const [character] = this.#take(/[^]/vy) ?? [];
    if (character === undefined) throw this.#unknown(start);
    const place = inBrackets ? undefined : outside[character];
    const meaning = place ?? sets[character];
    if (meaning !== undefined) return meaning;
    const control = controls[character];
    if (control !== undefined) return literal(String.fromCodePoint(control));
    if (/[A-Za-z0-9]/.test(character)) throw this.#unknown(start);
    return literal(character);
  }

  #property([, letter, caret, name]: RegExpExecArray, start: number): string {
    const negative = (letter === "P") !== (caret === "^");
    // General categories and binary properties go by the same names; a script is named by itself in Oniguruma.
    for (const property of [name!, `Script=${name}`]) {
      const written = `\\${negative ? "P" : "p"}{${property}}`;
      if (isProperty(written)) return written;
    }
    throw this.#unknown(start);
  }

  #checkFolding(character: string, start: number): void {
    if (!this.#ignoresCase) return;
    const foldsTogether = foldedPairs.test(this.#lastLetter + character);
    if (foldsTogether || character > "\x7f") throw this.#unknown(start);
    this.#lastLetter = character;
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source);
    if (found) this.#at = pattern.lastIndex;
    return found ?? undefined;
  }

  #unknown(start = this.#at): SyntaxError {
    const rest = this.#source.slice(start, start + 12);
    return new SyntaxError(`"${rest}" at character ${start} is not understood`);
  }
}

/** A character for any place of a pattern. */
function literal(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

function isProperty(written: string): boolean {
  try {
    return new RegExp(written, "u") !== undefined;
  } catch {
    return false;
  }
}
