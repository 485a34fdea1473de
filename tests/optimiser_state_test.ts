// AdamW's state beside a base model: training that is continued from it goes on as if it had never ended.

import { Gpu } from "../src/gpu/gpu.ts";
import type { Precision } from "../src/gpu/tensor.ts";
import { packSequences } from "../src/data/packing.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { writeSafetensors } from "../src/model/formats/tensor_data.ts";
import { loadModel, saveModel, withRotaryPairing } from "../src/model/weights.ts";
import { objective } from "../src/slung/objective.ts";
import { checkpointsIn } from "../src/train/checkpoint.ts";
import { fit, type FitOptions } from "../src/train/fit.ts";
import { loadOptimiserState, saveOptimiserState } from "../src/train/optimiser_state.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertEquals, assertRejects } from "./assert.ts";
import { assertSame } from "./fixtures/same.ts";
import { testHalves } from "./fixtures/halves.ts";
import {
  adamw,
  configs,
  olmo,
  pairings,
  randomSequences,
  stateBytes,
  trainable,
  weightBytes,
} from "./fixtures/tiny.ts";

const shape = { rows: 2, time: 16 };
const { batches } = packSequences(randomSequences(6), shape);
const options = { ...shape, objective: objective("unlikelihood"), optimiser: adamw };

async function takeSteps(trainer: Trainer, count: number): Promise<void> {
  for (let step = 0; step < count; step++) trainer.step(step, batches, 1e-2);
  await trainer.drain();
}

// Three steps, then three more by another trainer of a model that was saved and loaded, against six at a stretch.
async function assertGoesOn(family: keyof typeof configs, precision: Precision): Promise<void> {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const config = configs[family];
  using whole = trainable(gpu, config, 1, precision);
  using straight = new Trainer(whole, options);
  await takeSteps(straight, 3);
  await saveModel(folder, config, await whole.download());
  await saveOptimiserState(folder, config, await straight.optimiser.download(3));
  for (let step = 3; step < 6; step++) straight.step(step, batches, 1e-2);
  await straight.drain();

  const { weights } = withRotaryPairing(await loadModel(folder), pairings[family]);
  using later = new LanguageModel(gpu, config, weights, { gradients: true, precision });
  using continued = new Trainer(later, options);
  const state = (await loadOptimiserState(folder, config))!;
  assertEquals(state.updates, 3);
  continued.optimiser.upload(state, 0);
  await takeSteps(continued, 3);
  assertSame(await stateBytes(later, continued), await stateBytes(whole, straight));
  assertEquals((await continued.optimiser.download(3)).updates, 6);
  await Deno.remove(folder, { recursive: true });
}

for (const family of ["olmo", "llama"] as const) {
  const pairing = pairings[family]; // interleaved moments are permuted when saved
  Deno.test(`${family} (${pairing} rotary): training continued from saved moments is training that never ended`, async () => {
    await assertGoesOn(family, "f32");
  });
}

testHalves("in f16 the loss scale and the updates taken are continued as well", async () => {
  await assertGoesOn("olmo", "f16");
});

testHalves("moments of an f32 run continue in f16 with its number of updates", async () => {
  using gpu = await Gpu.open();
  const state = await (async () => {
    using model = trainable(gpu, olmo);
    using trainer = new Trainer(model, options);
    await takeSteps(trainer, 3);
    return await trainer.optimiser.download(3);
  })();
  using model = trainable(gpu, olmo, 1, "f16");
  using trainer = new Trainer(model, options);
  trainer.optimiser.upload(state, 0);
  const [, , taken1, taken2] = await gpu.read(trainer.optimiser.scaling!);
  assertEquals([taken1, taken2], adamw.betas.map((beta) => Math.fround(1 - beta ** 3)));
});

Deno.test("fit continues from moments, and they decide its course", async () => {
  using gpu = await Gpu.open();
  const run: FitOptions = {
    epochs: [randomSequences(8)],
    perStep: 4,
    seed: 1,
    objective: objective("direct"),
    optimiser: adamw,
    schedule: { peak: 1e-3, warmup: 0, decay: "linear", final: 0 },
  };
  const outcome = async (optimiserState?: FitOptions["optimiserState"]) => {
    using model = trainable(gpu, olmo);
    await fit(model, { ...run, ...(optimiserState && { optimiserState }) });
    return await weightBytes(model);
  };
  using model = trainable(gpu, olmo, 2);
  using trainer = new Trainer(model, options);
  await takeSteps(trainer, 3);
  const state = await trainer.optimiser.download(3);
  const continued = await outcome(state);
  assertSame(continued, await outcome(state));
  assert((await outcome()).some((byte, i) => byte !== continued[i]));
});

Deno.test("a run that continues from moments and is interrupted ends in the same bytes", async () => {
  using gpu = await Gpu.open();
  using earlier = trainable(gpu, olmo, 2);
  using trainer = new Trainer(earlier, options);
  await takeSteps(trainer, 3);
  const run: FitOptions = {
    epochs: [randomSequences(40)],
    perStep: 4,
    seed: 1,
    objective: objective("direct"),
    optimiser: adamw,
    optimiserState: await trainer.optimiser.download(3),
    schedule: { peak: 1e-2, warmup: 0, decay: "linear", final: 0 },
  };
  using whole = trainable(gpu, olmo);
  await fit(whole, run);
  const folder = await Deno.makeTempDir();
  const checkpoint = checkpointsIn(folder, 3);
  const controller = new AbortController();
  using stopped = trainable(gpu, olmo);
  const { step } = await fit(stopped, {
    ...run,
    checkpoint,
    signal: controller.signal,
    onLog: ({ step }) => step === 3 && controller.abort(),
  });
  assert(step > 0 && step < 10, `stopped after ${step} steps`);
  using resumed = trainable(gpu, olmo);
  assert((await fit(resumed, { ...run, checkpoint })).finished);
  assertSame(await weightBytes(resumed), await weightBytes(whole));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a state of another model, or one that does not say its updates, is refused by name", async () => {
  using gpu = await Gpu.open();
  const folder = await Deno.makeTempDir();
  const file = `${folder}/optimiser.safetensors`;
  assertEquals(await loadOptimiserState(folder, olmo), undefined);
  using model = trainable(gpu, olmo);
  using trainer = new Trainer(model, options);
  const state = await trainer.optimiser.download(0);
  await saveOptimiserState(folder, olmo, state);
  await assertRejects(
    () => loadOptimiserState(folder, { ...olmo, layers: 3 }),
    `Cannot use the weights of "${file}": tensor "first_moment.model.layers.2`,
  );
  await writeSafetensors(file, state.first);
  await assertRejects(
    () => loadOptimiserState(folder, olmo),
    `Cannot continue from "${file}": it does not say how many updates`,
  );
  await Deno.remove(folder, { recursive: true });
});
