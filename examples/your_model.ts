// Your model: any sizes, trained from the first step, kept as a Hugging Face folder, and opened again.
//   deno run --allow-read --allow-write examples/your_model.ts

import { type DecoderConfig, encodePrompt, encodeText, fit, Gpu, initialise } from "@slung/slung";
import { LanguageModel, objective, olmoOptimiser, openModel, perplexity } from "@slung/slung";
import { saveModel, smallOlmo, trainBytePair } from "@slung/slung";

const texts = ["The old mill turned all winter.", "The river froze, and the mill stood still."];
const tokenizer = trainBytePair(texts, 300);
const config: DecoderConfig = {
  ...smallOlmo({ width: 32, layers: 2, heads: 4, vocabularySize: 384, contextLength: 64 }),
  kvHeads: 2, // grouped queries
  family: "llama",
  norm: "rms",
};

using gpu = await Gpu.open();
using model = new LanguageModel(gpu, config, initialise(config, 0), { gradients: true });
await fit(model, {
  epochs: Array(20).fill(texts.map((text) => encodeText(tokenizer, { text, spans: [] }))),
  perStep: 2,
  seed: 0,
  objective: objective("direct"),
  optimiser: olmoOptimiser,
  schedule: { peak: 5e-3, warmup: 2, decay: "cosine", final: 0.1 },
});
const { special } = tokenizer;
await saveModel("runs/your_model", config, await model.download(), { special });
await tokenizer.save?.("runs/your_model");

const opened = await openModel(gpu, "runs/your_model");
const tokens = encodePrompt(opened.tokenizer, texts[0]!);
const { perplexity: surprise } = await perplexity(opened.model, tokens);
console.log(`${opened.description}: perplexity ${surprise.toFixed(1)}`);
