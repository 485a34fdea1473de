// The Pareto frontier of understanding against generation: the methods that no other one beats on both.

/** A method by what it generates and what it understands. */
export interface Tradeoff {
  /** Toxicity of its generations, in any unit; lower is better. */
  toxicity: number;
  /** AUROC of a probe of its hidden states; higher is better. */
  auroc: number;
}

/**
 * The points that no other one dominates, by rising toxicity. A point dominates another if it is at least as good on
 * both axes and better on one; equal points are kept together.
 */
export function paretoFrontier<Point extends Tradeoff>(points: readonly Point[]): Point[] {
  return points
    .filter((point) => !points.some((other) => dominates(other, point)))
    .sort((a, b) => a.toxicity - b.toxicity);
}

function dominates(a: Tradeoff, b: Tradeoff): boolean {
  return a.toxicity <= b.toxicity && a.auroc >= b.auroc &&
    (a.toxicity < b.toxicity || a.auroc > b.auroc);
}
