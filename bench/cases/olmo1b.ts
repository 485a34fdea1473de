// The paper's model in full size: training steps of OLMo 1B over whole windows of 2048 tokens, and continuations of several
// prompts at once. Its weights are random, which changes neither time nor memory.

import { generate, LanguageModel, objective, presets, Random } from "../../mod.ts";
import { elements } from "../../src/gpu/tensor.ts";
import type { ModelSource } from "../../src/model/model.ts";
import { parameterShapes } from "../../src/model/parameter_shapes.ts";
import { initialiseLora, type LoraSettings, withLora } from "../../src/model/lora.ts";
import { olmoOptimiser } from "../../src/train/optimiser.ts";
import type { StepShape } from "../../src/train/recorded_step.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { estimateStep } from "../../src/train/estimate.ts";
import { adder, type Bench, type Section, table, timeUnderCeiling } from "../case.ts";
import { ours } from "../peers/ours.ts";
import type { Measurement } from "../results.ts";
import { randomBatch } from "../small_decoder.ts";

const config = presets.olmo1B;
const time = config.contextLength;
const lora: LoraSettings = { rank: 8, alpha: 16, targets: ["q_proj", "v_proj"] };
const drawnNumbers = 2 ** 16 + 1; // all weights repeat them; no width is a multiple of that many

/** Measures steps per second and what they hold. */
export async function olmo1b(bench: Bench): Promise<Section> {
  const title = `OLMo 1B, windows of ${time} tokens`;
  if (bench.gpu.adapter.software) {
    const notes = ["OLMo 1B in full size is left out on a software adapter."];
    return { text: title, measurements: [], notes };
  }
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  const rows = [];
  for (const [label, shape] of shapes(bench)) {
    const { refusal, multiplyAdds } = estimateStep(bench.gpu, shape);
    if (refusal !== undefined) {
      notes.push(`${label}: ${refusal}.`);
      continue;
    }
    bench.note(`OLMo 1B: ${label}`);
    const { milliseconds, spread, memory, ceilingGflops, loss } = await timeSteps(bench, shape);
    const gflops = 2 * multiplyAdds / milliseconds / 1e6;
    const tokensPerSecond = shape.rows * time / milliseconds * 1e3;
    const share = 100 * gflops / ceilingGflops;
    rows.push({ label, milliseconds, spread, tokensPerSecond, gflops, share, memory, loss });
    const add = adder(measurements, `OLMo 1B step, ${label}`, ours);
    add("time", "ms", milliseconds);
    add("training", "tokens/s", tokensPerSecond);
    add("speed", "GFLOP/s", gflops);
    add("share of ceiling", "", share / 100);
    add("memory", "MiB", memory);
  }
  const text = table(`A training step of ${title}`, [
    { key: "label", title: "Step" },
    { key: "milliseconds", title: "Time", unit: "ms", precision: 0 },
    { key: "spread", title: "±", unit: "%", precision: 0 },
    { key: "tokensPerSecond", title: "Tokens/s", precision: 0 },
    { key: "gflops", title: "Products", unit: "GFLOP/s", precision: 0 },
    { key: "share", title: "Of ceiling", unit: "%", precision: 1 },
    { key: "memory", title: "Memory", unit: "MiB", precision: 0 },
    { key: "loss", title: "First loss", precision: 3 },
  ], rows);
  const continued = await timeGeneration(bench, measurements);
  return { text: [text, "", continued].join("\n"), measurements, notes };
}

function shapes({ gpu, quick }: Bench): [label: string, shape: StepShape][] {
  const shape = (rest: Partial<StepShape> = {}): StepShape => ({
    ...{ config, precision: "f32", rows: 1, time, ...rest },
  });
  const full: [string, StepShape][] = [["f32, 1 window", shape()]];
  if (quick) return full;
  if (gpu.storesHalves) {
    full.push(
      ["f16, 1 window", shape({ precision: "f16" })],
      ["f16, 4 windows", shape({ precision: "f16", rows: 4 })],
    );
  }
  return [
    ...full,
    ["f32, 4 windows, recomputed", shape({ rows: 4, recompute: true })],
    ["f32, LoRA, 1 window", shape({ lora })],
  ];
}

async function timeSteps(bench: Bench, shape: StepShape) {
  const { gpu, memory } = bench;
  const { precision, rows, recompute = false, lora } = shape;
  const before = memory.mark(gpu.device);
  const source = randomModel();
  using model = await LanguageModel.load(
    gpu,
    lora ? withLora(source, initialiseLora(config, lora, 0)) : source,
    { gradients: true, precision, ...(lora && { lora }) },
  );
  using trainer = new Trainer(model, {
    ...{ rows, time, recompute, objective: objective("unlikelihood"), optimiser: olmoOptimiser },
  });
  const batch = randomBatch({ rows, time, vocabulary: config.vocabularySize });
  const losses: number[] = [];
  const run = async (times: number) => {
    for (let i = 0; i < times; i++) trainer.step(losses.length + i, [batch], 1e-4);
    losses.push(...(await trainer.drain()).map(({ loss }) => loss));
  };
  const { timings, ceilingGflops } = await timeUnderCeiling(bench, [
    { name: ours, run, dispose() {} },
  ]);
  const { median, spread } = timings[0]!;
  return {
    milliseconds: median * 1e3,
    spread: 100 * spread,
    memory: (memory.peak(gpu.device) - before) / 2 ** 20,
    ceilingGflops,
    loss: losses[0]!,
  };
}

async function timeGeneration(bench: Bench, measurements: Measurement[]): Promise<string> {
  const { gpu } = bench;
  const random = new Random(0, "prompts");
  const maxNewTokens = 64;
  const rows = [];
  for (const precision of ["f32", ...gpu.storesHalves ? ["f16" as const] : []] as const) {
    using model = await LanguageModel.load(gpu, randomModel(), { precision });
    for (const batch of [1, 32]) {
      const what = `OLMo 1B, ${precision}, ${batch} at once`;
      bench.note(what);
      const prompts = Array.from(
        { length: batch },
        () => Uint32Array.from({ length: 32 }, () => random.below(config.vocabularySize)),
      );
      await generate(model, prompts, { maxNewTokens: 1, batch }); // compiles
      const began = performance.now();
      const written = await generate(model, prompts, { maxNewTokens, batch });
      const seconds = (performance.now() - began) / 1e3;
      const tokens = written.reduce((sum, { length }) => sum + length, 0);
      rows.push({ precision, batch, seconds, tokensPerSecond: tokens / seconds });
      adder(measurements, what, ours)("decoding", "tokens/s", tokens / seconds);
    }
  }
  return table(`${maxNewTokens} tokens behind prompts of 32, OLMo 1B`, [
    { key: "precision", title: "Precision" },
    { key: "batch", title: "At once" },
    { key: "seconds", title: "Time", unit: "s", precision: 2 },
    { key: "tokensPerSecond", title: "New tokens/s", precision: 0 },
  ], rows);
}

// Drawing a billion normal numbers takes a minute; each tensor repeats the same few, from another place on.
function randomModel(): ModelSource {
  const random = new Random(0, "weights");
  const drawn = Float32Array.from({ length: drawnNumbers }, () => 0.02 * random.normal());
  return {
    config,
    async *tensors() {
      for (const [name, shape] of parameterShapes(config)) {
        const data = new Float32Array(elements(shape));
        const first = random.below(drawn.length);
        for (let at = 0, from = first; at < data.length; from = 0) {
          const part = drawn.subarray(from, from + data.length - at);
          data.set(part, at);
          at += part.length;
        }
        yield [name, { shape, data }];
      }
    },
  };
}
