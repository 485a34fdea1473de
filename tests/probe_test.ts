// Probes against scikit-learn's LogisticRegression: the same weights, the same AUROC. And their samples: balanced,
// never overlapping, and split by group where asked.

import { Random } from "../src/base/random.ts";
import { auroc } from "../src/eval/auroc.ts";
import { probeAuroc, probeScores, trainProbe } from "../src/eval/probe.ts";
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
