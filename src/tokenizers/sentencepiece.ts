// Two BPE tokenizers of the SentencePiece kind, for the small models that the tests run on: no
// pre-tokenisation, symbols are characters, and a pair merges if the vocabulary holds its
// concatenation. llama2.c takes the highest score first, TinyStories-656K the lowest token id.
// llama2.c's file: int32 longest token, then for each id float32 score, int32 length, UTF-8 bytes.

import { CannotError } from "../base/errors.ts";
import { readBytes, readJson } from "../base/files.ts";
import { type Merge, mergePairs, pairKey } from "./merging.ts";
import { locateBytes, textOf, utf8, utf8Length } from "./token_bytes.ts";
import type { Tokenizer } from "./tokenizer.ts";

interface PieceModel {
  name: string;
  /** Token id -> text. */
  pieces: readonly string[];
  /** The first ids, which stand for no text of their own: special tokens and single bytes. */
  reserved: number;
  /** Token id -> its place in the order of merging; equal for equal scores. */
  priorities: ArrayLike<number>;
  special: Tokenizer["special"];
  /** Tokens of a character that is no piece: of each, the id and how many of its bytes it holds. */
  unknown(character: string): { id: number; bytes: number }[];
  /** Bytes of a reserved token. */
  reservedBytes(id: number): Uint8Array;
  /** Whether a space is put before the text, and dropped after the beginning-of-text token. */
  dummyPrefix: boolean;
}

const firstByteToken = 3; // llama2.c: <unk>, <s>, </s>, then <0x00> to <0xFF>
const noBytes = new Uint8Array(0);

/**
 * Reads a llama2.c tokenizer (`tokenizer.bin`, `tok512.bin`). A space is put before the text, and
 * `decode` drops it again if the beginning-of-text token comes first (karpathy/llama2.c, `run.c`).
 *
 * @throws {CannotError} naming the file, when it ends too early.
 */
export async function loadLlama2cTokenizer(path: string): Promise<Tokenizer> {
  const { pieces, scores } = parseLlama2c(await readBytes(path), path);
  const descending = [...new Set(scores)].sort((a, b) => b - a);
  const rank = new Map(descending.map((score, place) => [score, place]));
  return pieceTokenizer({
    name: path.split("/").pop()!,
    pieces,
    reserved: firstByteToken + 256,
    priorities: scores.map((score) => rank.get(score)!),
    special: { bos: 1, eos: 2 },
    unknown: (character) =>
      Array.from(utf8(character), (byte) => ({ id: byte + firstByteToken, bytes: 1 })),
    reservedBytes: (id) => id < firstByteToken ? noBytes : new Uint8Array([id - firstByteToken]),
    dummyPrefix: true,
  });
}

/**
 * Reads `vocab.json`, an array of tokens in merge order with "▁" for the space, and the ids of the
 * special tokens from `gguf_metadata.json` (TinyStories-656K).
 *
 * @throws {CannotError} naming the file, when it does not hold what it should.
 */
export async function loadRankTokenizer(folder: string): Promise<Tokenizer> {
  const path = `${folder}/vocab.json`, metadataPath = `${folder}/gguf_metadata.json`;
  const vocabulary = await readJson(path);
  if (!Array.isArray(vocabulary) || vocabulary.some((token) => typeof token !== "string")) {
    throw new CannotError(`read "${path}"`, "it is not an array of strings", "Download it again");
  }
  const metadata = await readJson(metadataPath) as Record<string, unknown>;
  const idOf = (role: string): number => {
    const id = metadata[`tokenizer.ggml.${role}_token_id`];
    if (typeof id === "number" && id < vocabulary.length) return id;
    throw new CannotError(
      `read "${metadataPath}"`,
      `"tokenizer.ggml.${role}_token_id" is no id of the vocabulary`,
      "Download it again",
    );
  };
  const special = { bos: idOf("bos"), eos: idOf("eos"), pad: idOf("padding") };
  const unknown = idOf("unknown");
  return pieceTokenizer({
    name: folder.replace(/\/+$/, "").split("/").pop()!,
    pieces: vocabulary.map((token: string) => token.replaceAll("▁", " ")),
    reserved: 1 + Math.max(...Object.values(special), unknown),
    priorities: Uint32Array.from(vocabulary, (_, id) => id),
    special,
    unknown: (character) => [{ id: unknown, bytes: utf8(character).length }],
    reservedBytes: (id) => id === unknown ? utf8(vocabulary[id]) : noBytes,
    dummyPrefix: false,
  });
}

function pieceTokenizer(model: PieceModel): Tokenizer {
  const { name, pieces, reserved, special, dummyPrefix } = model;
  const idOf = new Map<string, number>();
  for (let id = reserved; id < pieces.length; id++) {
    if (!idOf.has(pieces[id]!)) idOf.set(pieces[id]!, id);
  }
  const table = mergesOf(idOf, model.priorities);
  const tokens = pieces.map((piece, id) => id < reserved ? model.reservedBytes(id) : utf8(piece));

  return {
    name,
    vocabularySize: pieces.length,
    special,
    encode(text) {
      const symbols: number[] = [], sizes: number[] = []; // a symbol's id, and its bytes of the text
      if (dummyPrefix && text !== "") {
        symbols.push(idOf.get(" ")!);
        sizes.push(0);
      }
      for (const character of text) {
        const id = idOf.get(character);
        const found = id === undefined
          ? model.unknown(character)
          : [{ id, bytes: utf8Length(character.codePointAt(0)!) }];
        for (const { id, bytes } of found) {
          symbols.push(id);
          sizes.push(bytes);
        }
      }
      const { ids, counts } = mergePairs(symbols, table);
      let symbol = 0;
      const byteLengths = counts.map((count) => {
        let bytes = 0;
        for (const end = symbol + count; symbol < end; symbol++) bytes += sizes[symbol]!;
        return bytes;
      });
      return { ids: Uint32Array.from(ids), ...locateBytes(text, byteLengths) };
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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const pieces: string[] = [], scores: number[] = [];
  let offset = 4; // after the length of the longest token, which only C needs
  while (offset < bytes.length) {
    const head = offset + 8;
    const end = head <= bytes.length ? head + view.getInt32(offset + 4, true) : Infinity;
    if (!(end >= head && end <= bytes.length)) {
      throw new CannotError(
        `read "${path}"`,
        `token ${pieces.length} does not end within the ${bytes.length} bytes of the file`,
        "Check that it is a llama2.c tokenizer and copy it again",
      );
    }
    scores.push(view.getFloat32(offset, true));
    pieces.push(decoder.decode(bytes.subarray(head, end)));
    offset = end;
  }
  if (pieces.length <= firstByteToken + 256 || !pieces.includes(" ")) {
    throw new CannotError(
      `read "${path}"`,
      `${pieces.length} tokens are too few to hold 256 bytes and a space`,
      "Check that it is a llama2.c tokenizer and copy it again",
    );
  }
  return { pieces, scores };
}
