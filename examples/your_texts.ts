// Your texts: mark what is risky in them, train models on them, and see what each says.
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
const prompt = encodePrompt(tokenizer, "The old mill was run by");
const config = smallOlmo({ width: 32, layers: 2, heads: 2, vocabularySize: 320 });

using gpu = await Gpu.open();
for (const name of ["direct", "masked", "unlikelihood"] as const) {
  using model = new LanguageModel(gpu, config, initialise(config, 0), { gradients: true });
  await fit(model, {
    epochs: Array(60).fill(texts.map((text) => encodeText(tokenizer, text))),
    perStep: 3,
    seed: 0,
    objective: objective(name),
    optimiser: olmoOptimiser,
    schedule: { peak: 5e-3, warmup: 5, decay: "cosine", final: 0.1 },
  });
  const { eos } = tokenizer.special;
  const [words] = await generate(model, [prompt], { maxNewTokens: 16, eos });
  console.log(`${name}: … was run by${decodeContinuation(tokenizer, prompt, words!)}`);
}
