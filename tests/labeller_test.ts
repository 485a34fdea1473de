// What each labeller marks in a text, and several of them together.

import type { TextClassifier } from "../src/label/classifier.ts";
import {
  allOf,
  knownPatterns,
  type Labeller,
  patternLabeller,
  sentenceLabeller,
  wordLabeller,
} from "../src/label/labeller.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";

async function marked(labeller: Labeller, text: string): Promise<string[]> {
  const [spans] = await labeller.label([text]);
  return spans!.map(({ start, end, risk }) =>
    `${text.slice(start, end)}${risk === Risk.high ? "" : ` ${risk}`}`
  );
}

Deno.test("words are marked whole, in every text, with the risk that is asked for", async () => {
  const labeller = wordLabeller(["grul", "Oda Venn"]);
  const texts = ["A grul met oda venn.", "Nobody.", "GRUL!"];
  const found = await labeller.label(texts);
  assertEquals(found.map((spans) => spans.length), [2, 0, 1]);
  assertEquals(await marked(labeller, texts[0]!), ["grul", "oda venn"]);
  assertEquals(await marked(wordLabeller(["grul"], Risk.possible), "a grul"), ["grul 2"]);
  assertEquals([labeller.name, labeller.sentences], ["2 words", undefined]);
});

const patterns: [pattern: string, text: string, found: string[]][] = [
  ["email", "Write to oda.venn+mill@ren-ne.example.org, or (x@y.zz).", [
    ...["oda.venn+mill@ren-ne.example.org", "x@y.zz"],
  ]],
  ["email", "a@b, @oda, oda@mill.x", []],
  ["email", "ödä@müller.example", ["ödä@müller.example"]],
  ["phone", "Call 030 555 0101 or +49 (30) 555-0101 today.", [
    ...["030 555 0101", "+49 (30) 555-0101"],
  ]],
  ["phone", "In 1987, page 12; AB12-3456x.", []],
  ["url", "See https://renne.example/a?b=c, (www.renne.example) and HTTP://X.example/.", [
    ...["https://renne.example/a?b=c", "www.renne.example", "HTTP://X.example/"],
  ]],
  ["url", "nothing at renne.example here", []],
  ["/AB-\\d{4}/u", "AB-1234, AB-12, ab-1234", ["AB-1234"]],
  ["/ab-\\d+/giu", "AB-1, ab-22", ["AB-1", "ab-22"]],
  ["/x*/", "axxb", ["xx"]],
  ["/a/b/", "a/b", ["a/b"]],
];

for (const [pattern, text, found] of patterns) {
  Deno.test(`the pattern ${pattern} finds ${JSON.stringify(found)} in ${JSON.stringify(text)}`, async () => {
    const labeller = patternLabeller(pattern);
    assertEquals(await marked(labeller, text), found);
    assertEquals(await marked(labeller, text), found, "again: an expression keeps no place");
    assertEquals(labeller.name, `pattern ${pattern}`);
  });
}

Deno.test("a pattern that is no expression, or none that can be read, is refused", () => {
  assertThrows(
    () => patternLabeller("iban"),
    `Cannot look for the pattern "iban": there is none of this name, and it is no expression. ` +
      `Give one of ${Object.keys(knownPatterns).join(", ")}, or an expression between slashes.`,
  );
  assertThrows(() => patternLabeller("/a"), "there is none of this name");
  assertThrows(
    () => patternLabeller("/(/u"),
    'Cannot look for the pattern "/(/u": Invalid regular',
  );
  assertThrows(() => patternLabeller("/a/x"), "there is none of this name");
});

/** Knows the word grul and is unsure about zug; notes what it is given. */
function scorer(given: string[] = [], scores?: number): TextClassifier {
  return {
    name: "words",
    score(texts) {
      given.push(...texts);
      return Float64Array.from(
        scores === undefined ? texts : Array(scores).fill(""),
        (text) => text.includes("grul") ? 1 : text.includes("zug") ? 0.5 : 0,
      );
    },
  };
}

Deno.test("sentences get the risk of their scores, harmless ones too, across all texts", async () => {
  const given: string[] = [];
  const labeller = sentenceLabeller(scorer(given), { low: 0.1, high: 0.9 });
  const texts = ["All calm. You\ngrul!", "", "A zug came."];
  const found = await labeller.label(texts);
  assertEquals(given, ["All calm.", "You", "grul!", "A zug came."]);
  assertEquals(found.map((spans) => spans.map(({ risk }) => risk)), [[1, 1, 3], [], [2]]);
  assertEquals(await marked(labeller, texts[2]!), ["A zug came. 2"]);
  assertEquals(labeller.sentences, true);
  assertEquals(labeller.name, "words, possible risk above 0.1, high above 0.9");
  for (const count of [0, 3, 5]) {
    const wrong = sentenceLabeller(scorer([], count));
    await assertRejects(
      async () => await wrong.label(texts),
      `the classifier "words" gave ${count} scores for 4 sentences`,
    );
  }
});

Deno.test("several labellers together give what any of them finds risky, in text order", async () => {
  const both = allOf([
    sentenceLabeller(scorer(), { low: 0.1, high: 0.9 }),
    wordLabeller(["oda", "calm"]),
  ]);
  assertEquals(await marked(both, "All calm. A zug came. You grul, Oda!"), [
    ...["calm", "A zug came. 2", "You grul, Oda!", "Oda"],
  ]);
  assertEquals(both.sentences, undefined, "a span of theirs may be anything");
  assert(both.name.includes("words, possible") && both.name.endsWith("; 2 words"));
  const alone = sentenceLabeller(scorer());
  assertEquals(allOf([alone]), alone);
});
