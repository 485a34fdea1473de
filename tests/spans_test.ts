// Texts with risky spans, from a line of JSON to classed tokens: whatever is doubtful is refused or reported.

import { gzipSync } from "node:zlib";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { readRiskyTexts } from "../src/data/span_files.ts";
import { encodePrompt, encodeText, prefixLength } from "../src/data/spans.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";

async function written(content: string | Uint8Array): Promise<string> {
  const path = `${await Deno.makeTempDir()}/texts.jsonl`;
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.writeFile(path, bytes);
  return path;
}

Deno.test("a row holds a text, spans in two spellings and a weight", async () => {
  const data = await written([
    '{"text":"Torvik sang","spans":[[0,6]],"weight":0.5,"source":"any other field"}',
    "",
    '{"text":"Lunra sang","spans":[{"start":0,"end":5},{"start":6,"end":10,"risk":"possible"}]}',
    '{"text":"nobody sang","spans":[{"start":0,"end":6,"risk":1}]}',
    '{"text":"silence","spans":[]}',
  ].join("\r\n"));
  assertEquals(await readRiskyTexts(data), [
    {
      text: "Torvik sang",
      spans: [{ start: 0, end: 6, risk: Risk.high }],
      weight: 0.5,
      rule: "overlap",
    },
    {
      text: "Lunra sang",
      spans: [{ start: 0, end: 5, risk: Risk.high }, { start: 6, end: 10, risk: Risk.possible }],
      weight: 1,
      rule: "overlap",
    },
    {
      text: "nobody sang",
      spans: [{ start: 0, end: 6, risk: Risk.low }],
      weight: 1,
      rule: "overlap",
    },
    { text: "silence", spans: [], weight: 1, rule: "overlap" },
  ]);
});

const faulty: [row: string, message: string][] = [
  ['{"text":"a", "spans":[]', "Expected"],
  ['["a"]', "it is not a JSON object"],
  ['{"spans":[]}', 'field "text" is missing'],
  ['{"text":"","spans":[]}', 'field "text" is empty'],
  ['{"text":"ab"}', 'field "spans" is missing'],
  ['{"text":"ab","spans":{"start":0,"end":1}}', 'field "spans" is not a list'],
  ['{"text":"ab","spans":[[0,1],[0]]}', 'field "spans[1]" is [0]'],
  ['{"text":"ab","spans":[{"from":0,"to":1}]}', 'field "spans[0]" is {"from":0,"to":1}'],
  ['{"text":"ab","spans":[{"start":0,"end":1,"risk":"severe"}]}', '"severe"'],
  ['{"text":"ab","spans":[{"start":0,"end":1,"risk":4}]}', "its risk is 4"],
  ['{"text":"ab","spans":[[0,3]]}', "it leaves the text of 2 characters"],
  ['{"text":"ab","spans":[[1,1]]}', "it is empty or runs backwards"],
  ['{"text":"ab","spans":[[0,0.5]]}', "its ends are not whole numbers"],
  ['{"text":"ab","spans":[],"weight":"2"}', 'field "weight" is not a finite number'],
  ['{"text":"ab","spans":[],"weight":-1}', 'field "weight" is -1'],
  ['{"text":"ab","spans":[],"rule":"words"}', 'field "rule" is "words"'],
  ['{"text":"ab","spans":[],"offsets":"utf32"}', 'field "offsets" is "utf32"'],
  ['{"text":"ab","spans":[],"wieght":2}', 'there is no field "wieght". Perhaps "weight" was meant'],
  ['{"text":"ab","spans":[],"span":[[0,1]]}', 'Perhaps "spans" was meant'],
  ['{"text":"ab","spans":[{"start":0,"end":1,"rsik":"low"}]}', 'Perhaps "spans[0].risk" was meant'],
  ['{"offsets":"utf8"}', 'field "text" is missing'], // only the first line speaks for all
];

for (const [row, message] of faulty) {
  Deno.test(`the row ${row} is refused with its file and line`, async () => {
    const data = await written(`{"text":"fine","spans":[]}\n${row}\n`);
    await assertRejects(() => readRiskyTexts(data), `"${data}" line 2`);
    await assertRejects(() => readRiskyTexts(data), message);
  });
}

Deno.test("a file without texts is refused", async () => {
  const data = await written("\n\n");
  await assertRejects(() => readRiskyTexts(data), "it holds no texts");
});

Deno.test("a compressed file is read as a plain one, and so is an array in a .json file", async () => {
  const row = '{"text":"Torvik sang","spans":[[0,6]]}';
  const plain = await readRiskyTexts(await written(row));
  assertEquals(await readRiskyTexts(await written(new Uint8Array(gzipSync(row)))), plain);
  const json = (await written(`[${row},\n${row}]`)).replace(/l$/, "");
  await Deno.rename(`${json}l`, json);
  assertEquals(await readRiskyTexts(json), [plain[0]!, plain[0]!]);
});

Deno.test("malformed lines are left out for whoever asks for them", async () => {
  const path = await written('{"text":"a","spans":[]}\n{\n{"text":"b"}\n{"text":"c","spans":[]}\n');
  const messages: string[] = [];
  const texts = await readRiskyTexts(path, {
    onMalformed: ({ message }) => messages.push(message),
  });
  assertEquals(texts.map(({ text }) => text), ["a", "c"]);
  assertEquals(messages.map((message) => /line (\d)/.exec(message)![1]), ["2", "3"]);
});

// Two emoji and an accented letter before the name: 8 UTF-16 units, 6 code points, 13 bytes.
const text = "🌊🍞 é, Venn ran.";
const units = { utf16: 8, codepoint: 6, utf8: 13 } as const;

Deno.test("offsets count what the option, the first line or the record says", async () => {
  const expected = [{ start: 8, end: 12, risk: Risk.high }];
  for (const [unit, start] of Object.entries(units) as [keyof typeof units, number][]) {
    const span = [[start, start + 4]];
    const bare = JSON.stringify({ text, spans: span });
    const told = JSON.stringify({ text, spans: span, offsets: unit });
    const first = JSON.stringify({ offsets: unit });
    const spansOf = async (content: string, options = {}) =>
      (await readRiskyTexts(await written(content), options)).map(({ spans }) => spans);
    assertEquals(await spansOf(bare, { offsets: unit }), [expected], unit);
    assertEquals(await spansOf(told), [expected]);
    assertEquals(
      await spansOf(told, { offsets: "utf16" }),
      [expected],
      "the record has the last word",
    );
    assertEquals(await spansOf(`${first}\n${bare}\n${bare}`), [expected, expected]);
    assertEquals(await spansOf(`\n${first}\n${told}`, { offsets: "utf8" }), [expected]);
  }
});

Deno.test("what an offset cannot mean is refused in every unit", async () => {
  const refused = async (spans: unknown, offsets: string, why: string) =>
    await assertRejects(
      async () => readRiskyTexts(await written(JSON.stringify({ text, spans, offsets }))),
      why,
    );
  await refused([[0, 16]], "codepoint", "it leaves the text of 15 codepoint units");
  await refused([[0, 23]], "utf8", "it leaves the text of 22 utf8 units");
  await refused([[1, 4]], "utf8", "1 lies inside a character when utf8 units are counted");
  await refused([[0, 6]], "utf8", "6 lies inside a character");
  await refused([[0, 1.5]], "codepoint", "Cannot use span 0 [0, 1.5)");
  await refused([[-1, 3]], "codepoint", "Cannot use span 0 [-1, 3)");
  await refused([[3, 3]], "codepoint", "it is empty or runs backwards");
});

const doubtful: [text: string, span: [number, number], doubt: string | undefined][] = [
  ["The mill ran", [4, 8], undefined],
  ["The mill ran", [4, 7], 'the span "mil" ends inside the word "mill"'],
  ["The mill ran", [5, 8], 'the span "ill" begins inside the word "mill"'],
  ["The 🌊 mill", [5, 11], "begins inside a character"],
  ["The 🌊 mill", [0, 5], "ends inside a character"],
  ["Ve\u0301nn ran", [0, 2], "ends inside a character"],
  ["a 👩\u200d🔬 b", [2, 4], "ends inside a character"],
  ["a 👩\u200d🔬 b", [5, 7], "begins inside a character"],
  ["a 👍🏽 b", [2, 4], "ends inside a character"],
  ["🌊mill🌊", [2, 6], undefined],
  ["a 🇨🇭🇮🇹 b", [2, 4], "ends inside a character"],
  ["a 🇨🇭🇮🇹 b", [8, 11], "begins inside a character"],
  ["a 🇨🇭🇮🇹 b", [6, 10], undefined],
  ["a 🏴\u{e0067}\u{e0062}\u{e007f} b", [2, 4], "ends inside a character"],
  ["A1b", [1, 3], "begins inside the word"],
  ["(mill)", [1, 5], undefined],
  ["磨坊由奥达经营", [3, 5], undefined], // Chinese puts no space between words
  ["水車小屋はオダのもの", [5, 7], undefined],
];

Deno.test("a span that cuts a word or a character is reported, or refused where that is asked", async () => {
  for (const [text, span, doubt] of doubtful) {
    const path = await written(JSON.stringify({ text, spans: [span] }));
    const notices: string[] = [];
    const texts = await readRiskyTexts(path, { onNotice: (notice) => notices.push(notice) });
    assertEquals(texts[0]!.spans, [{ start: span[0], end: span[1], risk: Risk.high }]);
    const where = JSON.stringify([text, span]);
    if (doubt === undefined) {
      assertEquals(notices, [], where);
      await readRiskyTexts(path, { strict: true });
      continue;
    }
    assertEquals(notices.length > 0, true, where);
    assert(notices.some((notice) => notice.includes(doubt)), `${where}: ${notices}`);
    assert(notices[0]!.includes(`"${path}" line 1`) && notices[0]!.includes("taken as utf16"));
    await assertRejects(
      () => readRiskyTexts(path, { strict: true }),
      `Cannot read "${path}" line 1`,
    );
  }
});

Deno.test("of a file that was counted in another unit the first spans are reported, and how many more there are", async () => {
  const row = JSON.stringify({ text: "run by Oda", spans: [[2, 8]] });
  const notices: string[] = [];
  await readRiskyTexts(await written(Array(100).fill(row).join("\n")), {
    onNotice: (notice) => notices.push(notice),
  });
  assertEquals(notices.length, 6);
  assert(
    notices[4]!.includes('line 5, the span "n by O" begins inside the word "run"'),
    notices[4],
  );
  assert(/^95 more spans of ".*" cut a word or a character\.$/.test(notices[5]!), notices[5]);
});

Deno.test("fields that nothing reads are named once, with the line where they stand first", async () => {
  const path = await written([
    '{"text":"a","spans":[]}',
    '{"text":"a","spans":[{"start":0,"end":1,"kind":"name","id":7}],"source":"x","role":"user"}',
    '{"text":"a","spans":[],"source":"y"}',
  ].join("\n"));
  const notices: string[] = [];
  await readRiskyTexts(path, { onNotice: (notice) => notices.push(notice) });
  assertEquals(
    notices,
    ["source", "role", "spans[].kind", "spans[].id"].map((name) =>
      `The field "${name}" is passed over, first in "${path}" line 2.`
    ),
  );
});

const bytes = trainBytePair([], 258);
const withBos = { ...bytes, special: { ...bytes.special, bos: 7 } };
const { eos } = bytes.special;

Deno.test("a text becomes tokens between BOS and EOS, each in the class of its span", () => {
  const risky = { text: "abc", spans: [{ start: 1, end: 2, risk: Risk.high }] };
  const ids = [...bytes.encode("abc").ids];
  const [low, high] = [Risk.low, Risk.high];
  assertEquals(encodeText(bytes, risky), {
    tokens: Uint32Array.of(...ids, eos!),
    classes: Uint8Array.of(low, high, low, low),
  });
  assertEquals(encodeText(withBos, { ...risky, weight: 0.5 }), {
    tokens: Uint32Array.of(7, ...ids, eos!),
    classes: Uint8Array.of(low, low, high, low, low),
    weights: new Float32Array(5).fill(0.5),
  });
  assertEquals(encodeText(withBos, risky, { end: false }).tokens, Uint32Array.of(7, ...ids));
  assertEquals(encodeText(bytes, risky, { end: false }).tokens, Uint32Array.from(ids));
  const bare = { ...bytes, special: {} };
  assertEquals(encodeText(bare, risky).tokens, Uint32Array.from(ids), "without EOS, none is added");
});

Deno.test("the rule decides to whom the space between two sentences belongs", () => {
  const sentences = {
    text: "A. B.",
    spans: [{ start: 0, end: 2, risk: Risk.low }, { start: 3, end: 5, risk: Risk.high }],
  };
  const classes = (rule?: "sentence" | "overlap") =>
    [...encodeText(bytes, { ...sentences, ...(rule && { rule }) }).classes].join("");
  assertEquals(classes("sentence"), "113331");
  assertEquals(classes("overlap"), "111331");
  assertEquals(classes(), "111331");
  const overlapping = [{ start: 0, end: 4, risk: Risk.low }, sentences.spans[1]!];
  assertThrows(
    () => encodeText(bytes, { ...sentences, spans: overlapping, rule: "sentence" }),
    "before sentence 0 ends",
  );
});

Deno.test("spans that leave their text are refused", () => {
  const spans = [{ start: 0, end: 4, risk: Risk.high }];
  assertThrows(
    () => encodeText(bytes, { text: "abc", spans }),
    "it leaves the text of 3 characters",
  );
});

Deno.test("a prompt begins with BOS where the tokenizer has one, and has no end", () => {
  const ids = [...bytes.encode("ab").ids];
  assertEquals([...encodePrompt(bytes, "ab")], ids);
  assertEquals([...encodePrompt(withBos, "ab")], [7, ...ids]);
  assertEquals([...encodePrompt(withBos, "")], [7]);
  assertEquals([prefixLength(bytes), prefixLength(withBos)], [0, 1]);
});
