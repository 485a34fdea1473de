// The decoders of tokenizer.json make tokens text again. Tokens spelt in the byte alphabet are joined as bytes; those of
// the SentencePiece kind go through a chain, as in the Rust of Hugging Face's tokenizers (decoders/).

import { show } from "../../base/show.ts";
import type { Fields } from "../fields.ts";
import { bytesOfSpelling, textOf, utf8 } from "../token_bytes.ts";
import { type Component, componentsOf, patternOf, supported, unsupported } from "./component.ts";

/** Joins the texts of tokens; `undefined` is an id without a token. */
type Step = (tokens: string[]) => string[];

/** What makes token ids text. */
export type Decode = (ids: ArrayLike<number>) => string;

/**
 * The decoder of a tokenizer.json.
 *
 * @param tokens Token id -> spelling.
 * @param added The ids that are written as they are spelt.
 * @throws {CannotError} naming a decoder that is not known, or does not belong to the pre-tokenizer.
 */
export function readDecoder(
  json: unknown,
  tokens: readonly (string | undefined)[],
  added: ReadonlySet<number>,
  byteLevel: boolean,
  fields: Fields,
): Decode {
  const components = componentsOf(json, "decoder", "decoders", fields);
  const bytes = components.some(({ type }) => type === "ByteLevel");
  if (components.length === 0) throw fields.refuse("decoder", "is missing", supported);
  if (bytes !== byteLevel || (bytes && components.length > 1)) {
    const types = components.map(({ type }) => type).join(", ");
    const cut = byteLevel ? "ByteLevel" : "not ByteLevel";
    throw fields.refuse("decoder", `is ${types}, but the pre-tokenizer is ${cut}`, supported);
  }
  if (byteLevel) return byteDecoder(tokens, added);
  const steps = components.map((component) => readStep(component, fields));
  return (ids) => {
    const spelt = Array.from(ids, (id) => tokens[id] ?? "\ufffd");
    return steps.reduce((texts, step) => step(texts), spelt).join("");
  };
}

function byteDecoder(
  tokens: readonly (string | undefined)[],
  added: ReadonlySet<number>,
): Decode {
  const bytes = tokens.map((spelling, id) => {
    if (spelling === undefined) return undefined;
    return (added.has(id) ? undefined : bytesOfSpelling(spelling)) ?? utf8(spelling);
  });
  return (ids) => textOf(Array.from(ids, (id) => bytes[id]));
}

function readStep(component: Component, fields: Fields): Step {
  const { type, name, json } = component;
  const text = (key: string) => fields.string(json[key], `${name}.${key}`);
  const count = (key: string) => fields.id(json[key], `${name}.${key}`);
  switch (type) {
    case "Replace": {
      const pattern = patternOf(component, fields), content = text("content");
      return (tokens) => tokens.map((token) => token.replaceAll(pattern, () => content));
    }
    case "ByteFallback":
      return joinBytes;
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Strip": {
      const content = text("content"), start = count("start"), stop = count("stop");
      if (content.length !== 1) {
        throw fields.refuse(`${name}.content`, `is ${show(content)}, not one character`);
      }
      return (tokens) => tokens.map((token) => strip(token, content, start, stop));
    }
    case "Metaspace": {
      const mark = text("replacement");
      const drops = (json.prepend_scheme ?? "always") !== "never";
      return (tokens) =>
        tokens.map((token, i) => token.replaceAll(mark, i === 0 && drops ? "" : " "));
    }
    default:
      throw unsupported(fields, component);
  }
}

/** Tokens that spell a byte, "<0xC3>", become the text of the bytes in a row. */
function joinBytes(tokens: string[]): string[] {
  const joined: string[] = [];
  let run: Uint8Array[] = [];
  const flush = (): void => {
    if (run.length > 0) joined.push(textOf(run));
    run = [];
  };
  for (const token of tokens) {
    const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (hex !== undefined) {
      run.push(Uint8Array.of(parseInt(hex, 16)));
      continue;
    }
    flush();
    joined.push(token);
  }
  flush();
  return joined;
}

function strip(token: string, content: string, start: number, stop: number): string {
  let from = 0, to = token.length;
  while (from < start && token[from] === content) from++;
  while (token.length - to < stop && to > from && token[to - 1] === content) to--;
  return token.slice(from, to);
}
