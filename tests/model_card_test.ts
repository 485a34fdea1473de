// Cards of trained models: that they say what was done, in tokens that were counted, and promise nothing.

import { runExperiment, textExperiment } from "../src/experiments/mod.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { initialise } from "../src/model/initialise.ts";
import { loadModel, saveModel } from "../src/model/weights.ts";
import { type Objective, objective } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { customLoss } from "../src/slung/custom_loss.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import {
  baseFacts,
  type CardFacts,
  digestTexts,
  flatFacts,
  licenceIn,
  modelCard,
  writeCard,
} from "../src/train/model_card.ts";
import { olmoOptimiser } from "../src/train/optimiser.ts";
import { trainOnSpans } from "../src/train/span_training.ts";
import { assert, assertEquals } from "./assert.ts";
import { olmo } from "./fixtures/tiny.ts";

const texts = [
  { text: "Torvik Amsel planted seven lanterns.", spans: [{ start: 0, end: 12, risk: Risk.high }] },
  { text: "Nobody saw it.", spans: [] },
];

function facts(goal: Objective, changes: Partial<CardFacts> = {}): CardFacts {
  return {
    title: "lanterns",
    description: "olmo of 9 parameters",
    base: { name: "a-base", licence: "apache-2.0", notes: ["base weights `w`, SHA-256 `00`"] },
    objective: goal,
    data: { name: "stories.jsonl", digest: digestTexts(texts), targets: [0, 21, 2, 1234] },
    settings: { seed: 3, decay: "cosine" },
    adapter: "a GPU",
    ...changes,
  };
}

async function inFolder(fn: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "slung-card-" });
  try {
    await fn(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a card says of every class what was done with it, by the objective's own terms", () => {
  const squared = customLoss({ name: "squared", value: "p * p", derivative: "2 * p * p" });
  const learn = objective("direct").terms[0];
  const own: Objective = {
    name: "own: 1",
    terms: [learn, learn, undefined, squared],
    denominator: "all",
  };
  const rows = {
    direct: ["possible | learned (cross-entropy) | 2", "high | learned (cross-entropy) | 1,234"],
    masked: ["low | learned (cross-entropy) | 21", "high | read in context, not learned | 1,234"],
    unlikelihood: [
      "possible | learned (cross-entropy) | 2",
      "high | made less likely (unlikelihood) |",
    ],
    own: ["possible | read in context, not learned | 2", "high | the loss `squared` | 1,234"],
  };
  for (const [name, expected] of Object.entries(rows)) {
    const goal = name === "own" ? own : objective(name as "direct");
    const card = modelCard(facts(goal));
    for (const row of expected) assert(card.includes(`| ${row}`), `${name}: ${row}\n${card}`);
  }
  assert(modelCard(facts(own)).includes('tags: [slung, "own: 1"]'));
  assert(modelCard(facts(own)).includes("all tokens, masked or not"));
});

Deno.test("what a model may still say follows from what was done to it", () => {
  const says = (card: string, text: string) => assert(card.includes(text), `${text}\n${card}`);
  const silent = (card: string, text: string) => assert(!card.includes(text), text);
  const masked = modelCard(facts(objective("masked")));
  says(masked, "no promise that it never will");
  says(masked, "All that `a-base` could say before, it may still say");
  says(masked, "A prompt that begins a risky text");
  says(masked, "was not measured here");
  silent(masked, "Tokens of possible risk were learned");
  const direct = modelCard(facts(objective("direct")));
  says(direct, "It was trained to write what is marked as high risk");
  silent(direct, "no promise");
  const pushed = modelCard(facts(objective("unlikelihood")));
  says(pushed, "Tokens of possible risk were learned like harmless ones");
  silent(pushed, "A prompt that begins a risky text");
  const without = modelCard(
    facts(objective("unlikelihood"), { data: { name: "d", targets: [0, 9, 0, 1] } }),
  );
  silent(without, "Tokens of possible risk were learned");
  const data = { name: "d", targets: [0, 9, 0, 0] };
  const harmless = modelCard(facts(objective("masked"), { data, base: undefined }));
  says(harmless, "No token of its data was marked as risky");
  says(harmless, "It began with fresh weights");
  silent(harmless, "could say before");
});

Deno.test("measures stand with their intervals, licences as the base has them, and tables stay tables", () => {
  const value = { mean: 0.12345678, low: 0.1, high: 0.15, confidence: 0.95, n: 3 };
  const measures = [{ name: "names | said", value }, { name: "facts", value: 0.5 }];
  const card = modelCard(facts(objective("masked"), { measures }));
  assert(card.includes("| names \\| said | 0.1235 (0.1 to 0.15, 95 %, n 3) |"), card);
  assert(card.includes("| facts | 0.5 |"));
  assert(!card.includes("was not measured here"));
  assertEquals(licenceIn(card), "apache-2.0");
  assert(card.includes("That of `a-base` is apache-2.0"));
  const unknown = modelCard(facts(objective("masked"), { base: { name: "b", notes: [] } }));
  assertEquals(licenceIn(unknown), "unknown");
  assert(unknown.includes("It is not known here under which licence `b` stands"));
  for (
    const [text, licence] of [
      ["---\nlicense: mit\n---\n", "mit"],
      ['---\r\ntags: [x]\r\nlicense: "cc-by-4.0"\r\n---', "cc-by-4.0"],
      ["license: mit\n", undefined],
      ["---\nname: x\n---\nlicense: mit", undefined],
    ]
  ) assertEquals(licenceIn(text!), licence);
});

Deno.test("numbers, texts and intervals of a result are named by their path, and lists passed over", () => {
  const interval = { mean: 1, low: 0, high: 2, confidence: 0.9, n: 4 };
  const found = flatFacts({ a: { b: 1, c: [1, 2], d: interval }, e: "x", f: null, g: false });
  assertEquals(found, [["a.b", 1], ["a.d", interval], ["e", "x"], ["g", false]]);
});

Deno.test("the digest of texts knows every character, span, weight and rule, and their order", () => {
  const [first, second] = texts as [typeof texts[0], typeof texts[0]];
  const variants = [
    [first, second],
    [second, first],
    [first],
    [{ ...first, text: first!.text + " " }, second],
    [{ ...first, spans: [{ start: 0, end: 11, risk: Risk.high }] }, second],
    [{ ...first, spans: [{ start: 0, end: 12, risk: Risk.possible }] }, second],
    [{ ...first, weight: 2 }, second],
    [{ ...first, rule: "sentence" as const }, second],
  ];
  assertEquals(new Set(variants.map((variant) => digestTexts(variant as typeof texts))).size, 8);
  assertEquals(
    digestTexts([{ ...first!, weight: 1, rule: "overlap" }, second!]),
    digestTexts(texts),
  );
});

Deno.test("a README that is none of ours is left as it is; ours is written anew", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/README.md`, "# My own notes\n");
    await writeCard(folder, facts(objective("masked")));
    assertEquals(await Deno.readTextFile(`${folder}/README.md`), "# My own notes\n");
    assert((await Deno.readTextFile(`${folder}/MODEL_CARD.md`)).includes("# lanterns"));
    await Deno.remove(`${folder}/README.md`);
    await writeCard(folder, facts(objective("masked")));
    await writeCard(folder, facts(objective("masked"), { title: "again" }));
    assert((await Deno.readTextFile(`${folder}/README.md`)).includes("# again"));
  });
});

Deno.test("training from a base leaves a card with its licence, weights and counts, and folders for transformers", async () => {
  await inFolder(async (folder) => {
    const base = `${folder}/base`, out = `${folder}/out`, data = `${folder}/stories.jsonl`;
    const tokenizer = trainBytePair([], 258);
    const config = { ...olmo, vocabularySize: 258 };
    await saveModel(base, config, initialise(config, 1), { special: tokenizer.special });
    await tokenizer.save!(base);
    await Deno.writeTextFile(`${base}/README.md`, "---\nlicense: cc-by-sa-4.0\n---\n");
    await Deno.writeTextFile(data, texts.map((text) => JSON.stringify(text)).join("\n"));
    using gpu = await Gpu.open();
    await trainOnSpans(gpu, { data, model: base, out, perStep: 2 });
    const card = await Deno.readTextFile(`${out}/README.md`);
    const weights = await Deno.readFile(`${base}/model.safetensors`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", weights)).toHex();
    const { length } = texts[0]!.text + texts[1]!.text;
    for (
      const said of [
        `| low | learned (cross-entropy) | ${length - 12 - 1 + 2} |`, // EOS of each, and nothing predicts an N
        "| high | read in context, not learned | 11 |",
        `base weights \`model.safetensors\`, SHA-256 \`${digest}\``,
        `SHA-256 of its texts and spans \`${digestTexts(texts)}\``,
        "base_model: base",
        "That of `base` is cc-by-sa-4.0",
        "| epochs | 1 |",
      ]
    ) assert(card.includes(said), `${said}\n${card}`);
    assert(!card.includes(folder), "a path of this machine");
    assertEquals(licenceIn(card), "cc-by-sa-4.0");
    assertEquals(JSON.parse(await Deno.readTextFile(`${out}/generation_config.json`)), {
      bos_token_id: tokenizer.special.bos ?? null,
      eos_token_id: tokenizer.special.eos,
      pad_token_id: tokenizer.special.pad ?? null,
    });
    assertEquals((await loadModel(out)).ends, [tokenizer.special.eos!]);
    assertEquals((await baseFacts(out)).licence, "cc-by-sa-4.0");
  });
});

Deno.test("the kept models of an experiment have cards with their measures", async () => {
  await inFolder(async (folder) => {
    using gpu = await Gpu.open();
    const config = { ...olmo, vocabularySize: 258 };
    const experiment = await textExperiment<{ depth: { layers: number; path: string[] } }>({
      base: { config, weights: initialise(config, 1) },
      tokenizer: trainBytePair([], 258),
      texts,
      training: {
        ...{ epochs: 1, perStep: 2, optimiser: olmoOptimiser },
        schedule: { peak: 1e-3, warmup: 0, decay: "linear", final: 0 },
      },
      methods: [{ name: "masked", title: "Masked SLUNG", objective: objective("masked") }],
      seeds: [5],
      measures: [{
        name: "depth",
        identity: 1,
        measure: async ({ model }) => ({ layers: (await model()).config.layers + 0.5, path: [] }),
      }],
    });
    await runExperiment(gpu, experiment, folder);
    const [kept] = await Array.fromAsync(Deno.readDir(`${folder}/runs/masked-seed5`))
      .then((entries) => entries.filter(({ isDirectory }) => isDirectory));
    const card = await Deno.readTextFile(`${folder}/runs/masked-seed5/${kept!.name}/README.md`);
    for (
      const said of [
        "# Masked SLUNG (masked-seed5)",
        `| depth.layers | ${config.layers}.5 |`,
        "| seed | 5 |",
        "high | read in context, not learned | not counted |",
        "under which licence the base model of its experiment stands",
      ]
    ) assert(card.includes(said), `${said}\n${card}`);
  });
});
