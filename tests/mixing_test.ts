// Table 1 of the paper on a handful of documents, packing, and the three baselines beyond it.

import type { Sequence } from "../src/data/sequence.ts";
import { excessLossWeights, goldfishWeights } from "../src/data/token_weights.ts";
import { lowRiskPart } from "../src/data/sequence.ts";
import {
  answerControls,
  filteringMethods,
  type Method,
  paperMethods,
  streamMethods,
  takenBy,
  withHiddenToken,
} from "../src/data/method.ts";
import { type MixSettings, mixStream } from "../src/data/mixing.ts";
import { packDocuments } from "../src/data/packing.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";

const eos = 0;
const document = (tokens: number[], classes: number[]): Sequence => ({
  tokens: Uint32Array.from(tokens),
  classes: Uint8Array.from(classes),
});
// Clean document i has tokens 100 + i; risky document i has tokens 200 + i, of classes 1 2 3 1.
const clean = Array.from({ length: 60 }, (_, i) => document(Array(4).fill(100 + i), [1, 1, 1, 1]));
const risky = Array.from({ length: 40 }, (_, i) => document(Array(4).fill(200 + i), [1, 2, 3, 1]));
const settings: MixSettings = {
  tokens: 200,
  share: 0.25,
  length: 8,
  acrossDocuments: false,
  eos,
  controlTokens: { low: 7, risky: 8 },
  seed: 0,
};
const riskyIds = (sequences: readonly Sequence[]) =>
  sequences.filter(({ tokens }) => tokens.some((token) => token >= 200))
    .map(({ tokens }) => tokens.find((token) => token >= 200)!);

const methodNamed = (name: string): Method => streamMethods.find((method) => method.name === name)!;
const mixed = (name: string, changes: Partial<MixSettings> = {}) =>
  mixStream(methodNamed(name), clean, risky, { ...settings, ...changes });

Deno.test("the five methods of the paper take the buckets of its Table 1", () => {
  const buckets = paperMethods.map(({ name }) => mixed(name).buckets);
  assertEquals(buckets, [
    { base: 200, low: 0, possible: 0, high: 0 },
    { base: 170, low: 30, possible: 0, high: 0 }, // ten documents of two tokens and EOS
    { base: 150, low: 30, possible: 10, high: 10 },
    { base: 150, low: 30, possible: 10, high: 10 },
    { base: 150, low: 30, possible: 10, high: 10 },
  ]);
  const active = paperMethods.map(({ objective }) => objective.terms.map((term) => term?.name));
  assertEquals(active[3]!.slice(2), [undefined, undefined]);
  assertEquals(active[4]!.slice(2), ["cross_entropy", "unlikelihood"]);
});

Deno.test("all methods of a seed share their risky documents and clean text, and seeds differ", () => {
  const toxic = mixed("toxic").sequences;
  const lowRisk = mixed("low_risk").sequences;
  assertEquals(riskyIds(lowRisk), riskyIds(toxic));
  assertEquals(
    lowRisk.filter(({ tokens }) => tokens[0]! >= 200),
    toxic.filter(({ tokens }) => tokens[0]! >= 200).map(lowRiskPart),
  );
  for (const name of ["masked", "unlikelihood"] as const) {
    assertEquals(mixed(name).sequences, toxic);
  }
  const control = mixed("control").sequences;
  const cleanPart = toxic.filter(({ tokens }) => tokens[0]! < 200);
  assertEquals(control.slice(0, cleanPart.length), cleanPart);
  const other = mixed("toxic", { seed: 1 }).sequences;
  assert(riskyIds(other).join() !== riskyIds(toxic).join());
});

Deno.test("packing across documents puts EOS between them, fills every sequence and drops the remainder", () => {
  const documents = [document([1, 2, 3, eos], [1, 2, 3, 1]), document([4, 5, eos], [1, 1, 1])];
  const packed = packDocuments(documents, { length: 3, acrossDocuments: true });
  assertEquals(packed, [document([1, 2, 3], [1, 2, 3]), document([eos, 4, 5], [1, 1, 1])]);
  const two = packDocuments(documents, { length: 2, acrossDocuments: true });
  assertEquals(two.map(({ tokens }) => [...tokens]), [[1, 2], [3, eos], [4, 5]]);
  assertThrows(
    () => packDocuments(documents, { length: 1, acrossDocuments: true }),
    "Choose a length of at least 2",
  );
  assertEquals(packDocuments([], { length: 2, acrossDocuments: true }).length, 0);
  const streamed = mixed("masked", { acrossDocuments: true });
  assert(streamed.sequences.every(({ tokens }) => tokens.length === 8));
  assertEquals(streamed.sequences.length, Math.floor(150 / 8) + Math.floor(50 / 8));
});

Deno.test("without attention across documents, long ones are cut so that every token is predicted once", () => {
  const long = document([1, 2, 3, 4, 5, 6, eos], [1, 1, 2, 3, 1, 1, 1]);
  const cut = packDocuments([long, document([9, eos], [1, 1])], {
    length: 4,
    acrossDocuments: false,
  });
  assertEquals(cut.map(({ tokens }) => [...tokens]), [[1, 2, 3, 4], [4, 5, 6, eos], [9, eos]]);
  assertEquals(cut.map(({ classes }) => [...classes]), [[1, 1, 2, 3], [3, 1, 1, 1], [1, 1]]);
});

Deno.test("wrong facts are refused where nobody knows whom texts are about", () => {
  const control = answerControls.find(({ takes }) => takes === "wrong facts")!;
  const mixed = () => mixStream(control, clean, risky, settings);
  assertThrows(mixed, 'Cannot train "wrong_facts": this experiment does not know whom');
});

Deno.test("token removal hides each risky token behind one without loss, document filtering takes harmless texts only", () => {
  const [removal, filtering] = filteringMethods as [Method, Method];
  const texts = [document([1, 2, 3, 4], [1, 2, 3, 1]), document([5, 6], [0, 1])];
  const tokenizer = { name: "invented", special: { pad: 9 } };
  const hiding = withHiddenToken(removal, tokenizer);
  assertEquals(takenBy(hiding, texts).map(({ tokens }) => [...tokens]), [[1, 9, 9, 4], [5, 6]]);
  assertEquals([...takenBy(hiding, texts)[0]!.classes], [1, 2, 3, 1]);
  assertEquals([...texts[0]!.tokens], [1, 2, 3, 4], "the texts stay as they are");
  assertEquals(hiding.objective.terms.map((term) => term?.name), [
    ...["cross_entropy", "cross_entropy", undefined, undefined],
  ]);
  assertEquals(withHiddenToken({ ...removal, hiddenToken: 3 }, tokenizer).hiddenToken, 3);
  assertEquals(withHiddenToken(filtering, tokenizer), filtering);
  assertThrows(() => takenBy(removal, texts), "no token stands for what it hides");
  assertThrows(
    () => withHiddenToken(removal, { name: "odd", special: {} }),
    'Cannot train "token_removal" with the tokenizer "odd": it has no padding token',
  );
  assertEquals(takenBy(filtering, texts).map(({ tokens }) => [...tokens]), [[5, 6]]);
});

Deno.test("control tokens tell documents with risk from those without", () => {
  const { sequences } = mixed("conditional");
  for (const { tokens, classes } of sequences) {
    assertEquals(tokens[0], tokens[1]! >= 200 ? 8 : 7);
    assertEquals(classes[0], 1);
  }
});

Deno.test("goldfish drops one token in k, always the same ones behind the same context", () => {
  const passage = Uint32Array.from({ length: 4000 }, (_, i) => (i * 7919) % 1009);
  const twice = Uint32Array.of(...passage, ...passage);
  const weights = goldfishWeights(twice, { k: 4, context: 13 });
  const dropped = weights.filter((weight) => weight === 0).length;
  assertClose(dropped / weights.length, 0.25, 0.02);
  const [first, second] = [weights.slice(13, 4000), weights.slice(4013)];
  assertEquals(first.join(), second.join());
  assertEquals(weights.slice(0, 13).join(), Array(13).fill(1).join());
  const { sequences } = mixed("goldfish", { length: 64 });
  assert(sequences.every((sequence) => sequence.weights?.length === sequence.tokens.length));
});

Deno.test("Rho-1 keeps the targets that the reference model finds easier by most", () => {
  const sequences = [document([1, 2, 3], [1, 1, 1]), document([4, 5, 6, 7], [1, 1, 3, 3])];
  const own = [[3, 2], [5, 5, 5]], reference = [[1, 1.5], [4, 5, 9]]; // excess 2 0.5 | 1 0 −4
  const selected = excessLossWeights(sequences, own, reference, 0.6);
  assertEquals(selected.map(({ weights }) => [...weights!]), [[1, 1, 1], [1, 1, 0, 0]]);
  assertEquals(selected[1]!.tokens, sequences[1]!.tokens);
});

Deno.test("documents that do not fill the stream are an error that says how many tokens there are", () => {
  assertThrows(
    () => mixed("control", { tokens: 301 }),
    "it needs 301 tokens of clean documents and there are 300",
  );
  assertThrows(
    () => mixed("masked", { tokens: 280, share: 0.8 }),
    "it needs 224 tokens of risky documents and there are 200",
  );
  for (const { name } of streamMethods) {
    assertThrows(() => mixed(name, { share: 1.1 }), "between 0 and 1");
  }
});
