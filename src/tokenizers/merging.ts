// Byte pair encoding's inner loop, the same for every variant: of all adjacent pairs of symbols, merge
// the one with the lowest priority number, the leftmost of equals, until no pair can be merged.
// The variants differ only in their table: GPT-2 ranks pairs, SentencePiece scores the merged piece.
// A heap makes it O(n log n), so that text without pre-tokenisation can be merged whole.

import { Heap } from "./heap.ts";

/** What a pair of adjacent symbols becomes, and when: the lowest `priority` merges first. */
export interface Merge {
  /** The token that takes the pair's place. */
  id: number;
  /** An integer in [0, 2^21). */
  priority: number;
}

/** The merges of a vocabulary by `pairKey`. */
export type MergeTable = ReadonlyMap<number, Merge>;

/** One number for a pair of token ids below 2^26; ordered by the left id, then by the right. */
export function pairKey(left: number, right: number): number {
  return left * 2 ** 26 + right;
}

/**
 * Merges a sequence of symbols as far as the table goes.
 *
 * @returns The remaining token ids and, for each, how many of the symbols it has taken in.
 */
export function mergePairs(
  symbols: ArrayLike<number>,
  table: MergeTable,
): { ids: number[]; counts: number[] } {
  const length = symbols.length;
  const ids = Uint32Array.from(symbols);
  const counts = new Uint32Array(length).fill(1); // 0 once swallowed by the left neighbour
  const next = Uint32Array.from(ids, (_, i) => i + 1);
  const previous = Int32Array.from(ids, (_, i) => i - 1);
  const mergeAt = (position: number): Merge | undefined =>
    next[position]! < length
      ? table.get(pairKey(ids[position]!, ids[next[position]!]!))
      : undefined;

  // A heap entry is priority · 2^32 + position, which orders by priority, then from left to right.
  const queue = new Heap<number>((a, b) => a < b);
  const offer = (position: number): void => {
    const merge = mergeAt(position);
    if (merge) queue.push(merge.priority * 2 ** 32 + position);
  };
  for (let position = 0; position < length; position++) offer(position);

  for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
    const position = entry % 2 ** 32;
    if (counts[position] === 0) continue;
    const merge = mergeAt(position);
    if (merge?.priority !== Math.floor(entry / 2 ** 32)) continue; // this pair is gone by now
    const right = next[position]!;
    ids[position] = merge.id;
    counts[position]! += counts[right]!;
    counts[right] = 0;
    next[position] = next[right]!;
    if (next[right]! < length) previous[next[right]!] = position;
    offer(position);
    if (position > 0) offer(previous[position]!);
  }

  const alive = (_: number, position: number): boolean => counts[position]! > 0;
  return { ids: [...ids.filter(alive)], counts: [...counts.filter((count) => count > 0)] };
}
