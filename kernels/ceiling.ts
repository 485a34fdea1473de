// Two yardsticks for every other timing: the multiply-adds an adapter does per second when nothing has to be loaded,
// and the price of one awaited read-back, which decides how rarely training reads.

import type { Gpu } from "../src/gpu/gpu.ts";
import { kernel } from "../src/gpu/kernel.ts";
import { Program } from "../src/gpu/program.ts";
import source from "./ceiling.wgsl" with { type: "text" };

// Three chains of vec4 are 12 registers of a CPU's 16, the most that do not spill; a GPU hides the rest of the latency
// with other invocations, of which there are enough to fill the largest.
const chains = 3;
const unroll = 32;
const workgroups = 4096;
const invocations = workgroups * 64;
const operationsPerRound = 2 * 4 * chains * unroll * invocations;

/**
 * Measures the arithmetic ceiling of an adapter in GFLOP/s, a multiply-add counted as two: the best of `repeats` runs,
 * since anything else on the machine can only slow one down.
 *
 * @param options.seconds The least duration of one run; waiting for it costs about 0.01 s.
 * @throws {CannotError} for any GPU error.
 */
export async function measureCeiling(
  gpu: Gpu,
  { seconds = 0.25, repeats = 3 }: { seconds?: number; repeats?: number } = {},
): Promise<number> {
  let rounds = 1;
  let best = await timeOf(gpu, rounds); // the first run compiles the kernel
  do best = await timeOf(gpu, rounds *= 2); while (best < seconds);
  for (let i = 1; i < repeats; i++) best = Math.min(best, await timeOf(gpu, rounds));
  return rounds * operationsPerRound / best / 1e9;
}

async function timeOf(gpu: Gpu, rounds: number): Promise<number> {
  using program = new Program(gpu, "ceiling");
  const factors = program.allocate("factors", [2]);
  const sums = program.allocate("sums", [invocations, 4]);
  gpu.write(factors, new Float32Array([0.5, 0.25]));
  program.dispatch({
    kernel: kernel("ceiling", source, "multiply_add", { CHAINS: chains, UNROLL: unroll }),
    tensors: { factors, sums },
    dims: [rounds],
    workgroups: [workgroups],
  });
  await gpu.settle();
  const began = performance.now();
  program.replay();
  await gpu.settle();
  return (performance.now() - began) / 1000;
}

/** Measures one awaited read-back of 16 bytes from an idle adapter, in milliseconds: the median of `repeats`. */
export async function measureReadBack(gpu: Gpu, repeats = 15): Promise<number> {
  const tensor = gpu.allocate("read_back", [4]);
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const began = performance.now();
    await gpu.read(tensor);
    times.push(performance.now() - began);
  }
  gpu.free(tensor);
  return times.sort((a, b) => a - b)[Math.floor(repeats / 2)]!;
}
