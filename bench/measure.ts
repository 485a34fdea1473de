// Timing that a drifting machine cannot bias: the subjects take turns, A B C A B C …, so that whatever slows the machine
// down slows all of them, and medians over the rounds drop what hits a single turn. A turn repeats a computation until
// it lasts long enough and waits once, because one wait costs about 12 ms in Deno whatever the library.

/** A computation of one library, ready to be timed. */
export interface Subject {
  /** The library and its backend, e.g. `jax-js webgpu`. */
  readonly name: string;
  /** Computes `times` times and returns when the adapter has finished. */
  run(times: number): Promise<void>;
  /** Frees what it holds. */
  dispose(): void;
}

/** Seconds per computation. */
export interface Timing {
  /** Over the rounds. */
  median: number;
  /** What the machine can do when nothing disturbs it. */
  least: number;
  /** A measure of the disturbance: half the distance of the quartiles, relative to the median. */
  spread: number;
  /** Computations in one turn. */
  times: number;
  /** One per round. */
  samples: number[];
}

/** How long to measure. */
export interface Patience {
  /** Turns of each subject. */
  rounds: number;
  /** The least duration of a turn, in seconds. */
  seconds: number;
}

const mostTimes = 4096;

/** Times the subjects in turns; the first call of each, which compiles its kernels, is not counted. */
export async function interleave(
  subjects: readonly Subject[],
  { rounds, seconds }: Patience,
): Promise<Timing[]> {
  const times: number[] = [];
  for (const subject of subjects) {
    await subject.run(1);
    times.push(timesFor(await secondsOf(subject, 1), seconds));
  }
  const samples: number[][] = subjects.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, subject] of subjects.entries()) {
      samples[i]!.push(await secondsOf(subject, times[i]!) / times[i]!);
    }
  }
  return samples.map((values, i) => ({ ...summarise(values), times: times[i]! }));
}

async function secondsOf(subject: Subject, times: number): Promise<number> {
  const began = performance.now();
  await subject.run(times);
  return (performance.now() - began) / 1000;
}

/** How often to repeat what took `once` seconds so that a turn lasts `seconds`; 0.012 s of `once` was the wait. */
export function timesFor(once: number, seconds: number): number {
  const work = Math.max(once - 0.012, once / 20);
  return Math.max(1, Math.min(mostTimes, Math.ceil((seconds - 0.012) / work)));
}

/** Median, least and spread of some timings. @throws {RangeError} when there are none. */
export function summarise(samples: number[]): Omit<Timing, "times"> {
  if (samples.length === 0) throw new RangeError("Cannot summarise timings: there are none");
  const median = quantile(samples, 0.5);
  return {
    median,
    least: Math.min(...samples),
    spread: (quantile(samples, 0.75) - quantile(samples, 0.25)) / 2 / median,
    samples,
  };
}

/** The q-quantile, interpolated linearly between the two values around it. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = q * (sorted.length - 1);
  const below = sorted[Math.floor(position)]!;
  const above = sorted[Math.ceil(position)]!;
  return below + (position - Math.floor(position)) * (above - below);
}

/** ‖actual − expected‖ / ‖expected‖: whether two libraries computed the same thing. */
export function relativeDifference(actual: Float32Array, expected: Float32Array): number {
  let difference = 0, norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(difference / Math.max(norm, 1e-300));
}
