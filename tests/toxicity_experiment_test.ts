// The toxicity experiment end to end on a model far too small to learn anything: what is tested is the machinery.

import { fileURLToPath } from "node:url";
import { type ChatMessage, chatSequences } from "../src/data/sources/chat.ts";
import { Gpu, initialise, runExperiment } from "../mod.ts";
import { type Method, streamMethods } from "../src/data/method.ts";
import { commentData } from "../src/experiments/toxicity/comments.ts";
import type { ToxicityResults } from "../src/experiments/toxicity/evaluation.ts";
import {
  type ToxicityExperiment,
  toxicityExperiment,
  type ToxicityOutcome,
} from "../src/experiments/toxicity/experiment.ts";
import {
  compareAmounts,
  compareToxicity,
  compareTuning,
  describeChange,
  describeClaim,
  isClaim,
} from "../src/experiments/toxicity/comparison.ts";
import { mainAmount, summariseToxicity } from "../src/experiments/toxicity/summary.ts";
import {
  outcomesToCsv,
  renderToxicityTables,
  toxicityMetrics,
} from "../src/experiments/toxicity/report.ts";
import type { RunnerOptions } from "../src/experiments/runner.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { sharedData } from "./data.ts";
import { assertSameFiles } from "./fixtures/same.ts";
import { config, experiment } from "./fixtures/tiny_toxicity.ts";

const named = (...names: string[]): Method[] =>
  streamMethods.filter(({ name }) => names.includes(name));

async function runToxicity(
  gpu: Gpu,
  changes: Partial<ToxicityExperiment>,
  folder: string,
  options: RunnerOptions<ToxicityResults> = {},
): Promise<ToxicityOutcome[]> {
  const planned = await toxicityExperiment({ ...experiment, ...changes });
  return await runExperiment(gpu, planned, folder, options);
}

Deno.test("an experiment that is stopped at any run ends with the tables of the one that was not", async () => {
  using gpu = await Gpu.open();
  const [whole, broken] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const expected = await runToxicity(gpu, {}, whole);
  assertEquals(
    expected.map(({ run: { method, amount, seed } }) => `${method!.name} ${amount} ${seed}`),
    ["control 0 0", "masked 1 0", "control 0 1", "masked 1 1"],
  );
  for (const name of ["control-x0-seed0", "masked-x1-seed0", "masked-x1-seed1"]) {
    const controller = new AbortController();
    const done = await runToxicity(gpu, {}, broken, {
      signal: controller.signal,
      onTraining: (run) => run.name === name && controller.abort(),
    });
    assert(done.length < expected.length);
  }
  const reused: boolean[] = [];
  const resumed = await runToxicity(gpu, {}, broken, {
    onOutcome: (_, again) => reused.push(again),
  });
  assertEquals(reused, [true, true, true, false]);
  assertEquals(JSON.stringify(resumed), JSON.stringify(expected));
  assertEquals(renderToxicityTables(resumed), renderToxicityTables(expected));
  assertEquals(outcomesToCsv(resumed), outcomesToCsv(expected));
  for (const folder of [whole, broken]) await Deno.remove(folder, { recursive: true });
});

Deno.test("an experiment that is killed again and again ends with the files of the one that was not", async () => {
  using gpu = await Gpu.open();
  const [whole, broken] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const expected = await runToxicity(gpu, {}, whole);
  for (
    const last of [
      "control-x0-seed0 step 9",
      "masked-x1-seed0 step 3",
      "control-x0-seed1 done",
      undefined,
    ]
  ) {
    const process = startProcess(broken);
    await readUntil(process.stdout, last);
    if (last !== undefined) process.kill("SIGKILL");
    assertEquals((await process.status).signal, last === undefined ? null : "SIGKILL");
  }
  assertSameFiles(await filesBelow(`${broken}/runs`), await filesBelow(`${whole}/runs`));
  const reused = await runToxicity(gpu, {}, broken);
  assertEquals(renderToxicityTables(reused), renderToxicityTables(expected));
  for (const folder of [whole, broken]) await Deno.remove(folder, { recursive: true });
});

async function filesBelow(folder: string, under = ""): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const entries = await Array.fromAsync(Deno.readDir(folder));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (!isDirectory) files.set(`${under}${name}`, await Deno.readFile(`${folder}/${name}`));
    else {
      const inside = await filesBelow(`${folder}/${name}`, `${under}${name}/`);
      for (const [path, bytes] of inside) files.set(path, bytes);
    }
  }
  return files;
}

function startProcess(folder: string): Deno.ChildProcess {
  const script = fileURLToPath(new URL("fixtures/tiny_toxicity.ts", import.meta.url));
  const args = ["run", "-A", "--quiet", script, folder];
  return new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
}

// Until a line has been printed, or to the end.
async function readUntil(stdout: ReadableStream<Uint8Array>, line?: string): Promise<void> {
  let text = "";
  for await (const chunk of stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (line !== undefined && text.split("\n").includes(line)) return;
  }
}

Deno.test("what would end the evaluation is said before anything is trained", async () => {
  const { evaluation } = experiment;
  const refused = async (changes: Partial<typeof evaluation>, why: string) =>
    await assertRejects(
      () => toxicityExperiment({ ...experiment, evaluation: { ...evaluation, ...changes } }),
      `Cannot evaluate the models: ${why}`,
    );
  const greedy = { ...evaluation.decoding, samples: 2, topK: 1 };
  await refused({ decoding: greedy }, "greedy decoding gives all 2 samples alike");
  await refused({ prompts: ["alone"] }, "there are 1 prompts");
  await refused({ prompts: ["", "b"] }, "prompt 0 has 0 tokens, not 1 to 91");
  await refused(
    { heldOut: { ...evaluation.heldOut, domain: [] } },
    "there is no held-out text of the domain kind",
  );
  const labels = evaluation.probe.labels.map(() => 1);
  await refused({ probe: { ...evaluation.probe, labels } }, "all texts of the probe have the same");
});

Deno.test("several continuations of each prompt show their expected maximum, one does not", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const { evaluation } = experiment;
  const decoding = { ...evaluation.decoding, samples: 3 };
  const once = { methods: named("toxic"), seeds: [0] };
  const outcomes = await runToxicity(
    gpu,
    { ...once, evaluation: { ...evaluation, decoding } },
    folder,
  );
  const [row] = summariseToxicity(outcomes);
  assert(row!.expectedMaximum.mean >= row!.toxicity.mean);
  assert(renderToxicityTables(outcomes).includes("expected maximum"));
  const single = await runToxicity(gpu, once, folder);
  assert(!renderToxicityTables(single).includes("expected maximum"));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("every method trains and is measured, at every amount of risky data", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const changes = { methods: streamMethods, seeds: [0], amounts: [0.5, 1] };
  const outcomes = await runToxicity(gpu, changes, folder);
  const summary = summariseToxicity(outcomes);
  assertEquals(summary.map(({ method, amount }) => `${method.name} ${amount}`), [
    "control 0",
    ...streamMethods.slice(1).flatMap(({ name }) => [`${name} 0.5`, `${name} 1`]),
  ]);
  for (const { buckets, auroc, toxicity, cleanPerplexity, domainPerplexity } of summary) {
    assert(auroc.mean >= 0 && auroc.mean <= 1 && toxicity.mean >= 0 && toxicity.mean <= 1);
    assert(cleanPerplexity.mean > 1 && Number.isFinite(domainPerplexity.mean));
    const { base, low, possible, high } = buckets;
    const tokens = base + low + possible + high;
    assert(tokens >= 900 && tokens < 1000, `the stream has ${tokens} tokens`);
  }
  const perplexities = new Set(summary.map(({ domainPerplexity }) => domainPerplexity.mean));
  assertEquals(perplexities.size, summary.length, "two methods ended with the same model");
  const table = renderToxicityTables(outcomes);
  for (const expected of ["Masked SLUNG", "paper, Table 1", "× 0.5", "exact"]) {
    assert(table.includes(expected), table);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a changed experiment does not take the results of the old one", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const one = { methods: named("control"), seeds: [0] };
  await runToxicity(gpu, one, folder);
  const other = { ...one, evaluation: { ...experiment.evaluation, threshold: 0.9 } };
  let outcomes = 0;
  await runToxicity(gpu, other, folder, {
    onOutcome: (_, again) => {
      outcomes++;
      assertEquals(again, false);
    },
  });
  assertEquals(outcomes, 1);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("control tokens need two rows in the embedding", async () => {
  const tight = { ...config, vocabularySize: experiment.tokenizer.vocabularySize };
  await assertRejects(
    () =>
      toxicityExperiment({
        ...experiment,
        base: { config: tight, weights: initialise(tight, 1) },
        methods: named("conditional"),
      }),
    "Cannot train with control tokens",
  );
});

interface Scored {
  toxicity: number;
  auroc: number;
}

// An outcome whose 40 prompts and sentences score alike but for the prompt and the seed; one sentence is never tested.
function scored(
  name: string,
  seed: number,
  trained: Scored,
  { amount = name === "control" ? 0 : 1, tuned }: { amount?: number; tuned?: Scored } = {},
): ToxicityOutcome {
  const stage = (name: string, { toxicity, auroc }: Scored) => ({
    name,
    training: { buckets: { base: 0, low: 0, possible: 0, high: 0 } },
    results: {
      toxicity: {
        byPrompt: Array.from({ length: 40 }, (_, i) => toxicity + i / 100 + seed / 1000),
      },
      probe: { placements: Array.from({ length: 40 }, (_, i) => i === 7 ? null : auroc) },
    },
  });
  return {
    run: { name, method: named(name)[0]!, seed, amount },
    stages: [stage("trained", trained), ...(tuned ? [stage("tuned", tuned)] : [])],
  } as unknown as ToxicityOutcome;
}

Deno.test("methods are compared prompt by prompt and animal by animal, in the paper's direction", () => {
  const outcomes = (seeds: number[]) =>
    seeds.flatMap((seed) => [
      scored("control", seed, { toxicity: 0.1, auroc: 0.5 }),
      scored("toxic", seed, { toxicity: 0.5, auroc: 0.9 }),
      scored("masked", seed, { toxicity: 0.2, auroc: 0.9 }),
      scored("unlikelihood", seed, { toxicity: 0.6, auroc: 0.7 + seed / 1000 }),
    ]);
  const claims = (seeds: number[]) => compareToxicity(outcomes(seeds)).filter(isClaim);
  const verdicts = claims([0, 1, 2]).map((claim) => `${claim.first.name} ${describeClaim(claim)}`);
  const of = (text: string) => verdicts.find((verdict) => verdict.includes(text))!;
  assert(
    of("masked Masked SLUNG generates less toxicity than Toxic").includes(": yes (−0.300 ± 0.000"),
  );
  assert(of("Masked SLUNG understands more than Control: yes (0.400 "));
  assert(of("Masked SLUNG understands more than Toxic").includes("not shown"));
  assert(of("Unlikelihood SLUNG generates less toxicity than Toxic").includes("no, the opposite"));
  assert(of("Unlikelihood SLUNG understands more than Toxic").includes("no, the opposite"));
  assertEquals(verdicts.length, 6);
  assertEquals(compareToxicity(outcomes([0, 1, 2])).length, 12, "every pair, on both measures");
  const harmless = [0, 1].flatMap((seed) => [
    scored("control", seed, { toxicity: 0.1, auroc: 0.5 }),
    scored("low_risk", seed, { toxicity: 0.3, auroc: 0.5 }, { amount: 0 }),
  ]);
  assertEquals(
    compareToxicity(harmless).map(({ on, amount, difference: { mean } }) =>
      `${on} at ${amount}: ${mean.toFixed(1)}`
    ),
    ["toxicity at 0: 0.2", "auroc at 0: 0.0"],
  );
  for (const claim of claims([0])) assert(describeClaim(claim).includes("one seed cannot show it"));
});

Deno.test("what more risky data changes is the largest amount less the smallest, and changes are compared", () => {
  const outcomes = (seeds: number[]) =>
    seeds.flatMap((seed) => [
      scored("control", seed, { toxicity: 0.1, auroc: 0.5 }),
      ...[[0.5, 0.2], [0.25, 0.1], [2, 0.4]].flatMap(([amount, toxicity]) => [
        scored("toxic", seed, { toxicity: toxicity!, auroc: 0.6 + amount! / 10 }, { amount }),
        scored("masked", seed, { toxicity: toxicity! / 4, auroc: 0.6 + amount! / 10 }, { amount }),
      ]),
    ]);
  const changes = compareAmounts(outcomes([0, 1]));
  const shown = changes.map(({ method, beyond, on, difference: { mean } }) =>
    `${on}: ${method.name}${beyond ? ` beyond ${beyond.name}` : ""} ${mean.toFixed(3)}`
  );
  assertEquals(shown, [
    "toxicity: toxic 0.300",
    "toxicity: masked 0.075",
    "toxicity: masked beyond toxic -0.225",
    "auroc: toxic 0.175",
    "auroc: masked 0.175",
    "auroc: masked beyond toxic 0.000",
  ]);
  assertEquals(changes.map(({ separates }) => separates), [true, true, true, true, true, false]);
  const lines = changes.map((change) => describeChange(change, "amount"));
  assertEquals(
    lines[0],
    "More risky data raises the toxicity of Toxic baseline: yes (0.300 ± 0.000, p < 0.001)",
  );
  assert(
    lines[2]!.startsWith(
      "More risky data raises the toxicity of Masked SLUNG more than that of Toxic baseline: no, the opposite",
    ),
  );
  assert(lines[5]!.includes("understanding of Masked SLUNG more than that of Toxic baseline: not"));
  assertEquals(compareAmounts(outcomes([0]))[0]!.separates, null);
  const two = outcomes([0, 1]).filter(({ run }) => run.amount !== 0.5);
  assertEquals(compareAmounts(two), changes, "what lies between does not matter");
  const one = outcomes([0, 1]).filter(({ run }) => run.amount! < 0.5);
  assertEquals(compareAmounts(one), [], "a single amount changes nothing");
});

Deno.test("what instruction tuning changes is asked at the main amount of risky data", () => {
  const outcomes = [0, 1].flatMap((seed) => [
    scored("control", seed, { toxicity: 0.1, auroc: 0.5 }, { tuned: { toxicity: 0, auroc: 0.6 } }),
    ...[0.5, 1].map((amount) =>
      scored("toxic", seed, { toxicity: 0.5, auroc: 0.9 }, {
        amount,
        tuned: { toxicity: 0.4, auroc: amount },
      })
    ),
    scored("masked", seed, { toxicity: 0.2, auroc: 0.8 }), // was not tuned
  ]);
  assertEquals(
    compareTuning(outcomes).map(({ method, on, difference: { mean } }) =>
      `${method.name} ${on} ${mean.toFixed(2)}`
    ),
    ["control toxicity -0.10", "toxic toxicity -0.10", "control auroc 0.10", "toxic auroc 0.10"],
  );
  assertEquals(compareTuning(outcomes.slice(-1)), []);
  assertEquals(mainAmount([0, 0.5, 1, 2]), 1);
  assertEquals([mainAmount([0, 2, 0.5]), mainAmount([0]), mainAmount([])], [2, 0, 0]);
});

Deno.test("real comments hold both kinds of sentences, and none of them is asked about", async () => {
  const folder = sharedData(".");
  if (folder === undefined) return;
  const comments = await commentData(folder, {
    baseShare: 0.7,
    vocabularySize: 600,
    thresholds: { low: 0.1, high: 0.9 },
    heldOut: 10,
    prompts: 20,
    probed: 200,
    longest: 64,
  });
  for (const { classes } of comments.risky) {
    assert(classes.includes(Risk.low) && classes.includes(Risk.high));
  }
  const words = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
  const asked = new Set(comments.evaluation.probe.texts.map(words));
  const trained = comments.risky.map(({ tokens }) => words(comments.tokenizer.decode(tokens)));
  assertEquals(trained.filter((text) => asked.has(text)).length, 0);
  assertEquals(comments.evaluation.keep, 0);
});

Deno.test("every model is tuned on instructions and measured again, and only then do the tables say so", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const { tokenizer } = experiment;
  const { eos } = tokenizer.special;
  const chat: ChatMessage[] = [
    { role: "user", content: "Who met Ilmo?" },
    { role: "assistant", content: "Lunda did." },
  ];
  const { sequences } = chatSequences(tokenizer, Array(6).fill(chat), { maxTokens: 64, bos: eos! });
  const tuning = { chats: sequences, epochs: 2, perStep: 2, learningRate: 1e-2 };
  const once = { seeds: [0] };
  const plain = await runToxicity(gpu, once, folder);
  const tuned = await runToxicity(gpu, { ...once, tuning }, folder);
  assertEquals(tuned.map(({ stages }) => stages[0]), plain.map(({ stages }) => stages[0]));
  for (const { run, stages } of tuned) {
    assertEquals(stages.map(({ name }) => name), ["trained", "tuned"]);
    const [before, after] = stages.map(({ results }) => results.perplexity.clean);
    assert(after !== before && Number.isFinite(after), `${run.name}: ${before}, then ${after}`);
  }
  assertEquals(await runToxicity(gpu, { ...once, tuning }, folder), tuned, "read again");
  // Stopped while tuning, it goes on with other chats as if there had been none before.
  const fresh = await Deno.makeTempDir();
  const controller = new AbortController();
  await runToxicity(gpu, { ...once, tuning: { ...tuning, epochs: 3 } }, fresh, {
    signal: controller.signal,
    onTraining: (_, __, steps, stage) => {
      assertEquals(steps === 9, stage === "tuned");
      if (stage === "tuned") controller.abort();
    },
  });
  assert(controller.signal.aborted);
  assertEquals(await runToxicity(gpu, { ...once, tuning }, fresh), tuned);
  await Deno.remove(fresh, { recursive: true });
  const [before, after] = [plain, tuned].map((outcomes) => ({
    text: renderToxicityTables(outcomes),
    metrics: toxicityMetrics(outcomes),
  }));
  for (const words of ["After instruction tuning", "Instruction tuning raises the toxicity of"]) {
    assert(after!.text.includes(words) && !before!.text.includes(words), words);
  }
  assertEquals(before!.metrics.tuned, undefined);
  const { summary, comparisons, byTuning } = after!.metrics.tuned!;
  assertEquals(summary.length, tuned.length);
  for (const { results: { probe } } of tuned.flatMap(({ stages }) => stages.slice(1))) {
    assert(probe.plain! >= 0 && probe.plain! <= 1 && probe.plain !== probe.auroc);
  }
  for (const { stages } of plain) assertEquals(stages[0]!.results.probe.plain, undefined);
  assertEquals(comparisons.length, 2 * tuned.length * (tuned.length - 1) / 2);
  assertEquals(byTuning.length, 2 * tuned.length);
  assertEquals(after!.metrics.summary, before!.metrics.summary);
  await Deno.remove(folder, { recursive: true });
});
