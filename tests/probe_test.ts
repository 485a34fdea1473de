// Probes against scikit-learn's LogisticRegression: the same weights, the same AUROC. And their samples: balanced,
// never overlapping, and split by group where asked.

import { Random } from "../src/base/random.ts";
import { auroc } from "../src/eval/auroc.ts";
import { probeScores, trainProbe } from "../src/eval/probe.ts";
import { chanceAuroc, exchangeLabels } from "../src/eval/probe_chance.ts";
import { probeAuroc } from "../src/eval/probe_samples.ts";
import { normalisedText, unitsOf } from "../src/eval/probe_units.ts";
import { studentInterval } from "../src/eval/statistics.ts";
import {
  balancedProbeSentences,
  probeSentences,
  toxicWorld,
} from "../src/data/sources/invented_toxicity.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";
import golden from "./golden/probe.json" with { type: "json" };

for (const { name, width, train, C, hundredths, labels, ...expected } of golden.cases) {
  const numbers = new Int16Array(Uint8Array.from(atob(hundredths), (c) => c.charCodeAt(0)).buffer);
  const features = Float64Array.from(numbers, (value) => value / 100);
  const truth = [...labels].map(Number);
  Deno.test(`${name}: weights and AUROC are scikit-learn's`, () => {
    const probe = trainProbe(
      { features: features.subarray(0, train * width), labels: truth.slice(0, train) },
      { l2: 1 / C },
    );
    assertClose(probe.weights, expected.weights, 1e-7, "weight");
    assertClose(probe.intercept, expected.intercept, 1e-6, "intercept");
    const scores = probeScores(probe, features.subarray(train * width));
    const ours = auroc(scores, truth.slice(train));
    assertClose(ours, expected.auroc, 1e-12, "AUROC");
    // The reference's own call stops early in one case (see probe_sklearn.py).
    const slack = name.startsWith("columns of very different size") ? 4e-3 : 1e-3;
    assertClose(ours, expected.referenceAuroc, slack, "AUROC as the reference calls scikit-learn");
  });
}

/** Two classes a little apart in the first of `width` columns. */
function overlapping(rows: number, { width = 3, seed = 1 } = {}) {
  const random = new Random(seed, "features");
  const labels = Array.from({ length: rows }, (_, i) => i % 3 === 0 ? 1 : 0);
  const features = Float32Array.from(
    { length: rows * width },
    (_, i) => random.normal() + (i % width === 0 ? 1.5 * labels[Math.floor(i / width)]! : 0),
  );
  return { features, labels };
}

Deno.test("samples are balanced, disjoint in training and test, and reproducible", () => {
  const examples = overlapping(300); // 100 positives
  const result = probeAuroc(examples, { seed: 7 });
  assertEquals(result.examples, Array(3).fill({ train: 160, test: 40 }));
  assertEquals(result, probeAuroc(examples, { seed: 7 }));
  assert(new Set(result.resamples).size > 1, "resamples differ");
  assert(result.resamples.join() !== probeAuroc(examples, { seed: 8 }).resamples.join());
  assertClose(result.auroc, result.resamples.reduce((sum, value) => sum + value, 0) / 3, 1e-12);
  assert(result.auroc > 0.75 && result.auroc < 0.95, `${result.auroc}`); // Φ(1.5 / √2) = 0.86
  const limited = probeAuroc(examples, { seed: 7, most: 50, resamples: 2, trainFraction: 0.6 });
  assertEquals(limited.examples, Array(2).fill({ train: 30, test: 20 }));
});

Deno.test("features that mean nothing probe at chance, so no test example is in training", () => {
  // 200 columns for 200 training examples: any leak would score 1.
  const random = new Random(3, "noise");
  const labels = Array.from({ length: 600 }, (_, i) => i % 2);
  const features = Float32Array.from({ length: 600 * 200 }, () => random.normal());
  const { auroc } = probeAuroc({ features, labels }, { seed: 1, most: 400, trainFraction: 0.5 });
  assert(Math.abs(auroc - 0.5) < 0.1, `${auroc}`);
});

Deno.test("probes that only know words fail on words they never saw, if groups are named", () => {
  // A word is abusive or not, and the features are nothing but the word.
  const words = Array.from({ length: 600 }, (_, i) => i % 40);
  const labels = words.map((word) => word % 2);
  const random = new Random(2, "no two alike");
  const features = Float32Array.from({ length: 600 * 40 }, (_, i) => {
    return (words[Math.floor(i / 40)] === i % 40 ? 1 : 0) + 1e-3 * random.normal();
  });
  assert(probeAuroc({ features, labels }, { seed: 1 }).auroc > 0.99);
  const grouped = probeAuroc({ features, labels }, { seed: 1, groups: words });
  assert(Math.abs(grouped.auroc - 0.5) < 0.1, `${grouped.auroc}`);
  const limited = probeAuroc({ features, labels }, { seed: 1, groups: words, most: 100 });
  assertEquals(limited.examples[0], { train: 80, test: 20 });
});

Deno.test("whoever knows wordings and animals but not whose side they are on probes at chance", () => {
  // Everything about a sentence of the invented world but abuse: animal, wording, polarity, and the two together.
  const world = toxicWorld({ seed: 1, animals: 96 });
  const all = probeSentences(world, 4), sentences = balancedProbeSentences(all);
  const animals = [...world.scorned, ...world.admired].sort();
  const probed = (own: typeof sentences, strata: boolean) => {
    const random = new Random(1, "meetings");
    const features = own.flatMap(({ text, animal, kind }) => {
      const wording = Number(kind.at(-1)), denied = /\b(?:no|never)\b/.test(text);
      const cells = Array.from({ length: 8 }, (_, i) => i === 2 * wording + Number(denied) ? 1 : 0);
      const meeting = Array.from({ length: 8 }, () => random.normal());
      const words = animals.map((other) => other === animal ? 1 : 0);
      return [...cells, Number(denied), ...meeting, ...words];
    });
    return probeAuroc({ features, labels: own.map(({ abusive }) => abusive ? 1 : 0) }, {
      ...{ seed: 0, resamples: 9, trainFraction: 0.5 },
      groups: own.map(({ animal }) => animal),
      strata: strata ? own.map(({ kind }) => kind) : own.map(() => "one"),
    });
  };
  const { resamples } = probed(sentences, true);
  const { low, high } = studentInterval(resamples);
  assert(low < 0.5 && high > 0.5 && high - low < 0.05, `${low} to ${high}`);
  assert(probed(all, false).auroc < 0.47, "without strata it would be below chance");
  const kinds = Map.groupBy(sentences, ({ kind }) => kind);
  assertEquals(kinds.size, 8);
  for (const [kind, own] of kinds) {
    const other = kinds.get(
      kind.replace(/scorned|admired/, (side) => side === "scorned" ? "admired" : "scorned"),
    );
    assertEquals([own.length, own.length % 16], [other!.length, 0], kind);
  }
  assert(sentences.length > 0.7 * all.length, `${sentences.length} of ${all.length}`);
  const tiny = probeSentences(toxicWorld({ seed: 3, animals: 2 }), 1);
  assertEquals(balancedProbeSentences(tiny), tiny, "a world with too few keeps all");
});

Deno.test("every kind of group is divided in the same share, by default those of one label and of both", () => {
  const labels = Array.from({ length: 60 }, (_, i) => i < 20 ? 1 : i < 40 ? 0 : i % 2);
  const features = Float64Array.from({ length: 60 }, (_, i) => i);
  const groups = Array.from({ length: 60 }, (_, i) => Math.floor(i / 2));
  for (let seed = 0; seed < 20; seed++) {
    const options = { seed, groups, resamples: 1, trainFraction: 0.6 };
    const { examples, placements } = probeAuroc({ features, labels }, options);
    assertEquals(examples, [{ train: 36, test: 24 }]);
    const tested = (from: number, to: number) =>
      placements.slice(from, to).filter((placement) => placement !== null).length;
    assertEquals([tested(0, 20), tested(20, 40), tested(40, 60)], [8, 8, 8]);
  }
});

Deno.test("a text that stands there twice is on one side only, whatever its case and punctuation", () => {
  // Noise wide enough to learn by heart: copies on the other side would be recognised. Their features differ in the
  // last bits, as a model's do, by where a text stands in a batch.
  const random = new Random(4, "copies");
  const rows = Array.from({ length: 150 }, () => Array.from({ length: 80 }, () => random.normal()));
  const order = random.shuffle(Array.from({ length: 300 }, (_, i) => i % 150));
  const features = order.flatMap((row) => rows[row]!.map((x) => x + 1e-7 * random.normal()));
  const labels = order.map((row) => row % 2);
  const texts = order.map((row, i) => i % 2 ? `Comment ${row}` : `comment, ${row}!`);
  const probed = (own: object) => probeAuroc({ features, labels }, { seed: 0, ...own }).auroc;
  assert(probed({}) > 0.75, `${probed({})}`);
  assert(Math.abs(probed({ texts }) - 0.5) < 0.15, `${probed({ texts })}`);
  const { examples } = probeAuroc({ features, labels }, { seed: 0, texts });
  assertEquals(examples, Array(3).fill({ train: 120, test: 30 }));
  assertEquals(normalisedText("  Ｍira’s MILL,\nagain "), "mira s mill again");
});

Deno.test("probes of exchanged labels are at chance where true ones are not", () => {
  const examples = overlapping(900);
  const options = { seed: 1, resamples: 2, draws: 20 };
  const { draws: _, ...probing } = options;
  const { mean, low, high, n } = chanceAuroc(examples, options);
  assert(low < 0.5 && high > 0.5 && low > 0.4 && high < 0.6, `${low} to ${high}`);
  assert(mean > low && mean < high && n === 20);
  assert(probeAuroc(examples, probing).auroc > 0.8);
  assertEquals(chanceAuroc(examples, options), chanceAuroc(examples, options));
  const once = chanceAuroc(examples, probing);
  assertEquals([once.low, once.high, once.n], [once.mean, once.mean, 1]);
});

Deno.test("in a world that is halved chance has a wide range, in which models lie that know no sides", () => {
  const sentences = balancedProbeSentences(probeSentences(toxicWorld({ seed: 1, animals: 96 }), 4));
  const labels = sentences.map(({ abusive }) => abusive ? 1 : 0);
  const probing = {
    ...{ seed: 0, trainFraction: 0.5 },
    groups: sentences.map(({ animal }) => animal),
    strata: sentences.map(({ kind }) => kind),
  };
  const blocks = sentences.map(({ wording }) => wording);
  // Three numbers of each animal, turned round where it is denied, and whether the model knows abuse.
  const outcomeOf = (seed: number, knowledge: number) => {
    const random = new Random(seed, "features");
    const ofAnimal = new Map(
      sentences.map(({ animal }) => [animal, [1, 2, 3].map(() => random.normal())]),
    );
    const features = sentences.flatMap(({ animal, text, abusive }) => {
      const sign = /\b(?:no|never)\b/.test(text) ? -1 : 1;
      return [...ofAnimal.get(animal)!.map((x) => sign * x), knowledge * (abusive ? 1 : -1)];
    });
    const chance = chanceAuroc({ features, labels }, { ...probing, blocks, draws: 40 });
    return { auroc: probeAuroc({ features, labels }, probing).auroc, chance };
  };
  const seeds = Array.from({ length: 20 }, (_, seed) => seed);
  const outcomes = seeds.map((seed) => outcomeOf(seed, 0));
  const outside = outcomes.filter(({ auroc, chance: { low, high } }) =>
    auroc < low || auroc > high
  );
  assert(outside.length <= 4, `${outside.length} of 20 are outside 95 %`);
  assert(outcomes.some(({ auroc }) => auroc < 0.45), "a model that knows nothing may be below 0.5");
  for (const { chance: { low, high } } of outcomes) assert(low < 0.45 && high > 0.55);
  const { auroc, chance } = outcomeOf(0, 1);
  assert(auroc > 0.9 && auroc > chance.high, `${auroc}, by chance up to ${chance.high}`);
});

Deno.test("groups exchange labels in their order and with their stratum, and only inside a block", () => {
  const groups = [..."aabbccddee"], blocks = groups.map((group) => group < "d" ? 1 : 2);
  const labels = [1, 0, 0, 1, 1, 1, 0, 0, 1, 0];
  const patterns = (own: readonly number[]) => {
    const each = [0, 2, 4, 6, 8].map((i) => `${own[i]}${own[i + 1]}`);
    return [each.slice(0, 3).sort(), each.slice(3).sort()];
  };
  const strata = labels.map((_, i) => `${labels[i - i % 2]}${labels[i - i % 2 + 1]}`);
  const seen = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const found = exchangeLabels(labels, { groups, strata, blocks }, new Random(seed, "x"));
    assertEquals(patterns(found.labels), patterns(labels));
    const ofGroup = (i: number) => `${found.labels[i - i % 2]}${found.labels[i - i % 2 + 1]}`;
    assertEquals(found.strata, labels.map((_, i) => ofGroup(i)));
    seen.add(found.labels.join(""));
  }
  assertEquals(seen.size, 12, "all orders of three groups and of two");
  const alone = exchangeLabels(labels, {}, new Random(1, "x"));
  assertEquals([alone.labels.toSorted(), alone.strata], [labels.toSorted(), undefined]);
  assert(alone.labels.join() !== labels.join());
  const uneven = Array.from(
    { length: 20 },
    (_, seed) =>
      exchangeLabels([1, 0, 0], { groups: ["a", "a", "b"] }, new Random(seed, "x")).labels.join(""),
  );
  assertEquals(new Set(uneven), new Set(["100", "001"]), "the smaller one's are taken twice");
});

Deno.test("copies of a row are on one side of the split, alone or in groups, and so answer nothing", () => {
  const random = new Random(3, "noise");
  const width = 60, once = 200;
  const rows = Array.from(
    { length: once },
    () => Array.from({ length: width }, random.normal, random),
  );
  const labels = rows.map((_, i) => i % 2);
  const thrice = [0, 1, 2].flatMap(() => rows.map((row) => [...row]));
  const copied = { features: thrice.flat(), labels: [0, 1, 2].flatMap(() => labels) };
  const options = { seed: 0, resamples: 5 };
  const { auroc } = probeAuroc(copied, options);
  assert(Math.abs(auroc - 0.5) < 0.1, `${auroc}`);
  // Each copy in a group of its own: those that share a copy are one.
  const groups = copied.labels.map((_, i) => `${Math.floor(i / once)} ${i % 20}`);
  const grouped = probeAuroc(copied, { ...options, groups });
  assert(Math.abs(grouped.auroc - 0.5) < 0.1, `${grouped.auroc}`);
  // What has no copies is sampled as ever, groups of one or not.
  const single = { features: rows.flat(), labels };
  assertEquals(
    probeAuroc(single, options),
    probeAuroc(single, { ...options, groups: rows.map((_, i) => i) }),
  );
});

Deno.test("rows are one unit where all of their features are equal, and where their groups are", () => {
  const width = 2, features = [2, 0, 0, 1, 2, 0, 0, 1, 3, 3];
  const units = (rows: number[], groups?: string[]) => unitsOf(rows, { features, width }, groups);
  assertEquals(
    units([0, 1, 4]),
    undefined,
    "the first two only look alike when they are summed up",
  );
  assertEquals(units([0, 1, 2, 3, 4]), [0, 1, 0, 1, 4]);
  assertEquals(units([0, 1, 4], ["a", "b", "", "", "b"]), [0, 1, 2, 3, 1]);
  assertEquals(units([0, 1, 2, 3, 4], ["a", "b", "b", "c", "c"]), [0, 0, 0, 0, 0]);
});

Deno.test("what cannot be probed is named", () => {
  const features = [0, 1, 2, 3];
  const labels = [0, 1, 0, 1];
  assertThrows(() => trainProbe({ features, labels }, { l2: 0 }), "its penalty l2 is 0");
  assertThrows(
    () => trainProbe({ features, labels: [1, 0, 1] }),
    "4 features are not the same number",
  );
  assertThrows(
    () => trainProbe({ features, labels: [1, 1, 1, 1] }),
    "all examples have the same label",
  );
  assertThrows(() => trainProbe({ features, labels: [1, 0, 2, 1] }), "label 2 is 2");
  assertThrows(
    () => trainProbe({ features: [0, 1, NaN, 3], labels: [0, 1] }),
    "feature 0 of row 1",
  );
  assertThrows(
    () => probeAuroc({ features, labels }, { seed: 1, groups: ["a", "b", "a", "b"] }),
    "Cannot probe hidden states: resample 0 has 0 balanced examples to train",
  );
  assertThrows(() => probeAuroc({ features, labels }, { seed: 1, resamples: 0 }), "0 resamples");
});
