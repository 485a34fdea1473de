// The fastText reader against fastText itself: models that it trained and scores that it gave
// (golden/fasttext), the published language model, a file made by hand, and damaged files.

import { fileURLToPath } from "node:url";
import { fastTextClassifier, openFastText } from "../src/label/fasttext.ts";
import { Loss, readFastText } from "../src/label/fasttext_file.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";

const golden = fileURLToPath(new URL("golden/fasttext/", import.meta.url));
type Predictions = [text: string, scores: Record<string, number>][];
const predictions: Record<string, Predictions> = JSON.parse(
  await Deno.readTextFile(`${golden}predictions.json`),
);

function assertPredicts(path: string, expected: Predictions): void {
  const model = openFastText(path);
  for (const [text, scores] of expected) {
    const found = model.predict(text);
    for (const [label, score] of Object.entries(scores)) {
      assertClose(found[model.labels.indexOf(label)]!, score, 1e-6, `${label} of "${text}"`);
    }
  }
}

Deno.test("softmax with word pairs scores as fastText does, projected to its three labels", () => {
  assertEquals(readFastText(`${golden}softmax.bin`).width, 3);
  assertPredicts(`${golden}softmax.bin`, predictions.softmax!);
});

Deno.test("one-vs-all with character n-grams of 2 to 4 scores as fastText does", () => {
  assertPredicts(`${golden}ova.bin`, predictions.ova!);
});

Deno.test("hierarchical softmax with word triples and character trigrams scores as fastText does", () => {
  assertPredicts(`${golden}hs.bin`, predictions.hs!);
});

Deno.test("the golden texts hold unknown words, other scripts, a label, an end of line and nothing", () => {
  const texts = predictions.hs!.map(([text]) => text);
  for (const text of ["", "плот", "</s> after", "__label__rude grumple"]) {
    assert(texts.includes(text), text);
  }
});

Deno.test("the quantised, pruned language model knows languages, as fastText does", () => {
  const path = sharedData("fasttext/lid.176.ftz");
  if (!path) return;
  assertPredicts(path, predictions.lid!);
  const model = openFastText(path);
  assertEquals(model.labels.length, 176);
  const expected = { en: "A small boat lay in the harbour.", de: "Ein kleines Boot lag im Hafen." };
  for (const [language, text] of Object.entries(expected)) {
    const scores = model.predict(text);
    assertEquals(model.labels[scores.indexOf(Math.max(...scores))], `__label__${language}`);
  }
});

Deno.test("a classifier scores by one label and names the labels when there is no such one", () => {
  const classifier = fastTextClassifier(`${golden}softmax.bin`, "__label__rude");
  const [kind, rude] = classifier.score(["the kettle garden", "krund krund"]) as Float64Array;
  assert(kind! < 1e-4 && rude! > 0.9, `${kind} ${rude}`);
  assertEquals(classifier.name, "fastText softmax.bin __label__rude");
  assertThrows(
    () => fastTextClassifier(`${golden}softmax.bin`, "__label__toxic"),
    "its labels are __label__kind, __label__rude, __label__odd",
  );
});

/** Writes numbers as fastText does; everything about the file can be set wrong. */
interface Handmade {
  magic?: number;
  version?: number;
  loss?: number;
  model?: number;
  bucket?: number;
  wordNgrams?: number;
  quantised?: boolean;
  rows?: number;
}

const words = ["</s>", "mill", "grul"];
const labels = ["__label__kind", "__label__rude"];
const input = [[0, 0], [3, -1], [-2, 4]]; // of each word
const output = [[1, 0], [0, 1]]; // of each label

/** A model of two dimensions; quantised, its rows lie in a table of centroids and have norms. */
function handmade(settings: Handmade = {}): Uint8Array {
  const {
    magic = 793712314,
    version = 12,
    loss = Loss.softmax,
    model = 3,
    bucket = 0,
    wordNgrams = 1,
    quantised = false,
    rows = input.length,
  } = settings;
  const bytes: number[] = [];
  const push = (width: number, set: (view: DataView) => void) => {
    const view = new DataView(new ArrayBuffer(width));
    set(view);
    bytes.push(...new Uint8Array(view.buffer));
  };
  const int = (...values: number[]) =>
    values.forEach((value) => push(4, (view) => view.setInt32(0, value, true)));
  const long = (...values: number[]) =>
    values.forEach((value) => push(8, (view) => view.setBigInt64(0, BigInt(value), true)));
  const float = (...values: number[]) =>
    values.forEach((value) => push(4, (view) => view.setFloat32(0, value, true)));
  int(magic, version);
  int(2, 5, 5, 1, 5, wordNgrams, loss, model, bucket, 0, 0, 100);
  long(0); // the sampling threshold, a double
  int(words.length + labels.length, words.length, labels.length);
  long(100, quantised ? 0 : -1); // quantised: pruned, with no n-gram left
  words.forEach((word) => {
    bytes.push(...new TextEncoder().encode(word), 0);
    long(1);
    bytes.push(0);
  });
  labels.forEach((label) => {
    bytes.push(...new TextEncoder().encode(label), 0);
    long(1);
    bytes.push(1);
  });
  bytes.push(quantised ? 1 : 0);
  if (!quantised) {
    long(rows, 2);
    input.forEach((row) => float(...row));
  } else {
    bytes.push(1); // with norms
    long(rows, 2);
    int(input.length);
    bytes.push(0, 7, 9); // one code a row, since a part is two columns wide
    int(2, 1, 2, 2); // columns, parts, width, width of the last
    const centroids = Array.from({ length: 256 }, () => [0, 0]);
    centroids[7] = [1.5, -0.5];
    centroids[9] = [-1, 2];
    float(...centroids.flat());
    bytes.push(3, 3, 3);
    int(1, 1, 1, 1);
    float(...Array.from({ length: 256 }, (_, i) => i === 3 ? 2 : 0)); // every norm is 2
  }
  bytes.push(0);
  long(2, 2);
  output.forEach((row) => float(...row));
  return Uint8Array.from(bytes);
}

async function written(bytes: Uint8Array): Promise<string> {
  const path = `${await Deno.makeTempDir()}/model.bin`;
  await Deno.writeFile(path, bytes);
  return path;
}

Deno.test("a model made by hand gives the softmax of the mean of its rows, dense or quantised", async () => {
  // "mill grul" and the end of the line: mean ([3, −1] + [−2, 4] + [0, 0]) / 3 = [1/3, 1]
  const kind = Math.exp(1 / 3) / (Math.exp(1 / 3) + Math.exp(1));
  for (const quantised of [false, true]) {
    const model = openFastText(await written(handmade({ quantised })));
    assertClose(model.predict("mill\n grul"), [kind + 1e-5, 1 - kind + 1e-5], 1e-6);
    assertClose(model.predict("unknown"), [0.5 + 1e-5, 0.5 + 1e-5], 1e-6);
  }
});

Deno.test("negative sampling uses fastText's table of 512 sigmoids, 0 and 1 beyond ±8", async () => {
  const model = openFastText(await written(handmade({ loss: Loss.negativeSampling })));
  const step = (x: number) => Math.floor((x + 8) * 32) / 32 - 8;
  const expected = [1.5, -0.5].map((x) => 1 / (1 + Math.exp(-step(x))) + 1e-5);
  assertClose(model.predict("mill"), expected, 1e-6);
});

Deno.test("files that are no supervised model are refused with the reason", async () => {
  const cases: [Handmade, string][] = [
    [{ magic: 1 }, "does not begin with fastText's magic number"],
    [{ version: 13 }, "its version is 13, newer than 12"],
    [{ model: 1 }, "it holds word vectors, not a supervised model"],
    [{ loss: 9 }, "its loss is 9"],
    [{ wordNgrams: 2 }, "it has n-grams, but no buckets"],
    [{ bucket: -1 }, "it has -1 buckets"],
    [{ rows: 4 }, "its input matrix is 4 × 2, but 3 × 2 is needed"],
    [{ rows: 2 ** 40 }, "is longer than the file"],
    [{ quantised: true, rows: 2 }, "the codes of its input matrix do not fit"],
  ];
  for (const [settings, message] of cases) {
    const path = await written(handmade(settings));
    assertThrows(() => openFastText(path), message);
  }
  assertThrows(() => openFastText("nowhere.bin"), '"nowhere.bin": there is no such file');
});

Deno.test("a file cut anywhere is refused by name, and never read as something else", async () => {
  for (const bytes of [handmade(), handmade({ quantised: true })]) {
    const folder = await Deno.makeTempDir();
    for (let length = 0; length < bytes.length; length += length < 300 ? 1 : 97) {
      const path = `${folder}/cut.bin`;
      await Deno.writeFile(path, bytes.subarray(0, length));
      assertThrows(() => openFastText(path), "cut.bin");
    }
  }
});

Deno.test("weights that are not numbers are reported instead of scored", async () => {
  const bytes = handmade();
  const view = new DataView(bytes.buffer);
  view.setFloat32(bytes.length - 4, NaN, true);
  const path = await written(bytes);
  assertThrows(() => openFastText(path).predict("mill"), "its weights are not all finite");
});
