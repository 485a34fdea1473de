// Reading a tokenizer's files field by field. They come from strangers: whatever is not of the expected type, not an id
// of the vocabulary, or larger than any tokenizer, is refused with the file's and the field's name.

import { CannotError } from "../base/errors.ts";
import { readBytes } from "../base/files.ts";
import { parseJson } from "../base/json.ts";
import { show } from "../base/show.ts";

/** Checked access to the fields of one file; `name` is how messages call the field, e.g. `model.merges[3]`. */
export interface Fields {
  /** The file. */
  readonly path: string;
  /** An error that says why a field cannot be used. */
  refuse(name: string, why: string, remedy?: string): CannotError;
  /** A JSON object. */
  object(value: unknown, name: string): Record<string, unknown>;
  /** A JSON array. */
  list(value: unknown, name: string): unknown[];
  /** A string. */
  string(value: unknown, name: string): string;
  /** A boolean; `fallback` where the field is absent or null. */
  flag(value: unknown, name: string, fallback?: boolean): boolean;
  /** A token id. */
  id(value: unknown, name: string): number;
}

/** More ids than any tokenizer has. A vocabulary's table is laid out by its highest id, so that has to be bounded. */
const mostIds = 2 ** 22;

/** The largest tokenizers (Gemma's) are 33 MB; a file beyond this is not read at all. */
const mostBytes = 2 ** 28;

/** Checked access to the fields of a file. */
export function fieldsOf(path: string): Fields {
  const refuse = (name: string, why: string, remedy = "Get the file again from where it came") =>
    new CannotError(`read "${path}"`, `${name} ${why}`, remedy);
  const wrong = (name: string, value: unknown, needed: string) =>
    refuse(name, value === undefined ? "is missing" : `is ${show(value)}, not ${needed}`);
  return {
    path,
    refuse,
    object(value, name) {
      if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        return value as Record<string, unknown>;
      }
      throw wrong(name, value, "an object");
    },
    list(value, name) {
      if (Array.isArray(value)) return value;
      throw wrong(name, value, "a list");
    },
    string(value, name) {
      if (typeof value === "string") return value;
      throw wrong(name, value, "a string");
    },
    flag(value, name, fallback) {
      const found = value ?? fallback;
      if (typeof found === "boolean") return found;
      throw wrong(name, found, "true or false");
    },
    id(value, name) {
      if (isId(value)) return value;
      throw wrong(name, value, `a token id (a whole number from 0 to ${mostIds - 1})`);
    },
  };
}

/** Whether a value can be a token id. */
export function isId(value: unknown): value is number {
  return Number.isInteger(value) && value as number >= 0 && value as number < mostIds;
}

/**
 * Reads a tokenizer's file whole.
 *
 * @throws {CannotError} naming it, when it is missing, is not a file, or is larger than any tokenizer's.
 */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { isFile } = await Deno.stat(path).catch(() => ({ isFile: true }));
  if (!isFile) throw new CannotError(`read "${path}"`, "it is not a file", "Name another folder");
  return await readBytes(path, mostBytes);
}

/** Reads a tokenizer's JSON file, whose outermost value is an object. @throws {CannotError} naming the file. */
export async function readObject(
  path: string,
): Promise<{ text: string; json: Record<string, unknown> }> {
  const { text, json } = await readParsed(path);
  return { text, json: fieldsOf(path).object(json, "its content") };
}

/** Reads a tokenizer's JSON file. @throws {CannotError} naming the file. */
export async function readParsed(path: string): Promise<{ text: string; json: unknown }> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
    return { text, json: parseJson(text) };
  } catch (cause) {
    if (cause instanceof CannotError) throw cause;
    throw new CannotError(
      `read "${path}"`,
      (cause as Error).message,
      "Check that it is JSON in UTF-8",
    );
  }
}
