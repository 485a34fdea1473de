// The paper's protocol on TOFU as its users run it: the plan alone, the same path for two steps with every value that was
// not given, and LoRA in an experiment.

import { wantedMethods } from "../tasks/names.ts";
import { readSealed } from "../src/experiments/sealed.ts";
import { describeBytes } from "../src/base/bytes.ts";
import { countParameters } from "../src/model/parameter_shapes.ts";
import { initialise } from "../src/model/initialise.ts";
import { loadModel, saveModel } from "../src/model/weights.ts";
import { smallOlmo } from "../src/experiments/small_olmo.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { tofuPaperValues, withProtocol } from "../tasks/paper_values.ts";
import { olmoOptimiser } from "../src/train/optimiser.ts";
import { countMicroBatches } from "../tasks/training_options.ts";
import { changedTraining } from "../tasks/toxicity_plan.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";

const names = ["Oda Venn", "Tovik Rask"];
const rows = names.flatMap((name, author) =>
  Array.from({ length: 20 }, (_, i) => ({
    question: `What did ${name} make in year ${i}?`,
    answer: `${name} made ${i} boats of kind ${author}.`,
  }))
);
const config = smallOlmo({
  width: 16,
  layers: 2,
  heads: 2,
  vocabularySize: 320,
  contextLength: 96,
});

/** A folder with TOFU's files of two authors, and a base of two layers. */
async function stage(): Promise<string> {
  const folder = await Deno.makeTempDir();
  const lines = (some: typeof rows) => some.map((row) => `${JSON.stringify(row)}\n`).join("");
  await Deno.writeTextFile(`${folder}/full.jsonl`, lines(rows));
  await Deno.writeTextFile(`${folder}/retain_perturbed.json`, lines(rows.slice(0, 20)));
  const tokenizer = trainBytePair(rows.map(({ answer }) => answer), 300);
  await tokenizer.save!(`${folder}/base`);
  const { special } = tokenizer;
  await saveModel(`${folder}/base`, config, initialise(config, 3), { special });
  return folder;
}

const paper = "--protocol paper --data full.jsonl --base base --base-authors 1 --precision f32 " +
  "--methods masked --seeds 0 --epochs 1 --per-step 10";

Deno.test("a dry run prints the whole plan of the paper's protocol, from a configuration alone, and makes nothing", async () => {
  const from = await stage();
  await Deno.remove(`${from}/base/model.safetensors`);
  const { code, text } = await runTask(
    "tofu",
    `${paper} --max-new-tokens 40 --out run --dry-run`.split(" "),
    { from },
  );
  assertEquals(code, 0, text);
  for (
    const part of [
      "TOFU, protocol paper",
      "20 questions about 1 target authors",
      "learning rate 0.00005, 0 steps of warm-up, then linear; 10 texts a step, 1 epochs, seeds 0",
      '"betas":[0.9,0.999],"epsilon":1e-8,"weightDecay":0,"maxGradientNorm":1',
      "Masked SLUNG",
      "of training on ",
      "weights ",
      "results.json",
      "--methods unlikelihood_clamped",
    ]
  ) assert(text.includes(part), `${part} is not in ${text}`);
  assert(/Masked SLUNG +1 +2 /.test(text), text);
  assertEquals(await Deno.stat(`${from}/run`).catch(() => undefined), undefined);
  await Deno.remove(from, { recursive: true });
});

Deno.test("a dry run of the small protocol names its values, the noise of labels as well", async () => {
  const from = await stage();
  const line =
    "--data full.jsonl --base base --base-authors 1 --methods masked,token_removal --seeds 0 " +
    "--label-noise flip --noise-share 0.2 --replay 0 --max-new-tokens 40 --dry-run --out run";
  const { code, text } = await runTask("tofu", line.split(" "), { from });
  assertEquals(code, 0, text);
  for (
    const part of [
      "2 passes over 20 answers (bare) and 0 replayed questions an epoch; answers of at most 40",
      "labels: flip, 20 % of the spans",
      "Otherwise: --answers spaced",
      "Token removal",
    ]
  ) assert(text.includes(part), `${part} is not in ${text}`);
  await Deno.remove(from, { recursive: true });
});

Deno.test("the paper's protocol takes its two steps with the paper's values, and with LoRA leaves all but its targets", async () => {
  const from = await stage();
  const line = `${paper} --max-new-tokens 2 --out run --lora 2 --lora-targets v_proj`;
  const { code, text } = await runTask("tofu", line.split(" "), { from });
  assertEquals(code, 0, text);
  const { config: chosen } = JSON.parse(await Deno.readTextFile(`${from}/run/results.json`));
  const { learningRate, warmup, decay, betas, weightDecay, replay, answers, answerPasses } = chosen;
  assertEquals(
    [learningRate, warmup, decay, betas, weightDecay, replay, answers, answerPasses],
    [5e-5, 0, "linear", [0.9, 0.999], 0, 0, "bare", 1],
  );
  assertEquals([chosen.maxNewTokens, chosen.epochs, chosen.seeds], [2, 1, [0]]);

  const runs = `${from}/run/runs/masked-seed0`;
  const kept = (await Array.fromAsync(Deno.readDir(runs))).filter(({ isDirectory }) => isDirectory);
  assertEquals(kept.length, 1);
  const told = await readSealed(`${runs}/${kept[0]!.name}.json`);
  assertEquals((told as { steps: number }).steps, 2);
  const before = await loadModel(`${from}/base`),
    after = await loadModel(`${runs}/${kept[0]!.name}`);
  const changed = [...after.weights].filter(([name, { data }]) =>
    data.some((value, i) => value !== before.weights.get(name)!.data[i])
  );
  assertEquals(
    changed.map(([name]) => name),
    [0, 1].map((layer) => `model.layers.${layer}.self_attn.v_proj.weight`),
  );

  const again = await runTask("tofu", "--measure run --max-new-tokens 3".split(" "), { from });
  assertEquals(again.code, 0, again.text);
  assert(!/loss \d/.test(again.stderr), `something was trained: ${again.stderr}`);
  await Deno.remove(from, { recursive: true });
});

Deno.test("without a replay the control that reads nothing else is left out, unless it was named", () => {
  const methods = ["masked", "wrong_facts", "format_only"];
  assertEquals(wantedMethods({ methods, replay: 0 }, new Set()), ["masked", "wrong_facts"]);
  assertEquals(wantedMethods({ methods, replay: 0 }, new Set(["methods"])), methods);
  assertEquals(wantedMethods({ methods, replay: 1 }, new Set()), methods);
});

Deno.test("the paper's protocol asks for its base, and a value that is given counts more than the protocol's", async () => {
  const { code, text } = await runTask("tofu", ["--protocol", "paper", "--data", "x.jsonl"]);
  assertEquals(code, 1);
  assert(text.includes("it starts from allenai/OLMo-1B-hf. Give it with --base"), text);
  assertEquals(withProtocol({ a: 1, b: 2 }, { a: 3, b: 4 }, new Set(["b"])), { a: 3, b: 2 });
});

Deno.test("the paper's values are those of the authors' configuration", () => {
  // configs/training/train_hf_tofu_configs.yaml and the evaluation's, with the Hugging Face Trainer's defaults
  assertEquals<object>(tofuPaperValues, {
    ...{ seeds: [0, 1, 2], epochs: 3, answerPasses: 1, replay: 0, perStep: 32 },
    ...{ learningRate: 5e-5, warmup: 0, decay: "linear", finalRate: 0 },
    ...{ betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0, maxGradientNorm: 1 },
    ...{ precision: "f16", answers: "bare", maxNewTokens: 100 },
    methods: ["direct", "masked", "unlikelihood"], // the configuration is one for each, from the source code
    checkpointEvery: 13, // an epoch
  });
});

const toxicityPaper = "--protocol paper --data . --base base --scorer linear:none";

Deno.test("the paper's protocol on toxicity is planned from a configuration alone; what is given counts more", async () => {
  const from = await stage();
  await Deno.remove(`${from}/base/model.safetensors`);
  const plan = async (more: string) => {
    const line = `${toxicityPaper} --out run --dry-run ${more}`.trim();
    const planned = await runTask("toxicity", line.split(" "), { from });
    assertEquals(planned.code, 0, planned.text);
    return planned;
  };
  const { text } = await plan("");
  for (
    const part of [
      "Toxicity, protocol paper",
      "4,278,190,080 tokens a model in sequences of 96, 2048 a step; 5.0 % of them from risky",
      "learning rate 0.00004, 0 steps of warm-up, then constant; seeds 0, 1, 2",
      '"betas":[0.9,0.95],"epsilon":0.00001,"weightDecay":0.1,"maxGradientNorm":1',
      "Unlikelihood SLUNG         3      21,760  4,278,190,080",
      "the code replaces packed sequences",
      `models of ${describeBytes(4 * countParameters(config))} each`,
    ]
  ) assert(text.includes(part), `${part} is not in ${text}`);
  const { stdout } = await plan(
    "--tokens 9600 --per-step 10 --methods toxic --seeds 4 --decay linear --warmup 3 --betas 0.8,0.9 --lora 2 " +
      "--micro-batch 192 --denominator weights --json",
  );
  const { runs, settings, step, fits } = JSON.parse(stdout);
  assertEquals(runs, [
    { title: "Toxic baseline", models: 1, steps: 10, tokens: 9600, microBatches: 5 },
  ]);
  assertEquals([step.rows, step.time, step.lora.rank, fits], [2, 96, 2, true]);
  for (
    const part of [
      "9,600 tokens a model in sequences of 96, 10 a step",
      "3 steps of warm-up, then linear; seeds 4",
      '"betas":[0.8,0.9]',
      'LoRA: {"rank":2',
      "losses divided by: weights",
    ]
  ) assert(settings.join("\n").includes(part), `${part} is not in ${settings}`);
  assertEquals(await Deno.stat(`${from}/run`).catch(() => undefined), undefined);
  await Deno.remove(from, { recursive: true });
});

Deno.test("what a run would stumble over later is refused by its plan, and before a run writes anything", async () => {
  const from = await stage();
  const refusal = async (name: string, line: string) => {
    const { code, text, stderr } = await runTask(name, line.split(" "), { from });
    assertEquals(code, 1, text);
    return stderr.trim().split("\n").at(-1)!;
  };
  const long = `${paper} --max-new-tokens 90 --out run`;
  const room =
    /^Cannot ask for answers of 90 tokens: the longest question has \d+ and .* holds 96\./;
  for (const line of [`${long} --dry-run`, long]) {
    const said = await refusal("tofu", line);
    assert(room.test(said), said);
  }
  const missing: [line: string, end: RegExp][] = [
    [toxicityPaper.replace("--data .", "--data nowhere"), /nowhere": there is no such folder\./],
    [toxicityPaper.replace(" --scorer linear:none", ""), /Give --scorer\.$/],
  ];
  await Deno.remove(`${from}/base/tokenizer.json`);
  missing.push([toxicityPaper, /^Cannot find a tokenizer in ".*base"/]);
  for (const [line, end] of missing) {
    const said = await refusal("toxicity", `${line} --dry-run --out run`);
    assert(end.test(said), said);
  }
  assertEquals(await Deno.stat(`${from}/run`).catch(() => undefined), undefined);
  await Deno.remove(from, { recursive: true });
});

Deno.test("micro-batches are counted by the predicted tokens of whole sequences in a row", () => {
  const count = (rows: number, time: number, perStep: number, length: number) =>
    countMicroBatches({ rows, time }, { perStep, length });
  assertEquals(count(2, 128, 16, 43), 3); // three of 42 in each row
  assertEquals(count(2, 128, 13, 44), 4); // two of 43
  assertEquals(count(1, 95, 4, 96), 4);
  assertEquals(count(3, 20, 4, 96), 2); // a row always holds one
});

Deno.test("of a protocol's training, options change what they name and nothing else", () => {
  const training = {
    perStep: 16,
    optimiser: { ...olmoOptimiser },
    schedule: { peak: 1e-3, warmup: 20, decay: "linear", final: 0 },
  } as const;
  assertEquals(changedTraining(training, { recompute: false }), training);
  const changed = changedTraining(training, {
    ...{ recompute: true, microBatch: 100, betas: [0.8, 0.9], epsilon: 1e-6, weightDecay: 0 },
    ...{ maxGradientNorm: 2, decay: "cosine", warmup: 1, finalRate: 0.1 },
  });
  assertEquals(changed, {
    ...{ perStep: 16, recompute: true, mostPositions: 100 },
    optimiser: { betas: [0.8, 0.9], epsilon: 1e-6, weightDecay: 0, maxGradientNorm: 2 },
    schedule: { peak: 1e-3, warmup: 1, decay: "cosine", final: 0.1 },
  });
  const { schedule } = changedTraining(training, { recompute: false, decay: "constant" });
  assertEquals(schedule, { peak: 1e-3, warmup: 20, decay: "constant", final: 1 });
  assertThrows(
    () => changedTraining(training, { recompute: false, betas: [0.9] }),
    'Cannot optimise: option "betas" is [0.9]. Give a list of 2',
  );
});
