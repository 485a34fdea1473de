// deno task perplexity --model FOLDER --text FILE: how well a model predicts a text.

import {
  createProgress,
  encodePrompt,
  Gpu,
  openModel,
  perplexity,
  readText,
  runCommand,
} from "../mod.ts";

await runCommand({
  name: "perplexity",
  summary: "Measures how well a language model predicts a text.",
  options: {
    model: { type: "string", required: true, placeholder: "folder", help: "The model" },
    tokenizer: {
      type: "string",
      placeholder: "folder",
      help: "The tokenizer, if not with the model",
    },
    text: { type: "string", required: true, placeholder: "file", help: "The text, UTF-8" },
    tokens: {
      type: "integer",
      min: 2,
      placeholder: "n",
      help: "Only the first n tokens, BOS included",
    },
  },
  async run({ model: folder, tokenizer: tokenizerFolder, text, tokens }, terminal) {
    using gpu = await Gpu.open();
    const options = tokenizerFolder ? { tokenizer: tokenizerFolder } : {};
    const { model, tokenizer, description } = await openModel(gpu, folder, options);
    terminal.note(`${description}; ${gpu.adapter.name}`);
    const ids = encodePrompt(tokenizer, await readText(text)).slice(0, tokens);
    using progress = createProgress({ total: 1, label: "Scoring" });
    const result = await perplexity(model, ids, {
      progress: (done, total) => progress.update(done / total),
    });
    terminal.print(
      `nll ${result.nll.toFixed(5)} nats/token, perplexity ${result.perplexity.toFixed(3)}, ` +
        `${result.tokens} predicted tokens in ${result.windows} window(s)`,
    );
    return { model: folder, text, adapter: gpu.adapter.name, ...result };
  },
});
