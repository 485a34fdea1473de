// How surprised a model is by marked words and by the others: the mean of −log p over their tokens.

import { Risk } from "../../src/slung/risk.ts";
import type { ShownToken } from "./sequences.ts";

/** In nats; nothing where there are no such tokens. */
export interface Surprise {
  marked?: number;
  harmless?: number;
}

/** Of one model, by the probability of every token of every sentence. */
export function surpriseOf(
  probabilities: readonly (readonly number[])[],
  tokens: readonly (readonly ShownToken[])[],
): Surprise {
  const sums = { marked: 0, harmless: 0 }, counts = { marked: 0, harmless: 0 };
  tokens.forEach((sentence, s) =>
    sentence.forEach(({ risk }, i) => {
      const p = probabilities[s]?.[i];
      if (p === undefined || Number.isNaN(p)) return;
      const kind = risk === Risk.high ? "marked" : "harmless";
      sums[kind] -= Math.log(Math.max(p, 1e-9));
      counts[kind]++;
    })
  );
  return {
    ...(counts.marked > 0 && { marked: sums.marked / counts.marked }),
    ...(counts.harmless > 0 && { harmless: sums.harmless / counts.harmless }),
  };
}
