// What holds for every kind of tokenizer and every text: the tokens cover the text in order, decoding gives it back, and
// the tokens of a risk span are those that hold a character of it.

import fc from "npm:fast-check@4.9.0";
import { classifyTokens, Risk } from "../src/slung/risk.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
import { assertEquals } from "./assert.ts";
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
const nfc = { type: "NFC" };
const mark = "\u2581";
const metaspace = { type: "Metaspace", replacement: mark, prepend_scheme: "always", split: true };
const olmo = sharedData("tokenizers/olmo-dolma-v1_5");
const scored: [string, number][] = [..." abOd"].map((piece, i) => [piece, -i]);

/** A tokenizer, and the text that it gives back for one. */
interface Kind {
  tokenizer: Tokenizer;
  returned: (text: string) => string;
  /** What stands before the tokens of a text when it is decoded. */
  before?: number[];
}

const same = (text: string) => text;
const kinds: Record<string, Kind> = {
  "trained here": { tokenizer: trainBytePair(["The old mill by Oda Venn. "], 280), returned: same },
  "byte-level": { tokenizer: await openJson(bytes), returned: same },
  "byte-level with NFC": {
    tokenizer: await openJson(changed(bytes, { normalizer: nfc })),
    returned: (text) => text.normalize("NFC"),
  },
  "SentencePiece": {
    tokenizer: await openJson(pieces),
    returned: (text) => text.replaceAll(mark, " "),
  },
  "SentencePiece with Metaspace": {
    tokenizer: await openJson(
      changed(pieces, { normalizer: null, pre_tokenizer: { ...metaspace, split: false } }),
    ),
    // A space or mark that begins the text is taken for the one that would be put there.
    returned: (text) => text.replaceAll(mark, " ").replace(/^ /, ""),
  },
  "llama2.c": {
    tokenizer: await openTokenizer(await temporaryFolder({ "tok264.bin": llama2cFile(scored) })),
    returned: same,
    before: [1],
  },
  "ranked": {
    tokenizer: await openTokenizer(await temporaryFolder(rankedFiles)),
    returned: (text) => text.replace(/[^ ab]/gu, "<unk>"),
  },
  ...(olmo && {
    "OLMo": { tokenizer: await openTokenizer(olmo), returned: (text) => text.normalize("NFC") },
  }),
};

const part = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 5 }),
  fc.string({ unit: "binary", maxLength: 4 }),
  fc.constantFrom(
    "Oda",
    " Oda Venn",
    "OdaVenn",
    "  ",
    "\r\n",
    "\n\n",
    "\t",
    "ab ",
    "12345",
    "don't",
  ),
  fc.constantFrom(
    "👩‍👩‍👧",
    "🇨🇭",
    "e\u0301\u0338",
    "\u1112\u1161\u11ab",
    "שלום",
    "عربي",
    "\u202e",
    "漢字",
    "ﬁ",
  ),
  fc.constantFrom("\ud800", "\udc00", "\ufeff", "\u0085", "\u00a0", mark, "\0", "\u200d", "½²"),
);
const texts = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(""));
const runs = { numRuns: 200, seed: 1 };

for (const [name, { tokenizer, returned, before = [] }] of Object.entries(kinds)) {
  Deno.test(`${name}: tokens cover any text in order, and are decoded to it`, () => {
    fc.assert(
      fc.property(texts, fc.constantFrom("tokens", "text"), (text, special) => {
        const { ids, starts, ends } = tokenizer.encode(text, { special });
        let covered = 0;
        ids.forEach((_, i) => {
          // A token begins where the last one ended, or inside what it spanned when that was split.
          if (starts[i]! > covered) throw new Error(`nothing spans ${covered} to ${starts[i]}`);
          if (ends[i]! < covered) throw new Error(`token ${i} ends before the one before it`);
          if (ends[i]! < starts[i]!) throw new Error(`token ${i} ends before it begins`);
          covered = ends[i]!;
        });
        assertEquals(covered, text.length);
        assertEquals(tokenizer.decode([...before, ...ids]), returned(text.toWellFormed()));
      }),
      runs,
    );
  });

  Deno.test(`${name}: a risk span's tokens are those that hold some of it, and no more`, () => {
    fc.assert(
      fc.property(texts, texts, texts, (left, inside, right) => {
        const text = left + inside + right;
        const span = { start: left.length, end: left.length + inside.length, risk: Risk.high };
        const encoding = tokenizer.encode(text);
        const classes = classifyTokens(encoding, inside === "" ? [] : [span]);
        const risky = [...classes.keys()].filter((i) => classes[i] === Risk.high);
        const expected = [...classes.keys()].filter((i) => {
          // One without length, as the space in front of a text, stands for the character behind it.
          const end = Math.max(encoding.ends[i]!, encoding.starts[i]! + 1);
          return encoding.starts[i]! < span.end && end > span.start;
        });
        assertEquals(risky, expected);
        // Their stretch holds the span.
        if (inside === "") return;
        assertEquals(encoding.starts[risky[0]!]! <= span.start, true);
        assertEquals(encoding.ends[risky.at(-1)!]! >= span.end, true);
      }),
      runs,
    );
  });
}
