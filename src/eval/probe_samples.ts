// What a probe is trained and tested on: balanced samples, drawn several times, of which no part is on both sides.
//   classes     as many positives as negatives in training, and in test
//   groups      examples about one thing (an insult) on one side only: probes are tested on things they never saw
//   strata      kinds of groups, each divided in the same share: else the kind that is in the majority in training is in the
//               minority in test, and a model that knows nothing scores less than chance
//   duplicates  a text that stands there twice, but for case and punctuation, is used once; rows with the same features are
//               on one side
// Two controls tell what is due to all this: exchanged labels (probe_chance.ts), and other features.

import { CannotError } from "../base/errors.ts";
import { checkOptions, number, object, required, seedNumber } from "../base/options.ts";
import { Random } from "../base/random.ts";
import { auroc, placements } from "./auroc.ts";
import { checkProbeExamples, type ProbeExamples, probeScores, trainProbe } from "./probe.ts";
import { unitsOf, withoutDuplicates } from "./probe_units.ts";
import { mean } from "./statistics.ts";

/** How {@linkcode probeAuroc} draws its samples. */
export interface ProbeOptions {
  /** Decides the samples. */
  seed: number;
  /** Balanced samples drawn anew, one probe each; 3 (the paper's) unless given. */
  resamples?: number;
  /** Share of the examples (with `groups`: of the groups) to train on; 0.8 (the paper's) unless given. */
  trainFraction?: number;
  /** Most examples in one sample, training and test together; all unless given. The paper has 10,000. */
  most?: number;
  /** [n] what each example is about, e.g. its insult: probes are then tested on groups they never saw. */
  groups?: ArrayLike<string | number>;
  /** [n] the kind of an example's group; unless given, by whether it holds positives, negatives or both. */
  strata?: ArrayLike<string | number>;
  /** [n] the texts: those that are equal but for case and punctuation are used once. */
  texts?: ArrayLike<string>;
  /** As in {@linkcode trainProbe}. */
  l2?: number;
}

/** What a model's hidden states tell. */
export interface ProbeResult {
  /** Mean over resamples. */
  auroc: number;
  /** Of each resample. Samples overlap, so their spread is no interval: take that over models of different seeds. */
  resamples: number[];
  /** Examples on which each probe was trained, and tested; half of them positive. */
  examples: { train: number; test: number }[];
  /** [n] share of the other label's test examples that each one is told from, over resamples; null if never tested. */
  placements: (number | null)[];
  /** The penalty. */
  l2: number;
}

/**
 * The AUROC of probes on held-out examples: balanced samples, several resamples.
 *
 * @throws {CannotError} when a sample would have no positive or no negative example to train or to test on.
 */
export function probeAuroc(examples: ProbeExamples, options: ProbeOptions): ProbeResult {
  checkOptions("probe hidden states", options, {
    seed: required(seedNumber),
    resamples: number({ max: 1e6 }), // too few are refused with their reason
    trainFraction: number(),
    most: number({ min: 2 }),
    groups: object,
    strata: object,
    texts: object,
    l2: number(),
  });
  const { seed, resamples = 3, trainFraction = 0.8, strata, texts, l2 = 1 } = options;
  const { width } = checkProbeExamples(examples);
  if (!(resamples >= 1) || !(trainFraction > 0 && trainFraction < 1)) {
    throw new CannotError(
      "probe hidden states",
      `there are ${resamples} resamples, trained on a share of ${trainFraction}`,
      "Give at least one resample, and a share between 0 and 1",
    );
  }
  const { labels } = examples;
  const most = options.most ?? Infinity;
  const featuresOf = (indices: readonly number[]) => rowsOf(examples.features, width, indices);
  const labelsOf = (indices: readonly number[]) => indices.map((index) => labels[index]!);
  const aurocs: number[] = [], sizes: ProbeResult["examples"] = [];
  const placed = Array.from(labels, (): number[] => []);
  for (let k = 0; k < resamples; k++) {
    const random = new Random(seed, `probe sample ${k}`);
    const shuffled = withoutDuplicates(random.shuffle(Array.from(labels, (_, i) => i)), texts);
    const groups = unitsOf(shuffled, { features: examples.features, width }, options.groups);
    const limits = { train: most * trainFraction, test: most * (1 - trainFraction) };
    const { train, test } = groups
      ? splitByGroup(shuffled, labels, { random, trainFraction, limits, groups, strata })
      : splitByExample(shuffled, labels, { trainFraction, most });
    if (train.length === 0 || test.length === 0) {
      throw new CannotError(
        "probe hidden states",
        `resample ${k} has ${train.length} balanced examples to train and ${test.length} to test on`,
        "Give more examples of both labels, or groups that hold both",
      );
    }
    const probe = trainProbe({ features: featuresOf(train), labels: labelsOf(train) }, { l2 });
    const scores = probeScores(probe, featuresOf(test)), held = labelsOf(test);
    aurocs.push(auroc(scores, held));
    placements(scores, held).forEach((placement, i) => placed[test[i]!]!.push(placement));
    sizes.push({ train: train.length, test: test.length });
  }
  return {
    auroc: mean(aurocs),
    resamples: aurocs,
    examples: sizes,
    placements: placed.map((own) => own.length > 0 ? mean(own) : null),
    l2,
  };
}

function rowsOf(
  features: ArrayLike<number>,
  width: number,
  indices: readonly number[],
): Float64Array {
  const rows = new Float64Array(indices.length * width);
  indices.forEach((index, k) => {
    for (let j = 0; j < width; j++) rows[k * width + j] = features[index * width + j]!;
  });
  return rows;
}

interface Split {
  train: number[];
  test: number[];
}

function splitByExample(
  shuffled: readonly number[],
  labels: ArrayLike<number>,
  { trainFraction, most }: { trainFraction: number; most: number },
): Split {
  const [negatives, positives] = byLabel(shuffled, labels);
  const each = Math.min(negatives.length, positives.length, Math.floor(most / 2));
  const training = Math.round(trainFraction * each);
  const part = (from: number, to: number) => [
    ...negatives.slice(from, to),
    ...positives.slice(from, to),
  ];
  return { train: part(0, training), test: part(training, each) };
}

function splitByGroup(
  shuffled: readonly number[],
  labels: ArrayLike<number>,
  { random, trainFraction, limits, groups, strata }: {
    random: Random;
    trainFraction: number;
    limits: { train: number; test: number };
    groups: ArrayLike<string | number>;
    strata: ArrayLike<string | number> | undefined;
  },
): Split {
  const members = Map.groupBy(shuffled, (i) => groups[i]!);
  const kindOf = (own: readonly number[]) => {
    if (strata) return strata[own[0]!]!;
    const positives = own.filter((i) => labels[i] === 1).length;
    return positives === 0 ? "negative" : positives === own.length ? "positive" : "both";
  };
  const kinds = Map.groupBy(random.shuffle(members.keys()), (group) => kindOf(members.get(group)!));
  const known = trainingShare([...kinds.values()], trainFraction);
  const balanced = (side: boolean, limit: number) => {
    const [negatives, positives] = byLabel(
      shuffled.filter((i) => known.has(groups[i]!) === side),
      labels,
    );
    const each = Math.min(negatives.length, positives.length, Math.round(limit / 2));
    return [...negatives.slice(0, each), ...positives.slice(0, each)];
  };
  return { train: balanced(true, limits.train), test: balanced(false, limits.test) };
}

// The same share of every kind, rounded so that the share of all is right; at least one group on either side.
function trainingShare<Group>(kinds: readonly Group[][], share: number): Set<Group> {
  const all = kinds.flat();
  const wanted = (count: number) =>
    Math.min(Math.max(Math.round(share * count), 1), all.length - 1);
  let before = 0;
  const known = kinds.flatMap((groups) => {
    const taken = Math.round(share * (before + groups.length)) - Math.round(share * before);
    before += groups.length;
    return groups.slice(0, taken);
  });
  return new Set(known.length === wanted(all.length) ? known : all.slice(0, wanted(all.length)));
}

function byLabel(indices: readonly number[], labels: ArrayLike<number>): [number[], number[]] {
  return [indices.filter((i) => labels[i] !== 1), indices.filter((i) => labels[i] === 1)];
}
