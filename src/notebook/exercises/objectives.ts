// Exercises of lesson 5: losses of one's own.

import { type CustomLoss, customLoss, evaluateTerm } from "../../slung/custom_loss.ts";
import { type Exercise, exercise, near, shown } from "../exercise.ts";

const logit = (p: number) => Math.log(p / (1 - p));

/** Compares a loss with what is wanted of it, after `customLoss` has checked it. */
function lossFault(
  answer: CustomLoss,
  wanted: (p: number) => number,
  points: readonly number[],
  hint: string,
): string | undefined {
  const term = customLoss(answer);
  for (const p of points) {
    const found = evaluateTerm(term, logit(p)).loss;
    if (near(found, wanted(p), 1e-4)) continue;
    return `At p = ${p} the loss is ${shown(found)}, and should be ${shown(wanted(p))}. ${hint}`;
  }
  return undefined;
}

/** 5.1: unlikelihood above p = 1/1000, nothing below. */
export const hinge: Exercise<CustomLoss> = exercise(
  "5.1",
  (answer) =>
    lossFault(
      answer,
      (p) => Math.max(0, -Math.log1p(-p) + Math.log1p(-1e-3)),
      [1e-6, 0.0005, 0.01, 0.5, 0.99],
      "It is -log(1 - p) minus its own value at p = 1/1000, which is 0.0010005, and never below 0.",
    ),
  "A token that is rare enough is left alone, so the rest of the model is disturbed less.",
);

/** 5.2: the focal loss, which learns most from what is still unlikely. */
export const focal: Exercise<CustomLoss> = exercise(
  "5.2",
  (answer) =>
    lossFault(
      answer,
      (p) => -((1 - p) ** 2) * Math.log(p),
      [1e-4, 0.1, 0.5, 0.9, 0.999],
      "The focal loss is -(1 - p)^2 log p.",
    ),
  "It is meant for low-risk tokens: those that the model knows by now hardly move it any more.",
);

/** 5.3: as gradient ascent, log p, for likely tokens, but bounded below by -3 nats, smoothly. */
export const boundedAscent: Exercise<CustomLoss> = exercise(
  "5.3",
  (answer) => {
    const term = customLoss(answer);
    for (const p of [1e-9, 1e-6, 1e-4, 0.01, 0.3, 0.9]) {
      const { loss, slope } = evaluateTerm(term, logit(p));
      if (loss < -3.01) return `At p = ${p} the loss is ${shown(loss)}, below -3.`;
      if (slope < 0) {
        return `At p = ${p} the slope is ${
          shown(slope)
        }: descending along it would make the token likelier.`;
      }
    }
    const likely = evaluateTerm(term, logit(0.9));
    if (Math.abs(likely.loss - Math.log(0.9)) > 0.06) {
      return `At p = 0.9 the loss is ${shown(likely.loss)}, and log p is ${
        shown(Math.log(0.9))
      }: it should be near it.`;
    }
    const rare = evaluateTerm(term, logit(1e-6)).slope;
    if (rare > 0.01) {
      return `At p = 1e-6 the slope is still ${shown(rare)}; ascent should have let go.`;
    }
    return undefined;
  },
  "What makes ascent destroy a model is that it never lets go. This one does.",
);
