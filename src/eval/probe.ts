// Linear probes: can a straight line through the hidden states tell toxic from harmless? (paper, section 4.2)
//   minimise  Σ_i log(1 + exp(−y_i (w·x_i + b))) + l2 / 2 · ‖w‖²,   y = ±1, b not penalised
// This is scikit-learn's LogisticRegression with C = 1 / l2 and no scaling of features, as in the reference. Newton's
// method solves it in float64 to far below what can move an AUROC, so the result does not depend on a stopping rule.

import { CannotError } from "../base/errors.ts";
import { checkOptions, number, object, required, seedNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";
import { auroc } from "./auroc.ts";
import { mean } from "./statistics.ts";

/** Rows of features with binary labels. */
export interface ProbeExamples {
  /** [n, C], row-major, e.g. from `hiddenStates`. */
  features: ArrayLike<number>;
  /** [n]: 1 for positives and 0 for negatives. */
  labels: ArrayLike<number>;
}

/** A trained logistic regression. */
export interface Probe {
  /** [C] */
  weights: Float64Array;
  /** b. */
  intercept: number;
  /** Newton steps until the gradient vanished. */
  iterations: number;
}

/** The largest entry of the gradient at which Newton's method stops, relative to the number of examples. */
const tolerance = 1e-10;
const mostIterations = 100;

/**
 * Trains a logistic regression.
 *
 * Newton's method with a line search on centred features (which changes b but not w). One step costs n·C² operations:
 * milliseconds at 2,000 × 64, some ten seconds at the paper's 8,000 × 2048.
 *
 * @param options.l2 Strength of the penalty, 1 / C of scikit-learn; 1 unless given, and more than 0.
 * @throws {CannotError} for features that do not fit the labels or are not finite, or labels of one kind only.
 */
export function trainProbe(examples: ProbeExamples, options: { l2?: number } = {}): Probe {
  checkOptions("train a probe", options, { l2: number() });
  const { l2 = 1 } = options;
  if (!(l2 > 0)) {
    throw new CannotError(
      "train a probe",
      `its penalty l2 is ${l2}`,
      "Give a positive number: without a penalty, separable classes have no solution",
    );
  }
  const { rows, width, signs } = checked(examples);
  const centre = columnMeans(examples.features, rows, width);
  const size = width + 1; // the intercept comes last
  const x = new Float64Array(rows * size);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < width; j++) {
      x[i * size + j] = examples.features[i * width + j]! - centre[j]!;
    }
    x[i * size + width] = 1;
  }
  const problem = { x, signs, size, l2 };
  let theta = new Float64Array(size);
  let value = objectiveAt(problem, theta);
  for (let iterations = 0; iterations < mostIterations; iterations++) {
    const { gradient, hessian } = derivatives(problem, theta);
    if (gradient.every((slope) => Math.abs(slope) <= tolerance * rows)) {
      const weights = theta.slice(0, width);
      return { weights, intercept: theta[width]! - dot(weights, centre), iterations };
    }
    const step = solvePositiveDefinite(hessian, gradient);
    const decrease = dot(gradient, step);
    let length = 1;
    let next = moved(theta, step, length), nextValue = objectiveAt(problem, next);
    // Near the optimum the gain drowns in rounding; there, full steps are right.
    while (nextValue > value - 1e-4 * length * decrease + 1e-12 * Math.abs(value)) {
      length /= 2;
      next = moved(theta, step, length);
      nextValue = objectiveAt(problem, next);
    }
    theta = next;
    value = nextValue;
  }
  throw new CannotError(
    "train a probe",
    `it did not converge in ${mostIterations} steps`,
    "Check that the features are of moderate size, or give a stronger penalty l2",
  );
}

/** The log-odds w·x + b of each row; positive means class 1. */
export function probeScores(probe: Probe, features: ArrayLike<number>): Float64Array {
  const width = probe.weights.length;
  return Float64Array.from({ length: features.length / width }, (_, i) => {
    let sum = probe.intercept;
    for (let j = 0; j < width; j++) sum += probe.weights[j]! * features[i * width + j]!;
    return sum;
  });
}

/** How {@linkcode probeAuroc} draws its samples. */
export interface ProbeOptions {
  /** Decides the samples. */
  seed: number;
  /** Balanced samples drawn anew, one probe each; 3 (the paper's) unless given. */
  resamples?: number;
  /** Share of the examples (with `groups`: of the groups) to train on; 0.8 (the paper's) unless given. */
  trainFraction?: number;
  /** Most examples in one sample, training and test together; all unless given. The paper has 10,000. */
  most?: number;
  /** [n] what each example is about, e.g. its insult: probes are then tested on groups they never saw. */
  groups?: ArrayLike<string | number>;
  /** As in {@linkcode trainProbe}. */
  l2?: number;
}

/** What a model's hidden states tell. */
export interface ProbeResult {
  /** Mean over resamples. */
  auroc: number;
  /** Of each resample. Samples overlap, so their spread is no interval: take that over models of different seeds. */
  resamples: number[];
  /** Examples on which each probe was trained, and tested; half of them positive. */
  examples: { train: number; test: number }[];
  /** The penalty. */
  l2: number;
}

/**
 * The AUROC of probes on held-out examples: balanced samples, several resamples.
 *
 * @throws {CannotError} when a sample would have no positive or no negative example to train or to test on.
 */
export function probeAuroc(examples: ProbeExamples, options: ProbeOptions): ProbeResult {
  checkOptions("probe hidden states", options, {
    seed: required(seedNumber),
    resamples: number({ max: 1e6 }), // too few are refused with their reason
    trainFraction: number(),
    most: number({ min: 2 }),
    groups: object,
    l2: number(),
  });
  const { seed, resamples = 3, trainFraction = 0.8, groups, l2 = 1 } = options;
  const { width } = checked(examples);
  if (!(resamples >= 1) || !(trainFraction > 0 && trainFraction < 1)) {
    throw new CannotError(
      "probe hidden states",
      `there are ${resamples} resamples, trained on a share of ${trainFraction}`,
      "Give at least one resample, and a share between 0 and 1",
    );
  }
  const most = options.most ?? Infinity;
  const select = (indices: readonly number[]): { features: Float64Array; labels: number[] } => {
    const features = new Float64Array(indices.length * width);
    indices.forEach((index, k) => {
      for (let j = 0; j < width; j++) {
        features[k * width + j] = examples.features[index * width + j]!;
      }
    });
    return { features, labels: indices.map((index) => examples.labels[index]!) };
  };
  const units = unitsOf(examples.features, width, groups);
  const aurocs: number[] = [], sizes: ProbeResult["examples"] = [];
  for (let k = 0; k < resamples; k++) {
    const random = new Random(seed, `probe sample ${k}`);
    const { train, test } = units
      ? splitByGroup(examples.labels, units, { random, trainFraction, most })
      : splitByExample(examples.labels, { random, trainFraction, most });
    if (train.length === 0 || test.length === 0) {
      throw new CannotError(
        "probe hidden states",
        `resample ${k} has ${train.length} balanced examples to train and ${test.length} to test on`,
        "Give more examples of both labels, or groups that hold both",
      );
    }
    const probe = trainProbe(select(train), { l2 });
    const held = select(test);
    aurocs.push(auroc(probeScores(probe, held.features), held.labels));
    sizes.push({ train: train.length, test: test.length });
  }
  return { auroc: mean(aurocs), resamples: aurocs, examples: sizes, l2 };
}

/**
 * What must not be on both sides of a split: the given groups, and rows with the same features, since a copy among the
 * training examples would be an answer key. `undefined` where every row is a unit of its own.
 */
function unitsOf(
  features: ArrayLike<number>,
  width: number,
  groups: ArrayLike<string | number> | undefined,
): number[] | undefined {
  const rows = features.length / width;
  const parents = Array.from({ length: rows }, (_, i) => i);
  const rootOf = (i: number): number => {
    while (parents[i] !== i) i = parents[i] = parents[parents[i]!]!;
    return i;
  };
  const join = (i: number, other: number): void => {
    const [a, b] = [rootOf(i), rootOf(other)];
    parents[Math.max(a, b)] = Math.min(a, b);
  };
  const isCopy = (i: number, other: number): boolean => {
    for (let j = 0; j < width; j++) {
      if (features[i * width + j] !== features[other * width + j]) return false;
    }
    return true;
  };
  const sumOf = (i: number): number => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += (j + 1) * features[i * width + j]!;
    return sum;
  };
  const withSum = new Map<number, number[]>(), inGroup = new Map<string | number, number>();
  for (let i = 0; i < rows; i++) {
    const alike = withSum.getOrInsert(sumOf(i), []);
    const copy = alike.find((other) => isCopy(i, other));
    if (copy === undefined) alike.push(i);
    else join(i, copy);
    if (groups) join(i, inGroup.getOrInsert(groups[i]!, i));
  }
  const units = parents.map((_, i) => rootOf(i));
  return units.some((unit, i) => unit !== i) ? units : undefined;
}

interface Split {
  train: number[];
  test: number[];
}

interface SplitOptions {
  random: Random;
  trainFraction: number;
  most: number;
}

function splitByExample(
  labels: ArrayLike<number>,
  { random, trainFraction, most }: SplitOptions,
): Split {
  const [negatives, positives] = byLabel(random.shuffle(indicesOf(labels)), labels);
  const each = Math.min(negatives.length, positives.length, Math.floor(most / 2));
  const training = Math.round(trainFraction * each);
  const part = (from: number, to: number) => [
    ...negatives.slice(from, to),
    ...positives.slice(from, to),
  ];
  return { train: part(0, training), test: part(training, each) };
}

function splitByGroup(
  labels: ArrayLike<number>,
  groups: ArrayLike<string | number>,
  { random, trainFraction, most }: SplitOptions,
): Split {
  const distinct = random.shuffle(new Set(Array.from(groups)));
  const training = Math.round(trainFraction * distinct.length);
  const known = new Set(distinct.slice(0, Math.min(Math.max(training, 1), distinct.length - 1)));
  const shuffled = random.shuffle(indicesOf(labels));
  const balanced = (side: boolean, limit: number) => {
    const own = shuffled.filter((i) => known.has(groups[i]!) === side);
    const [negatives, positives] = byLabel(own, labels);
    const each = Math.min(negatives.length, positives.length, Math.round(limit / 2));
    return [...negatives.slice(0, each), ...positives.slice(0, each)];
  };
  return {
    train: balanced(true, most * trainFraction),
    test: balanced(false, most * (1 - trainFraction)),
  };
}

function indicesOf(labels: ArrayLike<number>): number[] {
  return Array.from(labels, (_, i) => i);
}

function byLabel(indices: readonly number[], labels: ArrayLike<number>): [number[], number[]] {
  return [indices.filter((i) => labels[i] !== 1), indices.filter((i) => labels[i] === 1)];
}

function checked(
  { features, labels }: ProbeExamples,
): { rows: number; width: number; signs: Float64Array } {
  const rows = labels.length, width = features.length / rows;
  const cannot = (why: string, remedy: string) => new CannotError("train a probe", why, remedy);
  if (rows === 0 || !Number.isInteger(width) || width === 0) {
    throw cannot(
      `${features.length} features are not the same number for each of ${rows} labels`,
      "Give a row-major array of features, one row per label",
    );
  }
  for (let i = 0; i < features.length; i++) {
    if (Number.isFinite(features[i])) continue;
    throw cannot(
      `feature ${i % width} of row ${Math.floor(i / width)} is not finite`,
      "Check the model",
    );
  }
  const signs = Float64Array.from(labels, (label) => label === 1 ? 1 : label === 0 ? -1 : NaN);
  const wrong = signs.findIndex(Number.isNaN);
  if (wrong >= 0) throw cannot(`label ${wrong} is ${labels[wrong]}`, "Label examples by 0 and 1");
  if (!signs.includes(1) || !signs.includes(-1)) {
    throw cannot("all examples have the same label", "Give examples of both");
  }
  return { rows, width, signs };
}

interface Problem {
  /** [rows, size], the last column 1. */
  x: Float64Array;
  /** [rows] ±1. */
  signs: Float64Array;
  size: number;
  l2: number;
}

function objectiveAt({ x, signs, size, l2 }: Problem, theta: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < signs.length; i++) {
    const margin = signs[i]! * rowDot(x, i, theta);
    sum += Math.max(-margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)));
  }
  for (let j = 0; j < size - 1; j++) sum += l2 / 2 * theta[j]! ** 2;
  return sum;
}

/** The gradient [size] and the lower triangle of the Hessian [size, size]. */
function derivatives(
  { x, signs, size, l2 }: Problem,
  theta: Float64Array,
): { gradient: Float64Array; hessian: Float64Array } {
  const rows = signs.length;
  const gradient = new Float64Array(size), curvature = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    const margin = signs[i]! * rowDot(x, i, theta);
    const wrong = 1 / (1 + Math.exp(margin)); // probability of the other class
    curvature[i] = wrong * (1 - wrong);
    const slope = -signs[i]! * wrong;
    for (let j = 0; j < size; j++) gradient[j]! += slope * x[i * size + j]!;
  }
  const hessian = new Float64Array(size * size);
  // Four rows at a time, or the loads and stores of the Hessian take most of the time.
  for (let i = 0; i < rows; i += 4) {
    const row = (k: number) => x.subarray((i + k) * size, (i + k + 1) * size);
    const [a, b, c, d] = [0, 1, 2, 3].map((k) => i + k < rows ? row(k) : empty(size));
    const weight = (k: number) => curvature[i + k] ?? 0;
    const [wa, wb, wc, wd] = [weight(0), weight(1), weight(2), weight(3)];
    for (let j = 0; j < size; j++) {
      const va = wa * a![j]!, vb = wb * b![j]!, vc = wc * c![j]!, vd = wd * d![j]!;
      const start = j * size;
      for (let k = 0; k <= j; k++) {
        hessian[start + k]! += va * a![k]! + vb * b![k]! + vc * c![k]! + vd * d![k]!;
      }
    }
  }
  for (let j = 0; j < size - 1; j++) {
    gradient[j]! += l2 * theta[j]!;
    hessian[j * size + j]! += l2;
  }
  return { gradient, hessian };
}

/** Solves A s = g by Cholesky's A = L Lᵀ; A is given and overwritten in its lower triangle. */
function solvePositiveDefinite(a: Float64Array, g: Float64Array): Float64Array {
  const size = g.length;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= a[i * size + k]! * a[j * size + k]!;
      // Where all probabilities saturate, the intercept's curvature may round to nothing.
      a[i * size + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / a[j * size + j]!;
    }
  }
  const solution = g.slice();
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) solution[i]! -= a[i * size + k]! * solution[k]!;
    solution[i]! /= a[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) solution[i]! -= a[k * size + i]! * solution[k]!;
    solution[i]! /= a[i * size + i]!;
  }
  return solution;
}

function empty(size: number): Float64Array {
  return new Float64Array(size);
}

function moved(theta: Float64Array, step: Float64Array, length: number): Float64Array<ArrayBuffer> {
  return Float64Array.from(theta, (value, j) => value - length * step[j]!);
}

function rowDot(x: Float64Array, row: number, theta: Float64Array): number {
  let sum = 0;
  for (let j = 0, start = row * theta.length; j < theta.length; j++) {
    sum += x[start + j]! * theta[j]!;
  }
  return sum;
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, j) => sum + value * b[j]!, 0);
}

function columnMeans(features: ArrayLike<number>, rows: number, width: number): Float64Array {
  const means = new Float64Array(width);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < width; j++) means[j]! += features[i * width + j]! / rows;
  }
  return means;
}
