// A number with how sure it is: the one such type, for measures, tables and figures.

/** A mean and the bounds between which it lies with some confidence. */
export interface Interval {
  /** In the unit of the values, as are both bounds. */
  mean: number;
  /** The lower bound; the mean itself where one value has no interval. */
  low: number;
  /** The upper bound; the mean itself where one value has no interval. */
  high: number;
  /** How sure the bounds are, e.g. 0.95. */
  confidence: number;
  /** The values behind it: runs, or items. */
  n: number;
}
