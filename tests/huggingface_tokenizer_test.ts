// tokenizer.json: the ids of Hugging Face's own tokenizers for every part that is supported, and a refusal by name when
// it is opened for every other; which texts begin with BOS; special tokens that are spelt out.

import { chatSequence } from "../src/data/sources/chat.ts";
import { encodePrompt, encodeText } from "../src/data/spans.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { translatePattern } from "../src/tokenizers/huggingface/pattern.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import { decodeContinuation } from "../src/tokenizers/tokenizer.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import {
  changed,
  type Json,
  openJson,
  temporaryFolder,
  tokenizerGolden,
} from "./fixtures/tokenizers.ts";

const golden = await tokenizerGolden();
const { bytes, pieces } = golden.bases;

Deno.test(`${golden.cases.length} tokenizer.json give the ids of Hugging Face's tokenizers for all texts`, async () => {
  const wrong: string[] = [];
  for (const { name, base, changes, special, ids } of golden.cases) {
    const tokenizer = await openJson(changed(golden.bases[base], changes));
    golden.texts.forEach((text, i) => {
      const found = [...tokenizer.encode(text, { special }).ids];
      if (found.join() === ids[i]!.join()) return;
      wrong.push(`${base}, ${name}, ${special}: ${JSON.stringify(text)}\n${found}\n${ids[i]}`);
    });
  }
  assertEquals(wrong, []);
});

Deno.test("merges may be written as pairs", async () => {
  for (const base of [bytes, pieces]) {
    const merges = (base.model as { merges: string[] }).merges.map((merge) => merge.split(" "));
    const inPairs = await openJson(changed(base, { "model.merges": merges }));
    const inStrings = await openJson(base);
    for (const text of golden.texts) assertEquals(inPairs.encode(text), inStrings.encode(text));
  }
});

Deno.test("a tokenizer saved here whose merges another tool has rewritten as pairs is opened", async () => {
  const trained = trainBytePair(["alpha beta, gamma alpha beta, gamma"], 280);
  const folder = await Deno.makeTempDir();
  await trained.save!(folder);
  const json = JSON.parse(await Deno.readTextFile(`${folder}/tokenizer.json`));
  json.model.merges = json.model.merges.map((merge: string) => merge.split(" "));
  await Deno.writeTextFile(`${folder}/tokenizer.json`, JSON.stringify(json));
  const opened = await openTokenizer(folder);
  assert(trained.vocabularySize > 258, "nothing was merged");
  assertEquals(opened.encode("alpha beta, gamma"), trained.encode("alpha beta, gamma"));
});

Deno.test("tokens of the SentencePiece kind span what they stand for, with the space in front of the text left out", async () => {
  const tokenizer = await openJson(pieces);
  const text = "The old é🌊 ";
  const { ids, starts, ends } = tokenizer.encode(text);
  const spans = Array.from(ids, (_, i) => text.slice(starts[i]!, ends[i]!));
  assertEquals(spans, ["The", " old", " ", "é", "🌊", "🌊", "🌊", "🌊", " "]);
  assertEquals(tokenizer.decode(ids), text);
  const behind = tokenizer.encode("</s>x");
  assertEquals([...behind.starts], [0, 4, 4]); // after a special token a space is put in front again
  assertEquals([...behind.ends], [4, 4, 5]);
});

Deno.test("an added token that takes the space around it spans that space", async () => {
  const token = {
    id: 277,
    content: "Oda",
    lstrip: true,
    rstrip: true,
    special: false,
    normalized: false,
  };
  const added = [...bytes.added_tokens as Json[], token];
  const tokenizer = await openJson(changed(bytes, { added_tokens: added }));
  const { ids, starts, ends } = tokenizer.encode("a  Oda\n!");
  assertEquals([...ids], [100, 277, 36]);
  assertEquals([[...starts], [...ends]], [[0, 1, 7], [1, 7, 8]]);
});

Deno.test("positions in a text that NFC changed lead back to the text as it was", async () => {
  const tokenizer = await openJson(changed(bytes, { normalizer: { type: "NFC" } }));
  const text = "ae\u0301b\u1112\u1161\u11ab😀<s>\u0338";
  const { ids, starts, ends } = tokenizer.encode(text);
  const spans = new Set(Array.from(ids, (_, i) => text.slice(starts[i]!, ends[i]!)));
  // What follows a special token is not composed with it.
  assertEquals([...spans], ["a", "e\u0301", "b", "\u1112\u1161\u11ab", "😀", "<s>", "\u0338"]);
  assertEquals(tokenizer.decode(ids), "a\u00e9b\ud55c😀<s>\u0338");
});

const template = (before: string[], behind: string[] = []): Json => ({
  type: "TemplateProcessing",
  single: [
    ...before.map((id) => ({ SpecialToken: { id, type_id: 0 } })),
    { Sequence: { id: "A", type_id: 0 } },
    ...behind.map((id) => ({ SpecialToken: { id, type_id: 0 } })),
  ],
  special_tokens: {
    "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] },
    "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] },
  },
});

Deno.test("BOS begins a text where the post-processor or add_bos_token says so, in prompts, training texts and chats", async () => {
  const byteLevel = bytes.post_processor as Json;
  const named = { bos_token: "<s>", eos_token: { content: "</s>" } };
  const cases: [post_processor: Json | null, config: Json | undefined, bos: number | undefined][] =
    [
      [byteLevel, named, undefined],
      [null, named, undefined],
      [template(["<s>"]), named, 0],
      [template(["<s>"]), undefined, 0],
      [template(["<s>"]), { eos_token: "</s>" }, 0],
      [{ type: "Sequence", processors: [byteLevel, template(["<s>"])] }, named, 0],
      [template([], ["</s>"]), named, undefined],
      [template(["<s>"]), { ...named, add_bos_token: false }, undefined],
      [template(["<s>"]), { ...named, add_bos_token: null }, 0],
      [byteLevel, { ...named, add_bos_token: true }, 0],
      [byteLevel, { ...named, add_bos_token: false }, undefined],
    ];
  for (const [post_processor, config, bos] of cases) {
    const tokenizer = await openJson(changed(bytes, { post_processor }), config);
    const said = JSON.stringify({ post_processor, config });
    assertEquals(tokenizer.special.bos, bos, said);
    const begun = (ids: ArrayLike<number>) => ids[0] === 0 && ids[1] !== 0;
    const sequences = [
      encodePrompt(tokenizer, "old"),
      encodePrompt(tokenizer, "<s>old"), // never doubled
      encodeText(tokenizer, { text: "old", spans: [] }).tokens,
      encodeText(tokenizer, { text: "<s>old", spans: [] }).tokens,
      chatSequence(tokenizer, [{ role: "assistant", content: "old" }], { eos: 1 }).tokens,
    ];
    const expected = bos === 0 ? [true, true, true, true, true] : [false, true, false, true, false];
    assertEquals(sequences.map(begun), expected, said);
  }
});

Deno.test("EOS and padding are those of the configuration, else of the template, else of OLMo's spelling", async () => {
  const special = async (json: Json, config?: Json) => (await openJson(json, config)).special;
  assertEquals(await special(bytes), {});
  assertEquals(await special(changed(bytes, { post_processor: template([], ["</s>"]) })), {
    eos: 1,
  });
  assertEquals(await special(bytes, { eos_token: "<pad>", pad_token: { content: "</s>" } }), {
    eos: 2,
    pad: 1,
  });
  const olmo = { added_tokens: [{ id: 282, content: "<|endoftext|>", special: true }] };
  assertEquals(await special(changed(bytes, olmo)), { eos: 282 });
});

Deno.test("a special token spelt out in a text is that token, or text where the caller says so; decoding gives the text both times", async () => {
  for (const base of [bytes, pieces]) {
    const tokenizer = await openJson(base);
    const eos = base === bytes ? 1 : 2;
    const text = "The old</s> mill";
    const spelt = tokenizer.encode(text), plain = tokenizer.encode(text, { special: "text" });
    assertEquals(spelt.ids.indexOf(eos) > 0, true);
    assertEquals(plain.ids.includes(eos), false);
    const place = spelt.ids.indexOf(eos);
    assertEquals([spelt.starts[place], spelt.ends[place]], [7, 11]);
    const covering = plain.starts.filter((start) => start >= 7 && start < 11).length;
    assert(covering >= 4 - Number(base === pieces), "no token for each letter");
    assertEquals(tokenizer.decode(plain.ids), text);
    if (base === bytes) assertEquals(tokenizer.decode(spelt.ids), text);
  }
});

Deno.test("a message of a chat cannot end its turn where special tokens are text", async () => {
  const tokenizer = await openJson(bytes, { eos_token: "</s>" });
  const messages = [
    { role: "user", content: "old</s>" },
    { role: "assistant", content: "mill" },
  ] as const;
  const ends = (special?: "text") =>
    chatSequence(tokenizer, messages, special ? { special } : {}).tokens.filter((id) => id === 1)
      .length;
  assertEquals([ends(), ends("text")], [2, 1]);
});

Deno.test("a continuation is decoded as it stands behind its prompt", async () => {
  const tokenizer = await openJson(pieces);
  const all = tokenizer.encode("The old mill").ids;
  assertEquals(tokenizer.decode(all.slice(1)), "old mill");
  assertEquals(decodeContinuation(tokenizer, all.slice(0, 1), all.slice(1)), " old mill");
});

Deno.test("what is not supported is refused when the file is opened, by its name", async () => {
  const refused = async (base: Json, changes: Json, why: string, config?: Json) =>
    await assertRejects(() => openJson(changed(base, changes), config), why);
  const sequence = (...pretokenizers: Json[]) => ({
    pre_tokenizer: { type: "Sequence", pretokenizers },
  });
  const byteLevel = bytes.pre_tokenizer as Json;
  const split = { type: "Split", behavior: "Isolated", invert: false };

  for (const type of ["Unigram", "WordPiece", "WordLevel"]) {
    await refused(bytes, { "model.type": type }, `tokenizer.json": model.type is "${type}"`);
  }
  for (const type of ["Lowercase", "NFKC", "Strip", "BertNormalizer", "Precompiled"]) {
    await refused(
      bytes,
      { normalizer: { type } },
      `normalizer is "${type}", which is not supported`,
    );
  }
  for (const type of ["BertPreTokenizer", "UnicodeScripts", "FixedLength"]) {
    const part = sequence({ type }, byteLevel);
    await refused(bytes, part, `pre_tokenizer.pretokenizers[0] is "${type}"`);
  }
  await refused(
    bytes,
    sequence(byteLevel, { type: "Digits", individual_digits: true }),
    "comes after ByteLevel",
  );
  await refused(
    bytes,
    sequence({ ...split, pattern: { Regex: "(a)\\1" } }, byteLevel),
    '"\\1" at character 3 is not',
  );
  await refused(
    bytes,
    sequence({ ...split, behavior: "Merged", pattern: { String: "a" } }, byteLevel),
    'behavior is "Merged"',
  );
  await refused(
    bytes,
    { decoder: { type: "WordPiece" } },
    "decoder is WordPiece, but the pre-tokenizer is ByteLevel",
  );
  await refused(bytes, { decoder: null }, "decoder is missing");
  await refused(
    pieces,
    { decoder: byteLevel },
    "decoder is ByteLevel, but the pre-tokenizer is not ByteLevel",
  );
  await refused(pieces, { decoder: { type: "CTC" } }, 'decoder is "CTC"');
  await refused(
    bytes,
    { post_processor: { type: "BertProcessing" } },
    'post_processor is "BertProcessing"',
  );
  await refused(bytes, { post_processor: template(["<s>", "<s>"]) }, "several tokens on one side");
  await refused(
    pieces,
    { "model.end_of_word_suffix": "</w>" },
    'model.end_of_word_suffix is "</w>"',
  );
  await refused(
    pieces,
    { "model.continuing_subword_prefix": "##" },
    "model.continuing_subword_prefix",
  );
  await refused(bytes, { "model.dropout": 0.1 }, "model.dropout is 0.1");
  await refused(bytes, {}, "add_bos_token is true, but there is no bos_token", {
    add_bos_token: true,
  });
  await refused(bytes, {}, 'eos_token is "<|im_end|>", which the tokenizer does not have', {
    eos_token: "<|im_end|>",
  });
});

Deno.test("a pattern's construct that JavaScript lacks or reads otherwise is refused by its place", () => {
  const refused: [pattern: string, construct: string][] = [
    ["a(b)\\1", '"\\1" at character 4'],
    ["\\Gx", '"\\Gx" at character 0'],
    ["[[:alpha:]]", '"[:alpha:]]" at character 1'],
    ["[\\w-x]", '"\\w-x]" at character 1'],
    ["x{2}?", '"{2}?" at character 1'],
    ["(?i:ss)", '"s)" at character 5'],
    ["(?i:é)", '"é)" at character 4'],
    ["(?m:x)", '"(?m:x)" at character 0'],
    ["(?<=a++)b", '"(?<=a++)b" at character 0'],
    ["[^a&&b]", '"[^a&&b]" at character 0'],
    ["\\p{Nothing}", '"\\p{Nothing}" at character 0'],
    ["(a", '"(a" at character 0'],
    ["a)", '")" at character 1'],
    ["[a", '"" at character 2'],
    ["*a", '"*a" at character 0'],
    ["(".repeat(60) + ")".repeat(60), "at character 50"],
  ];
  for (const [pattern, construct] of refused) {
    assertThrows(() => translatePattern(pattern), `${construct} is not understood`);
  }
});

Deno.test("bytes that the vocabulary lacks have no token, as in Hugging Face's, and shift nothing", async () => {
  const model = bytes.model as { vocab: Record<string, number>; merges: string[] };
  const vocab = Object.fromEntries(
    Object.entries(model.vocab).filter(([token]) => !token.includes("Ã")),
  );
  const merges = model.merges.filter((merge) => !merge.includes("Ã"));
  const tokenizer = await openJson(
    changed(bytes, { "model.vocab": vocab, "model.merges": merges }),
  );
  const { ids, starts, ends } = tokenizer.encode("aéb");
  assertEquals([...starts], [0, 1, 2]); // the second byte of é has one
  assertEquals([...ends], [1, 2, 3]);
  assertEquals(ids.length, 3);
});

Deno.test("a tokenizer is saved as the files that it was opened from", async () => {
  const files = {
    "tokenizer.json": JSON.stringify(bytes),
    "tokenizer_config.json": JSON.stringify({ eos_token: "</s>", extra: [1, 2] }),
  };
  const folder = await temporaryFolder(files);
  const tokenizer = await openTokenizer(folder);
  await tokenizer.save!(`${folder}/copy`);
  for (const [name, text] of Object.entries(files)) {
    assertEquals(await Deno.readTextFile(`${folder}/copy/${name}`), text);
  }
});
