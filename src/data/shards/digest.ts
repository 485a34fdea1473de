// Digests that say which texts, settings and tokenizer shards come from.

import { createHash } from "node:crypto";
import { CannotError } from "../../base/errors.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";

/** A digest of anything that JSON can say. */
export function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);
}

// Words, numbers, spaces, code, marks, other scripts and what only bytes can say.
const probe =
  "The quick brown fox, jumping over 12,345 lazy dogs!  \n\n\tdef f(x): return x**2 # naïve café\r\n" +
  "it's don't I'LL 3.14e-10 <|endoftext|> </s> [INST] https://example.org/?q=1&r=%20 Straße ÅÄÖ ﬁ １２ " +
  "Привет, мир. 你好，世界。 こんにちは שלום مرحبا नमस्ते 🎉👩‍👩‍👧 e\u0301 \u00a0\u200b\ufeff end";

/** Tells a tokenizer from those that would give other ids: by what it does with every id, and with a text of all kinds. */
export function digestTokenizer(tokenizer: Tokenizer): string {
  const { vocabularySize, special } = tokenizer;
  const hash = createHash("sha256");
  const { bos, eos, pad } = special;
  hash.update(JSON.stringify([vocabularySize, bos, eos, pad, [...tokenizer.encode(probe).ids]]));
  for (let id = 0; id < vocabularySize; id++) {
    hash.update(tokenizer.decode([id]));
    hash.update("\n");
  }
  return hash.digest("hex").slice(0, 32);
}

const sampled = 1 << 16; // bytes at both ends of a file

/** What tells a file from another one without reading all of it: its size, and a digest of its beginning and end. */
export interface FileDigest {
  /** In bytes. */
  size: number;
  /** Of the first and the last 64 KiB. */
  ends: string;
}

/** Looks at both ends of a file. @throws {CannotError} naming it, when it cannot be read. */
export async function digestFile(path: string): Promise<FileDigest> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    const hash = createHash("sha256");
    for (const start of new Set([0, Math.max(0, size - sampled)])) {
      await file.seek(start, Deno.SeekMode.Start);
      hash.update(await readUpTo(file, Math.min(sampled, size - start)));
    }
    return { size, ends: hash.digest("hex").slice(0, 32) };
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CannotError(`read "${path}"`, why, "Check the path and its permissions", { cause });
  }
}

async function readUpTo(file: Deno.FsFile, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = await file.read(bytes.subarray(done));
    if (count === null) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
