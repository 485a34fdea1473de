// Offsets of characters in three units, on random texts with everything that makes units differ.

import fc from "npm:fast-check@4.9.0";
import {
  insideCharacter,
  offsetsFrom,
  offsetsTo,
  type OffsetUnit,
  offsetUnits,
} from "../src/data/offsets.ts";
import { assert, assertEquals } from "./assert.ts";

/** What a text up to some UTF-16 offset counts in a unit, by the platform's own means. */
const lengthIn: Record<OffsetUnit, (text: string) => number> = {
  utf16: (text) => text.length,
  codepoint: (text) => [...text].length,
  utf8: (text) => new TextEncoder().encode(text).length,
};

// Pieces whose units differ: emoji joined and alone, combining marks, line ends, right-to-left text, lone surrogates.
const pieces = [
  ..."aZ 7.\n\r\t",
  "\r\n",
  "é",
  "e\u0301",
  "ß",
  "\u0301",
  "שלום",
  "مرحبا",
  "\u202e",
  "語",
  "🎉",
  "👩\u200d🔬",
  "👍🏽",
  "🇳🇱",
  "𝔸",
  "\ufeff",
  "\u{10ffff}",
];
const texts = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: "binary" })))
  .map((parts) => parts.join(""));

Deno.test("every boundary of a character is where the platform counts it, in every unit and back", () => {
  fc.assert(fc.property(texts, fc.constantFrom(...offsetUnits), (text, unit) => {
    const from = offsetsFrom(text, unit), to = offsetsTo(text, unit);
    assertEquals(from === undefined, to === undefined);
    const total = lengthIn[unit](text);
    if (!from || !to) {
      for (let at = 0, i = 0; i <= [...text].length; i++) {
        assertEquals(lengthIn[unit](text.slice(0, at)), at, "the same everywhere");
        at += [...text][i]?.length ?? 0;
      }
      return;
    }
    assertEquals([from.length, to.length], [total + 1, text.length + 1]);
    let at = 0;
    const boundaries = new Set<number>();
    for (const character of [...text, ""]) {
      const counted = lengthIn[unit](text.slice(0, at));
      boundaries.add(counted);
      assertEquals([to[at], from[counted]], [counted, at]);
      at += character.length;
    }
    from.forEach((offset, i) => {
      assertEquals(offset === insideCharacter, !boundaries.has(i), `${unit} ${i}`);
    });
    to.forEach((offset, i) => assert(i === 0 || offset >= to[i - 1]!, "offsets never go back"));
  }));
});

Deno.test("a span keeps its text through any two units", () => {
  const spans = texts.chain((text) => {
    const ends = fc.nat([...text].length);
    return fc.tuple(fc.constant(text), ends, ends);
  });
  const units = fc.constantFrom(...offsetUnits);
  fc.assert(fc.property(spans, units, ([text, a, b], unit) => {
    const characters = [...text];
    const start = characters.slice(0, Math.min(a, b)).join("").length;
    const end = characters.slice(0, Math.max(a, b)).join("").length;
    const to = offsetsTo(text, unit), from = offsetsFrom(text, unit);
    const there = to ? [to[start]!, to[end]!] : [start, end];
    const back = there.map((at) => from ? from[at]! : at);
    assertEquals(back, [start, end]);
    if (unit !== "utf8") return;
    const bytes = new TextEncoder().encode(text).subarray(...there as [number, number]);
    assertEquals(
      new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
      text.slice(start, end).toWellFormed(),
    );
  }));
});

Deno.test("offsets go from UTF-16 to code points and back, and lone surrogates count one", () => {
  const text = "a🎉b\ud800c𝔸";
  const points = [...text];
  const toPoints = offsetsTo(text, "codepoint")!, toUnits = offsetsFrom(text, "codepoint")!;
  assertEquals(toUnits.length, points.length + 1);
  for (const [point, unit] of toUnits.entries()) {
    assertEquals(points.slice(0, point).join(""), text.slice(0, unit));
    assertEquals(toPoints[unit], point);
  }
  assertEquals(
    [...offsetsTo("🎉", "codepoint")!],
    [0, 1, 1],
    "half a character ends where it ends",
  );
  assertEquals([...offsetsTo("🎉é", "utf8")!], [0, 4, 4, 6]);
  assertEquals([...offsetsFrom("é🎉", "utf8")!].map((at) => at === insideCharacter ? "-" : at), [
    ...[0, "-", 1, "-", "-", "-", 3],
  ]);
});

Deno.test("where two units are the same, nothing is converted", () => {
  for (const text of ["", "no pairs, ünï"]) {
    assertEquals(offsetsTo(text, "codepoint"), undefined);
    assertEquals(offsetsFrom(text, "codepoint"), undefined);
  }
  for (const unit of offsetUnits) assertEquals(offsetsFrom("plain ASCII\r\n", unit), undefined);
  assertEquals(offsetsFrom("🎉", "utf16"), undefined);
  assert(offsetsFrom("ü", "utf8") !== undefined);
});
