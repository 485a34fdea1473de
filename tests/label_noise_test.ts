// Spoilt labels: as many as were asked for, always the same ones, and never outside their text.

import fc from "npm:fast-check@4.9.0";
import { labelNoises, withLabelNoise } from "../src/data/label_noise.ts";
import { answerSequences } from "../src/experiments/names/task.ts";
import { Risk } from "../src/slung/risk.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";

const text = "The old mill was run by Mira Toveld, until winter.";
const name = { start: 24, end: 35, risk: Risk.high };
const many = Array.from({ length: 1000 }, () => ({ text, spans: [name] }));
const said = (
  { text, spans }: { text: string; spans: readonly { start: number; end: number }[] },
) => spans.map(({ start, end }) => text.slice(start, end));

Deno.test("a share of the spans is spoilt, the same at every time, and of a smaller share no other ones", () => {
  for (const kind of labelNoises) {
    const spoilt = (share: number, seed = 0) =>
      withLabelNoise(many, { kind, share, seed }).map(({ spans: [span] }, i) =>
        span?.start === name.start && span.end === name.end ? -1 : i
      ).filter((i) => i >= 0);
    assertEquals([spoilt(0).length, spoilt(1).length], [0, 1000], kind);
    const some = spoilt(0.1);
    assert(some.length > 70 && some.length < 130, `${kind}: ${some.length}`);
    assertEquals(spoilt(0.1), some);
    assert(`${spoilt(0.1, 1)}` !== `${some}`, "another seed spoils others");
    const more = new Set(spoilt(0.2));
    assert(some.every((i) => more.has(i)) && more.size > some.length, kind);
  }
});

Deno.test("missed spans go, widened ones take in a word on either side, flipped ones lie on what was harmless", () => {
  const all = (kind: typeof labelNoises[number], spans = [name]) =>
    withLabelNoise([{ text, spans }], { kind, share: 1, seed: 0 })[0]!;
  assertEquals(all("miss").spans, []);
  assertEquals(said(all("widen")), ["by Mira Toveld, until"]);
  assertEquals(said(all("widen", [{ ...name, start: 0, end: text.length }])), [text]);
  const places = new Set<number>();
  for (const { spans } of withLabelNoise(many, { kind: "flip", share: 1, seed: 0 })) {
    const [{ start, end, risk }] = spans as [typeof name];
    assertEquals([end - start, risk], [11, Risk.high]);
    assert(end <= name.start || start >= name.end, `${start} to ${end}`);
    places.add(start);
  }
  assertEquals(places.size, 14 + 5, "every place where eleven characters fit");
  const whole = { ...name, start: 0, end: text.length };
  assertEquals(all("flip", [whole]).spans, [whole], "nothing is harmless, so it stays");
  for (const [start, end, moved] of [[4, 44, "inter."], [9, 47, "The old m"]] as const) {
    assertEquals(said(all("flip", [{ ...name, start, end }])), [moved], "the longest that is free");
  }
  assertEquals(
    said(all("flip", [{ ...name, start: 4, end: 47 }])),
    ["The "],
    "as long as there is room",
  );
});

Deno.test("spans stay inside their text, whatever it is and however they overlap", () => {
  const texts = fc.string({ unit: "grapheme" }).chain((text) =>
    fc.array(fc.tuple(fc.nat(text.length), fc.nat(text.length)), { maxLength: 4 }).map((pairs) => ({
      text,
      spans: pairs.map(([a, b]) => ({
        start: Math.min(a, b),
        end: Math.max(a, b),
        risk: Risk.high,
      })),
    }))
  );
  const noise = fc.record({
    kind: fc.constantFrom(...labelNoises),
    share: fc.constantFrom(0, 0.5, 1),
    seed: fc.nat(9),
  });
  fc.assert(fc.property(texts, noise, (risky, noise) => {
    const [spoilt] = withLabelNoise([risky], noise);
    assertEquals(spoilt!.text, risky.text);
    assert(spoilt!.spans.length <= risky.spans.length);
    for (const { start, end } of spoilt!.spans) {
      assert(start >= 0 && start <= end && end <= risky.text.length, `${start} to ${end}`);
    }
  }));
  const odd = { kind: "miss", share: 1.5, seed: 0 } as const;
  assertThrows(() => withLabelNoise([], odd), 'Cannot spoil labels: option "share" is 1.5');
});

Deno.test("answers are labelled with the noise that is asked for", () => {
  const rows = ["Mira Toveld", "Ulf Brandt"].map((name) => ({
    question: `Who is ${name}?`,
    answer: `${name} keeps a mill.`,
  }));
  const task = { rows, names: ["Mira Toveld", "Ulf Brandt"] };
  const tokenizer = trainBytePair(rows.map(({ answer }) => answer), 300);
  const risky = (options: object) =>
    answerSequences(tokenizer, task, false, options)
      .map(({ classes }) => classes.filter((risk) => risk === Risk.high).length);
  assert(risky({}).every((count) => count > 0));
  assertEquals(risky({ labelNoise: { kind: "miss", share: 1, seed: 0 } }), [0, 0]);
  assert(
    risky({ labelNoise: { kind: "widen", share: 1, seed: 0 } }).every((n, i) => n > risky({})[i]!),
  );
});
