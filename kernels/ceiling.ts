// Two yardsticks for every other timing: the multiply-adds an adapter does per second when nothing has to be loaded,
// and the price of one awaited read-back, which decides how rarely training reads.

import type { Gpu } from "../src/gpu/gpu.ts";
import { kernel } from "../src/gpu/kernel.ts";
import { Program } from "../src/gpu/program.ts";
import source from "./ceiling.wgsl" with { type: "text" };

/** A way to keep an adapter's arithmetic units busy. */
interface Form {
  /** Multiply-adds that do not wait for each other. */
  chains: number;
  /** Whether they are written as `fma`, which a GPU needs to be told and some adapters emulate. */
  fused: boolean;
}

// How many chains fit a CPU's 16 registers is up to the driver's compiler: with one too many all of them live in memory. A
// GPU hides what is left of the latency with other invocations, of which there are enough to fill the largest.
const forms: readonly Form[] = [8, 10, 12].flatMap((chains) =>
  [true, false].map((fused) => ({ chains, fused }))
);
const unroll = 32;
const workgroups = 4096;
const invocations = workgroups * 64;

/**
 * Measures the arithmetic ceiling of an adapter in GFLOP/s, a multiply-add counted as two: the best of several forms and
 * of `repeats` runs, since anything else on the machine can only slow one down.
 *
 * @param options.seconds The least duration of one run; waiting for it costs about 0.01 s.
 * @throws {CannotError} for any GPU error.
 */
export async function measureCeiling(
  gpu: Gpu,
  { seconds = 0.25, repeats = 3 }: { seconds?: number; repeats?: number } = {},
): Promise<number> {
  const form = await bestForm(gpu, seconds / 5);
  let best = 0;
  for (let i = 0; i < repeats; i++) best = Math.max(best, await speedOf(gpu, form, seconds));
  return best;
}

const bestForms = new WeakMap<Gpu, Form>();

async function bestForm(gpu: Gpu, seconds: number): Promise<Form> {
  const known = bestForms.get(gpu);
  if (known) return known;
  const speeds = forms.map(() => 0);
  for (let turn = 0; turn < 2; turn++) {
    for (const [i, form] of forms.entries()) {
      speeds[i] = Math.max(speeds[i]!, await speedOf(gpu, form, seconds));
    }
  }
  const best = forms[speeds.indexOf(Math.max(...speeds))]!;
  bestForms.set(gpu, best);
  return best;
}

// GFLOP/s over as many rounds as last `seconds`.
async function speedOf(gpu: Gpu, form: Form, seconds: number): Promise<number> {
  let rounds = 1;
  let time = await timeOf(gpu, form, rounds); // compiles the kernel
  do time = await timeOf(gpu, form, rounds *= 2); while (time < seconds);
  return rounds * 2 * form.chains * unroll * invocations / time / 1e9;
}

async function timeOf(gpu: Gpu, { chains, fused }: Form, rounds: number): Promise<number> {
  using program = new Program(gpu, "ceiling");
  const factors = program.allocate("factors", [2]);
  const sums = program.allocate("sums", [invocations]);
  gpu.write(factors, new Float32Array([0.5, 0.25]));
  const constants = { CHAINS: chains, UNROLL: unroll, FUSED: fused };
  program.dispatch({
    kernel: kernel("ceiling", source, "multiply_add", constants),
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
