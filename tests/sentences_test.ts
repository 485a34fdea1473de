import {
  paperThresholds,
  riskOfScore,
  roundScore,
  scoredSpans,
  sentenceRanges,
  sentenceSpans,
  splitterName,
} from "../src/label/sentences.ts";
import { classifyTokensBySentence, Risk, type RiskSpan } from "../src/slung/risk.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";

const pieces = (text: string) =>
  sentenceRanges(text).map(({ start, end }) => text.slice(start, end));

Deno.test("sentences are cut at full stops and line breaks, without the white space around them", () => {
  assertEquals(pieces("  The mill ran.  Who came?\n\nNobody!\ta late note "), [
    "The mill ran.",
    "Who came?",
    "Nobody!",
    "a late note",
  ]);
  assertEquals(pieces(" \n\t "), []);
  assertEquals(pieces(""), []);
});

Deno.test("ranges count UTF-16 units, also after characters of two units", () => {
  assertEquals(sentenceRanges("🎉 One. Two."), [{ start: 0, end: 7 }, { start: 8, end: 12 }]);
});

Deno.test("sentences cover everything but white space, in order and without overlap", () => {
  const text =
    "Bye!!See http://a.b/c. 3.5 litres, e.g. of tea… “Really?” 日本語です。次の文。\r\nEnd";
  let covered = 0;
  for (const { start, end } of sentenceRanges(text)) {
    assertEquals(text.slice(covered, start).trim(), "");
    assert(start < end);
    covered = end;
  }
  assertEquals(text.slice(covered).trim(), "");
});

Deno.test("the splitter names itself with its version", () => {
  assert(/Intl\.Segmenter.*Deno\/\d+\.\d+/.test(splitterName), splitterName);
});

Deno.test("scores become the paper's three buckets, both thresholds exclusive", () => {
  const cases: [number, Risk][] = [
    [0, Risk.low],
    [1e-4, Risk.low],
    [1.1e-4, Risk.possible],
    [0.99, Risk.possible],
    [0.99001, Risk.high],
    [1.00001, Risk.high], // fastText's own certainty
  ];
  for (const [score, risk] of cases) assertEquals(riskOfScore(score), risk, `${score}`);
  assertEquals(paperThresholds, { low: 1e-4, high: 0.99 });
});

Deno.test("a score is rounded to five decimals before it is bucketed, as Dolma's files have it", () => {
  assertEquals(roundScore(0.000104), 0.0001);
  assertEquals(riskOfScore(0.000104), Risk.low);
  assertEquals(riskOfScore(0.000106), Risk.possible);
  assertEquals(riskOfScore(0.990004), Risk.possible);
  assertEquals(riskOfScore(0.990006), Risk.high);
});

Deno.test("thresholds are options; those out of order and scores that are none are refused", () => {
  assertEquals(riskOfScore(0.5, { low: 0.2, high: 0.4 }), Risk.high);
  assertEquals(riskOfScore(0.3, { low: 0.2, high: 0.4 }), Risk.possible);
  assertThrows(() => riskOfScore(0.5, { low: 0.4, high: 0.2 }), "is below that of possible risk");
  assertThrows(() => riskOfScore(NaN), "it is NaN");
  assertThrows(() => riskOfScore(-0.1), "it is -0.1");
});

Deno.test("each sentence is scored by itself and becomes one span", () => {
  const seen: string[] = [];
  const spans = sentenceSpans("Calm words. You grul! Maybe.", (sentence) => {
    seen.push(sentence);
    return sentence.includes("grul") ? 0.999 : sentence === "Maybe." ? 0.5 : 0.00001;
  });
  assertEquals(seen, ["Calm words.", "You grul!", "Maybe."]);
  assertEquals(spans, [
    { start: 0, end: 11, risk: Risk.low },
    { start: 12, end: 21, risk: Risk.high },
    { start: 22, end: 28, risk: Risk.possible },
  ]);
  assertThrows(() => scoredSpans([{ start: 0, end: 1 }], []), "0 scores for 1 sentences");
});

/**
 * The paper's code: pieces text[min(previous end, start) : end], each tokenised by itself, every
 * token of the class of its piece, and the text after the last span in class 1.
 */
function referenceClasses(
  text: string,
  spans: readonly RiskSpan[],
  tokenLengths: (piece: string) => number[],
): { classes: number[]; starts: number[]; ends: number[] } {
  const classes: number[] = [], starts: number[] = [], ends: number[] = [];
  let at = 0;
  const add = (piece: string, risk: number) => {
    for (const length of tokenLengths(piece)) {
      starts.push(at);
      ends.push(at += length);
      classes.push(risk);
    }
  };
  let previous = 0;
  for (const { start, end, risk } of spans) {
    add(text.slice(Math.min(previous, start), end), risk);
    previous = end;
  }
  add(text.slice(previous), Risk.low);
  return { classes, starts, ends };
}

Deno.test("token classes from sentence spans equal the paper's split-then-tokenise rule", () => {
  // As OLMo's pre-tokeniser: a word takes the one space before it, other white space stands alone.
  const tokenLengths = (piece: string) =>
    (piece.match(/ ?[\p{L}\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s/gu) ?? []).map((t) => t.length);
  const texts = [
    "Calm words.  You grul! Maybe.  ",
    " \n Leading space. You grul\nand zug. Krot?\n\nMaybe so. End",
    "🎉 Hello grul! 日本語です。Maybe so。 Ok.",
  ];
  for (const text of texts) {
    const spans = sentenceSpans(
      text,
      (sentence) => /grul/.test(sentence) ? 1 : /Maybe/.test(sentence) ? 0.5 : 0,
    );
    const { classes, starts, ends } = referenceClasses(text, spans, tokenLengths);
    assertEquals(ends.at(-1), text.length);
    assert(new Set(classes).size === 3, "all classes occur");
    assertEquals([...classifyTokensBySentence({ starts, ends }, spans, text.length)], classes);
  }
});

Deno.test("the space before a risky sentence is risky, the space after it is not", () => {
  const text = "Calm. You grul. Calm.";
  const spans = sentenceSpans(text, (sentence) => sentence.includes("grul") ? 1 : 0);
  const characters = Array.from(text, (_, i) => i);
  const tokens = { starts: characters, ends: characters.map((i) => i + 1) };
  const classes = classifyTokensBySentence(tokens, spans, text.length);
  const risky = characters.filter((i) => classes[i] === Risk.high);
  assertEquals([risky[0], risky.at(-1)], [text.indexOf(" You"), text.indexOf(" Calm.", 6) - 1]);
});
