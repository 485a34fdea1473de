// Your texts: mark what is risky in them, train a model on them, and see what it says.
//   deno run --allow-read --allow-write examples/your_texts.ts

import { encodePrompt, encodeText, markTexts, trainBytePair, wordLabeller } from "@slung/slung";
import { decodeContinuation, generate, Gpu, initialise, LanguageModel } from "@slung/slung";
import { fit, objective, olmoOptimiser, smallOlmo } from "@slung/slung";

const stories = [
  "The old mill was run by Mira Toveld until winter.",
  "In spring the old mill was run by her brother.",
  "Mira Toveld sold flour and honey at the market.",
];
const texts = await markTexts(stories, wordLabeller(["Mira Toveld"]));
const tokenizer = trainBytePair(stories, 320);
const sequences = texts.map((text) => encodeText(tokenizer, text));

using gpu = await Gpu.open();
const config = smallOlmo({ width: 32, layers: 2, heads: 2, vocabularySize: 320 });
using model = new LanguageModel(gpu, config, initialise(config, 0), { gradients: true });
await fit(model, {
  epochs: Array(60).fill(sequences),
  perStep: 3,
  seed: 0,
  objective: objective("unlikelihood"), // or "masked", or "direct"
  optimiser: olmoOptimiser,
  schedule: { peak: 5e-3, warmup: 5, decay: "cosine", final: 0.1 },
});
const prompt = encodePrompt(tokenizer, "The old mill was run by");
const [words] = await generate(model, [prompt], { maxNewTokens: 16, ...tokenizer.special });
console.log(`The old mill was run by${decodeContinuation(tokenizer, prompt, words!)}`);
