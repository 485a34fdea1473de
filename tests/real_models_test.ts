// Published checkpoints through the whole stack: reader, tokenizer, kernels, score.

import { encodePrompt, Gpu, openModel, perplexity } from "../mod.ts";
import { assertClose } from "./assert.ts";
import { sharedData } from "./data.ts";

Deno.test("stories260K predicts 400 tokens of tiny_stories.txt with the loss of an independent float64 forward pass", async () => {
  const folder = sharedData("models/stories260K");
  const text = sharedData("corpus/tiny_stories.txt");
  if (!folder || !text) return;
  using gpu = await Gpu.open();
  const { model, tokenizer } = await openModel(gpu, folder);
  const tokens = encodePrompt(tokenizer, await Deno.readTextFile(text)).slice(0, 400);
  const { nll, tokens: predicted } = await perplexity(model, tokens);
  assertClose(predicted, 399, 0);
  assertClose(nll, 1.41633, 2e-5, "nll");
});

// 2.688 is what a float64 forward pass over naively merged ids gives too (weights_test.ts has the reader's half of it).
Deno.test("TinyStories-656K predicts its first story at 2.688 nats per token", async () => {
  const folder = sharedData("models/tinystories-656k");
  const text = sharedData("corpus/tiny_stories.txt");
  if (!folder || !text) return;
  using gpu = await Gpu.open();
  const { model, tokenizer } = await openModel(gpu, folder);
  const story = (await Deno.readTextFile(text)).split("\n").slice(0, 5).join("\n");
  const { nll } = await perplexity(model, encodePrompt(tokenizer, story));
  assertClose(nll, 2.688, 5e-4, "nll");
});
