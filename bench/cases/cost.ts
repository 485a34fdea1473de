// What training costs by size: time for one token and bytes held, over C, L, T and V around a base, and the law that
// explains them. Its terms are what a step does: operations of the layers' matrices (6 per parameter), of the loss
// (6 C V), of attention (7 T C L, causal half), elements that pass through norms and activations (L C), parameters that
// AdamW updates, and a constant per step.

import { countParameters } from "../../src/model/config.ts";
import {
  adder,
  type Bench,
  ceilingMeasurement,
  type Section,
  table,
  timeUnderCeiling,
} from "../case.ts";
import { fitLaw, type Law, predict } from "../law.ts";
import { ours } from "../peers/ours.ts";
import type { Computation } from "../peers/peer.ts";
import type { Measurement } from "../results.ts";
import { configOf, matrixParameters, type Sizes, stepOf } from "../small_decoder.ts";

const timeTerms = {
  matrices: "matrices of the layers",
  loss: "loss and unembedding",
  attention: "attention",
  vectors: "norms, activations, residuals",
  updates: "AdamW",
  steps: "fixed",
};
const byteTerms = {
  parameters: "parameter",
  activations: "token, layer and channel",
  rows: "token and channel",
  logits: "token and vocabulary entry",
};

/** Measures the table and fits its two laws. */
export async function cost(bench: Bench): Promise<Section> {
  const grid = gridFor(bench);
  const subjects: Computation[] = [];
  const bytes: number[] = [];
  for (const sizes of grid) {
    const before = bench.memory.mark(bench.gpu.device);
    const subject = bench.ours.trainingStep(stepOf(sizes));
    await subject.run(1);
    bytes.push(bench.memory.held(bench.gpu.device) - before);
    subjects.push(subject);
    bench.note(`cost: ${label(sizes)}`);
  }
  const { timings, ceilingGflops } = await timeUnderCeiling(bench, subjects);
  for (const subject of subjects) subject.dispose();

  const perToken = timings.map(({ median }, i) => median / tokensOf(grid[i]!));
  const timeUnits = grid.map(timeUnitsOf);
  const byteUnits = grid.map(byteUnitsOf);
  const timeLaw = fitLaw(timeUnits, perToken);
  const byteLaw = fitLaw(byteUnits, bytes);
  const measurements = [ceilingMeasurement("grid", ceilingGflops)];
  const rows = grid.map((sizes, i) => {
    const add = adder(measurements, label(sizes), ours);
    add("time per token", "us", perToken[i]! * 1e6);
    add("memory", "MiB", bytes[i]! / 2 ** 20);
    const operations = timeUnits[i]!.matrices + timeUnits[i]!.loss;
    return {
      ...sizes,
      parameters: countParameters(configOf(sizes)) / 1e6,
      microseconds: perToken[i]! * 1e6,
      lawMicroseconds: predict(timeLaw.prices, timeUnits[i]!) * 1e6,
      share: 100 * operations / perToken[i]! / 1e9 / ceilingGflops,
      memory: bytes[i]! / 2 ** 20,
      lawMemory: predict(byteLaw.prices, byteUnits[i]!) / 2 ** 20,
    };
  });
  measurements.push(...lawMeasurements("time law", "s", timeLaw));
  measurements.push(...lawMeasurements("byte law", "bytes", byteLaw));
  const text = [
    table("Cost of a training step by size", [
      { key: "width", title: "C" },
      { key: "layers", title: "L" },
      { key: "time", title: "T" },
      { key: "rows", title: "B" },
      { key: "vocabulary", title: "V" },
      { key: "parameters", title: "Parameters", unit: "M", precision: 2 },
      { key: "microseconds", title: "Time per token", unit: "µs", precision: 0 },
      { key: "lawMicroseconds", title: "law", unit: "µs", precision: 0 },
      { key: "share", title: "Of ceiling", unit: "%", precision: 1 },
      { key: "memory", title: "Memory", unit: "MiB", precision: 1 },
      { key: "lawMemory", title: "law", unit: "MiB", precision: 1 },
    ], rows),
    "",
    `Time per token = ${timeFormula(timeLaw)}`,
    `  ${quality(timeLaw)}`,
    `Memory = ${byteFormula(byteLaw)}`,
    `  ${quality(byteLaw)}`,
  ].join("\n");
  return { text, measurements, notes: [] };
}

// One size varied at a time, and corners in which two terms compete.
function gridFor({ gpu, quick, large }: Bench): Sizes[] {
  const base: Sizes = gpu.adapter.software && !large
    ? { width: 128, layers: 4, time: 128, rows: 4, vocabulary: 4096 }
    : { width: 512, layers: 8, time: 512, rows: 8, vocabulary: 16384 };
  const { width, layers, time, rows, vocabulary } = base;
  const atLength = (time: number) => ({ time, rows: base.time * base.rows / time });
  const variations: Partial<Sizes>[] = [
    {},
    { width: width / 2 },
    { width: 2 * width },
    { layers: layers / 2 },
    { layers: 2 * layers },
    atLength(2 * time),
    atLength(4 * time),
    { vocabulary: vocabulary / 4 },
    { vocabulary: 4 * vocabulary },
    { rows: rows / 2 },
    { rows: 2 * rows },
    { width: width / 2, ...atLength(4 * time) },
    { width: width / 2, vocabulary: 4 * vocabulary },
    { width: 2 * width, layers: layers / 2 },
  ];
  const chosen = quick ? variations.filter((_, i) => i % 2 === 0) : variations;
  return chosen.map((variation) => ({ ...base, ...variation }));
}

const tokensOf = ({ rows, time }: Sizes) => rows * time;

function label({ width, layers, time, rows, vocabulary }: Sizes): string {
  return `C ${width} L ${layers} T ${time} B ${rows} V ${vocabulary}`;
}

function timeUnitsOf(sizes: Sizes): Record<keyof typeof timeTerms, number> {
  const { width, layers, time, vocabulary } = sizes;
  const config = configOf(sizes);
  const unembedding = width * vocabulary;
  return {
    matrices: 6 * (matrixParameters(config) - unembedding),
    loss: 6 * unembedding,
    attention: 7 * time * width * layers,
    vectors: layers * width,
    updates: countParameters(config) / tokensOf(sizes),
    steps: 1 / tokensOf(sizes),
  };
}

function byteUnitsOf(sizes: Sizes): Record<keyof typeof byteTerms, number> {
  const { width, layers, vocabulary } = sizes;
  return {
    parameters: countParameters(configOf(sizes)),
    activations: tokensOf(sizes) * layers * width,
    rows: tokensOf(sizes) * width,
    logits: tokensOf(sizes) * vocabulary,
  };
}

function timeFormula({ prices }: Law<keyof typeof timeTerms>): string {
  const { matrices, loss, attention, vectors, updates, steps } = prices;
  const speed = (price: number) => `at ${(1e-9 / price).toFixed(1)} GFLOP/s`;
  return [
    matrices && `6 · ${timeTerms.matrices} ${speed(matrices)}`,
    loss && `6 C V of the loss ${speed(loss)}`,
    attention && `7 T C L of attention ${speed(attention)}`,
    vectors && `${(vectors * 1e9).toFixed(0)} ns · L C (${timeTerms.vectors})`,
    updates && `${(updates * 1e9).toFixed(2)} ns · parameters / tokens (AdamW)`,
    steps && `${(steps * 1e3).toFixed(1)} ms / tokens`,
  ].filter(Boolean).join("\n  + ");
}

function byteFormula({ prices }: Law<keyof typeof byteTerms>): string {
  return (Object.keys(byteTerms) as (keyof typeof byteTerms)[])
    .filter((term) => prices[term] > 0)
    .map((term) => `${prices[term].toFixed(1)} bytes for each ${byteTerms[term]}`)
    .join("\n  + ");
}

function quality({ r2, meanError, largestError }: Law<string>): string {
  const percent = (error: number) => `${(100 * error).toFixed(1)} %`;
  return `R² ${r2.toFixed(4)}; off by ${percent(meanError)} on average, ${
    percent(largestError)
  } at most`;
}

function lawMeasurements(what: string, unit: string, law: Law<string>): Measurement[] {
  const prices = Object.entries(law.prices).map(([term, value]) => ({
    ...{ what, subject: ours, metric: `price of ${term}`, unit, value },
  }));
  const { r2, meanError, largestError } = law;
  const errors = Object.entries({ r2, meanError, largestError }).map(([metric, value]) => ({
    ...{ what, subject: ours, metric, unit: "", value },
  }));
  return [...prices, ...errors];
}
