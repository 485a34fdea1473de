// deno task perplexity --model FOLDER --text FILE: how well a model predicts a text.

import { readText } from "../src/base/files.ts";
import { encodePrompt } from "../src/data/spans.ts";
import { perplexity } from "../src/eval/perplexity.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { openModel } from "../src/model/pretrained.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { createProgress, type Progress } from "../src/report/progress.ts";
import { modelOptions } from "./shared.ts";

const command = defineCommand({
  name: "perplexity",
  summary: "Measures how well a language model predicts a text.",
  examples: [
    "--model models/invented-base --text README.md",
    "--model path/to/model --text held_out.txt --tokens 4096",
  ],
  options: {
    ...modelOptions,
    text: { type: "path", required: true, placeholder: "file", help: "The text, UTF-8" },
    tokens: {
      type: "integer",
      min: 2,
      placeholder: "n",
      help: "Only the first n tokens, BOS included",
    },
  },
  async run({ model: folder, tokenizer: tokenizerFolder, adapter, text, tokens }, terminal) {
    using gpu = await Gpu.open();
    const { model, tokenizer, description } = await openModel(gpu, folder, {
      tokenizer: tokenizerFolder,
      adapter,
    });
    terminal.note(`${description}; ${gpu.adapter.name}`);
    const ids = encodePrompt(tokenizer, await readText(text)).slice(0, tokens);
    let progress: Progress | undefined;
    const result = await perplexity(model, ids, {
      progress(done, total) {
        progress ??= createProgress({ total, label: "Scoring batches" });
        progress.update(done);
      },
    });
    progress?.[Symbol.dispose]();
    terminal.print(
      `nll ${result.nll.toFixed(5)} nats/token, perplexity ${result.perplexity.toFixed(3)}, ` +
        `${result.tokens} predicted tokens in ${result.windows} window(s)`,
    );
    return { model: folder, text, adapter: gpu.adapter.name, ...result };
  },
});

export default command;

if (import.meta.main) await runCommand(command);
