// The door: which kind of tokenizer lies in a folder.

import { CannotError } from "../base/errors.ts";
import { readJson } from "../base/files.ts";
import { loadBytePair } from "./byte_pair.ts";
import { loadHuggingFaceTokenizer } from "./huggingface.ts";
import { loadLlama2cTokenizer, loadRankTokenizer } from "./sentencepiece.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Opens the tokenizer in a folder, whichever kind its files show:
 * - `tokenizer.json` and a `tokenizer_config.json` with `"slung"`: byte-level BPE trained here
 * - any other `tokenizer.json`: through transformers.js
 * - `tokenizer.bin` or `tok512.bin` (any number): llama2.c
 * - `vocab.json`, an array in merge order, and `gguf_metadata.json`: as TinyStories-656K
 *
 * @throws {CannotError} naming the folder and what was looked for, when none of these is there.
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const files = await fileNames(folder);
  if (files.includes("tokenizer.json")) {
    const ours = files.includes("tokenizer_config.json") &&
      isObjectWith(await readJson(`${folder}/tokenizer_config.json`), "slung");
    return ours ? await loadBytePair(folder) : await loadHuggingFaceTokenizer(folder);
  }
  const llama2c = files.find((name) => /^tok(enizer|\d+)\.bin$/.test(name));
  if (llama2c) return await loadLlama2cTokenizer(`${folder}/${llama2c}`);
  if (files.includes("vocab.json") && Array.isArray(await readJson(`${folder}/vocab.json`))) {
    return await loadRankTokenizer(folder);
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

function isObjectWith(value: unknown, key: string): boolean {
  return typeof value === "object" && value !== null && key in value;
}
