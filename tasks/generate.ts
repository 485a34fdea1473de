// deno task generate --model FOLDER --prompt TEXT: continues prompts.

import { readText } from "../src/base/files.ts";
import { encodePrompt } from "../src/data/spans.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { decodeContinuation } from "../src/tokenizers/tokenizer.ts";
import { generate } from "../src/model/generate.ts";
import { openModel } from "../src/model/pretrained.ts";
import { runCommand } from "../src/report/command_line.ts";
import { modelOptions } from "./shared.ts";

await runCommand({
  name: "generate",
  summary: "Continues one or several prompts with a language model.",
  options: {
    ...modelOptions,
    prompt: { type: "string", default: "", placeholder: "text", help: "What to continue" },
    prompts: { type: "path", placeholder: "file", help: "A file with one prompt a line instead" },
    tokens: { type: "integer", default: 100, min: 1, placeholder: "n", help: "New tokens" },
    topK: {
      type: "integer",
      default: 1,
      min: 1,
      placeholder: "k",
      help: "Draw among the k likeliest; 1 is greedy",
    },
    temperature: {
      type: "number",
      default: 1,
      min: 0.01,
      help: "Divides the logits before drawing",
    },
    seed: { type: "integer", default: 0, min: 0, help: "Of the draws" },
  },
  async run(options, terminal) {
    using gpu = await Gpu.open();
    const { model, tokenizer, description } = await openModel(gpu, options.model, {
      tokenizer: options.tokenizer,
    });
    terminal.note(`${description}; ${gpu.adapter.name}`);
    const prompts = options.prompts
      ? (await readText(options.prompts)).split("\n").filter((line) => line.trim())
      : [options.prompt];
    const { eos } = tokenizer.special;
    const encoded = prompts.map((prompt) => encodePrompt(tokenizer, prompt));
    const continuations = await generate(model, encoded, {
      ...options,
      maxNewTokens: options.tokens,
      ...(eos !== undefined && { eos }),
    });
    const generations = prompts.map((prompt, i) => ({
      prompt,
      completion: decodeContinuation(tokenizer, encoded[i]!, continuations[i]!),
    }));
    for (const { prompt, completion } of generations) terminal.print(prompt + completion + "\n");
    return { model: options.model, adapter: gpu.adapter.name, generations };
  },
});
