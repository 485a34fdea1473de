// What chance gives a probe: the same probes on the same examples, whose groups have exchanged their labels. Half of a small
// world is what the other half lacks, so that a model which knows nothing need not probe at 0.5 there, and the intervals over
// models do not tell, since all of them are asked about this one world. Exchanged labels do: a permutation test.

import type { Interval } from "../base/interval.ts";
import { checkOptions, object, required, seedNumber, wholeNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";
import type { ProbeExamples } from "./probe.ts";
import { probeAuroc, type ProbeOptions } from "./probe_samples.ts";
import { intervalOfDraws } from "./statistics.ts";

/** How labels are exchanged. */
export interface ExchangeOptions {
  /** How often; one draw has a mean and no interval. 1 unless given. */
  draws?: number;
  /** [n] groups exchange labels only with groups of the same block, e.g. those in the same wording. */
  blocks?: ArrayLike<string | number>;
}

/**
 * The AUROC of probes on exchanged labels, as {@linkcode probeAuroc} measures it.
 *
 * @returns The mean, and the bounds of 95 % of the draws.
 * @throws {CannotError} as `probeAuroc`.
 */
export function chanceAuroc(
  { features, labels }: ProbeExamples,
  { draws = 1, blocks, ...options }: ProbeOptions & ExchangeOptions,
): Interval {
  checkOptions("tell what chance gives", { draws, blocks, seed: options.seed }, {
    draws: required(wholeNumber({ min: 1, max: 1e6 })),
    blocks: object,
    seed: required(seedNumber),
  });
  const aurocs = Array.from({ length: draws }, (_, k) => {
    const random = new Random(options.seed, `exchanged labels ${k}`);
    const exchanged = exchangeLabels(labels, { ...options, ...(blocks && { blocks }) }, random);
    return probeAuroc({ features, labels: exchanged.labels }, {
      ...options,
      ...(exchanged.strata && { strata: exchanged.strata }),
    }).auroc;
  });
  return intervalOfDraws(aurocs);
}

/**
 * Exchanges labels at random: every group (every example, without groups) takes the labels of one of its block, in their
 * order and from the beginning again where that one is smaller, and with them its stratum.
 */
export function exchangeLabels(
  labels: ArrayLike<number>,
  { groups, strata, blocks }: Pick<ProbeOptions & ExchangeOptions, "groups" | "strata" | "blocks">,
  random: Random,
): { labels: number[]; strata: (string | number)[] | undefined } {
  const members = Map.groupBy(Array.from(labels, (_, i) => i), (i) => groups ? groups[i]! : i);
  const exchanged = Array.from(labels);
  const moved = strata && Array.from(strata);
  for (const block of Map.groupBy(members.values(), ([i]) => blocks?.[i!]).values()) {
    const givers = random.shuffle(block);
    block.forEach((group, k) => {
      const giver = givers[k]!;
      group.forEach((i, place) => {
        const from = giver[place % giver.length]!;
        exchanged[i] = labels[from]!;
        if (moved) moved[i] = strata[from]!;
      });
    });
  }
  return { labels: exchanged, strata: moved };
}
