// deno task generate --model FOLDER --prompt TEXT: continues prompts.

import { CannotError } from "../src/base/errors.ts";
import { readLines } from "../src/data/lines.ts";
import { encodePrompt } from "../src/data/spans.ts";
import { decodingOf, type DecodingOptions } from "../src/model/decoding.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { decodeContinuation } from "../src/tokenizers/tokenizer.ts";
import { generate } from "../src/model/generate.ts";
import { openModel } from "../src/model/pretrained.ts";
import { defineCommand, flagOf, runCommand } from "../src/report/command_line.ts";
import { printableLines } from "../src/report/printable.ts";
import { fetchNamed } from "./hub.ts";
import { modelOptions } from "./shared.ts";
import { noteSpeltOut, specialOption } from "./special.ts";

const command = defineCommand({
  name: "generate",
  summary: "Continues one or several prompts with a language model.",
  examples: [
    '--model models/invented-base --prompt "Question:" --tokens 40',
    "--model allenai/OLMo-1B-hf@step737000-tokens3093B --prompts prompts.txt --top-k 50 --temperature 0.8",
  ],
  options: {
    ...modelOptions,
    prompt: { type: "string", default: "", placeholder: "text", help: "What to continue" },
    prompts: { type: "path", placeholder: "file", help: "A file with one prompt a line instead" },
    ...specialOption,
    tokens: { type: "integer", default: 100, min: 1, placeholder: "n", help: "New tokens" },
    temperature: {
      type: "number",
      min: 0,
      help: "Draw from softmax(logits / temperature); 0, or none of these three, is greedy",
    },
    topK: {
      type: "integer",
      min: 1,
      placeholder: "k",
      help: "Draw among the k likeliest tokens only; 1 is greedy",
    },
    topP: {
      type: "number",
      min: 1e-6,
      max: 1,
      placeholder: "p",
      help: "Draw among the likeliest tokens that have the probability p together",
    },
    seed: { type: "integer", min: 0, max: 2 ** 32 - 1, help: "Of the draws; 0 unless given" },
  },
  async run(chosen, terminal, given) {
    if (given.has("prompt") && given.has("prompts")) {
      const why = "--prompt and --prompts are both given";
      throw new CannotError("continue prompts", why, "Leave one of them out");
    }
    const options = await fetchNamed(chosen, terminal);
    const { temperature, topK, topP, seed, special } = options;
    const decoding = { temperature, topK, topP, seed };
    const unused = withoutEffect(decoding);
    if (unused.length > 0) {
      terminal.note(`Greedy: ${unused.map(flagOf).join(" and ")} without effect`);
    }
    const prompts = options.prompts ? await readPrompts(options.prompts) : [options.prompt];
    using gpu = await Gpu.open();
    const { model, tokenizer, description, ends } = await openModel(gpu, options.model, {
      tokenizer: options.tokenizer,
      adapter: options.adapter,
    });
    terminal.note(`${description}; ${gpu.adapter.name}`);
    noteSpeltOut(tokenizer, prompts, special, terminal);
    const encoded = prompts.map((prompt) => encodePrompt(tokenizer, prompt, { special }));
    const continuations = await generate(model, encoded, {
      ...decoding,
      maxNewTokens: options.tokens,
      eos: ends,
    });
    const generations = prompts.map((prompt, i) => ({
      prompt,
      completion: decodeContinuation(tokenizer, encoded[i]!, continuations[i]!),
    }));
    for (const { prompt, completion } of generations) {
      const text = `${prompt}${completion}\n`;
      terminal.print(terminal.isTerminal ? printableLines(text) : text);
    }
    return { model: options.model, adapter: gpu.adapter.name, generations };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

// The options that were given and change nothing, because the likeliest token is taken each time.
function withoutEffect(decoding: DecodingOptions): string[] {
  if (decodingOf(decoding).topK > 1) return [];
  const greedy: DecodingOptions = { topK: 1, temperature: 0 };
  return (Object.keys(decoding) as (keyof DecodingOptions)[]).filter((name) =>
    decoding[name] !== undefined && decoding[name] !== greedy[name]
  );
}

async function readPrompts(file: string): Promise<string[]> {
  const lines = await Array.fromAsync(readLines(file), ({ text }) => text);
  const prompts = lines.filter((line) => line.trim() !== "");
  if (prompts.length > 0) return prompts;
  throw new CannotError(`continue the prompts of "${file}"`, "it has none", "Write one a line");
}
