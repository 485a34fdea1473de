// Text -> mask -> tokens: a span that was counted in any unit masks the tokens of its own text and of nothing else,
// whatever the text is written in, with every kind of tokenizer, as a record of a file, and cut into windows.

import fc from "npm:fast-check@4.9.0";
import { offsetsTo, type OffsetUnit, offsetUnits } from "../src/data/offsets.ts";
import { readRiskyTexts } from "../src/data/span_files.ts";
import { encodeIntoWindows, encodeText } from "../src/data/spans.ts";
import { Risk } from "../src/slung/risk.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
import { assert, assertEquals } from "./assert.ts";
import { sharedData } from "./data.ts";
import {
  changed,
  llama2cFile,
  openJson,
  rankedFiles,
  temporaryFolder,
  tokenizerGolden,
} from "./fixtures/tokenizers.ts";

const { bases: { bytes, pieces } } = await tokenizerGolden();
const metaspace = {
  type: "Metaspace",
  replacement: "\u2581",
  prepend_scheme: "first",
  split: false,
};
const sentencePieces: [string, number][] = [..." abOdaVen"].map((piece, i) => [piece, -i]);
const olmo = sharedData("tokenizers/olmo-dolma-v1_5");
const tokenizers: Record<string, Tokenizer> = {
  "trained here": trainBytePair(["The old mill by Oda Venn. "], 280),
  "byte-level": await openJson(bytes),
  "byte-level with NFC": await openJson(changed(bytes, { normalizer: { type: "NFC" } })),
  "SentencePiece": await openJson(pieces),
  "SentencePiece with Metaspace": await openJson(
    changed(pieces, { normalizer: null, pre_tokenizer: metaspace }),
  ),
  "llama2.c": await openTokenizer(
    await temporaryFolder({ "tok264.bin": llama2cFile(sentencePieces) }),
  ),
  "ranked": await openTokenizer(await temporaryFolder(rankedFiles)),
  ...(olmo && { "OLMo": await openTokenizer(olmo) }),
};

// Emoji of several code points, combining marks, both directions, every line end, and what only looks like a space.
const graphemes = fc.oneof(
  fc.constantFrom("🌊", "👩‍👩‍👧", "🇨🇭", "👍🏽", "𝔸", "e\u0301", "n\u0303\u0323", "각", "क्‍ष", "é"),
  fc.constantFrom("ש", "ל", "ع", "\u200f", "漢", "ｶ", "ﬁ", "ß", "İ", "½"),
  fc.constantFrom(
    "\r\n",
    "\n",
    "\r",
    "\t",
    " ",
    "  ",
    "\u00a0",
    "\u0085",
    "\ufeff",
    "\u2028",
    "\0",
  ),
  fc.constantFrom(
    "Oda Venn",
    "Oda",
    "mill",
    ",",
    ".",
    "'",
    "’",
    "12",
    "</s>",
    "<|endoftext|>",
    "\u2581",
  ),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 3 }),
);
const stretch = fc.array(graphemes, { maxLength: 8 }).map((parts) => parts.join(""));
const marked = fc.record({
  left: stretch,
  inside: stretch.filter((text) => text !== ""),
  right: stretch,
  unit: fc.constantFrom(...offsetUnits),
  special: fc.constantFrom("tokens" as const, "text" as const),
});

/** A record whose span is counted in a unit, by the platform and not by the code under test. */
function recordOf(left: string, inside: string, right: string, offsets: OffsetUnit) {
  const count = {
    utf16: (text: string) => text.length,
    codepoint: (text: string) => [...text].length,
    utf8: (text: string) => new TextEncoder().encode(text).length,
  }[offsets];
  return { text: left + inside + right, spans: [[count(left), count(left + inside)]], offsets };
}

Deno.test("a span counted in any unit covers its own text when a file is read", async () => {
  const cases = fc.sample(marked, { numRuns: 400, seed: 1 });
  const lines = cases.map(({ left, inside, right, unit }) =>
    JSON.stringify(recordOf(left, inside, right, unit))
  );
  const folder = await temporaryFolder({ "texts.jsonl": `\ufeff${lines.join("\r\n")}` });
  const texts = await readRiskyTexts(`${folder}/texts.jsonl`);
  const covered = texts.map(({ text, spans: [span] }) => text.slice(span!.start, span!.end));
  assertEquals(covered, cases.map(({ inside }) => inside));
});

for (const [name, tokenizer] of Object.entries(tokenizers)) {
  Deno.test(`${name}: the masked tokens are those that hold the span's text, and no others`, () => {
    fc.assert(
      fc.property(marked, ({ left, inside, right, special }) => {
        const text = left + inside + right;
        const start = left.length, end = start + inside.length;
        const spans = [{ start, end, risk: Risk.high }];
        const { tokens, classes } = encodeText(tokenizer, { text, spans }, { special });
        const { ids, starts, ends } = tokenizer.encode(text, { special });
        const shift = tokens.length - ids.length - (tokenizer.special.eos === undefined ? 0 : 1);
        assertEquals(tokens.slice(shift, shift + ids.length), ids);
        const masked = [...ids.keys()].filter((i) => classes[i + shift] === Risk.high);
        // BOS and EOS are never masked, and something always is.
        assertEquals(classes.filter((risk) => risk === Risk.high).length, masked.length);
        assert(masked.length > 0);
        // All of the span is masked: no other token holds a character of it.
        const others = [...ids.keys()].filter((i) => classes[i + shift] !== Risk.high);
        for (const i of others) {
          assert(ends[i]! <= start || starts[i]! >= end || starts[i] === ends[i]);
        }
        // And nothing else: each masked token holds one, or stands for the character behind it.
        for (const i of masked) {
          assert(starts[i]! < end && Math.max(ends[i]!, starts[i]! + 1) > start);
        }
        // The masked text is the span's, up to whole tokens.
        const from = starts[masked[0]!]!, to = ends[masked.at(-1)!]!;
        assert(text.slice(from, Math.max(to, end)).includes(inside));
      }),
      { numRuns: 120, seed: 2 },
    );
  });

  Deno.test(`${name}: however a text is cut into windows, each masked token is predicted masked, once`, () => {
    fc.assert(
      fc.property(marked, fc.integer({ min: 3, max: 9 }), ({ left, inside, right }, length) => {
        const text = left + inside + right;
        const spans = [{ start: left.length, end: left.length + inside.length, risk: Risk.high }];
        const whole = encodeText(tokenizer, { text, spans });
        const windows = encodeIntoWindows(tokenizer, { text, spans }, length);
        const predicted = windows.flatMap(({ tokens, classes, repeated = 0 }) =>
          [...tokens.keys()].slice(Math.max(repeated, 1)).map((i) => [tokens[i], classes[i]])
        );
        const expected = [...whole.tokens.keys()].slice(1)
          .map((i) => [whole.tokens[i], whole.classes[i]]);
        assertEquals(predicted, expected);
      }),
      { numRuns: 60, seed: 3 },
    );
  });
}

Deno.test("offsets go out in any unit and come back to the same span", () => {
  fc.assert(
    fc.property(marked, ({ left, inside, right, unit }) => {
      const { text, spans } = recordOf(left, inside, right, unit);
      const [start, end] = spans[0]!;
      const to = offsetsTo(text, unit);
      assertEquals(to?.[left.length] ?? left.length, start);
      assertEquals(to?.[left.length + inside.length] ?? left.length + inside.length, end);
    }),
    { numRuns: 300, seed: 4 },
  );
});
