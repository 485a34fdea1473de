// A binary min-heap: `pop` returns the item that comes before all others, in O(log n).

/** A priority queue ordered by `before(a, b)`, which says whether `a` must leave before `b`. */
export class Heap<T> {
  #items: T[] = [];
  #before: (a: T, b: T) => boolean;

  /** An empty heap. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  /** Adds an item. */
  push(item: T): void {
    const items = this.#items;
    let hole = items.length;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!this.#before(item, items[parent]!)) break;
      items[hole] = items[parent]!;
      hole = parent;
    }
    items[hole] = item;
  }

  /** Removes and returns the first item, or `undefined` when the heap is empty. */
  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (items.length > 0) this.#sink(last!);
    return first;
  }

  #sink(item: T): void {
    const items = this.#items;
    let hole = 0;
    for (let child = 1; child < items.length; child = 2 * hole + 1) {
      if (child + 1 < items.length && this.#before(items[child + 1]!, items[child]!)) child++;
      if (!this.#before(items[child]!, item)) break;
      items[hole] = items[child]!;
      hole = child;
    }
    items[hole] = item;
  }
}
