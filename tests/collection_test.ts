// What is taken of a collection: the paper's filters, a sample of all files, held-out text from other files; and what is
// said about it.

import { type CollectionOptions, openCollection } from "../src/data/collection.ts";
import {
  chooseFilters,
  reasonAgainst,
  reasonAgainstHarmless,
} from "../src/data/document_filters.ts";
import { openPrepared, prepareCollection } from "../src/data/prepare.ts";
import { allOf } from "../src/data/sequence.ts";
import type { TextSource } from "../src/data/shards/build.ts";
import {
  type TaggedDocument,
  writeDolmaAttributes,
  writeDolmaDocuments,
} from "../src/data/sources/dolma.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { unitTokenizer } from "./fixtures/shards.ts";

const english = "data__ft_lang_id_en_doc_v2__en";
const whole = "data__jigsaw_hatespeech_document_v2____label__toxic";
const sentence = "data__jigsaw_hatespeech_sentence_v2____label__toxic";
const all = [sentence, whole, english];

/** A document "aa bb …" of sentences with these scores. */
function tagged(
  id: string,
  scores: readonly number[],
  { toxic, en = 0.9 }: { toxic?: number; en?: number } = {},
): TaggedDocument {
  const text = scores.map((_, i) => String.fromCharCode(97 + i).repeat(2)).join(" ");
  const document = { id, text, source: "made" };
  const over = (score: number) => [{ start: 0, end: text.length, score }];
  return {
    document,
    attributes: {
      [sentence]: scores.map((score, i) => ({ start: 3 * i, end: 3 * i + 2, score })),
      [whole]: over(toxic ?? Math.max(...scores)),
      [english]: over(en),
    },
  };
}

const mixed = (id: string) => tagged(id, [0, 1, 0.5]);
const harmless = (id: string) => tagged(id, [0, 0]);

Deno.test("the paper's filters take what its code takes, and say why they leave out the rest", () => {
  const { filters } = chooseFilters(all);
  const cases: [TaggedDocument, string | undefined, string | undefined][] = [
    [tagged("a", [0, 1]), undefined, "a score above 0.0001"],
    [tagged("b", [0.0001, 0.99]), undefined, "a score above 0.0001"], // both bounds count
    [tagged("c", [0.00011, 1]), "no sentence up to 0.0001", "a score above 0.0001"],
    [tagged("d", [0, 0.98], { toxic: 1 }), "no sentence from 0.99", "a score above 0.0001"],
    [tagged("e", [0, 1], { toxic: 0.98 }), "the whole below 0.99", "a score above 0.0001"],
    [tagged("f", [0, 1], { en: 0.49 }), "English below 0.5", "English below 0.5"],
    [tagged("g", [1]), "fewer than 2 sentences", "fewer than 2 sentences"],
    [tagged("h", [0, 0.0001]), "the whole below 0.99", undefined],
    [tagged("i", [0, 0], { toxic: 0.0002 }), "the whole below 0.99", "a score above 0.0001"],
    [tagged("j", []), "blank", "blank"],
  ];
  for (const [document, risky, clean] of cases) {
    const { id } = document.document;
    assertEquals(reasonAgainst(document, filters), risky, id);
    assertEquals(reasonAgainstHarmless(document, filters), clean, id);
  }
  const unscored = tagged("k", [0, 1]);
  delete unscored.attributes[english];
  assertEquals(reasonAgainst(unscored, filters), `no scores ${english}`);
});

Deno.test("each filter is an option, with the paper's value where the documents have its scores", () => {
  const said = (attributes: string[], options: Parameters<typeof chooseFilters>[1]) =>
    chooseFilters(attributes, options).remarks;
  assertEquals(said(all, {}), [
    `English at least 0.5 (${english}).`,
    `The whole document at least 0.99 (${whole}).`,
    `At least 2 sentences (${sentence}).`,
    `Sentences both up to 0.0001 and from 0.99 (${sentence}).`,
  ]);
  assertEquals(said(["slung__sentence__toxic"], { thresholds: { low: 0.1, high: 0.9 } }), [
    `English is not filtered: there are no scores ${english}.`,
    `The whole document is not filtered: there are no scores ${whole}.`,
    "At least 2 sentences (slung__sentence__toxic).",
    "Sentences both up to 0.1 and from 0.9 (slung__sentence__toxic).",
  ]);
  assertEquals(said(all, { select: "all", english: 0.3 }), [
    `English at least 0.3 (${english}).`,
    "The whole document is not filtered.",
    "The number of sentences is not filtered.",
    "Documents are taken whatever the scores of their sentences.",
  ]);
  const own = chooseFilters(["mine", "too"], { attribute: "mine", documentAttribute: "too" });
  assertEquals(own.filters.document, { attribute: "too", least: 0.99 });
  for (const asked of [{ english: 0.5 }, { englishAttribute: "other" }, { attribute: "other" }]) {
    assertThrows(
      () => chooseFilters([sentence], asked),
      "Cannot filter documents by their scores: they have no attribute",
    );
  }
  assertThrows(() => chooseFilters([]), "only none");
  const { filters } = chooseFilters(all, { select: "all" });
  for (const scores of [[0], [1], [0.5, 0.5]]) {
    assertEquals(reasonAgainst(tagged("a", scores), filters), undefined);
    assertEquals(reasonAgainstHarmless(tagged("a", scores), filters), undefined);
  }
});

/** A folder of files of tagged documents. */
async function corpusOf(files: readonly (readonly TaggedDocument[])[]): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/documents`);
  await Deno.mkdir(`${folder}/attributes`);
  for (const [i, documents] of files.entries()) {
    const name = `${String(i).padStart(2, "0")}.jsonl.gz`;
    await writeDolmaDocuments(
      `${folder}/documents/${name}`,
      documents.map(({ document }) => document),
    );
    await writeDolmaAttributes(`${folder}/attributes/${name}`, documents);
  }
  return folder;
}

const idsOf = async (source: TextSource) => {
  const ids: string[] = [];
  for (const file of source.files.keys()) {
    for await (const text of source.read(file)) if ("text" in text) ids.push(text.id);
  }
  return ids;
};

// Ten files of ten risky and ten harmless documents.
const tenFiles = Array.from(
  { length: 10 },
  (_, file) => Array.from({ length: 20 }, (_, i) => (i % 2 ? mixed : harmless)(`${file}.${i}`)),
);

Deno.test("held-out text is the harmless text of other files than training, chosen by the seed", async () => {
  const folder = await corpusOf(tenFiles);
  const open = (options: CollectionOptions) => openCollection(folder, options);
  const held = new Set<string>();
  for (let seed = 0; seed < 8; seed++) {
    const { train, heldOut, remarks } = await open({ seed, heldOutFiles: 2 });
    const trained = await idsOf(train), shown = await idsOf(heldOut!);
    const filesIn = (ids: string[]) => [...new Set(ids.map((id) => id.split(".")[0]!))];
    assertEquals([trained.length, shown.length], [80, 20]);
    assertEquals([filesIn(trained).length, filesIn(shown).length], [8, 2]);
    assertEquals(filesIn([...trained, ...shown]).length, 10);
    assert(trained.every((id) => Number(id.split(".")[1]) % 2 === 1), "risky");
    assert(shown.every((id) => Number(id.split(".")[1]) % 2 === 0), "harmless");
    assertEquals(remarks.at(-1), `Held out: ${heldOut!.files.map(({ name }) => name).join(", ")}.`);
    held.add(filesIn(shown).join());
  }
  assert(held.size > 4, "seeds hold out different files");
  assertEquals((await open({})).heldOut, undefined);
  await assertRejects(
    () => open({ heldOutFiles: 10 }),
    `Cannot hold out 10 files of "${folder}": it has 10`,
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a sample is drawn from all files, and two seeds draw different documents", async () => {
  const folder = await corpusOf(tenFiles);
  const draw = async (seed: number, sample: number) =>
    await idsOf((await openCollection(folder, { seed, sample })).train);
  const samples = [await draw(0, 0.4), await draw(1, 0.4)];
  assertEquals(await draw(0, 0.4), samples[0], "the same seed draws the same");
  for (const ids of samples) {
    assert(ids.length > 25 && ids.length < 55, `${ids.length} of 100`);
    assertEquals(new Set(ids.map((id) => id.split(".")[0])).size, 10, "from every file");
  }
  const both = samples[0]!.filter((id) => samples[1]!.includes(id));
  assert(both.length < 0.7 * samples[0]!.length, `${both.length} in common`);
  assertEquals((await draw(0, 1)).length, 100);
  assertEquals((await draw(0, 0)).length, 0);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("of a single file, some documents are held out and none is in both", async () => {
  const folder = await corpusOf([
    Array.from({ length: 400 }, (_, i) => (i % 2 ? mixed : harmless)(String(i))),
  ]);
  const { train, heldOut, remarks } = await openCollection(folder, { heldOutFiles: 1 });
  const trained = await idsOf(train), shown = await idsOf(heldOut!);
  assert(
    remarks.includes("There is one file: one document in 20 of it is held out."),
    remarks.join(),
  );
  assert(trained.length > 170 && trained.length < 200 && shown.length > 2 && shown.length < 25);
  await Deno.remove(folder, { recursive: true });
  const plain = `${await Deno.makeTempDir()}/plain.jsonl`;
  await writeDolmaDocuments(plain, tenFiles.flat().map(({ document }) => document));
  const parts = await openCollection(plain, { heldOutFiles: 1 });
  const ids = [await idsOf(parts.train), await idsOf(parts.heldOut!)];
  assertEquals(ids.flat().sort(), tenFiles.flat().map(({ document }) => document.id).sort());
  await Deno.remove(plain);
});

Deno.test("documents without scores and texts with spans are told apart by their first record", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/.hidden`, "{");
  await Deno.writeTextFile(`${folder}/a.jsonl`, '{"text": "abc"}\n{"text": " ", "id": 7}\n');
  await Deno.writeTextFile(`${folder}/b.jsonl`, '{"text": "de", "id": 8, "source": "there"}\n');
  const read = async (path: string) => {
    const { train, remarks } = await openCollection(path);
    const files = await Promise.all(train.files.map((_, i) => Array.fromAsync(train.read(i))));
    return { texts: files.flat(), remarks };
  };
  const plain = await read(folder);
  assertEquals(plain.texts, [
    { text: { text: "abc", spans: [] }, id: "", source: "" },
    { leftOut: "blank" },
    { text: { text: "de", spans: [] }, id: "8", source: "there" },
  ]);
  assertEquals(plain.remarks, ["Documents without scores: all of their tokens are low risk."]);
  const path = `${folder}/c.jsonl`;
  await Deno.writeTextFile(
    path,
    '{"offsets": "codepoint"}\n{"text": "🎉 ab", "spans": [[2, 4]]}\n',
  );
  const spans = await read(path);
  assertEquals(spans.texts, [{
    text: {
      text: "🎉 ab",
      spans: [{ start: 3, end: 5, risk: Risk.high }],
      weight: 1,
      rule: "overlap",
    },
    id: "c.jsonl:1",
    source: "",
  }]);
  assertEquals(spans.remarks, ["Texts with spans: what no span covers is low risk."]);
  await assertRejects(() => openCollection(`${folder}/none`), `Cannot read "${folder}/none"`);
  const empty = await Deno.makeTempDir();
  await assertRejects(() => openCollection(empty), "it holds no files");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("malformed lines are counted and left out, or named, in shards that were interrupted too", async () => {
  const folder = await corpusOf([tenFiles[0]!]);
  const path = `${folder}/attributes/00.jsonl`;
  await Deno.remove(`${folder}/attributes/00.jsonl.gz`);
  await writeDolmaAttributes(path, tenFiles[0]!);
  const lines = (await Deno.readTextFile(path)).split("\n");
  lines[3] = "{";
  lines[12] = "[]";
  await Deno.writeTextFile(`${folder}/attributes/00.jsonl.gz`, lines.join("\n"));
  const messages: string[] = [];
  const prepare = async (out: string, texts = Infinity) => {
    const collection = await openCollection(folder, {
      onMalformed: ({ message }) => messages.push(message),
    });
    const controller = new AbortController();
    let seen = 0;
    return await prepareCollection(collection, out, {
      ...{ tokenizer: unitTokenizer(), partTokens: 20, signal: controller.signal },
      onText: () => ++seen === texts && controller.abort(),
    });
  };
  const made = await prepare(`${folder}/whole`);
  assert(messages[0]!.includes('00.jsonl.gz" line 4'), messages[0]);
  assertEquals(made!.train.leftOut.malformed, 2);
  assertEquals(made!.train.documents, 9);
  for (const texts of [3, 5, 9]) await prepare(`${folder}/again`, texts);
  assertEquals(await prepare(`${folder}/again`), made);
  await assertRejects(
    async () => {
      const strict = await openCollection(folder);
      await prepareCollection(strict, `${folder}/strict`, {
        tokenizer: unitTokenizer(),
        partTokens: 9,
      });
    },
    '00.jsonl.gz" line 4',
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a prepared collection opens with sentences in the class of their score, and EOS", async () => {
  const folder = await corpusOf(tenFiles);
  const collection = await openCollection(folder, { heldOutFiles: 1 });
  const settings = { tokenizer: unitTokenizer(), partTokens: 100 };
  await prepareCollection(collection, `${folder}/out`, settings);
  {
    using prepared = await openPrepared(`${folder}/out`);
    for (const { tokens, classes } of allOf(prepared.train)) {
      assertEquals(String.fromCharCode(...tokens), "aa bb cc>");
      assertEquals([...classes], [1, 1, 3, 3, 3, 2, 2, 2, 1]);
    }
    for (const { tokens } of allOf(prepared.heldOut)) {
      assertEquals(String.fromCharCode(...tokens), "aa bb>");
    }
  }
  const none = await openCollection(folder, { documentScore: 1.1 });
  await assertRejects(
    () => prepareCollection(none, `${folder}/none`, settings),
    "no text is left (the whole below 1.1: 200)",
  );
  assert(
    await prepareCollection(collection, `${folder}/none`, settings),
    "other filters may be tried",
  );
  await Deno.remove(folder, { recursive: true });
});
