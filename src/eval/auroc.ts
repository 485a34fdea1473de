// The area under the ROC curve: the probability that a random positive scores higher than a random negative, ties
// counting half. It follows from ranks alone (Mann-Whitney U, ties by midrank), without drawing the curve:
//   AUROC = (Σ rank of positives − P (P + 1) / 2) / (P · N)

import { CannotError } from "../base/errors.ts";

/**
 * The AUROC of scores for binary labels; 0.5 is chance. Exact: equals scikit-learn's `roc_auc_score` up to rounding.
 *
 * @param scores Higher means more likely positive; only their order counts.
 * @param labels 1 for positives and 0 for negatives.
 * @throws {CannotError} unless there is one label per score, of both kinds, and no score is NaN.
 */
export function auroc(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  if (scores.length !== labels.length) {
    throw new CannotError(
      "compute an AUROC",
      `there are ${scores.length} scores and ${labels.length} labels`,
      "Give one label per score",
    );
  }
  const ties = tiesOf(scores);
  let positives = 0, rankSum = 0;
  let ranked = 0;
  for (const tied of ties) {
    const midrank = ranked + (1 + tied.length) / 2;
    for (const i of tied) {
      if (labels[i] !== 1) continue;
      positives++;
      rankSum += midrank;
    }
    ranked += tied.length;
  }
  const negatives = scores.length - positives;
  if (positives === 0 || negatives === 0) {
    throw new CannotError(
      "compute an AUROC",
      `there are ${positives} positives and ${negatives} negatives`,
      "Give at least one of each",
    );
  }
  return (rankSum - positives * (positives + 1) / 2) / (positives * negatives);
}

/**
 * What each example contributes to the AUROC (DeLong's placement values): for a positive the share of negatives that score
 * lower, for a negative the share of positives that score higher, ties counting half. Over the positives their mean is the
 * AUROC, and over the negatives as well.
 *
 * @throws {CannotError} as {@linkcode auroc} does.
 */
export function placements(scores: ArrayLike<number>, labels: ArrayLike<number>): number[] {
  auroc(scores, labels); // refuses what has none
  const positives = Array.from(labels).filter((label) => label === 1).length;
  const negatives = labels.length - positives;
  const placed = Array<number>(labels.length);
  let positivesBelow = 0, negativesBelow = 0;
  for (const tied of tiesOf(scores)) {
    const tiedPositives = tied.filter((i) => labels[i] === 1).length;
    const tiedNegatives = tied.length - tiedPositives;
    for (const i of tied) {
      placed[i] = labels[i] === 1
        ? (negativesBelow + tiedNegatives / 2) / negatives
        : (positives - positivesBelow - tiedPositives / 2) / positives;
    }
    positivesBelow += tiedPositives;
    negativesBelow += tiedNegatives;
  }
  return placed;
}

/** Indices by rising score, those of equal scores together. */
function tiesOf(scores: ArrayLike<number>): number[][] {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  const invalid = order.find((i) => Number.isNaN(scores[i]));
  if (invalid !== undefined) {
    throw new CannotError("compute an AUROC", `score ${invalid} is NaN`, "Check the model");
  }
  const ties: number[][] = [];
  for (const i of order) {
    const last = ties.at(-1);
    if (last && scores[last[0]!] === scores[i]) last.push(i);
    else ties.push([i]);
  }
  return ties;
}
