// The runner of experiments on tiny models: what is kept, what is computed again when something changes, and that methods
// and measures of one's own go through it like those that ship.

import { unlikelihood } from "../src/slung/objective.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { type Method, streamMethods } from "../src/data/method.ts";
import { scoreSequences } from "../src/eval/score.ts";
import { codeVersion, versionBelow } from "../src/train/code_version.ts";
import {
  type Experiment,
  type Measure,
  type Outcome,
  type Run,
  runExperiment,
  type RunnerOptions,
  sizeOfModels,
  type Stage,
} from "../src/experiments/runner.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { countParameters } from "../src/model/parameter_shapes.ts";
import { initialise } from "../src/model/initialise.ts";
import { fit } from "../src/train/fit.ts";
import { huggingFaceOptimiser } from "../src/train/optimiser.ts";
import { onHighRisk } from "../src/slung/gallery.ts";
import { customLoss } from "../src/slung/custom_loss.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { assertSame, assertSameFiles } from "./fixtures/same.ts";
import { olmo, randomSequences, weightBytes } from "./fixtures/tiny.ts";

interface Results {
  /** Mean log-probability of all tokens. */
  score: number;
  /** Its double, of the result and not of the model. */
  twice: number;
}

const sequences = randomSequences(8, { seed: 6 });
const methodNamed = (name: string) => streamMethods.find((method) => method.name === name)!;
const own: Method = {
  name: "own",
  title: "My own",
  objective: onHighRisk(customLoss({ name: "squared", value: "p * p", derivative: "2 * p * p" })),
  weigh: (tokens) => new Float32Array(tokens.length).fill(0.5),
};
const base: Run = { name: "base", method: undefined, seed: 0 };
const runOf = (method: Method, seed = 0): Run => ({
  name: `${method.name}-${seed}`,
  method,
  seed,
});

/** An experiment of a few steps, and the list of what it computed. */
function experimentOf(changes: {
  runs?: Run[];
  stages?: string[];
  stageIdentity?: unknown;
  scoreIdentity?: unknown;
} = {}): { experiment: Experiment<Results>; done: string[] } {
  const { runs = [runOf(methodNamed("masked"))], stages = ["trained"] } = changes;
  const done: string[] = [];
  const stageOf = (name: string): Stage => ({
    name,
    identity: changes.stageIdentity ?? 1,
    async train(model, { name: run, method, seed }, hooks) {
      const weighed = sequences.map((sequence) => ({
        ...sequence,
        ...(method!.weigh && { weights: method!.weigh(sequence.tokens) }),
      }));
      const { step, finished } = await fit(model, {
        ...{ epochs: [weighed, weighed], perStep: 4, seed, objective: method!.objective },
        optimiser: huggingFaceOptimiser,
        schedule: { peak: 1e-2, warmup: 0, decay: "constant", final: 1 },
        ...hooks.fitting,
      });
      if (finished) done.push(`${run} ${name}`);
      return finished ? { steps: step } : undefined;
    },
  });
  const measures: Measure<Results>[] = [
    {
      name: "score",
      identity: changes.scoreIdentity ?? 1,
      async measure({ run, stage, model, progress }) {
        const scores = await scoreSequences(await model(), sequences);
        done.push(`${run.name} ${stage} score`);
        progress(1, 1);
        return scores.flatMap((each) => [...each]).reduce((sum, each) => sum + each, 0);
      },
    },
    {
      name: "twice",
      identity: 1,
      measure({ run, stage, results }) {
        done.push(`${run.name} ${stage} twice`);
        return Promise.resolve(2 * results.score!);
      },
    },
  ];
  return {
    experiment: {
      base: { config: olmo, weights: initialise(olmo, 1) },
      tokenizer: trainBytePair([], 258),
      runs,
      stages: stages.map(stageOf),
      measures,
    },
    done,
  };
}

const code = { training: "a", measuring: "b" };

/** Runs an experiment in a folder and tells what was computed. */
async function run(
  gpu: Gpu,
  folder: string,
  changes: Parameters<typeof experimentOf>[0] = {},
  options: RunnerOptions<Results> = {},
): Promise<{ outcomes: Outcome<Results>[]; done: string[] }> {
  const { experiment, done } = experimentOf(changes);
  const outcomes = await runExperiment(gpu, experiment, folder, { code, ...options });
  return { outcomes, done };
}

const all = ["masked-0 trained", "masked-0 trained score", "masked-0 trained twice"];

Deno.test("a finished run is not computed again, nor is anything of the base model but its measures", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const runs = [base, runOf(methodNamed("masked"))];
  const reused: boolean[] = [];
  const onOutcome = (_: unknown, again: boolean) => reused.push(again);
  const first = await run(gpu, folder, { runs }, { onOutcome });
  assertEquals(first.done, ["base base score", "base base twice", ...all]);
  const [ofBase, trained] = first.outcomes;
  assertEquals(ofBase!.stages.map(({ name, training }) => [name, training]), [["base", {}]]);
  const [stage] = trained!.stages;
  assertEquals(stage!.training, { steps: 4 });
  assertEquals(stage!.results.twice, 2 * stage!.results.score);
  assert(stage!.results.score !== ofBase!.stages[0]!.results.score, "nothing was learned");
  const second = await run(gpu, folder, { runs }, { onOutcome });
  assertEquals([second.done, second.outcomes], [[], first.outcomes]);
  assertEquals(reused, [false, false, true, true]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a kept model is measured again without a step when a measure changes, and with the same number", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const first = await run(gpu, folder);
  const second = await run(gpu, folder, { scoreIdentity: 2 });
  assertEquals(second.done, ["masked-0 trained score"], "the other measure keeps its result");
  assertEquals(second.outcomes, first.outcomes, "weights are kept to the last bit");
  assertEquals((await run(gpu, folder)).done, [], "results under the old identity are still there");
  const newCode = await run(gpu, folder, {}, { code: { ...code, measuring: "c" } });
  assertEquals(newCode.done, all.slice(1), "measuring code changed, training code did not");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("another setting, seed, method, base or training code trains anew", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const masked = methodNamed("masked");
  const { outcomes: [first] } = await run(gpu, folder);
  assertEquals((await run(gpu, folder, { stageIdentity: 2 })).done, all);
  assertEquals((await run(gpu, folder, {}, { code: { ...code, training: "c" } })).done, all);
  const named = (method: Method, seed = 0, amount?: number): Run => ({
    ...{ name: "masked-0", method, seed },
    ...(amount !== undefined && { amount }),
  });
  for (
    const changed of [
      named(masked, 1),
      named(masked, 0, 2),
      named({ ...masked, objective: methodNamed("unlikelihood").objective }),
      named({ ...masked, weigh: (tokens) => new Float32Array(tokens.length).fill(2) }),
      named({ ...masked, takes: "low risk" }),
    ]
  ) {
    assertEquals((await run(gpu, folder, { runs: [changed] })).done, all, JSON.stringify(changed));
  }
  const retitled = named({ ...masked, title: "Another title" });
  assertEquals((await run(gpu, folder, { runs: [retitled] })).done, [], "a title decides nothing");
  const { experiment, done } = experimentOf();
  const other = { ...experiment, base: { config: olmo, weights: initialise(olmo, 2) } };
  const [another] = await runExperiment(gpu, other, folder, { code });
  assertEquals(done, all);
  assert(another!.stages[0]!.results.score !== first!.stages[0]!.results.score);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("without kept models a changed measure trains again, to the same result", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const first = await run(gpu, folder, {}, { keepModels: false });
  const entries = await Array.fromAsync(Deno.readDir(`${folder}/runs/masked-0`));
  assert(entries.every(({ isFile }) => isFile), "no model is kept");
  const second = await run(gpu, folder, { scoreIdentity: 2 }, { keepModels: false });
  assertEquals(second.done, all.slice(0, 2));
  assertEquals(second.outcomes, first.outcomes);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("only measuring takes the models of an earlier call, whatever has changed since, and trains none", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const { outcomes } = await run(gpu, folder);
  const changed = {
    ...{ runs: [base, runOf(methodNamed("masked"))], stageIdentity: 9, scoreIdentity: 3 },
  };
  const options = { onlyMeasure: true, code: { training: "x", measuring: "y" } };
  const again = await run(gpu, folder, changed, options);
  assertEquals(again.done, ["base base score", "base base twice", ...all.slice(1)]);
  assertEquals(again.outcomes[1]!.stages, outcomes[0]!.stages);
  // Of several models of a run, the newest is meant.
  const later = await run(gpu, folder, {
    stageIdentity: 2,
    runs: [{ ...runOf(own), name: "masked-0" }],
  });
  const newest = await run(gpu, folder, { scoreIdentity: 4 }, options);
  assertEquals(newest.outcomes[0]!.stages, later.outcomes[0]!.stages);
  await assertRejects(
    () => run(gpu, folder, { runs: [runOf(own, 5)] }, options),
    `Cannot measure "${folder}/runs/own-5": it holds no model of the stage "trained"`,
  );
  await assertRejects(() => Deno.stat(`${folder}/runs/own-5`), "No such file");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a method and a measure of one's own go through, and each trained model is handed out before it is measured", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const { experiment, done } = experimentOf({ runs: [base, runOf(own), runOf(own, 1)] });
  interface WithNorm extends Results {
    norm: number;
  }
  const norm: Measure<WithNorm> = {
    name: "norm",
    identity: "of all weights",
    async measure({ model, results }) {
      assert(results.score !== undefined, "earlier results are there");
      const weights = new Float32Array((await weightBytes(await model())).buffer);
      return Math.hypot(...weights.subarray(0, 1000));
    },
  };
  const handed: Record<string, Uint8Array> = {};
  const measures = [...experiment.measures as unknown as Measure<WithNorm>[], norm];
  const outcomes = await runExperiment<WithNorm>(gpu, { ...experiment, measures }, folder, {
    code,
    async onModel({ name }, stage, model) {
      assert(!done.includes(`${name} ${stage} score`));
      handed[`${name} ${stage}`] = await weightBytes(model);
    },
    onTraining({ name, method }, { step, lossByClass }, steps, stage) {
      assertEquals([method!.title, steps, stage], ["My own", 4, "trained"]);
      assert(step < 4 && lossByClass[3]! < 1, `${name}: p² is below 1`);
    },
  });
  assertEquals(Object.keys(handed), ["own-0 trained", "own-1 trained"]);
  outcomes.slice(1).forEach(({ run, stages }) => {
    const weights = new Float32Array(handed[`${run.name} trained`]!.buffer);
    assertEquals(stages[0]!.results.norm, Math.hypot(...weights.subarray(0, 1000)));
  });
  const [, first, second] = outcomes;
  assert(first!.stages[0]!.results.norm !== second!.stages[0]!.results.norm, "seeds differ");
  assert(own.objective.terms[3] !== unlikelihood);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("stages follow one another from the model of the one before, kept or just trained", async () => {
  using gpu = await Gpu.open();
  const [whole, parts] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const stages = ["trained", "tuned"];
  const straight = await run(gpu, whole, { stages });
  assertEquals(straight.done, [...all, ...all.map((each) => each.replace("trained", "tuned"))]);
  const [{ stages: [trained, tuned] }] = straight.outcomes as [Outcome<Results>];
  assert(trained!.results.score !== tuned!.results.score);
  await run(gpu, parts, {});
  const later = await run(gpu, parts, { stages });
  assertEquals(later.done, straight.done.slice(3), "the first stage is taken from the folder");
  assertEquals(later.outcomes, straight.outcomes);
  assertSameFiles(await filesIn(`${parts}/runs/masked-0`), await filesIn(`${whole}/runs/masked-0`));
  const remeasured = await run(gpu, parts, { stages, scoreIdentity: 2 }, { onlyMeasure: true });
  assertEquals(remeasured.done, ["masked-0 trained score", "masked-0 tuned score"]);
  assertEquals(remeasured.outcomes, straight.outcomes);
  for (const folder of [whole, parts]) await Deno.remove(folder, { recursive: true });
});

async function filesIn(folder: string): Promise<Map<string, Uint8Array>> {
  const names = await Array.fromAsync(Deno.readDir(folder));
  const files = names.filter(({ isFile }) => isFile).map(({ name }) => name).sort();
  return new Map(
    await Promise.all(
      files.map(async (name) => [name, await Deno.readFile(`${folder}/${name}`)] as const),
    ),
  );
}

Deno.test("a run that is stopped is left out, goes on from its checkpoint and leaves none behind", async () => {
  using gpu = await Gpu.open();
  const [whole, broken] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  const expected = await run(gpu, whole);
  const controller = new AbortController();
  const stopped = await run(gpu, broken, {}, {
    signal: controller.signal,
    checkpointEvery: 1,
    onTraining: (_, { step }) => step === 1 && controller.abort(),
  });
  assertEquals([stopped.outcomes, stopped.done], [[], []]);
  assert((await Array.fromAsync(Deno.readDir(`${broken}/checkpoints/masked-0`))).length > 0);
  const steps: number[] = [];
  const resumed = await run(gpu, broken, {}, {
    checkpointEvery: 1,
    onTraining: (_, { step }) => steps.push(step),
  });
  assertEquals(resumed.outcomes, expected.outcomes);
  assertEquals(steps.at(-1), 3);
  assert(steps[0]! > 0, "the first steps are not repeated");
  await assertRejects(() => Deno.stat(`${broken}/checkpoints/masked-0`), "No such file");
  for (const folder of [whole, broken]) await Deno.remove(folder, { recursive: true });
});

Deno.test("a model is saved whole before its run counts as finished", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  await run(gpu, folder);
  const entries = await Array.fromAsync(
    Deno.readDir(`${folder}/runs/masked-0`),
    ({ name }) => name,
  );
  const model = entries.find((name) => /^trained-[0-9a-f]{16}$/.test(name))!;
  const kept = `${folder}/runs/masked-0/${model}`;
  const weights = await Deno.readFile(`${kept}/model.safetensors`);
  await Deno.remove(`${kept}.json`); // as a kill between the two leaves it
  await Deno.writeTextFile(`${kept}/model.safetensors`, "half");
  assertEquals((await run(gpu, folder)).done, ["masked-0 trained"]);
  assertSame(await Deno.readFile(`${kept}/model.safetensors`), weights);
  await Deno.stat(`${kept}/tokenizer.json`);
  await Deno.remove(folder, { recursive: true });
});

const unusable: [changes: Parameters<typeof experimentOf>[0], message: string][] = [
  [{ runs: [runOf(own), runOf(own)] }, 'the results of the run "own-0": another one has this name'],
  [{ runs: [{ ...base, name: "../up" }] }, 'the run "../up": that is no name for a file'],
  [{ runs: [{ ...base, name: "my loss" }] }, "Name methods, stages and measures with letters"],
  [{ stages: ["a", "a"] }, 'the results of the stage "a": another one has this name'],
  [{ stages: [""] }, 'the stage "": that is no name'],
];

for (const [changes, message] of unusable) {
  Deno.test(`names that cannot name files are refused: ${message}`, async () => {
    using gpu = await Gpu.open();
    const folder = await Deno.makeTempDir();
    await assertRejects(() => run(gpu, folder, changes), message);
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("the size of all models is told before they are kept", () => {
  const { experiment } = experimentOf({
    runs: [base, runOf(own), runOf(own, 1)],
    stages: ["trained", "tuned"],
  });
  assertEquals(sizeOfModels(experiment), 4 * countParameters(olmo) * 2 * 2);
});

Deno.test("the code that is running has a version for training and another for measuring", async () => {
  const { training, measuring } = await codeVersion();
  assert(/^[0-9a-f]{16}$/.test(training) && /^[0-9a-f]{16}$/.test(measuring));
  assert(training !== measuring);
  assertEquals(await codeVersion(), { training, measuring });
});

Deno.test("whatever shapes a trained model counts as training, scorers as measuring, and tables as neither", async () => {
  const root = await Deno.makeTempDir();
  const write = async (file: string, text: string) => {
    await Deno.mkdir(`${root}/${file.replace(/[^/]*$/, "")}`, { recursive: true });
    await Deno.writeTextFile(`${root}/${file}`, text);
  };
  const both = [
    ...["kernels/matmul.wgsl", "src/data/mixing.ts", "src/train/fit.ts", "src/some_day/new.ts"],
    ...["src/eval/score.ts", "src/experiments/runner.ts", "src/experiments/names/experiment.ts"],
  ];
  const measured = ["src/eval/auroc.ts", "src/label/names.ts", "src/experiments/names/task.ts"];
  const neither = ["src/report/table.ts", "src/notebook/show.ts", "src/data/notes.md"];
  for (const file of [...both, ...measured, ...neither]) await write(file, "before");
  const url = new URL(`file://${root}/`);
  let last = await versionBelow(url);
  assertEquals(await versionBelow(url), last);
  for (const file of [...both, ...measured, ...neither]) {
    await write(file, "after");
    const now = await versionBelow(url);
    const changes = [now.training !== last.training, now.measuring !== last.measuring];
    assertEquals(changes, [both.includes(file), !neither.includes(file)], file);
    last = now;
  }
  await Deno.rename(`${root}/src/eval/auroc.ts`, `${root}/src/eval/other.ts`);
  assert((await versionBelow(url)).measuring !== last.measuring, "names count too");
  await Deno.remove(root, { recursive: true });
  await assertRejects(() => versionBelow(url), "Cannot tell which code makes a result");
  const published = await versionBelow(new URL("https://jsr.example/@slung/slung/"));
  assert(/^\d+\.\d+\.\d+/.test(published.training) && published.training === published.measuring);
});
