// The door: which kind of tokenizer lies in a folder.

import { CannotError } from "../base/errors.ts";
import { readParsed } from "./fields.ts";
import { openHuggingFace } from "./huggingface.ts";
import { openLlama2c, openRanked } from "./sentencepiece.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Opens the tokenizer in a folder, whichever kind its files show:
 * - `tokenizer.json`: byte pairs trained here, or Hugging Face's
 * - `tokenizer.bin` or `tok512.bin` (any number): llama2.c
 * - `vocab.json`, an array in merge order, and `gguf_metadata.json`: as TinyStories-656K
 *
 * @throws {CannotError} naming the folder and what was looked for, when none of these is there; naming the file and the
 *   field, when it is damaged or of a kind that is not supported.
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const files = await fileNames(folder);
  if (files.includes("tokenizer.json")) return await openHuggingFace(folder);
  const llama2c = files.find((name) => /^tok(enizer|\d+)\.bin$/.test(name));
  if (llama2c) return await openLlama2c(`${folder}/${llama2c}`);
  if (
    files.includes("vocab.json") && Array.isArray((await readParsed(`${folder}/vocab.json`)).json)
  ) {
    return await openRanked(folder);
  }
  throw new CannotError(
    `find a tokenizer in "${folder}"`,
    "it holds no tokenizer.json, no tokenizer.bin or tok512.bin (llama2.c), " +
      "and no vocab.json that is an array",
    "Put one of these files there or name another folder",
  );
}

async function fileNames(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).sort();
  } catch (cause) {
    throw new CannotError(
      `find a tokenizer in "${folder}"`,
      (cause as Error).message,
      "Check that it is a folder",
      { cause },
    );
  }
}
