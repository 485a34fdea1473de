// By what factor a method slows the learning of something down (Rathi and Radford 2026): how much less training a model that
// learns everything needs to find it as probable. Read off one curve of that model, so that both runs should have the same
// schedule: where its rate has fallen to nothing at the end, the model is better than at that step of a longer run.

import { CannotError } from "../base/errors.ts";

/** The mean −log p of something at a step. */
export interface LossPoint {
  /** Steps taken before it was measured. */
  step: number;
  /** In nats per token. */
  loss: number;
}

/**
 * The factor between the steps that led to a loss and those after which a curve first was as low, interpolated in the
 * logarithm of steps.
 *
 * @param curve Of the model that learns everything, by ascending step.
 * @param reached The last point of the other model.
 * @returns Infinity where the curve was as low before its first step, null where it never was.
 * @throws {CannotError} for a curve without points, or steps that do not ascend.
 */
export function slowdown(curve: readonly LossPoint[], reached: LossPoint): number | null {
  if (curve.length === 0 || curve.some(({ step }, i) => i > 0 && step <= curve[i - 1]!.step)) {
    const why = curve.length === 0 ? "its curve has no points" : "its steps do not ascend";
    throw new CannotError("compare with a run", why, "Watch a run that learns everything");
  }
  const at = curve.findIndex(({ loss }) => loss <= reached.loss);
  if (at < 0) return null;
  const { step, loss } = curve[at]!;
  if (step === 0) return Infinity;
  const before = curve[at - 1];
  if (before === undefined || before.step === 0) return reached.step / step;
  const share = (before.loss - reached.loss) / (before.loss - loss);
  return reached.step / (before.step * (step / before.step) ** share);
}
