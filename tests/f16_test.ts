// Training in f16: the course of f32 within rounding, a loss scale that finds its place without a read-back, steps that
// are skipped and change nothing, the same bytes every time, and f32 with a note where the adapter has no f16.

import { choosePrecision } from "../src/gpu/precision.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import type { Precision } from "../src/gpu/tensor.ts";
import { packSequences } from "../src/data/packing.ts";
import { scoreSequences } from "../src/eval/score.ts";
import { generate } from "../src/model/generate.ts";
import { objective } from "../src/slung/objective.ts";
import { Trainer, type TrainerOptions } from "../src/train/trainer.ts";
import { assert, assertEquals, assertRejects, assertThrows, relativeError } from "./assert.ts";
import { testHalves } from "./fixtures/halves.ts";
import { assertSame } from "./fixtures/same.ts";
import {
  adamw,
  configs,
  llama,
  logitsOf,
  olmo,
  randomSequences,
  stateBytes,
  trainable,
  weightBytes,
} from "./fixtures/tiny.ts";
import { runSteps, trainingRun } from "./fixtures/training_run.ts";

const shape = { rows: 2, time: 16 };
const { batches } = packSequences(randomSequences(6), shape);

// A trainer of a fresh model in f16.
async function setUp(options: Partial<TrainerOptions> = {}, config = olmo) {
  const gpu = await Gpu.open();
  const model = trainable(gpu, config, 1, "f16");
  const usual = { ...shape, objective: objective("unlikelihood"), optimiser: adamw };
  const trainer = new Trainer(model, { ...usual, ...options });
  return { gpu, model, trainer, [Symbol.dispose]: () => gpu.close() };
}

Deno.test("without shader-f16 the run is f32 and one line says so", async () => {
  using gpu = await Gpu.open({ without: ["shader-f16"] });
  assert(!gpu.adapter.features.includes("shader-f16"));
  assertEquals(choosePrecision(gpu, "f16"), {
    precision: "f32",
    note: `${gpu.adapter.name} has no shader-f16: training in f32 instead of f16.`,
  });
  assertEquals(choosePrecision(gpu, "f32"), { precision: "f32" });
  assertThrows(() => trainable(gpu, olmo, 1, "f16"), "Cannot run a model in f16: ");
  using model = trainable(gpu, olmo, 1, choosePrecision(gpu, "f16").precision);
  assertEquals(model.precision, "f32");
});

testHalves("with shader-f16 the wanted precision is chosen, silently", async () => {
  using gpu = await Gpu.open();
  for (const precision of ["f16", "f32"] as const) {
    assertEquals(choosePrecision(gpu, precision), { precision });
  }
});

// Ten steps of all four classes, on the same batches.
async function tenSteps(family: keyof typeof configs, precision: Precision) {
  using gpu = await Gpu.open();
  using model = trainable(gpu, configs[family], 1, precision);
  const options = { ...shape, objective: objective("unlikelihood"), optimiser: adamw };
  using trainer = new Trainer(model, options);
  for (let step = 0; step < 10; step++) trainer.step(step, batches, 1e-3);
  const reports = await trainer.drain();
  const { first } = trainer.optimiser.moments[0]!;
  return {
    reports,
    weights: withoutPadding(new Float32Array((await weightBytes(model)).buffer)),
    moments: withoutPadding(await gpu.read(first)),
  };
}

for (const family of ["olmo", "llama"] as const) {
  // f16 rounds by 2⁻¹² = 2.4e-4 on average; AdamW turns the sign of a gradient that is noise into a whole step of 1e-3.
  testHalves(`${family}: ten steps in f16 take the course of ten in f32`, async () => {
    const [halves, singles] = [await tenSteps(family, "f16"), await tenSteps(family, "f32")];
    halves.reports.forEach(({ loss, gradientNorm, scaling }, step) => {
      const expected = singles.reports[step]!;
      const lossError = Math.abs(loss / expected.loss - 1);
      const normError = Math.abs(gradientNorm / expected.gradientNorm - 1);
      assert(lossError < 5e-4, `loss of step ${step} is off by ${lossError}`);
      assert(normError < 5e-3, `gradient norm of step ${step} is off by ${normError}`);
      assertEquals(scaling, { scale: 2 ** 16, skipped: false });
      assertEquals(expected.scaling, undefined);
    });
    const weightError = relativeError(halves.weights, singles.weights);
    const momentError = relativeError(halves.moments, singles.moments);
    assert(weightError > 0 && weightError < 2e-3, `weights differ by ${weightError}`);
    assert(momentError < 1e-2, `first moments differ by ${momentError}`);
  });
}

// The views of an arena are aligned by bytes, so the zeros between them differ; the order of the rest does not.
function withoutPadding(arena: Float32Array): Float32Array {
  return arena.filter((value) => value !== 0);
}

testHalves("the loss goes down as in f32", async () => {
  const final = async (precision: Precision) => {
    using gpu = await Gpu.open();
    using model = trainable(gpu, llama, 1, precision);
    using trainer = new Trainer(model, {
      ...shape,
      objective: objective("direct"),
      optimiser: adamw,
    });
    for (let step = 0; step < 60; step++) trainer.step(step, batches, 5e-3);
    const reports = await trainer.drain();
    return [reports[0]!.loss, reports.at(-1)!.loss] as const;
  };
  const [start, halves] = await final("f16");
  const [, singles] = await final("f32");
  assert(singles < start / 4, `from ${start} to ${singles}`);
  assert(Math.abs(halves - singles) < 0.01 * start, `${halves} against ${singles}`);
});

testHalves(
  "an overflow skips the step, halves the scale and leaves every byte of the state",
  async () => {
    using run = await setUp({ lossScale: { initial: 2 ** 30, growthInterval: 200 } });
    const { model, trainer } = run;
    const { scaling: _, ...initial } = await parts(model, trainer);
    trainer.step(0, batches, 1e-3);
    trainer.step(1, batches, 1e-3);
    const reports = await trainer.drain();
    assertEquals(reports.map(({ scaling }) => scaling), [
      { scale: 2 ** 30, skipped: true },
      { scale: 2 ** 29, skipped: true },
    ]);
    assert(reports.every(({ loss }) => Number.isFinite(loss)));
    assert(reports.every(({ gradientNorm }) => !Number.isFinite(gradientNorm)));
    const { scaling, ...after } = await parts(model, trainer);
    assertSame(after.weights, initial.weights);
    assertSame(after.copies, initial.copies);
    assertSame(after.moments, initial.moments);
    assertEquals([...scaling], [2 ** 28, 0, 0, 0]);

    for (let step = 2; step < 30; step++) trainer.step(step, batches, 1e-3);
    const later = await trainer.drain();
    const first = later.findIndex(({ scaling }) => !scaling!.skipped);
    assert(first > 0, "some more are skipped, then one is not");
    assert(later.slice(first).every(({ scaling }) => !scaling!.skipped));
    assert((await parts(model, trainer)).weights.some((byte, i) => byte !== initial.weights[i]));
  },
);

async function parts(
  { gpu, parameters }: Awaited<ReturnType<typeof setUp>>["model"],
  { optimiser }: Trainer,
) {
  const bytes = async (tensors: Parameters<Gpu["readAll"]>[0]) =>
    Uint8Array.from(
      (await gpu.readAll(tensors)).flatMap((content) => [...new Uint8Array(content)]),
    );
  return {
    weights: await bytes(parameters.groups.map(({ weight }) => weight)),
    copies: await bytes(parameters.groups.map(({ copy }) => copy!)),
    moments: await bytes(optimiser.moments.flatMap(({ first, second }) => [first, second])),
    scaling: await gpu.read(optimiser.scaling!),
  };
}

testHalves(
  "a skipped step is as if it had never been: bias corrections count the updates taken",
  async () => {
    const run = async (initial: number, skips: number) => {
      using run = await setUp({ lossScale: { initial, growthInterval: 200 } });
      for (let step = 0; step < skips + 3; step++) run.trainer.step(step, batches, 1e-3);
      const reports = await run.trainer.drain();
      assertEquals(reports.map(({ scaling }) => scaling!.skipped).indexOf(false), skips);
      return await stateBytes(run.model, run.trainer);
    };
    const largest = await largestScale();
    assertSame(await run(8 * largest, 3), await run(largest, 0));
  },
);

// The largest power of two under which the first step does not overflow.
async function largestScale(): Promise<number> {
  using run = await setUp({ lossScale: { initial: 2 ** 30, growthInterval: 200 } });
  for (let step = 0; step < 20; step++) run.trainer.step(step, batches, 1e-3);
  const reports = await run.trainer.drain();
  return reports.find(({ scaling }) => !scaling!.skipped)!.scaling!.scale;
}

testHalves("the scale doubles after a number of good steps in a row", async () => {
  using run = await setUp({ lossScale: { initial: 4, growthInterval: 3 } });
  for (let step = 0; step < 8; step++) run.trainer.step(step, batches, 1e-4);
  const reports = await run.trainer.drain();
  assertEquals(reports.map(({ scaling }) => scaling!.scale), [4, 4, 4, 8, 8, 8, 16, 16]);
  assert(reports.every(({ scaling }) => !scaling!.skipped));
});

testHalves("a loss scale that cannot be is refused", async () => {
  for (const initial of [0, -2, 0.5, 1000, NaN, Infinity]) {
    const lossScale = { initial, growthInterval: 200 };
    await assertRejects(() => setUp({ lossScale }), `the first scale ${initial} is not 1, 2, 4`);
  }
  for (const growthInterval of [0, 1.5]) {
    const lossScale = { initial: 2, growthInterval };
    await assertRejects(() => setUp({ lossScale }), `cannot grow every ${growthInterval} steps`);
  }
});

// Overflows at first, then a scale that grows until it overflows again, over three checkpoints.
const eventful = {
  family: "llama" as const,
  precision: "f16" as const,
  lossScale: { initial: 2 ** 22, growthInterval: 2 },
};

testHalves("the same seed gives the same bytes, through overflows and growth", async () => {
  const [first, second] = [await trainingRun(eventful), await trainingRun(eventful)];
  assertSame(first.state, second.state);
  const skipped = first.log.filter(({ scaling }) => scaling!.skipped);
  assert(skipped.length > 0 && skipped.length < runSteps - 4, `${skipped.length} skipped`);
});

testHalves("stopped and resumed, a run in f16 ends in the same bytes", async () => {
  const folder = await Deno.makeTempDir();
  const whole = await trainingRun(eventful);
  for (const stop of [2, 7]) {
    const controller = new AbortController();
    await trainingRun({
      ...eventful,
      checkpoint: { folder },
      readEvery: 1,
      signal: controller.signal,
      onLog: ({ step }) => step === stop && controller.abort(),
    });
  }
  const resumed = await trainingRun({ ...eventful, checkpoint: { folder } });
  assertEquals(resumed.log.map(({ step }) => step), [8, 9, 10, 11]);
  assertEquals(
    resumed.log.map(({ scaling }) => scaling),
    whole.log.slice(8).map(({ scaling }) => scaling),
  );
  assertSame(resumed.state, whole.state);
  await Deno.remove(folder, { recursive: true });
});

testHalves(
  "recomputed activations give the same bytes, and f16 needs less memory than f32",
  async () => {
    const run = async (precision: Precision, recompute: boolean) => {
      using gpu = await Gpu.open();
      using model = trainable(gpu, { ...llama, layers: 4 }, 1, precision);
      const long = { rows: 4, time: 64 };
      const { batches } = packSequences(randomSequences(16, { seed: 3 }), long);
      const options = {
        ...long,
        objective: objective("unlikelihood"),
        optimiser: adamw,
        recompute,
      };
      const before = gpu.bytes;
      using trainer = new Trainer(model, options);
      for (let step = 0; step < 5; step++) trainer.step(step, batches, 1e-3);
      await trainer.drain();
      const activations = gpu.inventory()
        .filter(({ name }) => /^train\/(layer|embedding|d\()/.test(name))
        .reduce((sum, { bytes }) => sum + bytes, 0);
      return { state: await stateBytes(model, trainer), bytes: gpu.bytes - before, activations };
    };
    const kept = await run("f16", false), recomputed = await run("f16", true);
    const single = await run("f32", false);
    assertSame(recomputed.state, kept.state);
    assert(recomputed.bytes < kept.bytes, `${recomputed.bytes} bytes against ${kept.bytes}`);
    assert(kept.activations < 0.6 * single.activations, `${kept.activations} bytes of activations`);
  },
);

testHalves(
  "a weight that is not finite is named, with the step, and nothing changes after it",
  async () => {
    using run = await setUp({}, llama);
    const { gpu, model, trainer } = run;
    trainer.step(0, batches, 1e-3);
    assertEquals((await trainer.drain()).length, 1);
    const name = "model.layers.1.mlp.up_proj.weight";
    gpu.write(model.parameters.get(name).value, Float32Array.of(NaN, 1), 4);
    const before = await stateBytes(model, trainer);
    for (let step = 1; step < 4; step++) trainer.step(step, batches, 1e-3);
    await assertRejects(
      () => trainer.drain(),
      `Cannot go on training after step 1: the weight "${name}" is not finite. Load other weights.`,
    );
    assertSame(await stateBytes(model, trainer), before);
  },
);

testHalves(
  "an activation that passes f16 stops the run and is named: no loss scale helps",
  async () => {
    using run = await setUp({}, llama);
    const { gpu, model, trainer } = run;
    const { value } = model.parameters.get("model.layers.0.mlp.down_proj.weight");
    gpu.write(value, new Float32Array(value.length).fill(60_000));
    trainer.step(0, batches, 1e-3);
    await assertRejects(
      () => trainer.drain(),
      'Cannot go on training after step 0: "train/layer0/down_proj", written by kernel matmul.multiply, became',
    );
  },
);

testHalves("gradients that overflow under a scale of 1 stop the run", async () => {
  using run = await setUp({ lossScale: { initial: 4, growthInterval: 200 } });
  const { model, trainer } = run;
  const [sequence] = randomSequences(1, { longest: 16 });
  const weights = new Float32Array(sequence!.tokens.length).fill(1e25);
  const heavy = packSequences([{ ...sequence!, weights }], shape).batches;
  const before = await weightBytes(model);
  for (let step = 0; step < 4; step++) trainer.step(step, heavy, 1e-3);
  await assertRejects(() => trainer.drain(), "Cannot go on training after step 2: ");
  assertSame(await weightBytes(model), before);
});

testHalves("a model in f16 scores and decodes as its forward pass says", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, llama, 1, "f16");
  using single = trainable(gpu, llama, 1, "f32");
  const prompts = [Uint32Array.of(3, 1, 4), Uint32Array.of(5)];
  const results = await generate(model, prompts, { maxNewTokens: 12 });
  for (const [i, result] of results.entries()) {
    const all = Uint32Array.of(...prompts[i]!, ...result);
    const logits = await logitsOf(model, all.subarray(0, all.length - 1));
    result.forEach((token, t) => {
      const row = logits[prompts[i]!.length + t - 1]!;
      const largest = row.reduce((most, z) => Math.max(most, z), -Infinity);
      assert(row[token]! > largest - 0.02, `prompt ${i}, token ${t}`);
    });
  }
  const texts = randomSequences(4);
  const [halves, singles] = [
    await scoreSequences(model, texts),
    await scoreSequences(single, texts),
  ];
  halves.forEach((scores, i) => {
    const error = relativeError(scores, singles[i]!);
    assert(error > 0 && error < 2e-3, `text ${i} is off by ${error}`);
  });
  const downloaded = (await model.download()).get("lm_head.weight")!.data;
  assertSame(downloaded, (await single.download()).get("lm_head.weight")!.data);
});
