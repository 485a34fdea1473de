// The transformers.js classifier over a stand-in for its pipeline: no model is downloaded.

import {
  type ClassificationPipeline,
  transformersClassifier,
} from "../src/label/transformers_classifier.ts";
import { assertEquals, assertRejects } from "./assert.ts";

/** Scores a text by its length, under the given labels, and notes the batches it gets. */
function standIn(...labels: string[]) {
  const batches: string[][] = [];
  const pipeline: ClassificationPipeline = (texts) => {
    batches.push(texts);
    return Promise.resolve(
      texts.map((text) =>
        labels.map((label, i) => ({ label, score: text.length / 100 + i / 1000 }))
      ),
    );
  };
  return { batches, open: () => Promise.resolve(pipeline) };
}

Deno.test("the score is that of the label called toxic, in the order of the texts", async () => {
  const { open } = standIn("insult", "Toxic");
  const classifier = await transformersClassifier("a/model", { open });
  assertEquals([...await classifier.score(["a", "bcd"])], [0.011, 0.031]);
  assertEquals(classifier.name, "transformers.js a/model toxic");
});

Deno.test("another label can be named, and must be exact", async () => {
  const { open } = standIn("LABEL_0", "LABEL_1");
  const named = await transformersClassifier("m", { open, label: "LABEL_0" });
  assertEquals([...await named.score(["a"])], [0.01]);
  const other = await transformersClassifier("m", { open });
  await assertRejects(
    async () => await other.score(["a"]),
    'Cannot score texts with "m": it has no label "toxic", but LABEL_0, LABEL_1.',
  );
});

Deno.test("texts go through the model in batches", async () => {
  const { open, batches } = standIn("toxic");
  const classifier = await transformersClassifier("m", { open, batch: 2 });
  assertEquals([...await classifier.score(["a", "bb", "ccc"])], [0.01, 0.02, 0.03]);
  assertEquals(batches, [["a", "bb"], ["ccc"]]);
  assertEquals((await classifier.score([])).length, 0);
});

Deno.test("a model that cannot be loaded is named", async () => {
  const open = () => Promise.reject(new Error("no such model"));
  await assertRejects(
    () => transformersClassifier("a/missing", { open }),
    'Cannot load the classifier "a/missing": no such model.',
  );
});
