// Classes of tokens under the two rules, and what is refused of spans.

import {
  classifyTokens,
  classifyTokensBySentence,
  Risk,
  type RiskSpan,
  type TokenSpans,
  validateSpans,
} from "../src/slung/risk.ts";
import { assertEquals, assertThrows } from "./assert.ts";

/** Tokens that cover a text without gaps: lengths 4, 2, … become [0,4), [4,6), … */
function tokensOfLengths(...lengths: number[]): TokenSpans {
  const ends = lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b));
  return { starts: ends.map((end, i) => end - lengths[i]!), ends };
}

Deno.test("text without spans is low risk", () => {
  assertEquals([...classifyTokens(tokensOfLengths(4, 2), [])], [Risk.low, Risk.low]);
});

Deno.test("a token takes the highest risk that any of its characters touches", () => {
  const tokens = tokensOfLengths(4, 4, 4, 4); // [0,4) [4,8) [8,12) [12,16)
  const spans: RiskSpan[] = [
    { start: 7, end: 9, risk: Risk.high }, // straddles the second and third token
    { start: 0, end: 8, risk: Risk.possible },
    { start: 8, end: 12, risk: Risk.low }, // does not lower the third
  ];
  assertEquals([...classifyTokens(tokens, spans)], [2, 3, 3, 1]);
});

Deno.test("spans are half-open: a token that only touches an end stays low", () => {
  const tokens = tokensOfLengths(3, 3, 3);
  assertEquals([...classifyTokens(tokens, [{ start: 3, end: 6, risk: Risk.high }])], [1, 3, 1]);
});

Deno.test("a token without length stands for the character at its start", () => {
  const tokens = { starts: [0, 2, 2, 4], ends: [2, 4, 2, 6] };
  const classes = classifyTokens({ starts: [0, 2, 2, 4], ends: [2, 2, 4, 6] }, [
    { start: 2, end: 4, risk: Risk.high },
  ]);
  assertEquals([...classes], [1, 3, 3, 1]);
  assertEquals([...classifyTokens(tokens, [{ start: 4, end: 6, risk: Risk.high }])], [1, 1, 1, 3]);
});

Deno.test("under the sentence rule the space between sentences belongs to the second", () => {
  // "Ab. Cd. e": sentences [0,3) and [4,7); tokens "Ab", ".", " ", "Cd", ".", " e"
  const tokens = tokensOfLengths(2, 1, 1, 2, 1, 2);
  const spans: RiskSpan[] = [
    { start: 0, end: 3, risk: Risk.low },
    { start: 4, end: 7, risk: Risk.high },
  ];
  assertEquals([...classifyTokensBySentence(tokens, spans, 9)], [1, 1, 3, 3, 3, 1]);
  assertEquals([...classifyTokens(tokens, spans)], [1, 1, 1, 3, 3, 1], "any overlap differs");
});

Deno.test("under the sentence rule a straddling token goes to the sentence of its last character", () => {
  const spans: RiskSpan[] = [
    { start: 0, end: 3, risk: Risk.high },
    { start: 3, end: 6, risk: Risk.possible },
  ];
  assertEquals([...classifyTokensBySentence(tokensOfLengths(2, 2, 2), spans, 6)], [3, 2, 2]);
});

Deno.test("sentences out of order are refused under the sentence rule", () => {
  const spans: RiskSpan[] = [
    { start: 4, end: 7, risk: Risk.high },
    { start: 0, end: 3, risk: Risk.low },
  ];
  assertThrows(
    () => classifyTokensBySentence(tokensOfLengths(9), spans, 9),
    "sentence 1 starts at 0, before sentence 0 ends at 7",
  );
});

Deno.test("spans from outside are checked and the fault is named", () => {
  const check = (start: number, end: number, risk = 3 as Risk) => () =>
    validateSpans([{ start, end, risk }], 10, `"posts.jsonl" line 7`);
  check(0, 10)();
  assertThrows(
    check(5, 11),
    `use span 0 [5, 11) of "posts.jsonl" line 7: it leaves the text of 10`,
  );
  assertThrows(check(-1, 3), "it leaves the text");
  assertThrows(check(5, 5), "it is empty or runs backwards");
  assertThrows(check(0.5, 3), "not whole numbers");
  assertThrows(check(NaN, 3), "not whole numbers");
  assertThrows(check(0, 3, 0), "its risk is 0");
  assertThrows(check(0, 3, 7 as Risk), "its risk is 7");
});
