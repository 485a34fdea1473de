// Where the time of a training step goes, by kernel, from timestamps around every dispatch. Adapters count in ticks of
// their own and Deno does not say how long one is, so a tick is calibrated on a product whose wall time is known. The
// wall time of the step stands beside the sum: the rest is copies, clears, and gaps between dispatches.

import { LanguageModel, objective } from "../../mod.ts";
import { Program } from "../../src/gpu/program.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { matmul } from "../../kernels/matmul.ts";
import { type Bench, ceilingMeasurement, type Section, table, timeUnderCeiling } from "../case.ts";
import { quantile } from "../measure.ts";
import { ours } from "../peers/ours.ts";
import { smallSizes, stepOf, stepOperations } from "../small_decoder.ts";

type KernelTime = Awaited<ReturnType<Program["profile"]>>[number];

/** Profiles the step of {@linkcode smallSizes}. */
export async function profile(bench: Bench): Promise<Section> {
  const { gpu } = bench;
  if (!gpu.adapter.features.includes("timestamp-query")) {
    const notes = [`${gpu.adapter.name} has no timestamp-query: no profile.`];
    return { text: "Profile", measurements: [], notes };
  }
  const request = stepOf(smallSizes);
  const { config, weights, rows: batch, time, optimiser, learningRate } = request;
  using model = new LanguageModel(gpu, config, weights, { gradients: true });
  const settings = { rows: batch, time, objective: objective("direct"), optimiser };
  using trainer = new Trainer(model, settings);
  let count = 0;
  const step = () => trainer.step(count++, [request.batch], learningRate);
  const programs = replayedBy(step);
  bench.note(`profile: ${programs.map(({ name, length }) => `${name} ${length}`).join(", ")}`);
  const run = async (times: number) => {
    for (let i = 0; i < times; i++) {
      step();
      if (trainer.pending === 32) await trainer.drain();
    }
    await trainer.drain();
  };
  const { timings: [timing], ceilingGflops } = await timeUnderCeiling(bench, [{
    ...{ name: ours, run, dispose() {} },
  }]);
  const wall = timing!.median * 1e3;
  const host = await hostTime(bench.rounds, async () => {
    await trainer.drain();
    return step;
  });
  await trainer.drain();
  const scale = await calibrate(gpu);
  const profiles: KernelTime[][] = [];
  for (const program of programs) profiles.push(await medianProfile(program, bench.rounds));

  const operations = operationsOf(request);
  const kernels = profiles.flat().map((entry) => ({
    ...entry,
    milliseconds: entry.milliseconds * scale,
  })).sort((a, b) => b.milliseconds - a.milliseconds);
  const sum = kernels.reduce((total, { milliseconds }) => total + milliseconds, 0);
  const rows = kernels.map(({ kernel, calls, milliseconds }) => ({
    kernel,
    calls,
    milliseconds,
    share: 100 * milliseconds / wall,
    ceiling: undefined as number | undefined,
  }));
  const groups = Object.entries(operations).map(([prefix, count]) => {
    const milliseconds = kernels.filter(({ kernel }) => kernel.startsWith(`${prefix}.`))
      .reduce((total, entry) => total + entry.milliseconds, 0);
    const gflops = count / milliseconds / 1e6;
    return { prefix, milliseconds, gflops, ceiling: 100 * gflops / ceilingGflops };
  });
  const text = [
    table("A training step by kernel", [
      { key: "kernel", title: "Kernel" },
      { key: "calls", title: "Calls" },
      { key: "milliseconds", title: "Time", unit: "ms", precision: 2 },
      { key: "share", title: "Of the step", unit: "%", precision: 1 },
    ], rows),
    "",
    `Kernels ${sum.toFixed(1)} ms, wall clock ${wall.toFixed(1)} ms: copies, clears and gaps ` +
    `${(wall - sum).toFixed(1)} ms (${(100 * (1 - sum / wall)).toFixed(1)} %).`,
    `A tick is ${scale.toFixed(3)} ns by a product's wall clock.`,
    `The host prepares a step in ${host.work.toFixed(2)} ms (${
      (100 * host.work / wall).toFixed(1)
    } %) and submits it in ${host.submit.toFixed(2)} ms${
      gpu.adapter.software ? ", in which a software adapter already computes" : ""
    }.`,
    ...groups.map(({ prefix, milliseconds, gflops, ceiling }) =>
      `All ${prefix}: ${milliseconds.toFixed(1)} ms, ${
        (100 * milliseconds / wall).toFixed(1)
      } % of the step, ` +
      `${gflops.toFixed(1)} GFLOP/s, ${ceiling.toFixed(1)} % of the ceiling.`
    ),
  ].join("\n");
  const what = "training step";
  const measurement = (subject: string, metric: string, unit: string, value: number) => ({
    ...{ what, subject, metric, unit, value },
  });
  const measurements = [
    ceilingMeasurement(what, ceilingGflops),
    measurement(ours, "wall clock", "ms", wall),
    measurement(ours, "sum of kernels", "ms", sum),
    measurement(ours, "host work", "ms", host.work),
    measurement(ours, "host submit", "ms", host.submit),
    measurement(ours, "nanoseconds of a tick", "ns", scale),
    ...rows.map(({ kernel, milliseconds }) => measurement(kernel, "time", "ms", milliseconds)),
    ...groups.map(({ prefix, ceiling }) =>
      measurement(`all ${prefix}`, "share of ceiling", "", ceiling / 100)
    ),
  ];
  return { text, measurements, notes: [] };
}

// The programs that an action replays: whatever a step is made of, without asking each part for its program.
function replayedBy(action: () => void): Program[] {
  const { replay } = Program.prototype;
  const programs = new Set<Program>();
  Program.prototype.replay = function (times) {
    programs.add(this);
    replay.call(this, times);
  };
  try {
    action();
  } finally {
    Program.prototype.replay = replay;
  }
  return [...programs];
}

// Medians of what the host does in a step: `submit` is inside the driver, `work` is everything else.
async function hostTime(
  rounds: number,
  prepare: () => Promise<() => void>,
): Promise<{ work: number; submit: number }> {
  const { submit } = GPUQueue.prototype;
  let submitted = 0;
  GPUQueue.prototype.submit = function (buffers) {
    const began = performance.now();
    submit.call(this, buffers);
    submitted += performance.now() - began;
  };
  const samples: { work: number; submit: number }[] = [];
  try {
    for (let i = 0; i < rounds; i++) {
      const step = await prepare();
      submitted = 0;
      const began = performance.now();
      step();
      samples.push({ work: performance.now() - began - submitted, submit: submitted });
    }
  } finally {
    GPUQueue.prototype.submit = submit;
  }
  const median = (key: "work" | "submit") => quantile(samples.map((sample) => sample[key]), 0.5);
  return { work: median("work"), submit: median("submit") };
}

// Nanoseconds of a tick: the wall time of profiling many products, less that of profiling next to nothing, over their
// time in ticks. Both are of the same execution, so that no disturbance comes between them.
async function calibrate(gpu: Bench["gpu"]): Promise<number> {
  const size = gpu.adapter.software ? 512 : 4096;
  const overhead = await profileProducts(gpu, 16, 1);
  const ratios: number[] = [];
  for (let i = 0; i < 3; i++) {
    const { wall, ticks } = await profileProducts(gpu, size, 64);
    ratios.push((wall - overhead.wall) / (ticks - overhead.ticks));
  }
  return quantile(ratios, 0.5);
}

async function profileProducts(
  gpu: Bench["gpu"],
  size: number,
  count: number,
): Promise<{ wall: number; ticks: number }> {
  using program = new Program(gpu, "calibration");
  const [a, b, out] = ["a", "b", "out"].map((name) => program.allocate(name, [size, size]));
  const shape = { rows: size, columns: size, depth: size };
  for (let i = 0; i < count; i++) matmul(program, { a: a!, b: b!, out: out!, ...shape });
  program.replay(); // compiles
  await gpu.settle();
  const began = performance.now();
  const kernels = await program.profile();
  const wall = performance.now() - began;
  return { wall, ticks: kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0) };
}

// Each kernel's median over some profiles.
async function medianProfile(program: Program, rounds: number): Promise<KernelTime[]> {
  await program.profile();
  const profiles: KernelTime[][] = [];
  for (let i = 0; i < rounds; i++) profiles.push(await program.profile());
  return profiles[0]!.map((entry) => ({
    ...entry,
    milliseconds: quantile(
      profiles.map((profile) =>
        profile.find(({ kernel }) => kernel === entry.kernel)!.milliseconds
      ),
      0.5,
    ),
  }));
}

function operationsOf(request: ReturnType<typeof stepOf>): Record<string, number> {
  const { config, rows, time } = request;
  return {
    matmul: stepOperations(request),
    attention: 7 * rows * time * time * config.width * config.layers,
  };
}
