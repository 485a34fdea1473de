import {
  type LabelledText,
  linearClassifier,
  loadLinearModel,
  saveLinearModel,
  trainLinearClassifier,
} from "../src/label/linear_classifier.ts";
import { Random } from "../src/base/random.ts";
import { auroc } from "../src/eval/auroc.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";
import { assertSame } from "./fixtures/same.ts";

const words = ["mill", "kettle", "garden", "lamp", "river", "spoon", "boat", "stone"];
const insults = ["grulhead", "krotface", "zugling"];

/** Sentences of harmless words; the risky ones have one insult among them. */
function invented(count: number, seed: number): LabelledText[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const sentence = Array.from({ length: 6 }, () => random.pick(words));
    const risky = i % 2 === 1;
    if (risky) sentence[random.below(6)] = random.pick(insults);
    return { text: `The ${sentence.join(" ")}.`, risky };
  });
}

Deno.test("invented insults are told from harmless sentences, spelled and inflected differently too", () => {
  const model = trainLinearClassifier("invented", invented(400, 1), { seed: 0 });
  const score = (text: string) => (linearClassifier(model).score([text]) as Float64Array)[0]!;
  for (const { text, risky } of invented(100, 2)) {
    assertEquals(score(text) > 0.5, risky, text);
  }
  assert(score("The GRULHEADS, mill river!") > 0.5, "plural, upper case, punctuation");
  assert(score("The kettles, mill river!") < 0.5);
});

Deno.test("words in another order are other features: pairs are seen", () => {
  const texts = Array.from(
    { length: 60 },
    (_, i) => i % 2 ? { text: "lamp river", risky: true } : { text: "river lamp", risky: false },
  );
  const [risky, harmless] = linearClassifier(trainLinearClassifier("order", texts, { seed: 0 }))
    .score(["lamp river", "river lamp"]) as Float64Array;
  assert(risky! > 0.9 && harmless! < 0.1, `${risky} ${harmless}`);
});

Deno.test("the same seed gives the same weights, another seed others", () => {
  const texts = invented(100, 1);
  const weights = (seed: number) => trainLinearClassifier("x", texts, { seed, bits: 12 }).weights;
  assertSame(weights(3), weights(3));
  assert(weights(3).some((weight, i) => weight !== weights(4)[i]));
});

Deno.test("a model comes back from its file with the same scores", async () => {
  const texts = invented(100, 1);
  const model = trainLinearClassifier("ünï name", texts, { seed: 0, bits: 10 });
  const path = `${await Deno.makeTempDir()}/model.linear`;
  await saveLinearModel(path, model);
  const loaded = await loadLinearModel(path);
  assertEquals([loaded.name, loaded.bits, loaded.bias], [model.name, 10, model.bias]);
  assertSame(loaded.weights, model.weights);
  assertEquals((await Deno.stat(path)).size, 256 + 4 * 1024);
  assertEquals(linearClassifier(loaded).name, "linear ünï name");
  const before = linearClassifier(model).score(texts.map(({ text }) => text));
  assertEquals(linearClassifier(loaded).score(texts.map(({ text }) => text)), before);
});

Deno.test("texts of any kind get a score: blank, very long, one letter, unpaired surrogates", () => {
  const model = trainLinearClassifier("x", invented(40, 1), { seed: 0, bits: 10 });
  const texts = ["", " .,! ", "a", "\ud800", "x".repeat(100_000), "mill ".repeat(20_000), "日本語"];
  const scores = linearClassifier(model).score(texts) as Float64Array;
  assert(scores.every((score) => score > 0 && score < 1), `${scores}`);
  assertEquals(scores[0], scores[1], "without a feature only the bias is left");
});

Deno.test("sentences of one kind only, and sizes out of range, are refused", () => {
  const texts = invented(10, 1);
  const harmless = texts.filter(({ risky }) => !risky);
  assertThrows(
    () => trainLinearClassifier("x", harmless, { seed: 0 }),
    'Cannot train the classifier "x": 0 of its 5 sentences are risky',
  );
  assertThrows(() => trainLinearClassifier("x", texts, { seed: 0, bits: 30 }), "2^30 weights");
});

Deno.test("files that are no classifier, cut or damaged are refused by name", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/good.linear`;
  await saveLinearModel(path, trainLinearClassifier("x", invented(10, 1), { seed: 0, bits: 8 }));
  const bytes = await Deno.readFile(path);
  const nan = bytes.slice();
  nan.fill(0xff, 300, 304);
  const files: [string, Uint8Array, string][] = [
    ["cut", bytes.subarray(0, -1), "it has 1023 bytes of weights, not 1024"],
    ["nan", nan, "a weight is not finite"],
    ["text", new TextEncoder().encode("one line\nanother"), "does not begin with the header"],
    ["empty", new Uint8Array(), "does not begin with the header"],
  ];
  for (const [name, content, message] of files) {
    await Deno.writeFile(`${folder}/${name}`, content);
    await assertRejects(() => loadLinearModel(`${folder}/${name}`), `${name}": `);
    await assertRejects(() => loadLinearModel(`${folder}/${name}`), message);
  }
});

Deno.test("held-out sentences of Jigsaw are told apart with an AUROC above 0.95", async () => {
  const [toxic, normal] = ["toxic", "normal"].map((kind) =>
    sharedData(`jigsaw_sentences/dev_${kind}.txt`)
  );
  if (!toxic || !normal) return;
  const read = async (path: string, risky: boolean) =>
    [...new Set((await Deno.readTextFile(path)).split("\n"))].map((text) => ({ text, risky }));
  const texts = new Random(0).shuffle([...await read(toxic, true), ...await read(normal, false)]);
  const cut = Math.round(0.8 * texts.length);
  const model = trainLinearClassifier("jigsaw", texts.slice(0, cut), { seed: 0 });
  const held = texts.slice(cut);
  const scores = await linearClassifier(model).score(held.map(({ text }) => text));
  const area = auroc(scores, held.map(({ risky }) => Number(risky)));
  assert(area > 0.95, `AUROC ${area}`);
});
