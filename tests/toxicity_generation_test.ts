// Toxicity of generations: what is decoded, what is scored and what is averaged, on a random model with letters for
// tokens and a scorer that counts letters.

import type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
import type { Completion } from "../src/eval/name_generation.ts";
import {
  completePrompts,
  measureToxicity,
  scoreCompletions,
} from "../src/eval/toxicity_generation.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { generate } from "../src/model/generate.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { assert, assertClose, assertEquals, assertRejects } from "./assert.ts";
import { llama } from "./fixtures/tiny.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ";
/** One token a letter; as SentencePiece does, it drops a space that begins the decoded text. */
const letters: Tokenizer = {
  name: "letters",
  vocabularySize: alphabet.length,
  special: {},
  encode: (text) => ({
    ids: Uint32Array.from(text, (letter) => alphabet.indexOf(letter)),
    starts: Uint32Array.from(text, (_, i) => i),
    ends: Uint32Array.from(text, (_, i) => i + 1),
  }),
  decode: (ids) => Array.from(ids, (id) => alphabet[id]).join("").replace(/^ /, ""),
};
const modelOf = (gpu: Gpu) => new LanguageModel(gpu, llama, initialise(llama, 1));
const prompts = ["ab", "Zebra", "q"];

/** 1 for texts with an X, else the share of small letters. */
const scorer = {
  name: "letter counter 1",
  score: (texts: readonly string[]) =>
    texts.map((text) =>
      text.includes("X") ? 1 : text.replace(/[^a-z]/g, "").length / Math.max(text.length, 1)
    ),
};

Deno.test("greedy completions are what the model generates, with the space that decoding would drop", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const encoded = prompts.map((prompt) => letters.encode(prompt).ids);
  const tokens = await generate(model, encoded, { maxNewTokens: 9 });
  const completions = await completePrompts(model, letters, prompts, { maxNewTokens: 9 });
  assertEquals(
    completions,
    prompts.map((prompt, i) => [{
      prompt,
      completion: Array.from(tokens[i]!, (id) => alphabet[id]).join(""),
    }]),
  );
});

Deno.test("samples differ, are reproducible, and the first does not depend on how many follow", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const decoding = { maxNewTokens: 12, topK: 53, seed: 5 };
  const three = await completePrompts(model, letters, prompts, { ...decoding, samples: 3 });
  assertEquals(three.map((own) => own.length), [3, 3, 3]);
  for (const own of three) assertEquals(new Set(own.map(({ completion }) => completion)).size, 3);
  const again = await completePrompts(model, letters, prompts, {
    ...decoding,
    samples: 3,
    batch: 2,
  });
  assertEquals(again, three);
  const one = await completePrompts(model, letters, prompts, decoding);
  assertEquals(one, three.map(([first]) => [first!]));
  const other = await completePrompts(model, letters, prompts, { ...decoding, seed: 6 });
  assert(JSON.stringify(other) !== JSON.stringify(one));
});

Deno.test("a template goes around the prompt, and EOS ends the completion", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const plain = await completePrompts(model, letters, ["say q now"], { maxNewTokens: 8 });
  const [[wrapped]] = await completePrompts(model, letters, ["q"], {
    maxNewTokens: 8,
    encode: (prompt) => letters.encode(`say ${prompt} now`).ids,
  }) as [[Completion]];
  assertEquals(wrapped, { prompt: "q", completion: plain[0]![0]!.completion });
  const eos = alphabet.indexOf(wrapped.completion[3]!);
  const cut = await completePrompts(model, letters, ["say q now"], { maxNewTokens: 8, eos });
  const end = wrapped.completion.indexOf(alphabet[eos]!);
  assertEquals(cut[0]![0]!.completion, wrapped.completion.slice(0, end));
});

Deno.test("mean, toxic fraction and expected maximum are those of the two scored texts", async () => {
  const completion = (prompt: string, text: string) => ({ prompt, completion: text });
  const report = await scoreCompletions([
    [completion("AA", "aB"), completion("AA", "X")], // 0.5, 1; with the prompt 0.25, 1
    [completion("Xx", "BB"), completion("Xx", " ")], // 0, empty; with the prompt 1, 1
  ], { scorer, threshold: 0.6 });
  const [alone, behind] = report.summaries;
  assertEquals(alone!.scoredText, "completion");
  assertClose(alone!.mean.mean, 1.5 / 4, 1e-12);
  assertClose(alone!.toxicFraction.mean, 1 / 4, 1e-12);
  assertClose(alone!.expectedMaximum.mean, 1 / 2, 1e-12);
  assertEquals(behind!.scoredText, "prompt + completion");
  assertClose(behind!.mean.mean, 3.25 / 4, 1e-12);
  assertClose(behind!.toxicFraction.mean, 3 / 4, 1e-12);
  assertClose(behind!.expectedMaximum.mean, 1, 1e-12);
  // Two prompts: a bootstrap sees the mean of either alone with probability 1/4.
  assertEquals([alone!.mean.low, alone!.mean.high], [0, 0.75]);
  const { scorer: name, threshold, prompts, samples, empty } = report;
  assertEquals(
    { name, threshold, prompts, samples, empty },
    { name: "letter counter 1", threshold: 0.6, prompts: 2, samples: 2, empty: 1 },
  );
  assertEquals(report.completions[3], {
    prompt: "Xx",
    completion: " ",
    score: 0,
    scoreWithPrompt: 1,
  });
});

Deno.test("the report says how it was decoded", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  const report = await measureToxicity(model, letters, prompts, {
    maxNewTokens: 5,
    topK: 50,
    samples: 2,
    scorer,
  });
  assertEquals(report.decoding, {
    maxNewTokens: 5,
    topK: 50,
    topP: 1,
    temperature: 1,
    samples: 2,
    seed: 0,
    eos: null,
  });
  assertEquals([report.prompts, report.completions.length, report.threshold], [3, 6, 0.5]);
  assertEquals(report, JSON.parse(JSON.stringify(report)), "the report can be stored");
});

Deno.test("greedy samples, too few prompts and scorers that misbehave are named", async () => {
  using gpu = await Gpu.open();
  using model = modelOf(gpu);
  await assertRejects(
    () => completePrompts(model, letters, prompts, { maxNewTokens: 3, samples: 2 }),
    "Cannot draw 2 completions of each prompt: greedy decoding always writes the same",
  );
  const two = prompts.slice(1).map((prompt) => [{ prompt, completion: "x" }]);
  await assertRejects(() => scoreCompletions(two.slice(1), { scorer }), "there are 1 prompts");
  const broken = (scores: number[]) => ({ name: "broken", score: () => scores });
  await assertRejects(
    () => scoreCompletions(two, { scorer: broken([1]) }),
    "Cannot score texts with broken: it gave 1 scores for 2 texts",
  );
  await assertRejects(
    () => scoreCompletions(two, { scorer: broken([0.2, NaN]) }),
    "it gave NaN for text 1",
  );
});
