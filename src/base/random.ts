// Seeded random numbers: xoshiro128** (Blackman & Vigna, 2018), seeded through splitmix32.
// The state is four words, so that a checkpoint can hold it and a resumed run draws the same numbers.

import { checkOptions, required, seedNumber } from "./options.ts";

/**
 * A reproducible stream of random numbers: same seed and label, same sequence, on every machine.
 *
 * @example
 * ```ts
 * import { Random } from "@slung/slung";
 *
 * const random = new Random(7, "prompts");
 * const words = random.shuffle(["mill", "race", "weir"]);
 * console.log(words.join()); // mill,weir,race
 * ```
 */
export class Random {
  #state: Uint32Array<ArrayBuffer>;

  /**
   * Starts a stream; the same seed and label always give the same one.
   *
   * @param seed A whole number from 0 to 2^32 − 1.
   * @param label Separates streams that share a seed, e.g. `"shuffle"` and `"init"`.
   * @throws {CannotError} for any other seed: it would have to share the stream of one of these.
   */
  constructor(seed: number, label = "") {
    checkOptions("draw random numbers", { seed }, { seed: required(seedNumber) });
    let word = seed;
    for (let i = 0; i < label.length; i++) {
      word = Math.imul(word ^ label.charCodeAt(i), 0x01000193) >>> 0; // FNV-1a
    }
    this.#state = new Uint32Array(4);
    for (let i = 0; i < 4; i++) {
      word = (word + 0x9e3779b9) >>> 0;
      this.#state[i] = mix(word);
    }
  }

  /** A uniform integer in [0, 2^32). */
  uint32(): number {
    const s = this.#state;
    const scrambled = Math.imul(s[1]!, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }

  /** A uniform number in [0, 1) with 53 random bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 67108864 + (this.uint32() >>> 6)) / 9007199254740992;
  }

  /** A uniform integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** A standard normal number (Box-Muller, cosine branch, so that one call is always two draws). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** One element of `items`, uniformly. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** A shuffled copy of `items` (Fisher-Yates). */
  shuffle<T>(items: Iterable<T>): T[] {
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
    }
    return shuffled;
  }

  /**
   * An order of the numbers below `n`, each in one place: the function says which stands in a place. Up to 2^20 of them
   * are shuffled; more are ordered by a Feistel network, which keeps nothing in memory.
   */
  order(n: number): (place: number) => number {
    if (n > mostListed) return this.feistelOrder(n);
    const shuffled = this.shuffle(Array.from({ length: n }, (_, i) => i));
    return (place) => shuffled[place]!;
  }

  /** {@linkcode order} for any `n`, without a list. */
  feistelOrder(n: number): (place: number) => number {
    const half = Math.max(1, Math.ceil(Math.log2(Math.max(n, 2)) / 2)); // bits
    const size = 2 ** half;
    const keys = Array.from({ length: feistelRounds }, () => this.uint32());
    const permute = (value: number) => {
      let left = Math.floor(value / size), right = value % size;
      for (const key of keys) {
        [left, right] = [right, left ^ (mix(right ^ key) & (size - 1))];
      }
      return left * size + right;
    };
    return (place) => {
      let value = permute(place);
      while (value >= n) value = permute(value); // walks a cycle that comes back below n
      return value;
    };
  }
}

const mostListed = 2 ** 20;
const feistelRounds = 6;

function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}
