// Two BPE tokenizers of the SentencePiece kind, for the small models that the tests run on: no
// pre-tokenisation, symbols are characters, and a pair merges if the vocabulary holds its
// concatenation. llama2.c takes the highest score first, TinyStories-656K the lowest token id.
// llama2.c's file: int32 longest token, then for each id float32 score, int32 length, UTF-8 bytes.
// A special token that is spelt out in a text is text to both.

import { CannotError } from "../base/errors.ts";
import { type Fields, fieldsOf, readFile, readObject, readParsed } from "./fields.ts";
import { type Located, type Merge, mergePairs, mostMerges, pairKey } from "./merging.ts";
import { textOf, utf8 } from "./token_bytes.ts";
import type { Tokenizer } from "./tokenizer.ts";

interface PieceModel {
  name: string;
  /** Token id -> text; `undefined` for special tokens and single bytes, which no text spells. */
  pieces: readonly (string | undefined)[];
  /** Token id -> its place in the order of merging; equal for equal scores. */
  priorities: ArrayLike<number>;
  special: Tokenizer["special"];
  /** Tokens of a character that is no piece. */
  unknown(character: string): number[];
  /** Bytes of a token that is no piece. */
  reservedBytes(id: number): Uint8Array;
  /** Whether a space is put before the text, and dropped after the beginning-of-text token. */
  dummyPrefix: boolean;
}

const firstByteToken = 3; // llama2.c: <unk>, <s>, </s>, then <0x00> to <0xFF>
const firstPiece = firstByteToken + 256;
const longestPiece = 1024;
const noBytes = new Uint8Array(0);

/**
 * Opens a llama2.c tokenizer (`tokenizer.bin`, `tok512.bin`). A space is put before the text, and
 * `decode` drops it again if the beginning-of-text token comes first (karpathy/llama2.c, `run.c`).
 *
 * @throws {CannotError} naming the file, when it ends too early.
 */
export async function openLlama2c(path: string): Promise<Tokenizer> {
  const { pieces, scores } = parseLlama2c(await readFile(path), path);
  const descending = [...new Set(scores)].sort((a, b) => b - a);
  const rank = new Map(descending.map((score, place) => [score, place]));
  return pieceTokenizer({
    name: path.split("/").pop()!,
    pieces: pieces.map((piece, id) => id < firstPiece ? undefined : piece),
    priorities: scores.map((score) => rank.get(score)!),
    special: { bos: 1, eos: 2 },
    unknown: (character) => Array.from(utf8(character), (byte) => byte + firstByteToken),
    reservedBytes: (id) => id < firstByteToken ? noBytes : new Uint8Array([id - firstByteToken]),
    dummyPrefix: true,
  });
}

/**
 * Opens `vocab.json`, an array of tokens in merge order with "▁" for the space, and the ids of the
 * special tokens from `gguf_metadata.json` (TinyStories-656K).
 *
 * @throws {CannotError} naming the file and the field, when they do not hold what they should.
 */
export async function openRanked(folder: string): Promise<Tokenizer> {
  const path = `${folder}/vocab.json`, metadataPath = `${folder}/gguf_metadata.json`;
  const vocabulary = readPieces((await readParsed(path)).json, fieldsOf(path));
  const fields = fieldsOf(metadataPath);
  const { json: metadata } = await readObject(metadataPath);
  const kind = metadata["tokenizer.ggml.model"] ?? "llama";
  if (kind !== "llama") throw fields.refuse("tokenizer.ggml.model", 'is not "llama"');
  const idOf = (role: string): number => {
    const name = `tokenizer.ggml.${role}_token_id`;
    const id = fields.id(metadata[name], name);
    if (id < vocabulary.length) return id;
    throw fields.refuse(name, `is ${id}, beyond the ${vocabulary.length} ids of the vocabulary`);
  };
  // llama.cpp puts BOS before the texts of a "llama" vocabulary unless this says otherwise.
  const addBos = "tokenizer.ggml.add_bos_token";
  const bos = idOf("bos"), eos = idOf("eos"), pad = idOf("padding"), unknown = idOf("unknown");
  const reserved = new Set([bos, eos, pad, unknown]);
  return pieceTokenizer({
    name: folder.replace(/\/+$/, "").split("/").pop()!,
    pieces: vocabulary.map((token, id) =>
      reserved.has(id) ? undefined : token.replaceAll("▁", " ")
    ),
    priorities: Uint32Array.from(vocabulary, (_, id) => id),
    special: { ...(fields.flag(metadata[addBos], addBos, true) && { bos }), eos, pad },
    unknown: () => [unknown],
    reservedBytes: (id) => id === unknown ? utf8(vocabulary[id]!) : noBytes,
    dummyPrefix: false,
  });
}

function readPieces(json: unknown, fields: Fields): string[] {
  const pieces = fields.list(json, "its content").map((value, id) => {
    const piece = fields.string(value, `token ${id}`);
    if (piece.length <= longestPiece) return piece;
    throw fields.refuse(`token ${id}`, `is longer than ${longestPiece} characters`);
  });
  if (pieces.length <= mostMerges) return pieces;
  throw fields.refuse("its content", `has ${pieces.length} tokens, more than ${mostMerges}`);
}

function pieceTokenizer(model: PieceModel): Tokenizer {
  const { name, pieces, special, dummyPrefix } = model;
  const idOf = new Map<string, number>();
  pieces.forEach((piece, id) => {
    if (piece && !idOf.has(piece)) idOf.set(piece, id);
  });
  const table = mergesOf(idOf, model.priorities);
  const tokens = pieces.map((piece, id) =>
    piece === undefined ? model.reservedBytes(id) : utf8(piece)
  );

  return {
    name,
    vocabularySize: pieces.length,
    special,
    encode(text) {
      const symbols: Located = { ids: [], starts: [], ends: [] };
      const put = (id: number, start: number, end: number): void => {
        symbols.ids.push(id);
        symbols.starts.push(start);
        symbols.ends.push(end);
      };
      if (dummyPrefix && text !== "") put(idOf.get(" ")!, 0, 0);
      let start = 0;
      for (const character of text.toWellFormed()) {
        const end = start + character.length;
        const id = idOf.get(character);
        for (const found of id === undefined ? model.unknown(character) : [id]) {
          put(found, start, end);
        }
        start = end;
      }
      const { ids, starts, ends } = mergePairs(symbols, table);
      return {
        ids: Uint32Array.from(ids),
        starts: Uint32Array.from(starts),
        ends: Uint32Array.from(ends),
      };
    },
    decode: (ids) =>
      textOf(Array.from(ids, (id, i) => {
        const bytes = tokens[id];
        const afterStart = dummyPrefix && i > 0 && ids[i - 1] === special.bos;
        return afterStart && bytes?.[0] === 0x20 ? bytes.subarray(1) : bytes;
      })),
  };
}

/** Every way to put a piece together from two others. */
function mergesOf(
  idOf: ReadonlyMap<string, number>,
  priorities: ArrayLike<number>,
): Map<number, Merge> {
  const table = new Map<number, Merge>();
  for (const [piece, id] of idOf) {
    for (let cut = 1; cut < piece.length; cut++) {
      const left = idOf.get(piece.slice(0, cut)), right = idOf.get(piece.slice(cut));
      if (left === undefined || right === undefined) continue;
      table.set(pairKey(left, right), { id, priority: priorities[id]! });
    }
  }
  return table;
}

function parseLlama2c(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
): { pieces: string[]; scores: number[] } {
  const damaged = (why: string): CannotError =>
    new CannotError(
      `read "${path}"`,
      why,
      "Check that it is a llama2.c tokenizer and copy it again",
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
  const pieces: string[] = [], scores: number[] = [];
  let offset = 4; // after the length of the longest token, which only C needs
  while (offset < bytes.length) {
    const id = pieces.length;
    const head = offset + 8;
    const end = head <= bytes.length ? head + view.getInt32(offset + 4, true) : Infinity;
    if (!(end >= head && end <= bytes.length)) {
      throw damaged(`token ${id} does not end within the ${bytes.length} bytes of the file`);
    }
    if (end - head > longestPiece) throw damaged(`token ${id} has ${end - head} bytes`);
    const score = view.getFloat32(offset, true);
    if (Number.isNaN(score)) throw damaged(`token ${id} has no number for its score`);
    scores.push(score);
    try {
      pieces.push(decoder.decode(bytes.subarray(head, end)));
    } catch {
      throw damaged(`token ${id} is not UTF-8`);
    }
    offset = end;
  }
  if (pieces.length <= firstPiece || !pieces.includes(" ", firstPiece)) {
    throw damaged(`${pieces.length} tokens are too few to hold 256 bytes and a space`);
  }
  if (pieces.length > mostMerges) throw damaged(`it has ${pieces.length} tokens, too many`);
  return { pieces, scores };
}
