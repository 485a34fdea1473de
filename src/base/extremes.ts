// Extremes of any number of values: `Math.max(...values)` puts them all on the stack, which ends at about 125,000.

/** The largest of the values, at least `floor`. */
export function largest(values: Iterable<number>, floor = -Infinity): number {
  let most = floor;
  for (const value of values) if (value > most) most = value;
  return most;
}

/** The smallest of the values, at most `ceiling`. */
export function smallest(values: Iterable<number>, ceiling = Infinity): number {
  let least = ceiling;
  for (const value of values) if (value < least) least = value;
  return least;
}
