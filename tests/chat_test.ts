// The Tulu template and what is learned of it, with a byte-level tokenizer trained here and, if it is on this machine,
// with OLMo's.

import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { countTargets, packSequences } from "../src/data/packing.ts";
import type { Sequence } from "../src/data/sequence.ts";
import {
  type ChatMessage,
  chatPrompt,
  chatSequence,
  chatSequences,
  readChats,
} from "../src/data/sources/chat.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
import { objective } from "../src/slung/objective.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";

const tokenizer = trainBytePair(["The mill turns. What turns? Who sings at the mill?"], 300);
const eos = tokenizer.special.eos!;
const messages: ChatMessage[] = [
  { role: "system", content: "Answer in few words." },
  { role: "user", content: "What turns?" },
  { role: "assistant", content: "The mill turns. 🙂" },
  { role: "user", content: "Who sings?" },
  { role: "assistant", content: "Nobody." },
];
const template = "<|system|>\nAnswer in few words.\n<|user|>\nWhat turns?\n" +
  "<|assistant|>\nThe mill turns. 🙂<|endoftext|>\n<|user|>\nWho sings?\n" +
  "<|assistant|>\nNobody.<|endoftext|>";

const weighted = (tokenizer: Tokenizer, { tokens, weights }: Sequence) =>
  tokenizer.decode(tokens.filter((_, i) => weights![i] === 1));

Deno.test("a conversation is Tulu's template, token for token, and only answers and their EOS are learned", () => {
  const sequence = chatSequence(tokenizer, messages);
  assertEquals(tokenizer.decode(sequence.tokens), template);
  assertEquals(sequence.tokens, tokenizer.encode(template).ids);
  assertEquals(
    weighted(tokenizer, sequence),
    "The mill turns. 🙂<|endoftext|>Nobody.<|endoftext|>",
  );
  assert(sequence.weights!.every((weight) => weight === 0 || weight === 1));
  // Any objective of the existing machinery then sees these targets only.
  const { batches } = packSequences([sequence], { rows: 1, time: sequence.tokens.length });
  const counts = countTargets(batches[0]!, objective("unlikelihood").terms);
  assertEquals(counts.active, sequence.weights!.filter((weight) => weight === 1).length);
  assertEquals(counts.all, sequence.tokens.length - 1);
});

Deno.test("OLMo's tokenizer: the same, and the reference's BOS in front", async () => {
  const folder = sharedData("tokenizers/olmo-dolma-v1_5");
  if (!folder) return;
  const olmo = await openTokenizer(folder);
  const sequence = chatSequence(olmo, messages, { bos: olmo.special.eos! });
  assertEquals(sequence.tokens, olmo.encode(`<|endoftext|>${template}`).ids);
  assertEquals(weighted(olmo, sequence), "The mill turns. 🙂<|endoftext|>Nobody.<|endoftext|>");
  assertEquals(sequence.weights![0], 0);
});

Deno.test("a prompt is the conversation so far and the mark of the assistant", () => {
  const prompt = chatPrompt(tokenizer, messages.slice(0, 2), { bos: eos });
  assertEquals(
    tokenizer.decode(prompt),
    "<|endoftext|><|system|>\nAnswer in few words.\n<|user|>\nWhat turns?\n<|assistant|>\n",
  );
  // What is trained begins with exactly these tokens.
  const { tokens } = chatSequence(tokenizer, messages, { bos: eos });
  assertEquals(tokens.subarray(0, prompt.length), prompt);
});

Deno.test("long conversations are cut, and those with nothing left to learn are counted", () => {
  const whole = chatSequence(tokenizer, messages);
  const first = whole.weights!.indexOf(1);
  const chats = [messages, messages.slice(0, 2), messages.slice(1, 3)];
  const { sequences, truncated, dropped } = chatSequences(tokenizer, chats, {
    maxTokens: first + 1,
  });
  assertEquals([sequences.length, truncated, dropped], [2, 1, 1]);
  assertEquals(sequences[0]!.tokens, whole.tokens.slice(0, first + 1));
  assertEquals(sequences[0]!.weights!.length, first + 1);
  assertEquals(sequences[0]!.classes.length, first + 1);
  const none = chatSequences(tokenizer, [messages], { maxTokens: first });
  assertEquals([none.sequences.length, none.truncated, none.dropped], [0, 0, 1]);
});

Deno.test("conversations are read line by line", async () => {
  const path = await Deno.makeTempFile({ suffix: ".jsonl" });
  const rows = [{ id: "a", dataset: "d", messages }, { messages: messages.slice(1, 3) }];
  await Deno.writeTextFile(path, rows.map((row) => JSON.stringify(row)).join("\n"));
  assertEquals(await Array.fromAsync(readChats(path)), [messages, messages.slice(1, 3)]);
  await Deno.remove(path);
});

Deno.test("a malformed conversation is named by file, line and message", async () => {
  const path = await Deno.makeTempFile({ suffix: ".jsonl" });
  const good = JSON.stringify({ messages });
  const faults: [string, string][] = [
    ['{"messages": []}', 'line 2: field "messages" is not a list of messages'],
    ['{"text": "hello"}', 'line 2: field "messages" is not a list'],
    [
      '{"messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]}',
      "message 1 of",
    ],
    ['{"messages": [{"role": "robot", "content": "b"}]}', 'its role is "robot"'],
    ['{"messages": [{"role": "user"}]}', 'field "content" is missing'],
    ['{"messages": ["hello"]}', "it is not a JSON object"],
    ['{"messages": ', "line 2"],
  ];
  for (const [line, message] of faults) {
    await Deno.writeTextFile(path, `${good}\n${line}\n`);
    await assertRejects(() => Array.fromAsync(readChats(path)), message);
    await assertRejects(() => Array.fromAsync(readChats(path)), `"${path}" line 2`);
  }
  await Deno.remove(path);
});

Deno.test("a tokenizer without EOS needs one by id", () => {
  const bare = trainBytePair(["The mill turns."], 270, { special: [] });
  assertThrows(() => chatSequence(bare, messages), "it has no end-of-text token to end a turn");
  assertEquals(chatSequence(bare, messages, { eos: 3 }).tokens.at(-1), 3);
});
