// Finds how an adapter computes fastest what can be computed in several ways. An adapter whose driver nobody has measured
// is measured once, some seconds, and what came out is kept where the runtime keeps such things for a program
// (`localStorage`: no file and no permission, in Deno and in browsers). Importing this file makes `Gpu.open` do so.

import { CannotError } from "../src/base/errors.ts";
import { assumedChoices, type KernelChoices } from "../src/gpu/choices.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { areCandidates, candidates } from "./candidates.ts";
import { attentionTrial, lossTrial, productTrial, type Trial } from "./tuning_trials.ts";

/**
 * Sets how an adapter computes: as kept, else as committed, else measured now and kept.
 *
 * @param options.measure Measure even if it is known.
 */
export async function chooseKernels(
  gpu: Gpu,
  { measure = false }: { measure?: boolean } = {},
): Promise<void> {
  const { adapter } = gpu;
  const kept = measure ? undefined : readKept()[keyOf(gpu)];
  if (kept && areCandidates(gpu, kept)) {
    adapter.kernels = kept;
    return;
  }
  if (!measure && adapter.kernels.origin !== "assumed") return;
  if (!await remembers(gpu)) return;
  console.error(`Measuring once how ${adapter.name} computes fastest …`);
  adapter.kernels = await measureChoices(gpu);
  if (adapter.kernels.origin === "measured" && !keep(gpu)) {
    console.error("Nothing can be kept here: it will be measured again");
  }
}

Gpu.choose = chooseKernels;

/** Measures all candidates. Where none of them computes what it should, what suits the adapter's kind stands. */
export async function measureChoices(gpu: Gpu): Promise<KernelChoices> {
  const { square, thin, attention, loss } = candidates(gpu);
  const assumed = assumedChoices(gpu.adapter);
  const scale = gpu.adapter.software ? 1 : 4;
  const product = (size: number) => productTrial({ rows: size, columns: size, depth: 512 });
  const middle = await fastest(square, product(512), assumed);
  if (!middle) return assumed;
  const large = scale > 1 ? await fastest(square, product(scale * 512), assumed) : middle;
  const narrow = await fastest(thin, productTrial({ rows: 8, columns: 2048, depth: 512 }), assumed);
  const matmul = {
    large: large ?? middle,
    square: middle,
    thin: narrow ?? assumed.matmul.thin,
  };
  return {
    origin: "measured",
    matmul,
    attention: await fastest(attention, attentionTrial(scale), assumed) ?? assumed.attention,
    loss: await fastest(loss, lossTrial(scale), { ...assumed, matmul }) ?? assumed.loss,
  };
}

// A null driver compiles and runs nothing: there, what suits the adapter's kind has to stand.
async function remembers(gpu: Gpu): Promise<boolean> {
  const tensor = gpu.allocate("tuning", [1]);
  gpu.write(tensor, Float32Array.of(1));
  const [value] = await gpu.read(tensor);
  gpu.free(tensor);
  return value === 1;
}

/**
 * The variant whose trial takes least time on this adapter; none that fails or computes something else.
 *
 * @param kernels How everything else is computed meanwhile.
 */
export async function fastest<Variant>(
  variants: readonly Variant[],
  trial: Trial<Variant>,
  kernels: KernelChoices,
): Promise<Variant | undefined> {
  let best: { variant: Variant; time: number } | undefined;
  for (const variant of variants) {
    const time = await secondsOf(variant, trial, kernels);
    if (time !== undefined && time < (best?.time ?? Infinity)) best = { variant, time };
  }
  return best?.variant;
}

const turn = 0.05; // seconds of one timing on a GPU, where waiting alone takes 0.012 in Deno

// Undefined for a way that fails or computes something else on this adapter. Each has a device of its own, so that one
// which a driver refuses leaves the others alone.
async function secondsOf<Variant>(
  variant: Variant,
  trial: Trial<Variant>,
  kernels: KernelChoices,
): Promise<number | undefined> {
  using gpu = await Gpu.open({ kernels });
  using program = new Program(gpu, "tuning");
  const replay = async (times: number) => {
    const began = performance.now();
    program.replay(times);
    await gpu.settle();
    return (performance.now() - began) / 1000 / times;
  };
  try {
    const { actual, expected } = trial(program, variant);
    program.replay();
    const values = await gpu.read(actual);
    if (!values.every((value, i) => Math.abs(value - expected(i)) < 1e-3)) return undefined;
    let times = 1;
    let best = await replay(times);
    while (!gpu.adapter.software && best * times < turn) best = await replay(times *= 4);
    for (let i = 0; i < 3; i++) best = Math.min(best, await replay(times));
    return best;
  } catch (error) {
    if (error instanceof CannotError) return undefined;
    throw error;
  }
}

/** Under which choices are kept, by adapter and runtime. */
export const storageKey = "slung.kernels";

function keyOf({ adapter }: Gpu): string {
  return `${adapter.name}, ${navigator.userAgent}`;
}

function readKept(): Record<string, KernelChoices> {
  try {
    return JSON.parse(localStorage.getItem(storageKey) ?? "{}");
  } catch {
    return {};
  }
}

function keep(gpu: Gpu): boolean {
  try {
    const all = { ...readKept(), [keyOf(gpu)]: gpu.adapter.kernels };
    localStorage.setItem(storageKey, JSON.stringify(all));
    return true;
  } catch {
    return false;
  }
}
