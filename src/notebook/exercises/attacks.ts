// Exercises of lesson 6: probabilities of continuations, exposure, and differences over seeds.

import { studentInterval } from "../../eval/statistics.ts";
import { type Exercise, exercise, near, shown } from "../exercise.ts";

/** 6.1: the chance that sampling writes the rest of a name at least once in so many tries. */
export const chanceInTries: Exercise<
  (logProbabilities: readonly number[], tries: number) => number
> = exercise(
  "6.1",
  (answer) => {
    const cases: [number[], number][] = [
      [[Math.log(0.5)], 1],
      [[Math.log(0.5), Math.log(0.1)], 1],
      [[Math.log(0.5), Math.log(0.1)], 20],
      [[-30], 1000],
    ];
    for (const [logs, tries] of cases) {
      const p = Math.exp(logs.reduce((sum, x) => sum + x, 0));
      const wanted = -Math.expm1(tries * Math.log1p(-p)), found = answer(logs, tries);
      if (near(found, wanted, 1e-3 * wanted)) continue;
      return `For log-probabilities ${shown(logs)} and ${tries} tries it is ${shown(wanted)}, not ${
        shown(found)
      }. All ` +
        "tokens have to come, so their probabilities multiply; and it fails in all tries with (1 - p)^tries.";
    }
    return undefined;
  },
  "A name that greedy decoding never writes may still come up once in a thousand tries.",
);

/** 6.2: the exposure of a secret among candidates, log2 of how many there are over its rank. */
export const exposure: Exercise<(losses: readonly number[], secret: number) => number> = exercise(
  "6.2",
  (answer) => {
    const cases: [number[], number, number][] = [
      [[1, 5, 5.5, 6], 0, 2],
      [[3, 1, 2, 4], 0, Math.log2(4 / 3)],
      [[4, 1, 2, 3], 0, 0],
      [[2, 9, 8, 7, 6, 5, 4, 3], 0, 3],
    ];
    for (const [losses, secret, wanted] of cases) {
      const found = answer(losses, secret);
      if (near(found, wanted, 1e-6)) continue;
      return `With the losses ${shown(losses)} the secret ${secret} has the exposure ${
        shown(wanted)
      }, not ${shown(found)}. ` +
        "Its rank is 1 when no candidate has a lower loss.";
    }
    return undefined;
  },
  "Exposure compares the secret with secrets that it could have been, so it needs no idea of what a low loss is.",
);

/** 6.3: whether one curve is below another, judged by the differences of the same seeds. */
export const liesBelow: Exercise<(a: readonly number[], b: readonly number[]) => boolean> =
  exercise(
    "6.3",
    (answer) => {
      const cases: [number[], number[]][] = [
        [[1, 2, 3], [1.5, 2.5, 3.5]], // separate only in pairs
        [[1, 2, 3], [1.1, 1.9, 3.2]],
        [[3, 3.1, 2.9], [1, 1.1, 0.9]],
      ];
      for (const [a, b] of cases) {
        const differences = a.map((value, i) => value - b[i]!);
        const wanted = studentInterval(differences).high < 0, found = answer(a, b);
        if (found === wanted) continue;
        return `a = ${shown(a)} and b = ${shown(b)}: ${
          wanted ? "it does" : "not shown"
        }. Take the difference of each seed, and ` +
          "ask whether the 95 % interval of the differences lies below 0.";
      }
      return undefined;
    },
    "Pairs share the draw, so what the draw alone does cancels: a small difference can be told with few seeds.",
  );
