// A cost law: y ≈ Σ_j c_j · x_j with physical terms x_j (operations, bytes, a constant) and prices c_j ≥ 0, since nothing
// costs less than nothing. Relative errors are minimised, Σ (ŷ/y − 1)², so that small configurations count as much as
// large ones. There are few terms, so every subset is solved exactly and the best one with positive prices is kept.

/** A fitted law. */
export interface Law<Term extends string> {
  /** The price of one unit of each term; 0 for a term that explains nothing. */
  prices: Record<Term, number>;
  /** 1 − Σ (ŷ − y)² / Σ (y − mean y)². */
  r2: number;
  /** Largest and mean |ŷ/y − 1|. */
  largestError: number;
  meanError: number;
}

/**
 * Fits prices to observations.
 *
 * @param terms Units of each term in each observation.
 * @param costs What each observation cost, all positive.
 * @throws {RangeError} when there are fewer observations than terms, or no law fits.
 */
export function fitLaw<Term extends string>(
  terms: readonly Record<Term, number>[],
  costs: readonly number[],
): Law<Term> {
  const names = Object.keys(terms[0] ?? {}) as Term[];
  if (costs.length < names.length || costs.length !== terms.length) {
    throw new RangeError(
      `Cannot fit ${names.length} terms to ${costs.length} costs of ${terms.length} observations`,
    );
  }
  let best: { chosen: Term[]; prices: number[]; error: number } | undefined;
  for (let subset = 1; subset < 2 ** names.length; subset++) {
    const chosen = names.filter((_, j) => subset & (1 << j));
    const rows = terms.map((units, i) => chosen.map((name) => units[name] / costs[i]!));
    const prices = leastSquares(rows, costs.map(() => 1));
    if (!prices || prices.some((price) => price < 0)) continue;
    const error = rows.reduce((sum, row) => sum + (dot(row, prices) - 1) ** 2, 0);
    if (!best || error < best.error) best = { chosen, prices, error };
  }
  if (!best) throw new RangeError("Cannot fit a law: no term explains the costs");
  const { chosen, prices } = best;
  const price = (name: Term) => prices[chosen.indexOf(name)] ?? 0;
  const law = Object.fromEntries(names.map((name) => [name, price(name)])) as Record<Term, number>;
  return { prices: law, ...errorsOf(terms.map((units) => predict(law, units)), costs) };
}

/** What a law says that an observation costs. */
export function predict<Term extends string>(
  prices: Record<Term, number>,
  units: Record<Term, number>,
): number {
  return (Object.keys(prices) as Term[]).reduce((sum, name) => sum + prices[name] * units[name], 0);
}

function errorsOf(predicted: number[], costs: readonly number[]) {
  const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
  const squares = (values: number[]) => values.reduce((sum, value) => sum + value ** 2, 0);
  const residual = squares(predicted.map((value, i) => value - costs[i]!));
  const total = squares(costs.map((cost) => cost - mean));
  const errors = predicted.map((value, i) => Math.abs(value / costs[i]! - 1));
  return {
    r2: total === 0 ? 1 : 1 - residual / total,
    largestError: Math.max(...errors),
    meanError: errors.reduce((sum, error) => sum + error, 0) / errors.length,
  };
}

// Normal equations, columns scaled to length 1, by Gaussian elimination with pivoting; undefined when singular.
function leastSquares(rows: number[][], goals: number[]): number[] | undefined {
  const columns = rows[0]!.map((_, j) => rows.map((row) => row[j]!));
  const scales = columns.map((column) => Math.sqrt(dot(column, column)));
  if (scales.some((scale) => scale === 0)) return undefined;
  const unit = columns.map((column, j) => column.map((value) => value / scales[j]!));
  const system = unit.map((left) => [...unit.map((right) => dot(left, right)), dot(left, goals)]);
  const size = system.length;
  for (let at = 0; at < size; at++) {
    const rest = system.slice(at).map((row) => Math.abs(row[at]!));
    const pivot = at + rest.indexOf(Math.max(...rest));
    [system[at], system[pivot]] = [system[pivot]!, system[at]!];
    if (Math.abs(system[at]![at]!) < 1e-10) return undefined;
    for (let row = 0; row < size; row++) {
      if (row === at) continue;
      const factor = system[row]![at]! / system[at]![at]!;
      system[row] = system[row]!.map((value, j) => value - factor * system[at]![j]!);
    }
  }
  return system.map((row, j) => row[size]! / row[j]! / scales[j]!);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}
