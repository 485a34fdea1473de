// Tokenizers: whatever is accepted gives ids of its vocabulary, which cover the text in order.

import { openTokenizer } from "../src/tokenizers/open.ts";
import { llama2cFile, rankedFiles, tokenizerGolden } from "../tests/fixtures/tokenizers.ts";
import type { Files, Reader } from "./reader.ts";

const config = JSON.stringify({ bos_token: "<s>", eos_token: "</s>", pad_token: "<pad>" });

/** The readers of tokenizers. */
export const tokenizers: readonly Reader[] = [
  tokenizerReader("tokenizer.json of bytes", async () => ({
    "tokenizer.json": JSON.stringify((await tokenizerGolden()).bases.bytes),
    "tokenizer_config.json": config,
  }), { "tokenizer.json": "json", "tokenizer_config.json": "json" }),
  tokenizerReader("tokenizer.json of pieces", async () => ({
    "tokenizer.json": JSON.stringify((await tokenizerGolden()).bases.pieces),
    "tokenizer_config.json": JSON.stringify({ bos_token: "<s>", eos_token: "</s>" }),
  }), { "tokenizer.json": "json", "tokenizer_config.json": "json" }),
  tokenizerReader("tokenizer.bin", () => ({
    "tokenizer.bin": llama2cFile([[" ", -1], ["a", -1], ["b", -2], ["ab", -3], [" a", -4]]),
  }), { "tokenizer.bin": "bytes" }),
  tokenizerReader("tokenizer of gguf", () => rankedFiles, {
    "vocab.json": "json",
    "gguf_metadata.json": "json",
  }),
];

function tokenizerReader(
  name: string,
  files: () => Files | Promise<Files>,
  damage: Reader["damage"],
): Reader {
  return {
    name,
    files,
    damage,
    async read(folder) {
      const tokenizer = await openTokenizer(folder);
      const { vocabularySize, special } = tokenizer;
      const isId = (id: number) => Number.isInteger(id) && id >= 0 && id < vocabularySize;
      for (const [role, id] of Object.entries(special)) {
        if (id !== undefined && !isId(id)) return `the ${role} token is ${id}`;
      }
      for (const text of ["ab a<s> b", "", "é🎉\n x</s>", "a".repeat(40)]) {
        const { ids, starts, ends } = tokenizer.encode(text);
        const wrong = ids.find((id) => !isId(id));
        if (wrong !== undefined) return `the id ${wrong} of ${vocabularySize}`;
        if (starts.some((start, i) => start > ends[i]! || ends[i]! > text.length)) {
          return "tokens lie outside of their text";
        }
        if (typeof tokenizer.decode(ids) !== "string") return "it decodes to no text";
      }
      return undefined;
    },
  };
}
