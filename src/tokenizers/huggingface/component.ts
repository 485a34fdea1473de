// What the parts of a tokenizer.json have in common: an object with a type, sequences of them, and patterns.

import { show } from "../../base/show.ts";
import type { CannotError } from "../../base/errors.ts";
import type { Fields } from "../fields.ts";
import { literalPattern, translatePattern } from "./pattern.ts";

/** A normaliser, pre-tokenizer, post-processor or decoder as the file has it. */
export interface Component {
  /** What it is: "NFC", "ByteLevel", … */
  type: string;
  /** How messages call it, e.g. `pre_tokenizer.pretokenizers[1]`. */
  name: string;
  /** Its fields. */
  json: Record<string, unknown>;
}

const deepest = 8;

/**
 * The components under a field, in the order in which they act; those of a Sequence in its place.
 *
 * @param children The field that holds the members of a Sequence.
 */
export function componentsOf(
  value: unknown,
  name: string,
  children: string,
  fields: Fields,
  depth = 0,
): Component[] {
  if (value === null || value === undefined) return [];
  const json = fields.object(value, name);
  const type = fields.string(json.type, `${name}.type`);
  if (type !== "Sequence") return [{ type, name, json }];
  if (depth === deepest) throw fields.refuse(name, `is nested more than ${deepest} deep`);
  return fields.list(json[children], `${name}.${children}`).flatMap((child, i) =>
    componentsOf(child, `${name}.${children}[${i}]`, children, fields, depth + 1)
  );
}

/** The error for what this program does not do, so that the file's tokens would be other ones. */
export function unsupported(fields: Fields, { name, type }: Component): CannotError {
  return fields.refuse(name, `is "${type}", which is not supported`, supported);
}

/** What to do about a tokenizer of another kind. */
export const supported =
  "Use a byte pair tokenizer: of OLMo, GPT-2, GPT-NeoX, Llama, Mistral or Qwen, for example";

/** The `pattern` of a Split or Replace, ready to search with. */
export function patternOf({ json, name }: Component, fields: Fields): RegExp {
  const { String: text, Regex: source } = fields.object(json.pattern, `${name}.pattern`);
  if (typeof text === "string" && text !== "") return literalPattern(text);
  const where = `${name}.pattern.Regex`;
  const written = fields.string(source, where);
  try {
    return translatePattern(written);
  } catch (cause) {
    const why = `is ${show(written)}, of which ${(cause as Error).message}`;
    throw fields.refuse(where, why, supported);
  }
}

/**
 * Every match of a global pattern, but for empty ones at the end of another, which Oniguruma passes over, and those that
 * V8 finds between the halves of a surrogate pair.
 */
export function* matchesOf(
  text: string,
  pattern: RegExp,
): Generator<{ start: number; end: number }> {
  let last = -1;
  for (const { 0: { length }, index: start } of text.matchAll(pattern)) {
    const end = start + length;
    if (text.codePointAt(start - 1)! > 0xffff) continue;
    if (length > 0 || start !== last) yield { start, end };
    last = end;
  }
}
