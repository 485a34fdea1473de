// Training as a whole: the same bytes every time, the same step however its batch is cut, masked tokens that are context
// only, and a run that stops before a bad step and says why.

import { assumedChoices, type KernelChoices } from "../src/gpu/choices.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Random } from "../src/base/random.ts";
import { type Batch, countTargets, packSequences } from "../src/data/packing.ts";
import { lowRiskSequence, type Sequence } from "../src/data/sequence.ts";
import type { LanguageModel } from "../src/model/language_model.ts";
import { type Denominator, objective, type ObjectiveName } from "../src/slung/objective.ts";
import { Risk } from "../src/slung/risk.ts";
import { scoreSequences } from "../src/eval/score.ts";
import { fit } from "../src/train/fit.ts";
import type { LogEntry } from "../src/train/loop.ts";
import { Trainer, type TrainerOptions } from "../src/train/trainer.ts";
import { assert, assertEquals, assertRejects, assertThrows, relativeError } from "./assert.ts";
import {
  adamw,
  llama,
  olmo,
  randomSequences,
  stateBytes,
  trainable,
  weightBytes,
} from "./fixtures/tiny.ts";
import { assertSame } from "./fixtures/same.ts";
import { runSteps, trainingRun } from "./fixtures/training_run.ts";

const isFinite = (bytes: Uint8Array) => new Float32Array(bytes.buffer).every(Number.isFinite);

Deno.test("the same seed twice gives the same bytes of weights and moments", async () => {
  const [first, second] = [await trainingRun(), await trainingRun()];
  assertEquals(first.step, runSteps);
  assert(isFinite(first.state));
  assertSame(first.state, second.state);
});

Deno.test("another order of the data, and other initial weights, give other bytes", async () => {
  const { state } = await trainingRun();
  assert((await trainingRun({ seed: 2 })).state.some((byte, i) => byte !== state[i]));
  assert((await trainingRun({ initialSeed: 2 })).state.some((byte, i) => byte !== state[i]));
});

Deno.test("reading back every step or only at the end gives the same log and the same bytes", async () => {
  const [often, rarely] = [
    await trainingRun({ readEvery: 1 }),
    await trainingRun({ readEvery: 16 }),
  ];
  const withoutTimes = (log: LogEntry[]) =>
    log.map(({ tokensPerSecond: _, seconds: __, ...report }) => report);
  assertEquals(withoutTimes(often.log), withoutTimes(rarely.log));
  assertEquals(often.log.map(({ step }) => step), Array.from({ length: runSteps }, (_, i) => i));
  assertSame(often.state, rarely.state);
});

Deno.test("ten steps from buffers alone, with a GPU's tiles, and as the adapter chooses agree", async () => {
  const run = async (kernels?: Partial<KernelChoices>) => {
    using gpu = await Gpu.open({ ...(kernels && { kernels }) });
    using model = trainable(gpu, llama);
    const { batches } = packSequences(randomSequences(16, { seed: 4 }), { rows: 8, time: 32 });
    const shape = { rows: 8, time: 32, objective: objective("unlikelihood"), optimiser: adamw };
    using trainer = new Trainer(model, shape);
    for (let step = 0; step < 10; step++) trainer.step(step, batches, 1e-3);
    await trainer.drain();
    return await weightBytes(model);
  };
  const buffer = { memory: "buffer", rowBlocks: 2, columnBlocks: 2, lines: 8 } as const;
  const plain = await run({
    matmul: { large: buffer, square: buffer, thin: buffer },
    attention: { memory: "buffer", owned: 1 },
  });
  const limits = { maxComputeWorkgroupStorageSize: 16_384 };
  const tiled = await run(assumedChoices({ name: "a GPU", software: false, limits }));
  const chosen = await run();
  const weights = (bytes: Uint8Array) => new Float32Array(bytes.slice().buffer);
  for (const bytes of [tiled, chosen]) {
    const error = relativeError(weights(bytes), weights(plain));
    assert(error < 1e-5, `relative difference ${error}`);
  }
  // What a CPU may choose from adds in the same order, so that no choice of it changes a result by a bit.
  using gpu = await Gpu.open();
  if (gpu.adapter.software) assertSame(chosen, plain);
});

Deno.test("ten steps with recomputed activations give the same bytes in less memory", async () => {
  const run = async (recompute: boolean) => {
    using gpu = await Gpu.open();
    using model = trainable(gpu, { ...olmo, layers: 4 });
    const { batches } = packSequences(randomSequences(8, { seed: 3 }), { rows: 4, time: 32 });
    const shape = { rows: 4, time: 32, objective: objective("unlikelihood"), optimiser: adamw };
    using trainer = new Trainer(model, { ...shape, recompute });
    for (let step = 0; step < 10; step++) trainer.step(step, batches, 1e-3);
    await trainer.drain();
    return { weights: await weightBytes(model), bytes: gpu.bytes };
  };
  const kept = await run(false);
  const recomputed = await run(true);
  assertSame(recomputed.weights, kept.weights);
  assert(recomputed.bytes < kept.bytes, `${recomputed.bytes} bytes against ${kept.bytes}`);
});

// Sequences whose masks are uneven: of 16, the first four carry no masked-objective loss at all.
function unevenSequences(): Sequence[] {
  const sequences = randomSequences(16, { seed: 5, weighted: true });
  for (const { classes } of sequences.slice(0, 4)) classes.fill(Risk.high);
  return sequences;
}

// Gradients and weights of one step over micro-batches.
async function oneStep(
  gpu: Gpu,
  batches: readonly Batch[],
  shape: { rows: number; time: number },
  denominator: Denominator,
): Promise<{ gradients: Float32Array; weights: Float32Array }> {
  using model = trainable(gpu, llama);
  const options = { ...shape, objective: objective("masked", denominator), optimiser: adamw };
  using trainer = new Trainer(model, options);
  trainer.accumulate(0, batches, 1e-2);
  const gradients = flat(await model.parameters.download("gradient"));
  trainer.optimiser.update();
  return { gradients, weights: flat(await model.download()) };
}

function flat(tensors: Map<string, { data: Float32Array }>): Float32Array {
  return Float32Array.from([...tensors.values()].flatMap(({ data }) => [...data]));
}

for (const denominator of ["active", "paper", "all", "weights"] as const) {
  // The cut only changes the order in which f32 gradients are summed: 1e-5 is some 80 roundings. AdamW's first update
  // is lr · g / (|g| + 1e-8), which turns noise into a step only where |g| is itself noise; relative to all weights
  // the same bound holds.
  Deno.test(`${denominator}: a step is the same in one batch, in micro-batches and packed otherwise`, async () => {
    using gpu = await Gpu.open();
    const sequences = unevenSequences();
    const whole = { rows: 16, time: 16 }, quarter = { rows: 4, time: 16 };
    const alone = { rows: 1, time: 16 }, long = { rows: 2, time: 64 };
    const quarters = [0, 4, 8, 12].map((first) => {
      const { batches } = packSequences(sequences.slice(first, first + 4), quarter);
      assertEquals(batches.length, 1);
      return batches[0]!;
    });
    const { terms } = objective("masked");
    const active = quarters.map((batch) => countTargets(batch, terms).active);
    assert(active[0] === 0 && new Set(active).size > 2, `uneven masks, got ${active}`);

    const expected = await oneStep(
      gpu,
      packSequences(sequences, whole).batches,
      whole,
      denominator,
    );
    assert(expected.gradients.some((x) => x !== 0));
    const cuts: [string, Batch[], { rows: number; time: number }][] = [
      ["four micro-batches", quarters, quarter],
      ["four micro-batches in reverse", quarters.toReversed(), quarter],
      ["one sequence a row", sequences.flatMap((s) => packSequences([s], alone).batches), alone],
      ["several sequences a row", packSequences(sequences, long).batches, long],
    ];
    for (const [name, batches, shape] of cuts) {
      const actual = await oneStep(gpu, batches, shape, denominator);
      const gradientError = relativeError(actual.gradients, expected.gradients);
      const weightError = relativeError(actual.weights, expected.weights);
      assert(gradientError < 1e-5, `${name}: gradients differ by ${gradientError}`);
      assert(weightError < 1e-5, `${name}: weights differ by ${weightError}`);
    }
  });
}

Deno.test("the four denominators scale the same gradient", async () => {
  using gpu = await Gpu.open();
  const shape = { rows: 16, time: 16 };
  const { batches } = packSequences(unevenSequences(), shape);
  const counts = countTargets(batches[0]!, objective("masked").terms);
  const { active, all, weights, firstTokens } = counts;
  const reference = (await oneStep(gpu, batches, shape, "active")).gradients;
  const divisors = { paper: active + firstTokens, all, weights };
  for (const [name, divisor] of Object.entries(divisors)) {
    const { gradients } = await oneStep(gpu, batches, shape, name as Denominator);
    const error = relativeError(gradients, reference.map((x) => x * active / divisor));
    assert(error < 1e-6, `${name}: ${error}`);
  }
});

function trainerOf(
  model: LanguageModel,
  name: ObjectiveName,
  options: Partial<TrainerOptions> = {},
): Trainer {
  const defaults = { rows: 2, time: 16, objective: objective(name), optimiser: adamw };
  return new Trainer(model, { ...defaults, ...options });
}

// Tokens 2 … 9 of which the fourth is high risk.
const risky: Sequence = {
  tokens: Uint32Array.of(2, 3, 4, 5, 6, 7, 8, 9),
  classes: Uint8Array.of(1, 1, 1, 3, 1, 1, 1, 1),
};
const riskyRow = 2; // the position that predicts it

Deno.test("masked: no gradient changes when masked targets are replaced", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, llama);
  using trainer = trainerOf(model, "masked");
  const { batches } = packSequences([risky, ...randomSequences(3)], { rows: 2, time: 16 });
  const batch = batches[0]!;
  const replaced = { ...batch, targets: batch.targets.slice() };
  batch.classes.forEach((risk, row) => {
    if (risk >= Risk.possible) replaced.targets[row] = (batch.targets[row]! + 11) % 53;
  });
  assert(replaced.targets.some((token, row) => token !== batch.targets[row]));
  const gradients = async (which: Batch) => {
    trainer.accumulate(0, [which]);
    const found = flat(await model.parameters.download("gradient"));
    trainer.optimiser.update(); // with a learning rate of 0: only clears the gradients
    return found;
  };
  const expected = await gradients(batch);
  assert(expected.some((x) => x !== 0));
  assertSame(await gradients(replaced), expected);

  // The same exchange under `direct` does change them, so that the test could fail.
  using direct = trainerOf(model, "direct");
  direct.accumulate(0, [replaced]);
  const learned = flat(await model.parameters.download("gradient"));
  assert(relativeError(learned, expected) > 0.01);
});

Deno.test("masked: a masked token is context of the tokens after it, and of none before", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, llama);
  using trainer = trainerOf(model, "masked");
  const other = { ...risky, tokens: risky.tokens.slice() };
  other.tokens[3] = 40;
  const lossesOf = async (sequence: Sequence) => {
    const { batches } = packSequences([sequence], { rows: 2, time: 16 });
    return (await trainer.losses(batches[0]!)).losses;
  };
  const [before, after] = [await lossesOf(risky), await lossesOf(other)];
  assertSame(before.slice(0, riskyRow), after.slice(0, riskyRow));
  assert(Number.isNaN(before[riskyRow]!), "the masked token itself has no loss");
  for (let row = riskyRow + 1; row < 7; row++) {
    assert(Math.abs(before[row]! - after[row]!) > 1e-4, `row ${row}: ${before[row]}`);
  }
});

Deno.test("unlikelihood lowers the probability of a known risky token, masked keeps it, direct raises it", async () => {
  using gpu = await Gpu.open();
  const probability = async (model: LanguageModel) =>
    Math.exp((await scoreSequences(model, [risky]))[0]![riskyRow]!);
  const optimiser = { ...adamw, weightDecay: 0 };
  const { batches } = packSequences([risky], { rows: 2, time: 16 });
  const results: Record<string, number> = {};
  let known = 0;
  for (const name of ["direct", "masked", "unlikelihood"] as const) {
    using model = trainable(gpu, olmo);
    {
      using trainer = trainerOf(model, "direct", { optimiser }); // first it is learned
      for (let step = 0; step < 15; step++) trainer.step(step, batches, 1e-2);
      await trainer.drain();
    }
    known = await probability(model);
    using trainer = trainerOf(model, name, { optimiser });
    for (let step = 0; step < 30; step++) trainer.step(step, batches, 5e-3);
    await trainer.drain();
    results[name] = await probability(model);
  }
  const { direct, masked, unlikelihood } = results as Record<ObjectiveName, number>;
  assert(known > 0.3 && known < 0.9, `p before ${known}`);
  assert(direct > known + 0.05, `direct: ${known} → ${direct}`);
  assert(Math.abs(masked - known) < 0.15, `masked: ${known} → ${masked}`);
  assert(unlikelihood < 0.02, `unlikelihood: ${known} → ${unlikelihood}`);
});

Deno.test("a poisoned weight is named, with the step, and no weight changes after it", async () => {
  using gpu = await Gpu.open();
  const { batches } = packSequences(randomSequences(4), { rows: 2, time: 16 });
  const poisons = [
    ["model.layers.1.mlp.up_proj.weight", NaN],
    ["model.layers.0.input_layernorm.weight", Infinity],
    ["lm_head.weight", -Infinity],
  ] as const;
  for (const [name, poison] of poisons) {
    using model = trainable(gpu, llama);
    using trainer = trainerOf(model, "direct");
    for (let step = 0; step < 2; step++) trainer.step(step, batches, 1e-3);
    assertEquals((await trainer.drain()).length, 2);
    const { value } = model.parameters.get(name);
    gpu.write(value, Float32Array.of(poison), 5);
    const before = await stateBytes(model, trainer);
    for (let step = 2; step < 5; step++) trainer.step(step, batches, 1e-3);
    await assertRejects(
      () => trainer.drain(),
      `Cannot go on training after step 2: the weight "${name}" is not finite. Load other weights.`,
    );
    assertSame(await stateBytes(model, trainer), before);
  }
});

Deno.test("an overflow in training is traced to its tensor and leaves the finite weights before it", async () => {
  using gpu = await Gpu.open();
  const { batches } = packSequences(randomSequences(4), { rows: 2, time: 16 });
  // One step at this rate makes all weights about ±1e18: queries · keys then pass f32's 3.4e38.
  const rate = 1e18;
  using expected = trainable(gpu, llama);
  using short = trainerOf(expected, "direct");
  short.step(0, batches, rate);
  await short.drain();

  using model = trainable(gpu, llama);
  using trainer = trainerOf(model, "direct");
  for (let step = 0; step < 4; step++) trainer.step(step, batches, rate);
  await assertRejects(
    () => trainer.drain(),
    'Cannot go on training after step 1: "train/layer0/attention", written by kernel ' +
      "attention.forward, became NaN or infinite. Lower the learning rate",
  );
  const weights = await weightBytes(model);
  assert(isFinite(weights));
  assertSame(weights, await weightBytes(expected));
});

Deno.test("gradients whose squares overflow halt the run though no tensor is infinite", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, olmo);
  using trainer = trainerOf(model, "direct");
  const [sequence] = randomSequences(1, { longest: 16 });
  const weights = new Float32Array(sequence!.tokens.length).fill(1e25);
  const { batches } = packSequences([{ ...sequence!, weights }], { rows: 2, time: 16 });
  const before = await weightBytes(model);
  trainer.step(0, batches, 1e-3);
  await assertRejects(
    () => trainer.drain(),
    "Cannot go on training after step 0: the sum of the squared gradients overflowed. Lower the",
  );
  assertSame(await weightBytes(model), before);
});

Deno.test("a step with nothing to learn from is refused and says why", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, olmo);
  using trainer = trainerOf(model, "masked");
  const before = await stateBytes(model, trainer);
  const pack = (sequence: Sequence) => packSequences([sequence], { rows: 2, time: 16 }).batches;
  const masked = { ...risky, classes: new Uint8Array(8).fill(Risk.high) };
  assertThrows(
    () => trainer.step(3, pack(masked), 1e-3),
    "Cannot train on step 3: every token is masked, so nothing is learned. Check the risk spans",
  );
  const empty = "Cannot train on step 3: the batch is empty. Check the risk spans";
  assertThrows(() => trainer.step(3, pack(lowRiskSequence(Uint32Array.of(4))), 1e-3), empty);
  assertThrows(() => trainer.step(3, [], 1e-3), empty);
  assertEquals(trainer.pending, 0);
  assertSame(await stateBytes(model, trainer), before);
});

Deno.test("a micro-batch without a loss changes nothing but the denominators that count it", async () => {
  using gpu = await Gpu.open();
  const shape = { rows: 2, time: 16 };
  const masked = { ...risky, classes: new Uint8Array(8).fill(Risk.high) };
  const learned = packSequences([risky], shape).batches;
  const both = [...packSequences([masked], shape).batches, ...learned];
  const [skipped, learnedOnly] = [
    await oneStep(gpu, both, shape, "active"),
    await oneStep(gpu, learned, shape, "active"),
  ];
  assertSame(skipped.gradients, learnedOnly.gradients);
  assertSame(skipped.weights, learnedOnly.weights);
  const { gradients } = await oneStep(gpu, both, shape, "all");
  const alone = await oneStep(gpu, learned, shape, "all");
  assert(relativeError(gradients, alone.gradients.map((x) => x / 2)) < 1e-6); // 7 of 14 targets
});

Deno.test("rows longer than the model's context are refused", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, olmo);
  assertThrows(
    () => trainerOf(model, "direct", { time: 65 }),
    "Cannot run sequences of 65 tokens: the model's context holds 64.",
  );
  const tokens = new Uint32Array(66);
  await assertRejects(
    () =>
      fit(model, {
        epochs: [[lowRiskSequence(tokens)]],
        perStep: 1,
        seed: 1,
        objective: objective("direct"),
        optimiser: adamw,
        schedule: { peak: 1e-3, warmup: 0, decay: "constant", final: 1 },
      }),
    "Cannot run sequences of 65 tokens: the model's context holds 64.",
  );
});

Deno.test("reports hold the mean loss of each class and the objective over its denominator", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, olmo);
  using trainer = trainerOf(model, "masked");
  const random = new Random(8);
  const sequences: Sequence[] = Array.from({ length: 3 }, () => ({
    tokens: Uint32Array.from({ length: 9 }, () => random.below(53)),
    classes: Uint8Array.from({ length: 9 }, (_, i) => i % 4),
  }));
  const { batches } = packSequences(sequences, { rows: 2, time: 16 });
  const scores = await scoreSequences(model, sequences);
  trainer.step(0, batches, 1e-3);
  const [report] = await trainer.drain();
  const mean = (risk: number) => {
    const losses = sequences.flatMap(({ classes }, i) =>
      [...scores[i]!].flatMap((score, t) => classes[t + 1] === risk ? [-score] : [])
    );
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  };
  assertEquals(report!.lossByClass.slice(2), [undefined, undefined]);
  const [unlabelled, low] = report!.lossByClass;
  assert(Math.abs(unlabelled! - mean(Risk.unlabelled)) < 1e-5);
  assert(Math.abs(low! - mean(Risk.low)) < 1e-5);
  assert(Math.abs(report!.loss - (unlabelled! + low!) / 2) < 1e-5); // 6 targets of each
  assertEquals(report!.tokens, 24);
});
