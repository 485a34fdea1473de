// Conversations for instruction tuning, in the format and the template of Tulu 2 (Ivison et al. 2023):
//   {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}        one a line
//   <|user|>\n…\n<|assistant|>\n…EOS\n<|user|>\n…                          the role marks are plain text, not tokens
// Only the content of assistant turns and the EOS behind it are learned. The rest has weight 0, which leaves risk
// classes free to say what they always say: any objective can be used on top.

import { checkOptions, oneOf, required, wholeNumber } from "../../base/options.ts";
import { CannotError } from "../../base/errors.ts";
import { Risk } from "../../slung/risk.ts";
import { readRecords, stringField } from "../records.ts";
import { type Sequence, sliceSequence } from "../sequence.ts";
import type { EncodeOptions, Tokenizer } from "../../tokenizers/tokenizer.ts";

/** Who may speak. */
export const chatRoles = ["system", "user", "assistant"] as const;

/** One turn of a conversation. */
export interface ChatMessage {
  /** Who speaks. */
  role: (typeof chatRoles)[number];
  /** What is said. */
  content: string;
}

/** How conversations become tokens. */
export interface ChatEncoding {
  /** Begins every conversation; that of the tokenizer, if it has one, unless given. The reference gives EOS here. */
  bos?: number;
  /** Ends every assistant turn; that of the tokenizer unless given. */
  eos?: number;
  /**
   * What a special token becomes that is spelt out in a message; see {@linkcode EncodeOptions}. A user who writes EOS ends
   * the turn unless it is "text", which makes text of role marks too where the tokenizer has them as special tokens.
   */
  special?: EncodeOptions["special"];
}

/**
 * Reads the conversations of a Tulu-format `.jsonl` file; fields besides `messages` are ignored.
 *
 * @throws {CannotError} naming the file, the line and the message that is malformed.
 */
export function readChats(path: string): AsyncGenerator<ChatMessage[]> {
  return readRecords(path, ({ messages }, where) => {
    if (!Array.isArray(messages) || messages.length === 0) {
      throw new CannotError(
        `read ${where}`,
        `field "messages" is not a list of messages`,
        'Write it as [{"role": "user", "content": "…"}, …], or remove the row',
      );
    }
    return messages.map((message: unknown, k) => asMessage(message, `message ${k} of ${where}`));
  });
}

/**
 * A conversation as a training sequence in which only assistant turns have weight.
 *
 * A token is learned if it begins inside the content of an assistant turn. Each stretch between two EOS is tokenised as
 * a whole, which gives the ids that Hugging Face gives for the whole template.
 *
 * @throws {CannotError} for a tokenizer without EOS.
 * @see open-instruct, open_instruct/finetune.py, encode_sft_example
 */
export function chatSequence(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  encoding: ChatEncoding = {},
): Sequence {
  const eos = endOfTurn(tokenizer, encoding);
  const bos = encoding.bos ?? tokenizer.special.bos;
  const tokens: number[] = bos === undefined ? [] : [bos];
  const weights: number[] = tokens.map(() => 0);
  let stretch = "";
  messages.forEach(({ role, content }, k) => {
    stretch += `<|${role}|>\n`;
    const start = stretch.length;
    stretch += content;
    if (role !== "assistant") {
      stretch += "\n";
      if (k < messages.length - 1) return;
    }
    const { ids, starts } = tokenizer.encode(stretch, encoding);
    const learned = role === "assistant";
    ids.forEach((id, i) => {
      tokens.push(id);
      weights.push(learned && starts[i]! >= start ? 1 : 0);
    });
    if (!learned) return;
    tokens.push(eos);
    weights.push(1);
    stretch = "\n";
  });
  return {
    tokens: Uint32Array.from(tokens),
    classes: new Uint8Array(tokens.length).fill(Risk.low),
    weights: Float32Array.from(weights),
  };
}

/** The tokens after which the assistant's next turn begins: the template up to `<|assistant|>\n`. */
export function chatPrompt(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  encoding: ChatEncoding = {},
): Uint32Array {
  const { tokens } = chatSequence(
    tokenizer,
    [...messages, { role: "assistant", content: "" }],
    encoding,
  );
  return tokens.slice(0, -1); // without the EOS of the turn that is to be written
}

/** Conversations that are ready for training, and what became of the others. */
export interface ChatSequences {
  /** One per conversation that has something to learn. */
  sequences: Sequence[];
  /** Conversations that were cut to `maxTokens`. */
  truncated: number;
  /** Conversations left out, because no assistant turn begins within `maxTokens`. */
  dropped: number;
}

/**
 * Encodes conversations and cuts each to its first `maxTokens` tokens (2,048 in the paper), as the reference does.
 *
 * @throws {CannotError} for a tokenizer without EOS.
 */
export function chatSequences(
  tokenizer: Tokenizer,
  chats: Iterable<readonly ChatMessage[]>,
  options: ChatEncoding & { maxTokens: number },
): ChatSequences {
  checkOptions("encode conversations", options, {
    maxTokens: required(wholeNumber({ min: 1 })),
    bos: wholeNumber({ min: 0 }),
    eos: wholeNumber({ min: 0 }),
    special: oneOf("tokens", "text"),
  });
  const { maxTokens, ...encoding } = options;
  const result: ChatSequences = { sequences: [], truncated: 0, dropped: 0 };
  for (const messages of chats) {
    const whole = chatSequence(tokenizer, messages, encoding);
    const cut = sliceSequence(whole, 0, maxTokens);
    // The first token is no target.
    if (!cut.weights!.subarray(1).includes(1)) {
      result.dropped++;
      continue;
    }
    if (cut.tokens.length < whole.tokens.length) result.truncated++;
    result.sequences.push(cut);
  }
  return result;
}

function asMessage(value: unknown, where: string): ChatMessage {
  if (typeof value !== "object" || value === null) {
    throw new CannotError(
      `read ${where}`,
      "it is not a JSON object",
      'Write it as {"role": …, "content": …}',
    );
  }
  const message = value as Record<string, unknown>;
  const role = stringField(message, "role", where);
  if (!isRole(role)) {
    throw new CannotError(
      `read ${where}`,
      `its role is "${role}"`,
      `Use one of ${chatRoles.join(", ")}, or remove the row`,
    );
  }
  return { role, content: stringField(message, "content", where) };
}

function isRole(role: string): role is ChatMessage["role"] {
  return (chatRoles as readonly string[]).includes(role);
}

function endOfTurn(tokenizer: Tokenizer, { eos = tokenizer.special.eos }: ChatEncoding): number {
  if (eos !== undefined) return eos;
  throw new CannotError(
    `write conversations with the tokenizer "${tokenizer.name}"`,
    "it has no end-of-text token to end a turn",
    "Name one by its id, or use another tokenizer",
  );
}
