// The pure parts of the benchmark: statistics of timings, the cost law, what is written, and the counting of bytes.

import { type Bench, compare, firstLine, speedsOf } from "../bench/case.ts";
import { fitLaw, predict } from "../bench/law.ts";
import { interleave, quantile, relativeDifference, summarise, timesFor } from "../bench/measure.ts";
import { MemoryWatch } from "../bench/memory.ts";
import {
  type CaseResult,
  mergeResults,
  resultsToCsv,
  slugOf,
  writeBenchResults,
} from "../bench/results.ts";
import { matrixParameters, smallSizes, stepOf, stepOperations } from "../bench/small_decoder.ts";
import { Gpu, presets, Random } from "../mod.ts";
import { assumedChoices } from "../src/gpu/choices.ts";
import { assert, assertClose, assertEquals, assertRejects, assertThrows } from "./assert.ts";

Deno.test("quantiles are interpolated as numpy does", () => {
  const values = [7, 1, 3, 10];
  assertEquals([0, 0.25, 0.5, 0.75, 1].map((q) => quantile(values, q)), [1, 2.5, 5, 7.75, 10]);
  assertEquals(values, [7, 1, 3, 10], "the values are left in their order");
});

Deno.test("one disturbed turn moves neither the median nor the spread by much", () => {
  const { median, least, spread } = summarise([1.01, 1, 0.99, 1, 9]);
  assertEquals([median, least], [1, 0.99]);
  assertClose(spread, 0.005, 1e-12);
  assertThrows(() => summarise([]), "there are none");
});

Deno.test("a turn is repeated until it lasts long enough beside the wait of 12 ms", () => {
  assertEquals(timesFor(0.112, 0.25), 3); // 0.1 s of work each
  assertEquals(timesFor(5, 0.25), 1);
  assertEquals(timesFor(0.022, 0.25), 24, "10 ms of work each");
  assertEquals(timesFor(0.0001, 0.25), 4096, "and not forever");
});

Deno.test("subjects take turns, as often as there are rounds", async () => {
  const turns: string[] = [];
  const subject = (name: string) => ({
    name,
    run: (times: number) => {
      turns.push(`${name}${times}`);
      return Promise.resolve();
    },
    dispose() {},
  });
  const timings = await interleave([subject("a"), subject("b")], { rounds: 2, seconds: 0 });
  assertEquals(
    turns.slice(4),
    ["a1", "b1", "a1", "b1"],
    "after two calls each to compile and scale",
  );
  assertEquals(timings.map(({ samples }) => samples.length), [2, 2]);
});

Deno.test("a law is found again from costs that follow it, and a term that plays no part gets no price", () => {
  const random = new Random(1);
  const terms = Array.from({ length: 12 }, () => ({
    work: 1e9 * random.uniform(),
    bytes: 1e6 * random.uniform(),
    noise: random.uniform(),
    fixed: 1,
  }));
  const costs = terms.map(({ work, bytes, fixed }) => 2e-11 * work + 3e-9 * bytes + 0.004 * fixed);
  const { prices, r2, largestError } = fitLaw(terms, costs);
  assertClose([prices.work / 2e-11, prices.bytes / 3e-9, prices.fixed / 0.004], [1, 1, 1], 1e-6);
  assertClose(prices.noise, 0, 1e-8);
  assertClose(r2, 1, 1e-9);
  assert(largestError < 1e-6);
  assertClose(predict(prices, terms[3]!), costs[3]!, 1e-9);
});

Deno.test("no price is negative, even where that would fit better", () => {
  const sizes = [1, 2, 3, 4, 5, 6];
  const terms = sizes.map((size) => ({ size, square: size ** 2 }));
  const { prices, r2 } = fitLaw(terms, sizes.map((size) => 10 * size - 0.5 * size ** 2));
  assertEquals(prices.square, 0);
  assert(prices.size > 7 && prices.size < 10 && r2 < 1);
});

Deno.test("more terms than observations, or none that can explain a cost, are refused", () => {
  assertThrows(() => fitLaw([{ a: 1, b: 2 }], [1]), "2 terms to 1 costs");
  assertThrows(() => fitLaw([{ a: -1 }, { a: -2 }], [1, 2]), "no term explains");
});

Deno.test("relative difference is that of the norms", () => {
  const expected = Float32Array.of(3, 4);
  assertEquals(relativeDifference(Float32Array.of(3, 4), expected), 0);
  assertClose(relativeDifference(Float32Array.of(3, 4.5), expected), 0.1, 1e-9);
  assert(Number.isNaN(relativeDifference(Float32Array.of(NaN, 4), expected)), "NaN is not hidden");
});

const result = (value: number): CaseResult => ({
  date: "2026-01-02T03:04Z",
  versions: { deno: "2.9.6" },
  kernels: assumedChoices({ name: "card", software: true, limits: {} }),
  ceilingGflops: 100,
  rounds: 5,
  measurements: [{ what: 'a, "b"', subject: "slung", metric: "time", unit: "ms", value }],
  notes: [],
});

Deno.test("an adapter's results have one file name, and one number in a line of CSV", () => {
  assertEquals(slugOf("llvmpipe (LLVM 15.0.6, 256 bits)"), "llvmpipe-llvm-15-0-6-256-bits");
  assertEquals(slugOf("()"), "unnamed");
  const adapter = { name: "card", software: false };
  const csv = resultsToCsv(mergeResults(undefined, adapter, { matmul: result(1.23456789) }));
  assertEquals(csv.split("\n"), [
    "case,what,subject,metric,unit,value,adapter,date",
    'matmul,"a, ""b""",slung,time,ms,1.23457,card,2026-01-02T03:04Z',
    "",
  ]);
});

Deno.test("a run replaces its own cases and keeps the others", async () => {
  const folder = await Deno.makeTempDir();
  const adapter = { name: "card", software: false };
  await writeBenchResults(folder, adapter, { step: result(1), matmul: result(2) });
  const [json, csv] = await writeBenchResults(folder, adapter, { step: result(3) });
  const { cases } = JSON.parse(await Deno.readTextFile(json!));
  assertEquals(cases.step.kernels, result(3).kernels, "sizes are not shortened");
  assertEquals(Object.keys(cases), ["matmul", "step"]);
  assertEquals([cases.matmul, cases.step].map((it) => it.measurements[0].value), [2, 3]);
  assertEquals((await Deno.readTextFile(csv!)).split("\n").length, 4);
  await Deno.writeTextFile(json!, "{");
  await assertRejects(() => writeBenchResults(folder, adapter, {}), `Cannot read "${json}"`);
});

Deno.test("useful operations leave out an embedding that is only looked up", () => {
  const [width, layers, vocabulary] = [128, 4, 4096];
  const matrices = layers * (4 * width ** 2 + 3 * width * 352) + width * vocabulary;
  assertEquals(matrixParameters(stepOf(smallSizes).config), matrices);
  assertEquals(stepOperations(stepOf(smallSizes)), 6 * matrices * 1024);
  const untied = presets.olmo20M;
  assertEquals(
    matrixParameters(untied),
    untied.layers * 16 * untied.width ** 2 + untied.width * untied.vocabularySize,
  );
});

Deno.test("bytes are counted for buffers and textures, per device, and given back once", async () => {
  using watch = new MemoryWatch();
  using gpu = await Gpu.open();
  using other = await Gpu.open();
  const before = watch.mark(gpu.device);
  const elsewhere = watch.held(other.device);
  const tensor = gpu.allocate("tensor", [256]);
  const texture = gpu.device.createTexture({
    size: [8, 4],
    format: "rgba32float",
    usage: GPUTextureUsage.TEXTURE_BINDING,
  });
  assertEquals(watch.held(gpu.device) - before, 1024 + 8 * 4 * 16);
  texture.destroy();
  texture.destroy();
  gpu.free(tensor);
  assertEquals(watch.held(gpu.device), before);
  assertEquals(watch.peak(gpu.device) - before, 1024 + 8 * 4 * 16);
  assertEquals(watch.held(other.device), elsewhere);
});

Deno.test("a peer that fails is left out and noted; a failure of ours is an error", async () => {
  using memory = new MemoryWatch();
  using gpu = await Gpu.open();
  const working = (name: string) => ({
    name,
    version: "",
    device: undefined,
    product: () => ({
      name,
      run: () => Promise.resolve(),
      result: () => Promise.resolve(Float32Array.of(1)),
      dispose() {},
    }),
  });
  const failing = (name: string) => ({
    ...working(name),
    product: () => {
      throw new Error("the buffer is too large:\nmore");
    },
  });
  const bench = (ours: unknown, peers: unknown[]) =>
    ({ gpu, memory, ours, peers, rounds: 1, seconds: 0 }) as Bench;
  // deno-lint-ignore no-explicit-any
  const prepare = (peer: any) => () => peer.product();
  const peers = [failing("broken"), working("peer")];
  const { timings, notes } = await compare(bench(working("slung"), peers), "product", prepare);
  assertEquals([...timings.keys()], ["slung", "peer"]);
  assertEquals(notes, ["product: broken cannot: the buffer is too large."]);
  await assertRejects(() => compare(bench(failing("slung"), []), "x", prepare), "too large");
  assertEquals(firstLine("a\nb"), "a");
});

Deno.test("who is faster than the ceiling is noted, since then it is none", () => {
  const timing = (median: number) => ({ median, least: median, spread: 0, times: 1, samples: [] });
  const timings = new Map([["slung", timing(0.5)], ["a peer", timing(0.2)]]);
  const comparison = { ceilingGflops: 4, timings, results: new Map(), bytes: new Map(), notes: [] };
  const { speeds, notes } = speedsOf("a product", 1e9, comparison);
  assertEquals(speeds.map(({ share }) => share), [50, 125]);
  assertEquals(notes, ["a product: a peer reached 125 % of what was measured as the ceiling."]);
});
