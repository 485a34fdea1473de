// deno task perplexity --model FOLDER --text FILE: how well a model predicts a text.

import { readText } from "../src/base/files.ts";
import { encodePrompt } from "../src/data/spans.ts";
import { perplexity } from "../src/eval/perplexity.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { openModel } from "../src/model/pretrained.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { createProgress, type Progress } from "../src/report/progress.ts";
import { fetchNamed } from "./hub.ts";
import { modelOptions } from "./shared.ts";
import { noteSpeltOut, specialOption } from "./special.ts";

const command = defineCommand({
  name: "perplexity",
  summary: "Measures how well a language model predicts a text.",
  examples: [
    "--model models/invented-base --text README.md",
    "--model allenai/OLMo-1B-hf --text held_out.txt --tokens 4096",
  ],
  options: {
    ...modelOptions,
    text: { type: "path", required: true, placeholder: "file", help: "The text, UTF-8" },
    ...specialOption,
    tokens: {
      type: "integer",
      min: 2,
      placeholder: "n",
      help: "Only the first n tokens, BOS included",
    },
  },
  async run(options, terminal) {
    const { model: folder, tokenizer: tokenizerFolder, adapter, text, tokens, special } =
      await fetchNamed(options, terminal);
    using gpu = await Gpu.open();
    const { model, tokenizer, description } = await openModel(gpu, folder, {
      tokenizer: tokenizerFolder,
      adapter,
    });
    terminal.note(`${description}; ${gpu.adapter.name}`);
    const content = await readText(text);
    noteSpeltOut(tokenizer, [content], special, terminal);
    const ids = encodePrompt(tokenizer, content, { special }).slice(0, tokens);
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
