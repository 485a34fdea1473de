// How the next token is chosen from the logits, as options and as what they come to.

import { type AllowedOptions, number, seedNumber, wholeNumber } from "../base/options.ts";

/**
 * How tokens are chosen. Greedy, the likeliest each time, unless one of `topK`, `topP` and `temperature` asks for a
 * draw; a `topK` of 1 and a `temperature` of 0 are greedy too.
 */
export interface DecodingOptions {
  /** Draws among the k likeliest tokens; among all unless given. */
  topK?: number;
  /** Draws among the likeliest tokens that together have this probability; of 1, the default, among all. */
  topP?: number;
  /** Divides the logits before the draw; 1 unless given. */
  temperature?: number;
  /** Decides the draws, from 0 to 2^32 − 1; 0 unless given. */
  seed?: number;
}

/** What each of them may be. */
export const allowedDecoding: AllowedOptions<DecodingOptions> = {
  topK: wholeNumber({ min: 1 }),
  topP: number({ above: 0, max: 1 }),
  temperature: number({ min: 0 }),
  seed: seedNumber,
};

/** What decoding options come to. */
export interface ChosenDecoding {
  /** Among how many of the likeliest a token is drawn: 1 is greedy, `Infinity` all. */
  topK: number;
  /** Among how much probability. */
  topP: number;
  /** Divides the logits. */
  temperature: number;
  /** Of the draws. */
  seed: number;
}

/** Fills in what is not given. */
export function decodingOf({ topK, topP, temperature, seed = 0 }: DecodingOptions): ChosenDecoding {
  const draws = topK !== undefined || topP !== undefined || temperature !== undefined;
  const isGreedy = !draws || topK === 1 || temperature !== undefined && isCold(temperature);
  if (isGreedy) return { topK: 1, topP: 1, temperature: 1, seed };
  return { topK: topK ?? Infinity, topP: topP ?? 1, temperature: temperature ?? 1, seed };
}

// At 0, and where the kernel's 1 / temperature is infinite, all probability is on the likeliest token.
function isCold(temperature: number): boolean {
  return !Number.isFinite(Math.fround(1 / temperature));
}
