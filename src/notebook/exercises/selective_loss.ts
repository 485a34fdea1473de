// Exercises of lesson 1: log-odds, targets, and what the sum is divided by.

import { Risk } from "../../slung/risk.ts";
import { type Exercise, exercise, near, shown } from "../exercise.ts";

/** 1.1: the log-odds of one of several logits. */
export const logOdds: Exercise<(z: readonly number[], y: number) => number> = exercise(
  "1.1",
  (answer) => {
    const cases: [readonly number[], number, number][] = [
      [[0, 0], 0, 0],
      [[1, 2, 3], 2, 3 - Math.log(Math.exp(1) + Math.exp(2))],
      [[0, Math.log(3), 0], 1, Math.log(1.5)],
      [[1000, 0, 0], 0, 1000 - Math.log(2)],
      [[0, 900, 901], 0, -901 - Math.log1p(Math.exp(-1))],
    ];
    for (const [z, y, wanted] of cases) {
      const found = answer(z, y);
      if (near(found, wanted)) continue;
      const hint = Number.isFinite(found)
        ? "Does the sum leave the target itself out?"
        : "Large logits overflow exp: take the largest of the others out of the sum first.";
      return `For z = ${shown(z)} and y = ${y} it is ${shown(wanted)}, not ${found}. ${hint}`;
    }
    return undefined;
  },
  "Leaving the target out of the sum is what keeps every digit when p is nearly 1.",
);

/** 1.2: the positions whose prediction carries no loss under masked SLUNG. */
export const silentPositions: Exercise<(classes: readonly number[]) => number[]> = exercise(
  "1.2",
  (answer) => {
    const { low, possible, high } = Risk;
    const cases = [
      [low, low, high, high, low],
      [high, low, low],
      [low, possible, low, high],
      [low, low],
    ];
    for (const classes of cases) {
      const wanted = classes.flatMap((_, t) => classes[t + 1]! >= possible ? [t] : []);
      const found = [...answer(classes)];
      if (shown(found) === shown(wanted)) continue;
      const shifted = classes.flatMap((risk, t) => risk >= possible ? [t] : []);
      const hint = shown(found) === shown(shifted)
        ? "Those are the positions that *read* a risky token. Position t predicts token t + 1."
        : "Masked SLUNG has a term for class 1 only (and 0); the last position predicts nothing.";
      return `For the classes ${shown(classes)} they are ${shown(wanted)}, not ${
        shown(found)
      }. ${hint}`;
    }
    return undefined;
  },
  "A class belongs to a token as a target: the loss of the state before it is what is left out.",
);

/** 1.3: Z for each denominator, under masked SLUNG. */
export const denominators: Exercise<
  (classes: readonly number[]) => { active: number; paper: number; all: number }
> = exercise(
  "1.3",
  (answer) => {
    for (
      const [classes, active, paper, all] of [
        [[1, 1, 3, 3, 1], 2, 3, 4],
        [[3, 1, 1], 2, 2, 2],
        [[1, 2, 3], 0, 1, 2],
      ] as const
    ) {
      const found = answer(classes);
      const wanted = { active, paper, all };
      for (const [name, value] of Object.entries(wanted)) {
        const given = found[name as keyof typeof wanted];
        if (given === value) continue;
        return `For the classes ${shown(classes)}, "${name}" is ${value}, not ${shown(given)}. ` +
          "Nothing predicts the first token; only `paper` counts it, and only where its class has a term.";
      }
    }
    return undefined;
  },
  "The more is masked, the further `active` and `all` are apart, and with them the size of a step.",
);
