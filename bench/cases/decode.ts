// Batched decoding: many short prompts continued together, as an evaluation does, by the number that advance at once.

import { generate, initialise, LanguageModel, Random } from "../../mod.ts";
import { adder, type Bench, type Section, table } from "../case.ts";
import { ours } from "../peers/ours.ts";
import type { Measurement } from "../results.ts";
import { configOf, smallSizes } from "../small_decoder.ts";

/** Measures new tokens per second. */
export async function decode(bench: Bench): Promise<Section> {
  const [count, maxNewTokens] = bench.quick ? [200, 20] : [2000, 50];
  const config = configOf(smallSizes);
  using model = new LanguageModel(bench.gpu, config, initialise(config, 0));
  const random = new Random(0, "prompts");
  const prompts = Array.from({ length: count }, () => {
    const length = 8 + random.below(17);
    return Uint32Array.from({ length }, () => random.below(config.vocabularySize));
  });
  const what = `${count} prompts of 8 to 24 tokens, ${maxNewTokens} new`;
  const measurements: Measurement[] = [];
  const rows = [];
  for (const batch of bench.quick ? [64] : [64, 256]) {
    bench.note(`decode: ${what}, ${batch} at once`);
    await generate(model, prompts.slice(0, batch), { maxNewTokens: 1, batch }); // compiles
    const before = bench.memory.mark(bench.gpu.device);
    const began = performance.now();
    const results = await generate(model, prompts, { maxNewTokens, batch });
    const seconds = (performance.now() - began) / 1000;
    const tokens = results.reduce((sum, { length }) => sum + length, 0);
    const memory = (bench.memory.peak(bench.gpu.device) - before) / 2 ** 20;
    rows.push({ batch, seconds, tokensPerSecond: Math.round(tokens / seconds), memory });
    const add = adder(measurements, `${what}, batch ${batch}`, ours);
    add("time", "s", seconds);
    add("decoding", "tokens/s", tokens / seconds);
    add("memory", "MiB", memory);
  }
  const text = table(`Decoding ${what}`, [
    { key: "batch", title: "At once" },
    { key: "seconds", title: "Time", unit: "s", precision: 1 },
    { key: "tokensPerSecond", title: "New tokens/s" },
    { key: "memory", title: "Memory", unit: "MiB", precision: 1 },
  ], rows);
  return { text, measurements, notes: [] };
}
