// The added tokens of a tokenizer.json are cut out of a text before anything else happens to it: special ones
// ("<|endoftext|>") and others (OLMo's runs of spaces). They follow the Rust of Hugging Face's tokenizers
// (tokenizer/added_vocabulary.rs).

import { escapePattern } from "../../base/escape_pattern.ts";
import type { Fields } from "../fields.ts";
import { space } from "./pattern.ts";

/** An entry of `added_tokens`. */
export interface AddedToken {
  id: number;
  content: string;
  /** Whether it stands for something that no text says: a beginning, an end, padding. */
  special: boolean;
  /** Whether it is looked for in the normalised text. */
  normalized: boolean;
  /** Not found inside a word. */
  singleWord: boolean;
  /** Takes the white space before it. */
  lstrip: boolean;
  /** Takes the white space behind it. */
  rstrip: boolean;
}

/** Part of a text: an added token, or what lies between two. */
export interface Section {
  start: number;
  end: number;
  /** The id of the added token. */
  id?: number;
}

/**
 * Reads `added_tokens`. Hugging Face's tokenizers do not obey the ids in it, but take those of the vocabulary, and
 * after them count on; a file in which the two differ is refused.
 *
 * @param vocabulary The ids of the model's own tokens.
 */
export function readAddedTokens(
  json: unknown,
  vocabulary: ReadonlyMap<string, number>,
  fields: Fields,
): AddedToken[] {
  const seen = new Set<string>();
  let next = vocabulary.size;
  return fields.list(json ?? [], "added_tokens").map((entry, i) => {
    const name = `added_tokens[${i}]`;
    const token = fields.object(entry, name);
    const content = fields.string(token.content, `${name}.content`);
    const id = fields.id(token.id, `${name}.id`);
    if (content === "") throw fields.refuse(`${name}.content`, "is empty");
    if (seen.has(content)) throw fields.refuse(name, `names "${content}" a second time`);
    seen.add(content);
    const due = vocabulary.get(content) ?? next++;
    if (id !== due) {
      throw fields.refuse(`${name}.id`, `is ${id}, but "${content}" would be token ${due}`);
    }
    const flag = (key: string, fallback = false) =>
      fields.flag(token[key], `${name}.${key}`, fallback);
    const special = flag("special");
    return {
      id,
      content,
      special,
      normalized: flag("normalized", !special),
      singleWord: flag("single_word"),
      lstrip: flag("lstrip"),
      rstrip: flag("rstrip"),
    };
  });
}

const wordCharacter = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const endsInWord = new RegExp(`${wordCharacter}$`, "u");
const startsWithWord = new RegExp(`^${wordCharacter}`, "u");
const spaceBehind = new RegExp(`${space}*`, "uy");
const isSpace = new RegExp(space, "u");

/**
 * A function that cuts a text at added tokens, the longest where several begin.
 *
 * @param spelling How a token is written in the texts to be cut.
 */
export function cutterAt(
  tokens: readonly AddedToken[],
  spelling: (content: string) => string = (content) => content,
): (text: string) => Section[] {
  if (tokens.length === 0) return (text) => text === "" ? [] : [{ start: 0, end: text.length }];
  const bySpelling = new Map(tokens.map((token) => [spelling(token.content), token]));
  const longestFirst = [...bySpelling.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map(escapePattern).join("|"), "gu");
  return (text) => {
    const sections: Section[] = [];
    let done = 0;
    for (const { 0: found, index } of text.matchAll(pattern)) {
      const { id, singleWord, lstrip, rstrip } = bySpelling.get(found)!;
      let start = index, end = index + found.length;
      if (singleWord && isInsideWord(text, start, end)) continue;
      if (lstrip) { while (start > done && isSpace.test(text[start - 1]!)) start--; }
      if (rstrip) {
        spaceBehind.lastIndex = end;
        end += spaceBehind.exec(text)![0].length;
      }
      if (start > done) sections.push({ start: done, end: start });
      sections.push({ start, end, id });
      done = end;
    }
    if (done < text.length) sections.push({ start: done, end: text.length });
    return sections;
  };
}

function isInsideWord(text: string, start: number, end: number): boolean {
  // The neighbours, at most one character each: two UTF-16 units.
  return endsInWord.test(text.slice(Math.max(0, start - 2), start)) ||
    startsWithWord.test(text.slice(end, end + 2));
}
