// Decoding with a cache against plain forward passes over everything so far. The models are the golden ones after
// training, with a longer context, so that runs cross the 16 steps after which tokens are read back.

import { Gpu } from "../src/gpu/gpu.ts";
import { generate, type GenerateOptions } from "../src/model/generate.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { openModel } from "../src/model/pretrained.ts";
import { withRotaryPairing } from "../src/model/rotary_pairing.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { logitsOf, logSoftmax, olmo } from "./fixtures/tiny.ts";
import { tinyLlama } from "./fixtures/tiny_llama.ts";
import { loadGolden } from "./golden/golden.ts";

const goldens = { olmo: await loadGolden("olmo"), llama: await loadGolden("llama") };
const contextLength = 40;

// Lanes that share rows are what a GPU uses, one lane per row what a CPU does; both are tested on either.
function open(lanesPerRow?: 1 | 64): Promise<Gpu> {
  return Gpu.open(lanesPerRow === undefined ? {} : { lanesPerRow });
}

function modelOf(
  gpu: Gpu,
  family: "olmo" | "llama",
  pairing: "half" | "interleaved" = "half",
): LanguageModel {
  const golden = goldens[family];
  const config = { ...golden.config, contextLength };
  // llama stores no trained parameters
  const stored = golden.group("final");
  const weights = stored.size > 0 ? stored : golden.group("initial");
  const model = withRotaryPairing({ config, weights }, pairing);
  return new LanguageModel(gpu, model.config, model.weights);
}

const prompts = [
  [7, 3, 11, 30],
  [5],
  [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18],
  [42, 9],
  [20, 21, 22, 23, 24, 25, 26],
].map((tokens) => Uint32Array.from(tokens));
const maxNewTokens = 22; // 18 + 22 fill the context

for (const family of ["olmo", "llama"] as const) {
  for (const lanesPerRow of [1, 64] as const) {
    // Rounding may choose between two logits that are equal but for 1e-4; nothing else may.
    Deno.test(`${family}, ${lanesPerRow} lanes a row: greedy decoding takes the largest logit of a forward pass at every step`, async () => {
      using gpu = await open(lanesPerRow);
      using model = modelOf(gpu, family);
      const results = await generate(model, prompts, { maxNewTokens });
      for (const [i, result] of results.entries()) {
        assertEquals(result.length, maxNewTokens);
        const all = Uint32Array.of(...prompts[i]!, ...result);
        const logits = await logitsOf(model, all.subarray(0, all.length - 1));
        result.forEach((token, t) => {
          const row = logits[prompts[i]!.length + t - 1]!;
          const largest = row.reduce((most, z) => Math.max(most, z), -Infinity);
          assert(row[token]! > largest - 1e-4, `prompt ${i}, token ${t}`);
        });
      }
      const distinct = new Set(results.flatMap((result) => [...result]));
      assert(distinct.size > 5, "a model that repeats one token would show nothing");
    });
  }

  Deno.test(`${family}: prompts of different length continue together as they do alone`, async () => {
    using gpu = await open();
    using model = modelOf(gpu, family);
    const together = await generate(model, prompts, { maxNewTokens });
    for (const [i, prompt] of prompts.entries()) {
      assertEquals(await generate(model, [prompt], { maxNewTokens }), [together[i]!]);
    }
    for (const batch of [2, 3]) { // the last batch is not full
      assertEquals(await generate(model, prompts, { maxNewTokens, batch }), together);
    }
  });
}

Deno.test("interleaved rotary pairs decode as the same model in halves does", async () => {
  using gpu = await open();
  using half = modelOf(gpu, "llama");
  using interleaved = modelOf(gpu, "llama", "interleaved");
  assertEquals(
    await generate(interleaved, prompts, { maxNewTokens }),
    await generate(half, prompts, { maxNewTokens }),
  );
});

Deno.test("a sequence ends before its first end-of-text token, others go on", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "olmo");
  const full = await generate(model, prompts, { maxNewTokens });
  const eos = full[0]![5]!;
  const expected = full.map((tokens) => {
    const end = tokens.indexOf(eos);
    return end < 0 ? tokens : tokens.slice(0, end);
  });
  assert(expected[0]!.length <= 5);
  assert(expected.some(({ length }) => length === maxNewTokens));
  for (const batch of [5, 2]) {
    assertEquals(await generate(model, prompts, { maxNewTokens, batch, eos }), expected);
  }
});

Deno.test("an end-of-text token inside a prompt ends nothing", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "olmo");
  const [result] = await generate(model, [prompts[0]!], { maxNewTokens: 4 });
  const eos = [...prompts[0]!].find((token) => !result!.includes(token))!;
  assertEquals(await generate(model, [prompts[0]!], { maxNewTokens: 4, eos }), [result!]);
});

const sampled: GenerateOptions = { maxNewTokens, topK: 5, temperature: 1.5, seed: 3 };

Deno.test("sampling repeats itself with its seed, in batches of any size, and not with another", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const first = await generate(model, prompts, sampled);
  for (const batch of [5, 1, 2]) {
    assertEquals(await generate(model, prompts, { ...sampled, batch }), first);
  }
  const other = await generate(model, prompts, { ...sampled, seed: 4 });
  assert(other.some((tokens, i) => tokens.join() !== first[i]!.join()));
});

Deno.test("a sequence that ends early gives its place to the next prompt, and none notices", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const many = Array.from({ length: 7 }, (_, i) => prompts[i % prompts.length]!);
  const options = { ...sampled, maxNewTokens: 18 };
  const alone = await generate(model, many, { ...options, batch: many.length });
  const ends = alone.map((tokens) => tokens[3]!); // an end-of-text token that some meet early
  for (const eos of new Set(ends)) {
    const expected = alone.map((tokens) => {
      const end = tokens.indexOf(eos);
      return end < 0 ? tokens : tokens.slice(0, end);
    });
    assert(new Set(expected.map(({ length }) => length)).size > 1, "all end together");
    assertEquals(await generate(model, many, { ...options, eos, batch: 2 }), expected);
  }
});

Deno.test("equal prompts draw their own continuations", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const results = await generate(model, [prompts[0]!, prompts[0]!, prompts[0]!], sampled);
  assertEquals(new Set(results.map((tokens) => tokens.join())).size, 3);
});

Deno.test("top-k draws only from the k largest logits, as often as the temperature says", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const prompt = prompts[0]!, topK = 4, temperature = 2, count = 2000;
  const [z] = (await logitsOf(model, prompt)).slice(-1);
  const top = [...z!.keys()].sort((a, b) => z![b]! - z![a]!).slice(0, topK);
  const expected = logSoftmax(top.map((token) => z![token]! / temperature)).map(Math.exp);
  const options = { maxNewTokens: 1, topK, temperature, seed: 9, batch: 500 };
  const results = await generate(model, Array(count).fill(prompt), options);
  const counts = new Map<number, number>();
  for (const [token] of results) counts.set(token!, (counts.get(token!) ?? 0) + 1);
  assertEquals([...counts.keys()].sort(), top.toSorted());
  top.forEach((token, i) => {
    const p = expected[i]!;
    const error = Math.abs(counts.get(token)! / count - p);
    // Five standard errors; the seed is fixed, so that this either always holds or never.
    assert(error < 5 * Math.sqrt(p * (1 - p) / count), `token ${token}: off by ${error}`);
  });
});

Deno.test("k of 1 and a vanishing temperature are greedy, k beyond the vocabulary is all of it", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const greedy = await generate(model, prompts, { maxNewTokens });
  assertEquals(await generate(model, prompts, { maxNewTokens, topK: 1, temperature: 3 }), greedy);
  assertEquals(
    await generate(model, prompts, { maxNewTokens, topK: 3, temperature: 1e-4 }),
    greedy,
  );
  const { vocabularySize } = model.config;
  assertEquals(
    await generate(model, prompts, { ...sampled, topK: 1000 }),
    await generate(model, prompts, { ...sampled, topK: vocabularySize }),
  );
});

Deno.test("`finished` sees only new tokens and ends a sequence early with what it has seen", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const full = await generate(model, prompts, { maxNewTokens });
  const progress: [number, number][] = [];
  const results = await generate(model, prompts, {
    maxNewTokens,
    finished: (tokens) => tokens.length >= 8,
    progress: (done, total) => progress.push([done, total]),
  });
  results.forEach((tokens, i) => {
    assert(tokens.length >= 8 && tokens.length <= maxNewTokens);
    assertEquals(tokens, full[i]!.slice(0, tokens.length));
  });
  assert(results.some(({ length }) => length < maxNewTokens), "none ended early");
  assertEquals(progress.at(-1), [5, 5]);
  const never = await generate(model, prompts, { maxNewTokens, finished: () => false });
  assertEquals(never, full);
});

Deno.test("`finished` is not asked before a sequence has new tokens", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const lengths: number[] = [];
  await generate(model, prompts, {
    maxNewTokens,
    finished: ({ length }) => {
      lengths.push(length);
      return false;
    },
  });
  assert(lengths.length > 0 && lengths.every((length) => length > 0), lengths.join());
});

Deno.test("no prompts, and no new tokens, give nothing", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  assertEquals(await generate(model, [], { maxNewTokens }), []);
  for (const some of [prompts, [prompts[1]!]]) {
    const results = await generate(model, some, { maxNewTokens: 0 });
    assertEquals(results, some.map(() => new Uint32Array()));
  }
});

Deno.test("an empty prompt, or one that leaves no room in the context, is named", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  await assertRejects(
    () => generate(model, [prompts[0]!, new Uint32Array()], { maxNewTokens }),
    "Cannot continue prompt 1 by 22 tokens: it is empty. Give a prompt of at least one token",
  );
  await assertRejects(
    () => generate(model, [prompts[0]!, prompts[1]!, prompts[2]!], { maxNewTokens: 23 }),
    "Cannot continue prompt 2 by 23 tokens: it has 18 tokens and the context of the model holds 40",
  );
});

const greedy = [298, 311, 121, 275, 274, 52, 274, 37, 298, 275];
const options = { maxNewTokens: 10 };

async function withTiny(
  use: (model: LanguageModel, prompt: Uint32Array) => Promise<void>,
): Promise<void> {
  using gpu = await Gpu.open();
  const { model, tokenizer } = await openModel(gpu, tinyLlama);
  await use(model, tokenizer.encode("The old mill by the river").ids);
}

Deno.test("no option, a temperature of 0 and one too small for f32 are greedy, whatever k and p", async () => {
  await withTiny(async (model, prompt) => {
    for (
      const choice of [
        {},
        { seed: 3 },
        { topK: 1, temperature: 2 },
        { topK: 5, temperature: 0 },
        { temperature: 0 },
        { topP: 0.9, temperature: 0 },
        { topK: 5, temperature: 1e-40 },
        { topK: 5, temperature: 5e-324 },
      ]
    ) {
      const [tokens] = await generate(model, [prompt], { ...options, ...choice });
      assertEquals([...tokens!], greedy);
    }
  });
});

Deno.test("a temperature alone draws from all tokens, otherwise for every seed", async () => {
  await withTiny(async (model, prompt) => {
    const drawn = async (seed: number, more = {}) =>
      (await generate(model, [prompt], { ...options, temperature: 2, seed, ...more })).join();
    const all = await Promise.all([0, 1, 2, 2 ** 32 - 1].map((seed) => drawn(seed)));
    assertEquals(new Set([...all, greedy.join()]).size, 5);
    assertEquals(await drawn(1), all[1]);
    assertEquals(await drawn(1, { topK: 320 }), all[1]);
    assertEquals(await drawn(1, { topP: 1 }), all[1]);
    assert(await drawn(1, { topP: 0.5 }) !== all[1], "p of 0.5 changes nothing?");
  });
});

Deno.test("top-p draws from the likeliest tokens only, as often as the softmax says", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const prompt = prompts[0]!, count = 2000, topP = 0.5;
  const [z] = (await logitsOf(model, prompt)).slice(-1);
  const p = logSoftmax(z!).map(Math.exp);
  const order = [...p.keys()].sort((a, b) => p[b]! - p[a]!);
  let mass = 0;
  const kept = order.filter((token) => {
    const isKept = mass < topP;
    mass += p[token]!;
    return isKept;
  });
  assert(kept.length > 3 && kept.length < order.length - 3, `${kept.length} tokens`);
  const total = kept.reduce((sum, token) => sum + p[token]!, 0);
  const drawOptions = { maxNewTokens: 1, topP, seed: 9, batch: 500 };
  const results = await generate(model, Array(count).fill(prompt), drawOptions);
  const counts = new Map<number, number>();
  for (const [token] of results) counts.set(token!, (counts.get(token!) ?? 0) + 1);
  for (const token of counts.keys()) assert(kept.includes(token), `${token} is not of the nucleus`);
  for (const token of kept) {
    const expected = p[token]! / total;
    const error = Math.abs((counts.get(token) ?? 0) / count - expected);
    assert(error < 5 * Math.sqrt(expected * (1 - expected) / count), `token ${token}: ${error}`);
  }
});

Deno.test("one of several tokens ends a sequence, and no list does not", async () => {
  await withTiny(async (model, prompt) => {
    const ending = async (
      eos: number | number[],
    ) => [...(await generate(model, [prompt], { ...options, eos }))[0]!];
    assertEquals(await ending([1, 121]), [298, 311]);
    assertEquals(await ending(311), [298]);
    assertEquals(await ending([]), greedy);
  });
});

const impossible: [Record<string, unknown>, string][] = [
  [{ topK: 0 }, 'option "topK" is 0. Give a whole number, at least 1, or leave it out.'],
  [{ topK: -1 }, 'option "topK" is -1'],
  [{ topK: 2.5 }, 'option "topK" is 2.5'],
  [{ topK: NaN }, 'option "topK" is NaN'],
  [{ topP: 0 }, 'option "topP" is 0. Give a number, above 0 and at most 1'],
  [{ topP: 1.5 }, 'option "topP" is 1.5'],
  [{ temperature: -1 }, 'option "temperature" is -1. Give a number, at least 0'],
  [{ temperature: NaN }, 'option "temperature" is NaN'],
  [{ temperature: Infinity }, 'option "temperature" is Infinity'],
  [{ seed: NaN }, 'option "seed" is NaN'],
  [{ seed: 0.5 }, 'option "seed" is 0.5'],
  [{ seed: 2 ** 32 }, 'option "seed" is 4294967296'],
  [{ maxNewTokens: -1 }, 'option "maxNewTokens" is -1'],
  [{ maxNewTokens: 2.5 }, 'option "maxNewTokens" is 2.5'],
  [{ maxNewTokens: undefined }, 'option "maxNewTokens" is missing'],
  [{ batch: -1 }, 'option "batch" is -1'],
  [{ batch: 0 }, 'option "batch" is 0'],
  [{ eos: -1 }, 'option "eos" is -1. Give a token id, or a list of token ids'],
  [{ eos: [1, "2"] }, 'option "eos" is [1, "2"]'],
  [{ temprature: 1 }, 'there is no option "temprature". Perhaps you meant "temperature"'],
];
Deno.test("options that are impossible are refused by name, value and what is allowed", async () => {
  await withTiny(async (model, prompt) => {
    for (const [choice, message] of impossible) {
      const run = () => generate(model, [prompt], { ...options, topK: 5, ...choice });
      await assertRejects(run, `Cannot generate: ${message}`);
    }
  });
});

Deno.test("130,000 prompts have 130,000 continuations", async () => {
  using gpu = await open();
  const sizes = { vocabularySize: 8, width: 4, layers: 1, heads: 1, kvHeads: 1, headWidth: 4 };
  const config = { ...olmo, ...sizes, feedForward: 4 };
  using model = new LanguageModel(gpu, config, initialise(config, 1));
  const many = Array.from({ length: 130_000 }, (_, i) => Uint32Array.of(i % 5));
  const results = await generate(model, many, { maxNewTokens: 1, batch: 65_536 });
  assertEquals(results.length, 130_000);
  const five = await generate(model, many.slice(0, 5), { maxNewTokens: 1 });
  assert(results.every(([token], i) => token === five[i % 5]![0]));
});

Deno.test("a token that the model does not know is named", async () => {
  await withTiny(async (model) => {
    await assertRejects(
      () => generate(model, [Uint32Array.of(1), Uint32Array.of(5, 320)], options),
      "Cannot continue prompt 1 by 10 tokens: it has token 320 and the vocabulary of the model 320",
    );
  });
});

Deno.test("a model that diverged writes no text", async () => {
  using gpu = await open();
  using model = modelOf(gpu, "llama");
  const { value } = model.parameters.get("model.norm.weight");
  gpu.write(value, Float32Array.of(NaN));
  for (const choice of [{}, { temperature: 1 }]) {
    await assertRejects(
      () => generate(model, prompts, { maxNewTokens, ...choice }),
      "Cannot continue prompt 0: the model's logits are not finite",
    );
  }
});

Deno.test("prompts from a file: line ends and byte order marks are no part of them, and other encodings are refused", async () => {
  const folder = await Deno.makeTempDir();
  const encoder = new TextEncoder();
  const file = `${folder}/prompts.txt`;
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-lock",
        "-A",
        "tasks/generate.ts",
        "--model",
        tinyLlama,
        ...args,
      ],
      cwd: `${import.meta.dirname}/..`,
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, out: out!, err: err! };
  };
  await Deno.writeFile(file, encoder.encode("\ufeffThe old mill\r\n\r\nThe river\r\nOda\r\n"));
  const { code, out } = await run("--prompts", file, "--tokens", "2", "--json");
  assertEquals(code, 0);
  assertEquals(JSON.parse(out).generations, [
    { prompt: "The old mill", completion: " byE" },
    { prompt: "The river", completion: ".\ufffd" },
    { prompt: "Oda", completion: "tc" },
  ]);
  await Deno.writeFile(
    file,
    Uint8Array.of(...encoder.encode("The mill\n"), 0x63, 0x61, 0x66, 0xe9),
  );
  const refused = await run("--prompts", file);
  assertEquals(refused.code, 1);
  assert(refused.err.includes(`Cannot read "${file}" line 2: it is not UTF-8`), refused.err);
  const unused = await run("--prompt", "The", "--tokens", "1", "--top-k", "1", "--top-p", "0.5");
  assert(unused.err.includes("Greedy: --top-p without effect"), unused.err);
  await Deno.remove(folder, { recursive: true });
});
