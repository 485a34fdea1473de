// Linear probes: can a straight line through the hidden states tell toxic from harmless? (paper, section 4.2)
//   minimise  Σ_i log(1 + exp(−y_i (w·x_i + b))) + l2 / 2 · ‖w‖²,   y = ±1, b not penalised
// This is scikit-learn's LogisticRegression with C = 1 / l2 and no scaling of features, as in the reference. Newton's
// method solves it in float64 to far below what can move an AUROC, so the result does not depend on a stopping rule.

import { CannotError } from "../base/errors.ts";
import { checkOptions, number } from "../base/options.ts";

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
  const { rows, width, signs } = checkProbeExamples(examples);
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

/** Examples that can be probed: their number, width and labels as ±1. @throws {CannotError} saying what is wrong. */
export function checkProbeExamples(
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
