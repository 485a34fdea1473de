// Finds how an adapter computes fastest what can be computed in several ways. An adapter whose driver nobody has measured
// is measured once, some seconds, and what came out is kept where the runtime keeps such things for a program
// (`localStorage`: no file and no permission, in Deno and in browsers). Importing this file makes `Gpu.open` do so.

import { CannotError } from "../src/base/errors.ts";
import { assumedChoices, type KernelChoices, type MatmulVariant } from "../src/gpu/choices.ts";
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
  const { square, thin, small, few, attention, loss } = candidates(gpu);
  const assumed = assumedChoices(gpu.adapter);
  const { software } = gpu.adapter;
  const scale = software ? 1 : 4;
  const product = <Variant extends MatmulVariant>(
    variants: readonly Variant[],
    [rows, columns, depth]: readonly [number, number, number],
    { transposeB = true } = {},
  ) => fastest(variants, productTrial({ rows, columns, depth, transposeB }), assumed);
  const middle = await product(square, [512, 512, 512]);
  if (!middle) return assumed;
  const large = scale > 1 ? await product(square, [scale * 512, scale * 512, 512]) : middle;
  const narrow = await product(thin, [8, 2048, 512], { transposeB: software }) ??
    assumed.matmul.thin;
  const little = await product(small, [256, 128, 1024]) ?? assumed.matmul.small;
  const sliced = await product(few, [8, 4096, 2048]) ?? assumed.matmul.few;
  const matmul = {
    ...{ large: large ?? middle, square: middle, thin: narrow },
    ...(little && { small: little }),
    ...(sliced && { few: sliced }),
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
 * The variant whose trial takes least time on this adapter, or the first of those that hardly take more; none that fails
 * or computes something else. They take turns, so that whatever else the machine does slows all of them.
 *
 * @param kernels How everything else is computed meanwhile.
 */
export async function fastest<Variant>(
  variants: readonly Variant[],
  trial: Trial<Variant>,
  kernels: KernelChoices,
): Promise<Variant | undefined> {
  const opened: Gpu[] = [];
  try {
    return await race(variants, trial, kernels, opened);
  } finally {
    for (const gpu of opened) gpu[Symbol.dispose]();
  }
}

async function race<Variant>(
  variants: readonly Variant[],
  trial: Trial<Variant>,
  kernels: KernelChoices,
  opened: Gpu[],
): Promise<Variant | undefined> {
  const entrants: { variant: Variant; time: number; run: () => Promise<number> }[] = [];
  for (const variant of variants) {
    // A device for each, so that one which a driver refuses leaves the others alone.
    const gpu = await Gpu.open({ kernels });
    opened.push(gpu);
    const run = await orUndefined(() => prepare(gpu, (program) => trial(program, variant)));
    if (run) entrants.push({ variant, time: Infinity, run });
  }
  for (let round = 0; round < rounds; round++) {
    for (const entrant of entrants) {
      entrant.time = Math.min(entrant.time, await orUndefined(entrant.run) ?? Infinity);
    }
  }
  const least = Math.min(...entrants.map(({ time }) => time));
  return entrants.find(({ time }) => time < Infinity && time <= tie * least)?.variant;
}

const rounds = 4;
const tie = 1.03; // times closer than that may come out in either order
const turn = 0.03; // seconds of one timing on a GPU, where waiting alone takes 0.012 in Deno

// What times a trial, in seconds; undefined for one that computes something else on this adapter.
async function prepare(
  gpu: Gpu,
  record: (program: Program) => ReturnType<Trial<unknown>>,
): Promise<(() => Promise<number>) | undefined> {
  const program = new Program(gpu, "tuning"); // freed with the device
  const { actual, expected } = record(program);
  program.replay();
  const values = await gpu.read(actual);
  if (!values.every((value, i) => Math.abs(value - expected(i)) < 1e-3)) return undefined;
  let times = 1;
  const run = async () => {
    const began = performance.now();
    program.replay(times);
    await gpu.settle();
    return (performance.now() - began) / 1000 / times;
  };
  while (!gpu.adapter.software && await run() * times < turn) times *= 2;
  return run;
}

async function orUndefined<Result>(run: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await run();
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
