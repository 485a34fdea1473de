// Byte pair encoding's inner loop, the same for every variant: of all adjacent pairs of symbols, merge
// the one with the lowest priority number, the leftmost of equals, until no pair can be merged.
// The variants differ only in their table: GPT-2 ranks pairs, SentencePiece scores the merged piece.
// A heap makes it O(n log n), so that text without pre-tokenisation can be merged whole; words are too short for one.

import { Heap } from "./heap.ts";

/** What a pair of adjacent symbols becomes, and when: the lowest `priority` merges first. */
export interface Merge {
  /** The token that takes the pair's place. */
  id: number;
  /** An integer in [0, `mostMerges`). */
  priority: number;
}

/** The merges of a vocabulary by `pairKey`. */
export type MergeTable = ReadonlyMap<number, Merge>;

/** The number of priorities that a heap entry has room for. */
export const mostMerges = 2 ** 21;

/** Symbols or tokens in a row, and where each lies in the text, in UTF-16 units. */
export interface Located {
  /** Token ids. */
  ids: number[];
  /** Where each begins. */
  starts: number[];
  /** Where each ends, exclusive. */
  ends: number[];
}

/** One number for a pair of token ids below 2^26; ordered by the left id, then by the right. */
export function pairKey(left: number, right: number): number {
  return left * 2 ** 26 + right;
}

/**
 * Merges symbols as far as the table goes. A token lies where its first symbol begins and its last one ends.
 *
 * @param short Up to this many symbols, looking for the best pair again and again is faster than a heap.
 */
export function mergePairs(symbols: Located, table: MergeTable, short = 24): Located {
  return symbols.ids.length <= short ? mergeFew(symbols, table) : mergeMany(symbols, table);
}

function mergeFew({ ids, starts, ends }: Located, table: MergeTable): Located {
  const merged: Located = { ids: [...ids], starts: [...starts], ends: [...ends] };
  while (true) {
    let best: Merge | undefined, at = 0;
    for (let i = 0; i + 1 < merged.ids.length; i++) {
      const merge = table.get(pairKey(merged.ids[i]!, merged.ids[i + 1]!));
      if (merge && (!best || merge.priority < best.priority)) [best, at] = [merge, i];
    }
    if (!best) return merged;
    merged.ids.splice(at, 2, best.id);
    merged.starts.splice(at + 1, 1);
    merged.ends.splice(at, 1);
  }
}

function mergeMany(symbols: Located, table: MergeTable): Located {
  const { length } = symbols.ids;
  const ids = Uint32Array.from(symbols.ids);
  const next = new Uint32Array(length); // 0 once swallowed by the left neighbour
  const previous = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
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
    if (next[position] === 0) continue;
    const merge = mergeAt(position);
    if (merge?.priority !== Math.floor(entry / 2 ** 32)) continue; // this pair is gone by now
    const right = next[position]!;
    ids[position] = merge.id;
    next[position] = next[right]!;
    next[right] = 0;
    if (next[position]! < length) previous[next[position]!] = position;
    offer(position);
    if (position > 0) offer(previous[position]!);
  }

  const merged: Located = { ids: [], starts: [], ends: [] };
  for (let position = 0; position < length; position = next[position]!) {
    merged.ids.push(ids[position]!);
    merged.starts.push(symbols.starts[position]!);
    merged.ends.push(symbols.ends[next[position]! - 1]!);
  }
  return merged;
}
