// The order in which a run sees its sequences: epoch after epoch, each shuffled by the seed, cut into steps.
// A pure function of seed and step, so that the data cursor of a checkpoint is the step number.

import { CannotError } from "../base/errors.ts";
import { largest } from "../base/extremes.ts";
import { checkOptions, required, wholeNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";
import { divisor, type Objective, type TargetCounts } from "../slung/objective.ts";
import { countSequence, firstFit } from "./packing.ts";
import { checkSequence, type Sequence, type SequenceSource } from "./sequence.ts";

/** Things in the order of training, and how they are cut into steps. */
export interface EpochOrder<Item> {
  /** The sequences of each epoch, or what stands for them; epochs may differ. */
  epochs: readonly (readonly Item[])[];
  /** Sequences per optimiser step. */
  perStep: number;
  /** Decides the order within each epoch. */
  seed: number;
}

/**
 * Shuffles every epoch and cuts it into steps; the last step of an epoch may be smaller.
 *
 * @throws {CannotError} for an epoch without sequences.
 */
export function orderSteps<Item>({ epochs, perStep, seed }: EpochOrder<Item>): Item[][] {
  checkOptions("plan steps", { perStep }, { perStep: required(wholeNumber({ min: 1 })) });
  const steps: Item[][] = [];
  epochs.forEach((sequences, epoch) => {
    if (sequences.length === 0) {
      throw new CannotError(
        `plan epoch ${epoch}`,
        "it has no sequences",
        "Check the data and its filters",
      );
    }
    const shuffled = new Random(seed, `epoch ${epoch}`).shuffle(sequences);
    for (let i = 0; i < shuffled.length; i += perStep) steps.push(shuffled.slice(i, i + perStep));
  });
  return steps;
}

const mostPlanned = 5e7; // sequences of all epochs, whose order is kept in memory

/** What a run will do, known before its first step. */
export interface StepPlan {
  /** How many steps there are in which some token carries a loss. */
  readonly steps: number;
  /** Further steps that are left out: they would divide by zero, and there is nothing to learn in them. */
  readonly withoutLoss: number;
  /** The B and T of {@linkcode microBatchShape}. */
  readonly shape: { rows: number; time: number };
  /** Makes the sequences of a step, the same at every time. */
  sequencesOf(step: number): Sequence[];
}

/** What a plan depends on besides the order. */
export interface PlanSettings extends Omit<EpochOrder<Sequence>, "epochs"> {
  /** The sequences of each epoch. */
  epochs: readonly SequenceSource[];
  /** Tokens of a class without a term carry no loss. */
  objective: Objective;
  /** Of the model. */
  contextLength: number;
  /** Rows of the model's embedding. */
  vocabularySize: number;
  /** As for {@linkcode microBatchShape}. */
  mostPositions?: number | undefined;
}

/**
 * Plans a run. Every sequence is made once and checked; what is kept of it are five numbers.
 *
 * @throws {CannotError} naming a sequence that cannot be trained on; when no token carries a loss, or the weights of a
 * step have no positive sum.
 */
export function planSteps(settings: PlanSettings): StepPlan {
  const { epochs, perStep, seed, vocabularySize } = settings;
  const { name, terms, denominator } = settings.objective;
  const counted = new Map<SequenceSource, SequenceCounts>();
  for (const source of epochs) {
    if (!counted.has(source)) counted.set(source, countAll(source, terms, vocabularySize));
  }
  // A sequence is known by a number that counts on from epoch to epoch.
  const starts: number[] = [];
  let total = 0;
  for (const { length } of epochs) {
    starts.push(total);
    total += length;
  }
  const placeOf = (number: number) => {
    const epoch = lastAtMost(starts, number);
    return { source: epochs[epoch]!, index: number - starts[epoch]! };
  };
  if (total > mostPlanned) {
    throw new CannotError(
      "plan a run",
      `its ${epochs.length} epochs hold ${total} sequences in all, more than ${mostPlanned}`,
      "Choose fewer epochs",
    );
  }
  const numbers = epochs.map(({ length }, epoch) =>
    Array.from({ length }, (_, i) => starts[epoch]! + i)
  );
  const ordered = orderSteps({ epochs: numbers, perStep, seed });
  const steps = ordered.filter((step, i) => {
    const counts = step.map((number) => {
      const { source, index } = placeOf(number);
      return countsAt(counted.get(source)!, index);
    });
    if (counts.every(({ active }) => active === 0)) return false;
    divisor(denominator, counts, `step ${i}`);
    return true;
  });
  if (steps.length === 0) {
    throw new CannotError(
      `train under the objective "${name}"`,
      "no token carries a loss",
      "Check risk spans and weights, or choose another objective",
    );
  }
  const lengths = steps.map((step) =>
    step.map((number) => {
      const { source, index } = placeOf(number);
      return counted.get(source)!.lengths[index]!;
    })
  );
  return {
    steps: steps.length,
    withoutLoss: ordered.length - steps.length,
    shape: shapeFor(lengths, settings.contextLength, settings.mostPositions),
    sequencesOf: (step) =>
      steps[step]!.map((number) => {
        const { source, index } = placeOf(number);
        return source.at(index)!;
      }),
  };
}

// The index of the last of ascending numbers that is at most `most`; the first of them is.
function lastAtMost(ascending: readonly number[], most: number): number {
  let low = 0, high = ascending.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! <= most) low = middle;
    else high = middle;
  }
  return low;
}

/** For each sequence of a source, what decides steps and shape. */
interface SequenceCounts {
  /** Tokens. */
  lengths: Uint32Array;
  active: Uint32Array;
  all: Uint32Array;
  weights: Float64Array;
  firstTokens: Uint8Array;
}

function countAll(
  source: SequenceSource,
  terms: Objective["terms"],
  vocabularySize: number,
): SequenceCounts {
  const { length } = source;
  const counts: SequenceCounts = {
    lengths: new Uint32Array(length),
    active: new Uint32Array(length),
    all: new Uint32Array(length),
    weights: new Float64Array(length),
    firstTokens: new Uint8Array(length),
  };
  for (let i = 0; i < length; i++) {
    const sequence = source.at(i)!;
    checkSequence(sequence, `train on sequence ${i}`, vocabularySize);
    const { active, all, weights, firstTokens } = countSequence(sequence, terms);
    counts.lengths[i] = sequence.tokens.length;
    counts.active[i] = active;
    counts.all[i] = all;
    counts.weights[i] = weights;
    counts.firstTokens[i] = firstTokens;
  }
  return counts;
}

function countsAt(counts: SequenceCounts, index: number): TargetCounts {
  return {
    active: counts.active[index]!,
    all: counts.all[index]!,
    weights: counts.weights[index]!,
    firstTokens: counts.firstTokens[index]!,
  };
}

const usualTime = 128;
const usualRows = 16;
const fixedCost = 64; // positions that could be computed while a micro-batch is set up
const probedSteps = 200;

/**
 * The B and T in which steps take the least work, padding and the fixed cost of a micro-batch included.
 * Rows hold the longest sequence or several of it, up to 128 positions.
 *
 * @param mostPositions B·T at most, but always one row for the longest sequence; 16 of the longest rows if left out.
 */
export function microBatchShape(
  steps: readonly (readonly Sequence[])[],
  contextLength: number,
  mostPositions?: number,
): { rows: number; time: number } {
  const lengths = steps.map((step) => step.map(({ tokens }) => tokens.length));
  return shapeFor(lengths, contextLength, mostPositions);
}

function shapeFor(
  tokens: readonly (readonly number[])[],
  contextLength: number,
  mostPositions: number | undefined,
): { rows: number; time: number } {
  let longest = 1;
  for (const step of tokens) longest = largest(step, longest + 1) - 1;
  const largestTime = Math.max(longest, Math.min(usualTime, contextLength));
  const most = mostPositions ?? usualRows * largestTime;
  const stride = Math.ceil(tokens.length / probedSteps);
  const probed = tokens.filter((_, i) => i % stride === 0)
    .map((step) => step.map((length) => length - 1));
  let best = { rows: 1, time: largestTime, work: Infinity };
  const copies = Array.from({ length: Math.floor(largestTime / longest) }, (_, i) => i + 1);
  const padded = copies.map((count) => Math.min(largestTime, 4 * Math.ceil(count * longest / 4)));
  const times = [...new Set([...padded, largestTime])];
  const fitting = times.filter((time) => time <= most);
  for (const time of fitting.length > 0 ? fitting.toReversed() : times.slice(0, 1)) {
    const rowsNeeded = probed.map((step) => countRows(firstFit(step, time)));
    const enough = largest(rowsNeeded, 1); // more rows only pad
    for (let rows = 1; rows <= enough && (rows === 1 || rows * time <= most); rows++) {
      const microBatches = rowsNeeded.reduce((sum, needed) => sum + Math.ceil(needed / rows), 0);
      const work = microBatches * (rows * time + fixedCost);
      if (work < best.work) best = { rows, time, work };
    }
  }
  return { rows: best.rows, time: best.time };
}

function countRows(places: ReturnType<typeof firstFit>): number {
  return 1 + places.reduce((last, place) => Math.max(last, place?.row ?? 0), 0);
}
