// Log-probabilities of given tokens against PyTorch's logits, in whatever batches; perplexity in windows of the context.

import { lowRiskSequence, type Sequence } from "../src/data/sequence.ts";
import { hiddenStates } from "../src/eval/hidden_states.ts";
import { perplexity } from "../src/eval/perplexity.ts";
import { logSigmoid, scoreSequences, scoringRows } from "../src/eval/score.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertClose, assertEquals, assertRejects } from "./assert.ts";
import { llama, logitsOf, logSoftmax, randomSequences } from "./fixtures/tiny.ts";
import { loadGolden } from "./golden/golden.ts";

const modelOf = (gpu: Gpu) => new LanguageModel(gpu, llama, initialise(llama, 1));

for (const family of ["olmo", "llama"] as const) {
  const { config, B, T, inputs, targets, logits, group } = await loadGolden(family);
  Deno.test(`${family}: scores are the log-softmax of PyTorch's logits`, async () => {
    using gpu = await Gpu.open();
    using model = new LanguageModel(gpu, config, group("initial"));
    const V = config.vocabularySize;
    const sequences = Array.from({ length: B }, (_, b) => {
      const tokens = Uint32Array.of(
        ...inputs.subarray(b * T, (b + 1) * T),
        targets[(b + 1) * T - 1]!,
      );
      return lowRiskSequence(tokens);
    });
    const scores = await scoreSequences(model, sequences);
    assertEquals(scores.map(({ length }) => length), sequences.map(() => T));
    const expected = Array.from(targets, (token, row) => {
      return logSoftmax(logits.data.subarray(row * V, (row + 1) * V))[token]!;
    });
    assertClose(scores.flatMap((row) => [...row]), expected, 1e-5, "log-probability");
  });
}

Deno.test("scores do not depend on how sequences are packed, nor on their order", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const sequences = randomSequences(12, { longest: 14 });
  const expected: number[][] = [];
  for (const { tokens } of sequences) {
    const logits = await logitsOf(model, tokens);
    expected.push([...tokens.subarray(1)].map((token, t) => logSoftmax(logits[t]!)[token]!));
  }
  const shapes = [{}, { rows: 1, time: 13 }, { rows: 3, time: 40 }, { rows: 1, time: 64 }];
  for (const shape of shapes) {
    const scores = await scoreSequences(model, sequences, shape);
    scores.forEach((row, i) => assertClose(row, expected[i]!, 1e-5, `sequence ${i}`));
  }
  const reversed = await scoreSequences(model, sequences.toReversed(), { rows: 2, time: 30 });
  reversed.forEach((row, i) => assertClose(row, expected[11 - i]!, 1e-5, `sequence ${11 - i}`));
});

Deno.test("every token is scored, whatever its class and weight", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const tokens = Uint32Array.of(3, 1, 4, 1, 5, 9);
  const plain = await scoreSequences(model, [lowRiskSequence(tokens)]);
  const classes = new Uint8Array(6).fill(Risk.high);
  const masked: Sequence = { tokens, classes, weights: Float32Array.of(0, 0, 2, 0, 1, 0) };
  assertEquals(await scoreSequences(model, [masked]), plain);
  assertEquals(plain[0]!.length, 5);
  assertEquals(await scoreSequences(model, [{ ...masked, repeated: 4 }]), plain);
});

Deno.test("the longer the rows, the fewer are scored at once", () => {
  assertEquals([16, 512, 1024, 2048, 9000].map(scoringRows), [8, 8, 4, 2, 1]);
});

Deno.test("a single token has no score", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const [one, two] = await scoreSequences(model, [
    lowRiskSequence(Uint32Array.of(7)),
    lowRiskSequence(Uint32Array.of(7, 8)),
  ]);
  assertEquals([one!.length, two!.length], [0, 1]);
  assert(two![0]! < 0);
  assertEquals(await scoreSequences(model, [lowRiskSequence(Uint32Array.of(7))]), [one!]);
});

Deno.test("a text beyond the context and a list without texts are refused", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const long = lowRiskSequence(new Uint32Array(66));
  await assertRejects(
    () => scoreSequences(model, [long]),
    "Cannot run sequences of 65 tokens: the model's context holds 64.",
  );
  await assertRejects(
    () => scoreSequences(model, [long], { time: 64 }),
    "Cannot place sequence 0 of 66 tokens: rows hold 64 positions.",
  );
  await assertRejects(() => scoreSequences(model, []), "Cannot make a batch: it has no sequences.");
});

Deno.test("log σ(m) is exact where p rounds to 0 or 1", () => {
  assertEquals(logSigmoid(0), -Math.LN2);
  assertClose(logSigmoid(3), Math.log(1 / (1 + Math.exp(-3))), 1e-15);
  assertEquals(logSigmoid(-200), -200);
  assertEquals(logSigmoid(50), -Math.exp(-50));
  assertEquals(logSigmoid(-Infinity), -Infinity);
});

Deno.test("perplexity is exp of the mean over windows, each predicted from nothing but itself", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const text = Uint32Array.from({ length: 150 }, (_, i) => (i * i + 7 * i) % 53);
  const windows = [text.slice(0, 64), text.slice(64, 128), text.slice(128)];
  const scores: number[] = [];
  for (const window of windows) {
    const logits = await logitsOf(model, window);
    window.subarray(1).forEach((token, t) => scores.push(logSoftmax(logits[t]!)[token]!));
  }
  const result = await perplexity(model, text);
  assertEquals([result.windows, result.tokens], [3, 147]);
  const nll = -scores.reduce((sum, score) => sum + score, 0) / 147;
  assertClose(result.nll, nll, 1e-5);
  assertEquals(result.perplexity, Math.exp(result.nll));
});

Deno.test("a last window of one token is counted as a window and predicts nothing", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const text = Uint32Array.from({ length: 65 }, (_, i) => i % 53);
  const result = await perplexity(model, text);
  assertEquals([result.windows, result.tokens], [2, 63]);
  assertClose(result.nll, (await perplexity(model, text.slice(0, 64))).nll, 1e-12);
});

Deno.test("a text of no or one token has no perplexity", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  for (const length of [0, 1]) {
    await assertRejects(
      () => perplexity(model, new Uint32Array(length)),
      `Cannot compute the perplexity of a text of ${length} tokens: nothing is predicted.`,
    );
  }
});

Deno.test("a model that diverged is not measured", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const texts = randomSequences(3, { longest: 14 });
  const { value } = model.parameters.get("model.norm.weight");
  gpu.write(value, Float32Array.of(Infinity));
  const why = "what the model computes for it is not finite";
  await assertRejects(() => scoreSequences(model, texts), `Cannot score text 0: ${why}`);
  await assertRejects(() => perplexity(model, texts[0]!.tokens), why);
  const states = () => hiddenStates(model, texts.map(({ tokens }) => tokens));
  await assertRejects(states, `Cannot take the hidden state of text 0: ${why}`);
});

Deno.test("a model that sees one token at a time has no perplexity", async () => {
  using gpu = await Gpu.open();
  const config = { ...llama, contextLength: 1 };
  using model = new LanguageModel(gpu, config, initialise(config, 1));
  const measure = () => perplexity(model, Uint32Array.of(1, 2, 3));
  await assertRejects(measure, "of 3 tokens: the model sees one token at a time");
});

Deno.test("options of scoring that are impossible are refused by name", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const texts = randomSequences(1);
  const score = (options: Record<string, unknown>) => () => scoreSequences(model, texts, options);
  await assertRejects(score({ rows: 0 }), 'Cannot score texts: option "rows" is 0. Give a whole');
  await assertRejects(score({ time: 2.5 }), 'option "time" is 2.5');
  await assertRejects(score({ row: 1 }), 'there is no option "row". Perhaps you meant "rows"');
  const states = () => hiddenStates(model, [Uint32Array.of(1)], { rows: NaN });
  await assertRejects(states, 'Cannot take hidden states: option "rows" is NaN');
});
