// The model of a tokenizer.json: the tokens of one word, by byte pair encoding of its characters or of its UTF-8 bytes.
// It follows the Rust of Hugging Face's tokenizers (models/bpe/).

import { show } from "../../base/show.ts";
import { type Fields, isId } from "../fields.ts";
import { type Located, type Merge, mergePairs, mostMerges, pairKey } from "../merging.ts";
import { byteAlphabet, utf8 } from "../token_bytes.ts";
import { supported } from "./component.ts";

/** The tokens of a word; offsets count from its beginning. The result is shared: not to be changed. */
export type EncodeWord = (word: string) => Readonly<Located>;

// Distinct words follow Zipf's law: the first 65,536 seen are nearly all of those that come back.
const cachedWords = 65536, longestCached = 100;

/** Reads `model.vocab`: each token's spelling and id. */
export function readVocabulary(
  model: Record<string, unknown>,
  fields: Fields,
): Map<string, number> {
  const vocabulary = new Map<string, number>();
  const spellings: string[] = [];
  for (const [spelling, value] of Object.entries(fields.object(model.vocab, "model.vocab"))) {
    const id = isId(value) ? value : fields.id(value, `model.vocab[${show(spelling)}]`);
    const other = spellings[id];
    if (other !== undefined) {
      const both = `${show(other)} and ${show(spelling)}`;
      throw fields.refuse("model.vocab", `gives ${both} the same id, ${id}`);
    }
    spellings[id] = spelling;
    vocabulary.set(spelling, id);
  }
  return vocabulary;
}

/**
 * The function that encodes a word as the model of a tokenizer.json does.
 *
 * @throws {CannotError} for another kind of model, an option that is not known, or a merge of no tokens.
 */
export function readModel(
  model: Record<string, unknown>,
  vocabulary: ReadonlyMap<string, number>,
  byteLevel: boolean,
  fields: Fields,
): EncodeWord {
  const type = model.type ?? (Array.isArray(model.merges) ? "BPE" : "missing");
  if (type !== "BPE") throw fields.refuse("model.type", `is ${show(type)}`, supported);
  for (const option of ["continuing_subword_prefix", "end_of_word_suffix", "dropout"]) {
    if (model[option] ?? "") {
      const why = `is ${show(model[option])}, which is not supported`;
      throw fields.refuse(`model.${option}`, why, supported);
    }
  }
  const table = readMerges(model.merges, vocabulary, fields);
  const unknown = readUnknown(model, vocabulary, fields);
  const byteTokens = readByteTokens(model, vocabulary, fields);
  const wholeWords = fields.flag(model.ignore_merges, "model.ignore_merges", false);

  const encodeNew: EncodeWord = (word) => {
    const whole = wholeWords && vocabulary.get(byteLevel ? spellingOf(word) : word);
    if (typeof whole === "number") return { ids: [whole], starts: [0], ends: [word.length] };
    return mergePairs(symbolsOf(word, { vocabulary, byteLevel, unknown, byteTokens }), table);
  };
  const cache = new Map<string, Readonly<Located>>();
  return (word) => {
    const known = cache.get(word);
    if (known) return known;
    const tokens = encodeNew(word);
    if (cache.size < cachedWords && word.length <= longestCached) cache.set(word, tokens);
    return tokens;
  };
}

function readMerges(
  value: unknown,
  vocabulary: ReadonlyMap<string, number>,
  fields: Fields,
): Map<number, Merge> {
  const merges = fields.list(value, "model.merges")
    .filter((merge) => typeof merge !== "string" || !merge.startsWith("#version"));
  if (merges.length > mostMerges) {
    throw fields.refuse("model.merges", `has ${merges.length} entries, more than ${mostMerges}`);
  }
  const table = new Map<number, Merge>();
  merges.forEach((merge, priority) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    const refuse = (why: string) =>
      fields.refuse(`model.merges[${priority}]`, `is ${show(merge)}, ${why}`);
    if (!isPair(pair)) throw refuse("not two tokens");
    const from = vocabulary.get(pair[0]), to = vocabulary.get(pair[1]);
    const id = vocabulary.get(pair[0] + pair[1]);
    if (from === undefined || to === undefined || id === undefined) {
      throw refuse("and the vocabulary lacks one of these tokens or what they become");
    }
    table.set(pairKey(from, to), { id, priority });
  });
  return table;
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 &&
    value.every((token) => typeof token === "string");
}

/** The token of characters that are no token, and whether several in a row become one. */
interface Unknown {
  id: number;
  fuse: boolean;
}

function readUnknown(
  model: Record<string, unknown>,
  vocabulary: ReadonlyMap<string, number>,
  fields: Fields,
): Unknown | undefined {
  const fuse = fields.flag(model.fuse_unk, "model.fuse_unk", false);
  if (model.unk_token === null || model.unk_token === undefined) return undefined;
  const token = fields.string(model.unk_token, "model.unk_token");
  const id = vocabulary.get(token);
  if (id === undefined) {
    throw fields.refuse("model.unk_token", `is ${show(token)}, which is not in the vocabulary`);
  }
  return { id, fuse };
}

/** The tokens "<0x00>" to "<0xFF>", where characters that are no token become bytes. */
function readByteTokens(
  model: Record<string, unknown>,
  vocabulary: ReadonlyMap<string, number>,
  fields: Fields,
): number[] | undefined {
  if (!fields.flag(model.byte_fallback, "model.byte_fallback", false)) return undefined;
  const spellings = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const found = spellings.filter((spelling) => vocabulary.has(spelling));
  if (found.length === 0) return undefined;
  const missing = spellings.find((spelling) => !vocabulary.has(spelling));
  if (missing) throw fields.refuse("model.byte_fallback", `is true, but there is no ${missing}`);
  return spellings.map((spelling) => vocabulary.get(spelling)!);
}

interface Letters {
  vocabulary: ReadonlyMap<string, number>;
  byteLevel: boolean;
  unknown: Unknown | undefined;
  byteTokens: readonly number[] | undefined;
}

/** What is merged: the characters of a word, or its bytes, each of which lies where its character does. */
function symbolsOf(word: string, model: Letters): Located {
  const { vocabulary, unknown, byteTokens } = model;
  const symbols: Located = { ids: [], starts: [], ends: [] };
  const { ids, starts, ends } = symbols;
  let start = 0, end = 0, afterUnknown = false;
  const put = (id: number): void => {
    ids.push(id);
    starts.push(start);
    ends.push(end);
  };
  for (const character of word) {
    end = start + character.length;
    for (const letter of model.byteLevel ? spellingOf(character) : [character]) {
      const id = vocabulary.get(letter);
      const isUnknown = id === undefined && byteTokens === undefined;
      if (id !== undefined) put(id);
      else if (byteTokens) utf8(letter).forEach((byte) => put(byteTokens[byte]!));
      else if (unknown?.fuse && afterUnknown) ends[ends.length - 1] = end;
      else if (unknown) put(unknown.id);
      // Without any of these the character is left out, as in Hugging Face's.
      afterUnknown = isUnknown;
    }
    start = end;
  }
  return symbols;
}

/** A text in the byte alphabet. */
function spellingOf(text: string): string {
  const code = text.charCodeAt(0);
  if (text.length === 1 && code < 0x80) return byteAlphabet[code]!;
  let spelling = "";
  for (const byte of utf8(text)) spelling += byteAlphabet[byte]!;
  return spelling;
}
