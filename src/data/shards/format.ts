// Token shards: a corpus as files that any trainer can map into memory. A folder of shards holds numbered parts,
//
//   token_ids_part_0000.npy      token ids, uint16 or uint32, little-endian, without any header
//   risk_classes_part_0000.u8    the risk class of each token: no mask, since class 1 (low) is what trains
//   documents_part_0000.u64      where each document ends, in tokens from the beginning of the part
//
// and a manifest that says what they hold. Names of tokens are those that AI2's own converter gives; the others are
// called so that no pattern for tokens or masks finds them. Every document ends in EOS and lies in one part.

import { CannotError } from "../../base/errors.ts";
import { readJson } from "../../base/files.ts";
import { show } from "../../base/show.ts";
import { fingerprint } from "./digest.ts";

/** What the shards of a tokenizer hold. */
export interface ShardTokenizer {
  /** What to call it. */
  name: string;
  /** Tells it from tokenizers that would give other ids; see `digestTokenizer`. */
  digest: string;
  /** One more than the highest id. */
  vocabularySize: number;
  /** Begins every document, where it is given. */
  bos?: number | undefined;
  /** Ends every document. */
  eos: number;
  /** Fills rows, where it is given. */
  pad?: number | undefined;
}

/** How token ids are stored. */
export type TokenType = "uint16" | "uint32";

/** What a part holds. */
export interface ShardPart {
  /** In the names of its files. */
  number: number;
  /** Tokens, EOS included. */
  tokens: number;
  /** Documents. */
  documents: number;
  /** [4] tokens of each risk class. */
  tokensByClass: number[];
  /** SHA-256 of each of its files, by name. */
  files: Record<string, string>;
}

/** What a folder of shards holds. */
export interface ShardManifest {
  /** Tells the file from others of its name. */
  format: "slung-shards";
  /** Of the format. */
  version: 1;
  /** What the ids are ids of. */
  tokenizer: ShardTokenizer;
  /** Of the token files. */
  dtype: TokenType;
  /** Of all parts. */
  tokens: number;
  /** Of all parts. */
  documents: number;
  /** [4] tokens of each risk class. */
  tokensByClass: number[];
  /** Documents that were left out, by reason. */
  leftOut: Record<string, number>;
  /** In the order of their numbers, which may have gaps. */
  parts: ShardPart[];
  /** The settings and texts that they were made from, as JSON. */
  madeFrom: unknown;
}

/** The name of the manifest in a folder of shards. */
export const manifestFile = "manifest.json";

/** The largest number of a part: names have four digits, so that they sort as their numbers do. */
export const lastPart = 9999;

/** The smallest type that holds every id of a vocabulary. */
export function tokenType(vocabularySize: number): TokenType {
  return vocabularySize <= 0x10000 ? "uint16" : "uint32";
}

/** Bytes of a token. */
export function bytesOf(type: TokenType): number {
  return type === "uint16" ? 2 : 4;
}

/** The four digits of a part in the names of its files. */
export function partDigits(part: number): string {
  return String(part).padStart(4, "0");
}

/** The names of the files of a part. */
export function partFiles(part: number): { tokens: string; classes: string; documents: string } {
  const digits = partDigits(part);
  return {
    tokens: `token_ids_part_${digits}.npy`,
    classes: `risk_classes_part_${digits}.u8`,
    documents: `documents_part_${digits}.u64`,
  };
}

/** Tells shards from all that hold other tokens, classes or documents. */
export function shardIdentity({ tokenizer, dtype, parts }: ShardManifest): string {
  const own = parts.map(({ number, files }) => {
    const { tokens, classes, documents } = partFiles(number);
    return [files[tokens], files[classes], files[documents]];
  });
  return fingerprint([tokenizer.digest, dtype, own]);
}

/**
 * Reads the manifest of a folder of shards.
 *
 * @throws {CannotError} naming the file, and the field that is missing or wrong.
 */
export async function readManifest(folder: string): Promise<ShardManifest> {
  const path = `${folder}/${manifestFile}`;
  const found = await readJson(path);
  const refuse = (why: string, remedy = "Make the shards again, or copy them again") =>
    new CannotError(`read "${path}"`, why, remedy);
  const fields = isObject(found) ? found : {};
  if (fields.format !== "slung-shards") throw refuse("it is not the manifest of token shards");
  if (fields.version !== 1) {
    throw refuse(
      `its version is ${show(fields.version)}, and this program reads version 1`,
      "Read it with the program that made it, or make the shards again",
    );
  }
  const fault = faultOf(fields);
  if (fault !== undefined) throw refuse(fault);
  return fields as unknown as ShardManifest;
}

function faultOf(manifest: Record<string, unknown>): string | undefined {
  const { tokenizer, dtype, parts } = manifest;
  const wrong = (name: string, value: unknown) => `field "${name}" is ${show(value)}`;
  if (!isObject(tokenizer)) return wrong("tokenizer", tokenizer);
  for (const name of ["name", "digest"]) {
    if (typeof tokenizer[name] !== "string") return wrong(`tokenizer.${name}`, tokenizer[name]);
  }
  const { vocabularySize } = tokenizer;
  if (!isCount(vocabularySize)) return wrong("tokenizer.vocabularySize", vocabularySize);
  for (const name of ["bos", "eos", "pad"]) {
    const id = tokenizer[name];
    if (id === undefined && name !== "eos") continue;
    if (!isCount(id) || id >= vocabularySize) return wrong(`tokenizer.${name}`, id);
  }
  if (dtype !== tokenType(vocabularySize)) return wrong("dtype", dtype);
  if (!isObject(manifest.leftOut)) return wrong("leftOut", manifest.leftOut);
  for (const [reason, count] of Object.entries(manifest.leftOut)) {
    if (!isCount(count)) return wrong(`leftOut.${reason}`, count);
  }
  if (!Array.isArray(parts)) return wrong("parts", parts);
  const sums = { tokens: 0, documents: 0, tokensByClass: [0, 0, 0, 0] };
  let last = -1;
  for (const [i, part] of parts.entries()) {
    if (!isObject(part)) return wrong(`parts[${i}]`, part);
    const { number, tokens, documents, tokensByClass, files } = part;
    if (!isCount(number) || number <= last || number > lastPart) {
      return wrong(`parts[${i}].number`, number);
    }
    last = number;
    if (!isCount(tokens)) return wrong(`parts[${i}].tokens`, tokens);
    if (!isCount(documents)) return wrong(`parts[${i}].documents`, documents);
    if (!isClassCounts(tokensByClass)) return wrong(`parts[${i}].tokensByClass`, tokensByClass);
    if (tokensByClass.reduce((sum, count) => sum + count, 0) !== tokens) {
      return `the classes of parts[${i}] have other tokens than its ${tokens}`;
    }
    if (!isObject(files)) return wrong(`parts[${i}].files`, files);
    for (const name of Object.values(partFiles(number))) {
      if (typeof files[name] !== "string") {
        return wrong(`parts[${i}].files["${name}"]`, files[name]);
      }
    }
    sums.tokens += tokens;
    sums.documents += documents;
    tokensByClass.forEach((count, risk) => sums.tokensByClass[risk]! += count);
  }
  for (const [name, sum] of Object.entries(sums)) {
    if (JSON.stringify(manifest[name]) === JSON.stringify(sum)) continue;
    return `field "${name}" is ${show(manifest[name])}, and that of its parts is ${show(sum)}`;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isClassCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length === 4 && value.every(isCount);
}
