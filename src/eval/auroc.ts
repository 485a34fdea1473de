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
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  const invalid = order.find((i) => Number.isNaN(scores[i]));
  if (invalid !== undefined) {
    throw new CannotError("compute an AUROC", `score ${invalid} is NaN`, "Check the model");
  }
  let positives = 0, rankSum = 0;
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++;
    const midrank = (start + 1 + end) / 2;
    for (let k = start; k < end; k++) {
      if (labels[order[k]!] !== 1) continue;
      positives++;
      rankSum += midrank;
    }
    start = end;
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
