// Special tokens that a text spells out ("<|endoftext|>"): the option that decides what they become, and a word about it.

import type { Terminal } from "../src/report/command_line.ts";
import type { Options } from "../src/report/options.ts";
import { countSpeltOut, type EncodeOptions, type Tokenizer } from "../src/tokenizers/tokenizer.ts";

/** The option of tasks that tokenise texts. */
export const specialOption = {
  special: {
    type: "string",
    choices: ["tokens", "text"],
    default: "tokens",
    help: "What a special token becomes that is spelt out in a text",
  },
} as const satisfies Options;

/** What became of special tokens that texts spell out, as a clause; empty where there are none. */
export function describeSpeltOut(count: number, special: EncodeOptions["special"]): string {
  if (count === 0) return "";
  const what = count === 1 ? "1 special token" : `${count} special tokens`;
  const read = special === "text"
    ? "plain text"
    : "what they spell (--special text: as plain text)";
  return `${what} spelt out in the text, read as ${read}`;
}

/** Says so on standard error, where there are any. */
export function noteSpeltOut(
  tokenizer: Tokenizer,
  texts: readonly string[],
  special: EncodeOptions["special"],
  terminal: Terminal,
): void {
  const said = describeSpeltOut(countSpeltOut(tokenizer, texts), special);
  if (said) terminal.note(said);
}
