// Last-token hidden states: multiplied by the unembedding they must be PyTorch's logits, for every prefix of every
// sequence, however prefixes share rows.

import { hiddenStates, meanEmbeddings } from "../src/eval/hidden_states.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { assertClose, assertEquals, assertRejects } from "./assert.ts";
import { assertSame } from "./fixtures/same.ts";
import { llama, randomSequences } from "./fixtures/tiny.ts";
import { loadGolden } from "./golden/golden.ts";
import { matmulNT } from "./reference.ts";

const modelOf = (gpu: Gpu) => new LanguageModel(gpu, llama, initialise(llama, 1));

for (const family of ["olmo", "llama"] as const) {
  const { config, B, T, inputs, logits, group } = await loadGolden(family);
  Deno.test(`${family}: the last hidden states of all prefixes give PyTorch's logits`, async () => {
    using gpu = await Gpu.open();
    const weights = group("initial");
    using model = new LanguageModel(gpu, config, weights);
    const { width: C, vocabularySize: V, tiedEmbedding } = config;
    const unembedding = weights.get(tiedEmbedding ? "model.embed_tokens.weight" : "lm_head.weight");
    const ends = Array.from({ length: B * T }, (_, row) => row);
    const prefixes = ends.map((row) => inputs.slice(row - row % T, row + 1));
    const states = await hiddenStates(model, prefixes, { rows: 2, time: 15 });
    assertClose(
      matmulNT(states, unembedding!.data, { N: B * T, K: C, M: V }),
      logits.data,
      1e-5,
      "logit",
    );
  });
}

Deno.test("hidden states do not depend on the batch, and the same batch gives the same bytes", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const texts = randomSequences(17, { longest: 33 }).map(({ tokens }) => tokens);
  const C = llama.width;
  const alone: number[] = [];
  for (const text of texts) alone.push(...await hiddenStates(model, [text], { rows: 1 }));
  const shapes = [{}, { rows: 3, time: 33 }, { rows: 1, time: 64 }, { rows: 5, time: 47 }];
  for (const shape of shapes) {
    const states = await hiddenStates(model, texts, shape);
    assertEquals(states.length, texts.length * C);
    assertClose(states, alone, 1e-5, "state");
    assertSame(await hiddenStates(model, texts, shape), states);
  }
});

Deno.test("a text as long as the context has a hidden state; longer and empty ones are named", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const { contextLength, width } = llama;
  const calls: [number, number][] = [];
  const states = await hiddenStates(model, [new Uint32Array(contextLength), Uint32Array.of(7)], {
    progress: (done, total) => calls.push([done, total]),
  });
  assertEquals(states.length, 2 * width);
  assertEquals(calls, [[1, 1]]);
  assertEquals((await hiddenStates(model, [])).length, 0);
  await assertRejects(
    () => hiddenStates(model, [Uint32Array.of(1), new Uint32Array(contextLength + 1)]),
    "Cannot take the last hidden state of text 1: it has 65 tokens and the context of the model holds 64",
  );
  await assertRejects(() => hiddenStates(model, [new Uint32Array()]), "it has no tokens");
});

Deno.test("mean embeddings are those of a text's tokens, in any order", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const { width } = llama;
  const table = initialise(llama, 1).get("model.embed_tokens.weight")!.data;
  const row = (token: number) => [...table.subarray(token * width, (token + 1) * width)];
  const means = await meanEmbeddings(model, [
    Uint32Array.of(7),
    Uint32Array.of(3, 5, 3),
    Uint32Array.of(3, 3, 5),
  ]);
  const [three, five] = [row(3), row(5)];
  const mean = three.map((value, j) => (2 * value + five[j]!) / 3);
  assertClose(means, [...row(7), ...mean, ...mean], 1e-6, "embedding");
  await assertRejects(() => meanEmbeddings(model, [new Uint32Array()]), "text 0: it has no tokens");
});
