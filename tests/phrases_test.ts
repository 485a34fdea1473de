// Words and names found in text as a reader finds them: whole, whatever their case, spelling of accents and apostrophes.

import { mergeSpans, phraseFinder, phraseSpans, sameWords } from "../src/label/phrases.ts";
import { Risk, type RiskSpan } from "../src/slung/risk.ts";
import { assert, assertEquals } from "./assert.ts";

const covered = (text: string, phrases: readonly string[]) =>
  phraseSpans(text, phrases, Risk.high).map(({ start, end }) => text.slice(start, end));

Deno.test("names are found as whole words, whatever their case", () => {
  const text = "Tova met Tovas, tova and Tova's aunt; not Tova_2, but (TOVA).";
  const found = phraseSpans(text, ["Tova"], Risk.high);
  assertEquals(found.map(({ start }) => start), [0, 16, 25, 55]);
  assertEquals(found[0], { start: 0, end: 4, risk: Risk.high });
});

Deno.test("accented letters, combining marks and letters beyond 16 bits are word characters", () => {
  assertEquals(phraseSpans("éLun Luné Lune\u0301", ["Lun", "Lune"], Risk.high), []);
  assertEquals(phraseSpans("𝔸Lun Lun𝔸", ["Lun"], Risk.high), []);
  assertEquals(phraseSpans("🎉Lun🎉", ["Lun"], Risk.high).length, 1);
});

Deno.test("overlapping phrases merge into one span, and one that begins inside another is not lost", () => {
  assertEquals(covered("an Aba Dorn Elk here", ["Aba Dorn", "Dorn", "Dorn Elk", ""]), [
    "Aba Dorn Elk",
  ]);
  assertEquals(covered("Aba Dorn", ["Dorn", "Aba"]), ["Aba", "Dorn"], "a space parts them");
  assertEquals(covered("well ?!", ["?", "!"]), ["?!"], "they touch");
  const [first, second, third] = [1, 2, 3].map((risk, i): RiskSpan => ({
    start: 3 * i,
    end: 3 * i + (i === 0 ? 3 : 2),
    risk: risk as Risk,
  }));
  assertEquals(mergeSpans([first!, second!, third!]), [
    { start: 0, end: 5, risk: Risk.possible },
    third!,
  ]);
  assertEquals(mergeSpans([{ start: 0, end: 9, risk: 2 }, { start: 1, end: 3, risk: 1 }]), [
    { start: 0, end: 9, risk: Risk.possible },
  ]);
});

Deno.test("composed and decomposed letters, apostrophes, hyphens and white space are read alike", () => {
  const spellings: [phrase: string, text: string][] = [
    ["V\u00e9nn", "by Ve\u0301nn."],
    ["Ve\u0301nn", "by V\u00e9nn."],
    ["O'Dair", "by O\u2019Dair."],
    ["O\u2019Dair", "by O`Dair."],
    ["Joon-ki", "by Joon\u2010ki."],
    ["Oda Venn", "by Oda\n  Venn."],
    ["Oda Venn", "by Oda\u00a0VENN."],
    [" Oda  Venn ", "by Oda Venn."],
    ["ΟΔΥΣΣΕΥΣ", "by οδυσσευς."],
    ["İnce", "by i\u0307nce."],
    ["a.c", "by a.c."],
    ["Oda Weiß", "by ODA WEISS."],
    ["Oda Weiss", "by Oda Weiß."],
    ["Οδυσσεύς", "by Οδυσσεύσ."],
    ["Oda Venn", "by O\u00adda\u200bVe\u200dnn."],
    ["Oda\u200b Venn", "by Oda\u0085Venn."],
    ["Oda Venn", "by Oda\ufeff \u200fVenn."],
  ];
  for (const [phrase, text] of spellings) {
    assertEquals(covered(text, [phrase]), [text.slice(3, -1)], phrase);
  }
  assertEquals(covered("by Venn.", ["V\u00e9nn"]), [], "an accent is no matter of spelling");
  assertEquals(covered("by abc.", ["a.c"]), [], "a phrase is no expression");
});

Deno.test("spans stand at the characters of the text as it was, however it folds", () => {
  const text = "İİ 🎉 e\u0301Ünder Oda\u2019s und İda-Ünder!";
  assertEquals(covered(text, ["Oda", "İda"]), ["Oda", "İda"]);
  assertEquals(covered("der ﬁ, Oda und Ve\u0301nn", ["Vénn"]), ["Ve\u0301nn"]);
});

Deno.test("what was found is told in one spelling", () => {
  const finder = phraseFinder(["Oda", "Oda Venn", "Élan"], Risk.high);
  const found = finder.found("ODA\nvenn met oda  Venn, Oda and E\u0301LAN.");
  assertEquals(found, new Set(["oda venn", "oda", "e\u0301lan"]));
  assertEquals(finder.found("nobody"), new Set());
  assert(sameWords("O’Dair", "O'DAIR") && !sameWords("O'Dair", "Dair"));
});

Deno.test("without phrases nothing is found", () => {
  for (const phrases of [[], ["", "  "]]) {
    const finder = phraseFinder(phrases, Risk.high);
    assertEquals([finder.find("any text"), finder.found("any text")], [[], new Set()]);
  }
});
