// Objectives that differ only in what they do to definitely risky tokens: points to start from when writing one's own.
// Goldfish and Rho-1 need no term but weights, which come with the data: `goldfishWeights` and `excessLossWeights`.

import { checkOptions, object, required } from "../base/options.ts";
import { customLoss, type LossTerm } from "./custom_loss.ts";
import { crossEntropy, type Objective, objective } from "./objective.ts";

/**
 * Unlikelihood with a bounded loss: p itself, the chance that the token is sampled. It pushes hardest at p = 1/2 and
 * hardly at all near 0 and 1, so that it does not insist where it is done, and does not begin where p is almost 1.
 */
export const boundedUnlikelihood: LossTerm = customLoss({
  name: "bounded_unlikelihood",
  value: "p",
  derivative: "p",
});

/**
 * Unlikelihood that levels off at `cap` nats: −log(1 − a·p) with a = 1 − e⁻ᶜᵃᵖ. Like −log(1 − p) while p is below a,
 * but a few tokens that are all but certain cannot outweigh the rest of the batch.
 *
 * @param cap The largest loss of a token, in nats.
 */
export function cappedUnlikelihood(cap = 5): LossTerm {
  return customLoss({
    name: "capped_unlikelihood",
    value: `softplus(m) - softplus(m - ${cap})`,
    slope: `p - sigmoid(m - ${cap})`,
  });
}

/**
 * The negative entropy of the choice "this token or any other". It makes the model undecided about the token, which is
 * not the entropy over the vocabulary (a term sees one probability only): p is drawn to 1/2 from both sides, so that a
 * token which was less probable is learned. The mildest of these, and not to be used where silence is needed.
 */
export const entropyRaising: LossTerm = customLoss({
  name: "entropy_raising",
  value: "p * lp + sigmoid(-m) * l1mp",
  slope: "m * p * sigmoid(-m)",
});

/**
 * Draws the token's probability to `chance` from both sides: the cross-entropy against a coin that shows it so often.
 * Unlikelihood is the case 0; a small positive chance leaves no hole by which a forbidden token can be told.
 *
 * @param chance In (0, 1), e.g. one over the size of the vocabulary.
 */
export function towardsChance(chance: number): LossTerm {
  return customLoss({
    name: "towards_chance",
    value: `-${chance} * lp - (1 - ${chance}) * l1mp`,
    slope: `p - ${chance}`,
  });
}

/**
 * Learns everything but definitely risky tokens, which get `term`: as unlikelihood SLUNG with another term.
 *
 * @example p² instead of −log(1 − p): gentle on tokens that are improbable already
 * ```ts
 * import { customLoss, onHighRisk, Risk } from "@slung/slung";
 *
 * const gentle = onHighRisk(
 *   customLoss({ name: "squared", value: "p * p", derivative: "2 * p * p" }),
 * );
 * console.log(gentle.terms[Risk.high]?.name); // squared
 * ```
 */
export function onHighRisk(term: LossTerm): Objective {
  checkOptions("make an objective", { term }, { term: required(object) });
  return {
    name: term.name,
    terms: [crossEntropy, crossEntropy, crossEntropy, term],
    denominator: "active",
  };
}

/** An objective and what to expect of it. */
export interface GalleryEntry {
  /** To be used as it is. */
  objective: Objective;
  /** What it does to a definitely risky token, in a few words. */
  idea: string;
}

/** The objectives of this file beside the paper's two, from silent to mild. */
export const gallery: readonly GalleryEntry[] = [
  { objective: objective("masked"), idea: "says nothing about it" },
  {
    objective: objective("unlikelihood"),
    idea: "pushes its probability to 0, the harder the higher it is",
  },
  { objective: onHighRisk(cappedUnlikelihood()), idea: "the same, but never more than 5 nats" },
  { objective: onHighRisk(boundedUnlikelihood), idea: "lowers the chance that it is sampled" },
  { objective: onHighRisk(towardsChance(0.001)), idea: "draws its probability to 1 in 1000" },
  { objective: onHighRisk(entropyRaising), idea: "makes the model undecided about it" },
];
