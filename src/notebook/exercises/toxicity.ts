// Exercises of lesson 4: AUROC, an interval over seeds, and what a method learns of its stream.

import { studentInterval } from "../../eval/statistics.ts";
import { type Exercise, exercise, near, shown } from "../exercise.ts";

/** 4.1: the chance that a positive example scores higher than a negative one; ties count half. */
export const auroc: Exercise<(scores: readonly number[], labels: readonly number[]) => number> =
  exercise(
    "4.1",
    (answer) => {
      const cases: [number[], number[], number][] = [
        [[0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 1],
        [[0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 0],
        [[0.9, 0.4, 0.6, 0.1], [1, 1, 0, 0], 0.75],
        [[0.5, 0.5, 0.5], [1, 0, 0], 0.5],
      ];
      for (const [scores, labels, wanted] of cases) {
        const found = answer(scores, labels);
        if (near(found, wanted)) continue;
        return `For the scores ${shown(scores)} with labels ${shown(labels)} it is ${wanted}, not ${
          shown(found)
        }. Compare ` +
          "every positive with every negative one; an equal score is half a success.";
      }
      return undefined;
    },
    "So 0.5 is what guessing gives, and a probe below it is as wrong as one above is right, up to chance.",
  );

/** 4.2: the half width of a 95 % interval over three seeds. */
export const halfWidth: Exercise<(values: readonly [number, number, number]) => number> = exercise(
  "4.2",
  (answer) => {
    for (const values of [[1, 2, 3], [0.5, 0.5, 0.5], [10, 10, 13]] as const) {
      const { mean, high } = studentInterval(values);
      const found = answer(values), wanted = high - mean;
      if (near(found, wanted, 2e-3)) continue;
      return `For ${shown(values)} it is ${shown(wanted)}, not ${
        shown(found)
      }. The standard deviation divides by n - 1 = 2, ` +
        "the standard error by the root of 3, and with 2 degrees of freedom 95 % takes 4.303 of them, not 1.96.";
    }
    return undefined;
  },
  "Three seeds make wide intervals: two methods must differ by a lot before they separate.",
);

interface Buckets {
  base: number;
  low: number;
  possible: number;
  high: number;
}

/** 4.3: tokens that a method trains the model to predict, by Table 1. */
export const learnedTokens: Exercise<
  (method: "control" | "low_risk" | "toxic" | "masked" | "unlikelihood", buckets: Buckets) => number
> = exercise(
  "4.3",
  (answer) => {
    const buckets = { base: 1000, low: 100, possible: 30, high: 7 };
    const wanted = { control: 1000, low_risk: 1100, toxic: 1137, masked: 1100, unlikelihood: 1130 };
    for (const [method, tokens] of Object.entries(wanted)) {
      const found = answer(method as keyof typeof wanted, buckets);
      if (found === tokens) continue;
      return `Of ${shown(buckets)} "${method}" learns ${tokens}, not ${
        shown(found)
      }. Masked SLUNG reads everything and ` +
        "learns low risk alone; unlikelihood learns possible risk too, and pushes high risk down.";
    }
    return undefined;
  },
  "The low-risk baseline and masked SLUNG learn the same tokens. All that differs is what they have read before them.",
);
