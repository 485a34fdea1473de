// What the page is made of, apart from any browser: spans that move with a text, links, losses of one line, files of labels.

import { Risk, type RiskSpan } from "../src/slung/risk.ts";
import { lossOf } from "../src/slung/derivative.ts";
import { boundedUnlikelihood, cappedUnlikelihood, entropyRaising } from "../src/slung/gallery.ts";
import { evaluateTerm, type LossTerm } from "../src/slung/custom_loss.ts";
import { crossEntropy, unlikelihood } from "../src/slung/objective.ts";
import { inventedExample, riskyPhrases } from "../web/engine/example.ts";
import type { OffsetUnit } from "../src/data/offsets.ts";
import { place } from "../web/engine/measure.ts";
import { LabelFile, type LabelFilter, readLines } from "../web/engine/label_file.ts";
import { exampleFrom, fragmentOf } from "../web/engine/link.ts";
import {
  linesOfTexts,
  markOf,
  markStretch,
  moveSpans,
  nextMark,
  stretchAt,
  textsOfLines,
} from "../web/engine/marking.ts";
import { jsonLinesOf } from "../web/engine/take_home.ts";
import { assert, assertClose, assertEquals, assertRejects, assertThrows } from "./assert.ts";

const { low, possible, high } = Risk;
const span = (start: number, end: number, risk: Risk = high): RiskSpan => ({
  start,
  end,
  risk,
});

Deno.test("spans move with the text that is typed before, in and behind them, and go with their text", () => {
  const text = "by Mira Toveld once";
  const name = [span(3, 14)];
  const cases: [after: string, expected: RiskSpan[]][] = [
    ["run by Mira Toveld once", [span(7, 18)]],
    ["by Mira A. Toveld once", [span(3, 17)]],
    ["by Mira Toveld once more", name],
    ["by Mira once", [span(3, 7)]],
    ["by  once", []],
    ["Mira Toveld once", [span(0, 11)]],
    ["by Mirald once", [span(3, 9)]],
    ["", []],
  ];
  for (const [after, expected] of cases) {
    assertEquals(moveSpans(name, text, after), expected, after);
  }
});

Deno.test("a stretch is marked over what lay there, and marks of one kind grow together", () => {
  assertEquals(markStretch([span(0, 10)], span(3, 5), low), [
    span(0, 3),
    span(5, 10),
  ]);
  assertEquals(markStretch([span(0, 10)], span(3, 5), possible), [
    ...[span(0, 3), span(3, 5, possible), span(5, 10)],
  ]);
  assertEquals(markStretch([span(0, 3), span(5, 8)], span(3, 5), high), [
    span(0, 8),
  ]);
  assertEquals(markStretch([span(4, 6)], span(2, 2), high), [span(4, 6)]);
  assertEquals(markOf([span(0, 8)], span(2, 8)), high);
  assertEquals(markOf([span(0, 8)], span(2, 9)), low);
  assertEquals([low, high, possible].map((mark) => nextMark(mark)), [
    high,
    possible,
    low,
  ]);
});

Deno.test("the word at the caret is found, and a selection loses the spaces at its ends", () => {
  const text = "by Mira Toveld’s mill.";
  const at = (start: number, end = start) => {
    const found = stretchAt(text, start, end);
    return found && text.slice(found.start, found.end);
  };
  assertEquals(at(4), "Mira");
  assertEquals(at(3), "Mira");
  assertEquals(at(10), "Toveld’s");
  assertEquals(at(2, 8), "Mira");
  assertEquals(at(22), undefined);
  assertEquals(at(2, 3), undefined);
});

Deno.test("lines become texts with the spans that lie in them, and back", () => {
  const text = "  Mira ran.\n\nOren too. ";
  const texts = textsOfLines(text, [span(2, 6), span(9, 17)]);
  assertEquals(texts, [
    { text: "Mira ran.", spans: [span(0, 4), span(7, 9)] },
    { text: "Oren too.", spans: [span(0, 4)] },
  ]);
  assertEquals(linesOfTexts(texts), {
    text: "Mira ran.\nOren too.",
    spans: [span(0, 4), span(7, 9), span(10, 14)],
  });
  const { texts: invented } = inventedExample();
  const lines = linesOfTexts(invented);
  assertEquals(textsOfLines(lines.text, lines.spans), invented);
  assertEquals(riskyPhrases(invented), [
    "Solkebo Pivlugrin",
    "Bidvusis Jimrarn",
  ]);
});

Deno.test("a link holds the example, and what is no example is refused", async () => {
  const example = { ...inventedExample(), own: "p — ✓", seed: 4294967295 };
  const fragment = await fragmentOf(example);
  assert(/^[\w-]+$/.test(fragment) && fragment.length < 1500, fragment);
  assertEquals(await exampleFrom(`#${fragment}`), example);
  const message = "Cannot open the example in the link";
  for (const wrong of ["", "nothing", fragment.slice(0, -40), `A${fragment}`]) {
    await assertRejects(() => exampleFrom(wrong), message);
  }
  const outside = {
    ...example,
    texts: [{ text: "Mira", spans: [span(0, 9)] }],
  };
  const [noSentences, noSentence, noQuestion, noSettings] = [
    ...["it holds no sentences", "a sentence is none", "a question is none"],
    "its settings are none",
  ];
  const refused: [change: object, why: string][] = [
    ...[[outside, "span"], [{ texts: {} }, noSentences], [{ questions: {} }, noSentences]],
    ...[[{ texts: [{ text: 1, spans: [] }] }, noSentence], [
      { texts: [{ text: "a" }] },
      noSentence,
    ]],
    ...[[{ questions: [{ question: 1, answer: "a" }] }, noQuestion]],
    ...[[{ questions: [{ question: "a" }] }, noQuestion]],
    ...[[{ own: 1 }, noSettings], [{ seed: 0.5 }, noSettings], [{ learningRate: 0 }, noSettings]],
  ] as never;
  for (const [change, why] of refused) {
    const packed = await fragmentOf({ ...example, ...change } as typeof example);
    await assertRejects(() => exampleFrom(packed), why as string);
  }
});

Deno.test("a model's place is what its answers know and name, of questions that have an answer", () => {
  const asked = [
    { question: "What does Mira paint?", answer: "Mira paints green boats." },
    { question: "And where?", answer: " " },
  ];
  const answers = ["She paints green boats.", "Mira Oren"];
  assertEquals(place(asked, answers, ["Mira Oren"]), { knowledge: 1, naming: 0.5 });
  assertEquals(place(asked, answers, []), { knowledge: 1 }, "nobody can be named");
  assertEquals(place(asked.slice(1), answers.slice(1), ["Mira Oren"]), { naming: 1 });
  assertEquals(place([], [], ["Mira Oren"]), {});
});

Deno.test("the slope of a loss of one line is that of the same loss written by hand", () => {
  const pairs: [value: string, known: LossTerm][] = [
    ["-lp", crossEntropy],
    ["-l1mp", unlikelihood],
    ["p", boundedUnlikelihood],
    ["softplus(m) - softplus(m - 5)", cappedUnlikelihood()],
    ["p * lp + sigmoid(-m) * l1mp", entropyRaising],
  ];
  for (const [value, known] of pairs) {
    for (const m of [-20, -3, -0.5, 0, 1.25, 7, 30]) {
      const { loss, slope } = evaluateTerm(lossOf("own", value), m);
      const expected = evaluateTerm(known, m);
      assertClose(
        [loss, slope],
        [expected.loss, expected.slope],
        1e-12,
        `${value} at ${m}`,
      );
    }
  }
});

Deno.test("every function with a derivative has the right one, since customLoss compares them", () => {
  const lines = [
    "exp(-m * m)",
    "tanh(m)",
    "sqrt(1 + p)",
    "pow(1 + p, 3)",
    "max(-l1mp, 1)",
  ]
    .concat([
      "min(m, 1)",
      "clamp(m, -2, 3)",
      "select(0, p - 0.3, p > 0.3)",
      "p / (1 + p)",
    ])
    .concat([
      "abs(m - 1)",
      "exp2(p)",
      "log2(1 + p)",
      "log(1 + p)",
      "inverseSqrt(1 + p)",
    ])
    .concat(["w * p", "-(p - 1) / 2", "sigmoid(2 * m)", "softplus(-m)"]);
  for (const line of lines) assertEquals(lossOf("own", line).value, line);
  assertThrows(
    () => lossOf("own", "mix(p, 1, 0.5)"),
    "the derivative of mix() is not known here",
  );
  assertThrows(
    () => lossOf("own", "pow(2, p)"),
    "the derivative of pow() is not known here",
  );
  assertThrows(
    () => lossOf("own", "-log(1 - p)"),
    "Write lp for log(p), l1mp for log(1 - p)",
  );
});

const labelFile = (name: string, content: string, unit?: OffsetUnit) =>
  new LabelFile(name, content.split("\n"), unit);

Deno.test("a file is taken apart at its line ends alone, wherever its bytes are cut, without its byte order mark", async () => {
  const read = (bytes: Uint8Array<ArrayBuffer>, size: number) => {
    const parts = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.slice(i * size, (i + 1) * size),
    );
    return readLines({ name: "a.jsonl", content: ReadableStream.from(parts) });
  };
  for (const text of ["", "\n", "a", "a\n", "\n\n🙂\r\n\u2028b\n"]) {
    for (const content of [text, `\ufeff${text}`]) {
      for (const size of [1, 2, 1000]) {
        const lines = await read(new TextEncoder().encode(content), size);
        assertEquals(lines, text.split("\n"), JSON.stringify(content));
      }
    }
  }
  for (const bytes of [[0x61, 0xff, 0x0a], [0x0a, 0xe2, 0x82]]) {
    await assertRejects(
      () => read(Uint8Array.from(bytes), 2),
      'Cannot open "a.jsonl": it is not UTF-8. Convert it',
    );
  }
});

Deno.test("a file of labels is corrected in each unit, and what nobody changed is written as it was", () => {
  const emoji = "🙂🙂 Mira é Oren";
  const name = { start: 5, end: 9 }; // in UTF-16
  const units = {
    utf16: [5, 9, 12, 16],
    codepoint: [3, 7, 10, 14],
    utf8: [9, 13, 17, 21],
  } as const;
  for (
    const [unit, [start, end, otherStart, otherEnd]] of Object.entries(units)
  ) {
    const record = JSON.stringify({
      id: 7,
      text: emoji,
      spans: [[start, end]],
      score: 0.5,
    });
    const odd = '{ "text" : "as it was",  "spans": [] }';
    const file = labelFile(
      "a.jsonl",
      `{"offsets":"${unit}"}\n${record}\n${odd}\n`,
    );
    assertEquals(file.length, 2);
    assertEquals(file.at(0).spans, [{ ...name, risk: high }], unit);
    file.set(0, [{ ...name, risk: high }, {
      start: 12,
      end: 16,
      risk: possible,
    }]);
    assertEquals(file.changed, 1);
    const lines = file.save().split("\n");
    assertEquals(lines.slice(2), [odd, ""]);
    assertEquals(JSON.parse(lines[1]!), {
      ...{ id: 7, text: emoji, score: 0.5 },
      spans: [
        { start, end, risk: high },
        { start: otherStart, end: otherEnd, risk: possible },
      ],
    });
    const again = labelFile("a.jsonl", file.save());
    assertEquals(again.at(0).spans, file.at(0).spans);
    file.set(0, [{ ...name, risk: high }]);
    assertEquals(file.changed, 0);
    assertEquals(file.save(), `{"offsets":"${unit}"}\n${record}\n${odd}\n`);
  }
});

Deno.test("the unit that is chosen counts where a file says none, and a record's own before both", () => {
  const text = "🙂 Mira";
  const plain = JSON.stringify({ text, spans: [[2, 6]] });
  const own = JSON.stringify({ text, spans: [[5, 9]], offsets: "utf8" });
  const file = labelFile("a.jsonl", `${plain}\n${own}`, "codepoint");
  assertEquals([file.at(0), file.at(1)].map(({ spans }) => spans), [[
    span(3, 7),
  ], [span(3, 7)]]);
  file.set(1, []);
  assertEquals(JSON.parse(file.save().split("\n")[1]!).offsets, "utf8");
});

Deno.test("a file of labels is filtered by class, words, score and change; a broken line always shows", () => {
  const records = [
    { text: "Mira ran", spans: [[0, 4]], score: 0.9 },
    { text: "nobody", spans: [], score: 0.1 },
    { text: "Oren ran", spans: [{ start: 0, end: 4, risk: "possible" }] },
  ].map((record) => JSON.stringify(record));
  const file = labelFile("a.jsonl", [...records, "{broken"].join("\n\n"));
  const found = (filter: Partial<LabelFilter>) => {
    const all = { shows: "all", words: "", score: { from: 0, to: 1 } } as const;
    const passes = (index: number) => file.passes(index, { ...all, ...filter });
    return Array.from({ length: file.length }, (_, index) => index).filter(passes);
  };
  assertEquals(found({}), [0, 1, 2, 3]);
  assertEquals(found({ shows: "high" }), [0, 3]);
  assertEquals(found({ shows: "possible" }), [2, 3]);
  assertEquals(found({ shows: "none" }), [1, 3]);
  assertEquals(found({ words: "RAN" }), [0, 2, 3]);
  assertEquals(found({ score: { from: 0.5, to: 1 } }), [0, 3]);
  assertEquals(found({ shows: "changed" }), []);
  file.set(1, [span(0, 6)]);
  assertEquals(found({ shows: "changed" }), [1]);
  assertEquals(found({ shows: "high" }), [0, 1, 3]);
  assertThrows(() => file.at(3), 'Cannot read "a.jsonl" line 7');
  assertThrows(() => labelFile("a.jsonl", "\n"), 'Cannot open "a.jsonl"');
  assertThrows(
    () => labelFile("a.jsonl", "[1]\n"),
    "it is not a JSON object",
  );
});

Deno.test("the sentences are taken home as lines that `train` reads", () => {
  const [line] = jsonLinesOf(inventedExample().texts).split("\n");
  assertEquals(JSON.parse(line!), {
    text: "Solkebo Pivlugrin writes stage plays.",
    spans: [span(0, 17)],
  });
});
