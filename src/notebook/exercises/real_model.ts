// Exercises of lesson 8: what a step takes before activations, how much LoRA learns, and what merging it computes.

import { type Exercise, exercise, near, shown } from "../exercise.ts";

/** What is there besides activations. */
interface Counted {
  /** Parameters that stay as they are. */
  frozen: number;
  /** Parameters that are learned. */
  learned: number;
  /** What the model runs in. */
  precision: "f32" | "f16";
}

interface Bytes {
  weights: number;
  gradients: number;
  moments: number;
}

/** 8.1: bytes of weights, gradients and AdamW's moments. */
export const stepBytes: Exercise<(counted: Counted) => Bytes> = exercise(
  "8.1",
  (answer) => {
    const cases: [Counted, Bytes][] = [
      [{ frozen: 0, learned: 1000, precision: "f32" }, {
        ...{ weights: 4000, gradients: 4000, moments: 8000 },
      }],
      [{ frozen: 900, learned: 100, precision: "f32" }, {
        ...{ weights: 4000, gradients: 400, moments: 800 },
      }],
      [{ frozen: 0, learned: 1000, precision: "f16" }, {
        ...{ weights: 6000, gradients: 4000, moments: 8000 },
      }],
      [{ frozen: 900, learned: 100, precision: "f16" }, {
        ...{ weights: 2400, gradients: 400, moments: 800 },
      }],
    ];
    for (const [counted, wanted] of cases) {
      const found = answer({ ...counted });
      for (const part of ["weights", "gradients", "moments"] as const) {
        if (near(found[part], wanted[part])) continue;
        return `For ${shown(counted)} the ${part} take ${wanted[part]} bytes, not ${
          shown(found[part])
        }. Only what is learned has a gradient and two moments, all in f32; in f16 it also has its ` +
          "f32 master beside the half that is computed with.";
      }
    }
    return undefined;
  },
  "So f16 makes full training no smaller before activations: it is what stays frozen that shrinks to two bytes.",
);

/** 8.2: how many parameters LoRA has. */
export const loraParameters: Exercise<
  (matrices: readonly (readonly [out: number, input: number])[], rank: number) => number
> = exercise(
  "8.2",
  (answer) => {
    const square = new Array(32).fill([2048, 2048] as const);
    const cases: [(readonly [number, number])[], number, number][] = [
      [[[64, 256]], 8, 8 * 320],
      [[[64, 64], [16, 64]], 4, 4 * 208],
      [square, 8, 1_048_576],
    ];
    for (const [matrices, rank, wanted] of cases) {
      const found = answer(matrices, rank);
      if (near(found, wanted)) continue;
      const of = matrices.length > 3
        ? `${matrices.length} of ${shown(matrices[0])}`
        : shown(matrices);
      return `For matrices ${of} and rank ${rank} there are ${wanted}, not ${
        shown(found)
      }. A is [rank, input] and B ` +
        "is [output, rank], one of each for every matrix.";
    }
    return undefined;
  },
  "The last case is q and v of OLMo 1B's 16 layers at rank 8: what the estimate above counts as learned.",
);

type Matrix = readonly (readonly number[])[];

/** 8.3: the weights with a change merged into them. */
export const mergedWeights: Exercise<
  (weights: Matrix, change: { a: Matrix; b: Matrix; alpha: number }) => Matrix
> = exercise(
  "8.3",
  (answer) => {
    const cases: [Matrix, { a: Matrix; b: Matrix; alpha: number }, Matrix][] = [
      [[[1, 2], [3, 4]], { a: [[1, 0]], b: [[0], [1]], alpha: 1 }, [[1, 2], [4, 4]]],
      [[[1, 2], [3, 4]], { a: [[1, 0], [0, 1]], b: [[1, 2], [3, 4]], alpha: 4 }, [[3, 6], [9, 12]]],
      [[[0, 0, 0], [0, 0, 0]], { a: [[1, 2, 3]], b: [[1], [10]], alpha: 2 }, [[2, 4, 6], [
        ...[20, 40, 60],
      ]]],
    ];
    for (const [weights, change, wanted] of cases) {
      const found = answer(weights, change);
      const isRight = found.length === wanted.length &&
        wanted.every((row, i) =>
          found[i]!.length === row.length && row.every((value, j) => near(found[i]![j]!, value))
        );
      if (isRight) continue;
      return `W = ${shown(weights)}, A = ${shown(change.a)}, B = ${
        shown(change.b)
      } and α = ${change.alpha} give ${shown(wanted)}, not ${shown(found)}. ` +
        "It is W + (α / r) B A; the rank r is the number of rows of A.";
    }
    return undefined;
  },
  "After that nobody can tell that there was a change: the merged model costs what the base costs.",
);
