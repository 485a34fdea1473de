// What must not be on both sides of a probe's split, since a copy among the training examples would be an answer key.

/** A text as it is compared with others: words and numbers alone, in lower case. */
export function normalisedText(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{M}\p{N}]+/gu, " ").trim();
}

/** Of these indices, in their order, the first of each text. */
export function withoutDuplicates(
  indices: readonly number[],
  texts: ArrayLike<string> | undefined,
): readonly number[] {
  if (!texts) return indices;
  const seen = new Set<string>();
  return indices.filter((i) => {
    const text = normalisedText(texts[i]!);
    return !seen.has(text) && seen.add(text);
  });
}

/**
 * The unit of each example: the given groups, joined where they hold rows with the same features. `undefined` where every
 * one of these rows is a unit of its own.
 */
export function unitsOf(
  rows: readonly number[],
  { features, width }: { features: ArrayLike<number>; width: number },
  groups: ArrayLike<string | number> | undefined,
): number[] | undefined {
  const parents = Array.from({ length: features.length / width }, (_, i) => i);
  const rootOf = (i: number): number => {
    while (parents[i] !== i) i = parents[i] = parents[parents[i]!]!;
    return i;
  };
  const join = (i: number, other: number): void => {
    const [a, b] = [rootOf(i), rootOf(other)];
    parents[Math.max(a, b)] = Math.min(a, b);
  };
  const isCopy = (i: number, other: number): boolean => {
    for (let j = 0; j < width; j++) {
      if (features[i * width + j] !== features[other * width + j]) return false;
    }
    return true;
  };
  const sumOf = (i: number): number => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += (j + 1) * features[i * width + j]!;
    return sum;
  };
  const withSum = new Map<number, number[]>(), inGroup = new Map<string | number, number>();
  for (const i of rows) {
    const alike = withSum.getOrInsert(sumOf(i), []);
    const copy = alike.find((other) => isCopy(i, other));
    if (copy === undefined) alike.push(i);
    else join(i, copy);
    if (groups) join(i, inGroup.getOrInsert(groups[i]!, i));
  }
  const units = parents.map((_, i) => rootOf(i));
  return units.some((unit, i) => unit !== i) ? units : undefined;
}
