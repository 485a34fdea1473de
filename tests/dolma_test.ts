// Dolma's documents and attributes, compressed and plain: bytes as dolma writes them, offsets of
// Python turned into ours and back, bad lines counted, nothing lost in silence.

import { readLines } from "../src/data/lines.ts";
import {
  attributeLine,
  attributeName,
  type DolmaDocument,
  readDolma,
  readDolmaDocuments,
  riskSpansOf,
  writeDolmaAttributes,
  writeDolmaDocuments,
} from "../src/data/sources/dolma.ts";
import { Risk } from "../src/slung/risk.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  await Deno.writeFile(path, typeof content === "string" ? utf8(content) : content);
  return path;
}

const textsOf = async (path: string) => await Array.fromAsync(readLines(path), ({ text }) => text);

const documents: DolmaDocument[] = [
  { id: "a", text: "🎉 Hi. You grul!", source: "reddit" },
  { id: "b", text: "Calm. Words.", source: "reddit" },
  { id: "c", text: "", source: "reddit" },
];

Deno.test("documents come back as they were written", async () => {
  const path = `${await Deno.makeTempDir()}/documents.jsonl.zst`;
  await writeDolmaDocuments(path, documents);
  assertEquals(await Array.fromAsync(readDolmaDocuments(path)), documents);
  assertEquals((await textsOf(path))[1], '{"id":"b","text":"Calm. Words.","source":"reddit"}');
});

Deno.test("attribute lines are those of dolma: code points, five decimals, id, attributes, source", () => {
  const line = attributeLine({
    document: documents[0]!,
    attributes: {
      [attributeName("data", "jigsaw_hatespeech_sentence_v2", "__label__toxic")]: [
        { start: 0, end: 6, score: 0.000123456 },
        { start: 7, end: 16, score: 0.987654321 },
      ],
    },
  });
  assertEquals(
    line,
    '{"id":"a","attributes":{"data__jigsaw_hatespeech_sentence_v2____label__toxic":' +
      '[[0,5,0.00012],[6,15,0.98765]]},"source":"reddit"}',
  );
});

const name = "slung__sentence__toxic";
const span = (start: number, end: number, score: number) => ({ start, end, score });

Deno.test("documents and several attribute files are read side by side", async () => {
  const folder = await Deno.makeTempDir();
  await writeDolmaDocuments(`${folder}/d.gz`, documents);
  const sentences = [[span(0, 6, 0.25), span(7, 16, 1)], [span(0, 5, 0)], []];
  for (const [file, attribute] of [["s.zst", name], ["t", "slung__other__toxic"]] as const) {
    const tagged = documents.map((document, i) => ({
      document,
      attributes: { [attribute]: sentences[i]! },
    }));
    await writeDolmaAttributes(`${folder}/${file}`, tagged);
  }
  const read = await Array.fromAsync(
    readDolma(`${folder}/d.gz`, [`${folder}/s.zst`, `${folder}/t`]),
  );
  assertEquals(read.map(({ document }) => document), documents);
  assertEquals(read.map(({ attributes }) => attributes[name]), sentences);
  assertEquals(Object.keys(read[0]!.attributes), [name, "slung__other__toxic"]);
});

Deno.test("the scores of a real tagger's line become risk spans by the paper's thresholds", async () => {
  const attributes = await written(
    "a.jsonl",
    '{"id":"a","attributes":{"data__x____label__toxic":[[0,5,1.00001],[6,15,0.0001]],' +
      '"data__x____label__nontoxic":[[0,5,1e-5],[6,15,0.99991]]},"source":null}\n',
  );
  const path = await written("d.jsonl", JSON.stringify(documents[0]));
  const [tagged] = await Array.fromAsync(readDolma(path, [attributes]));
  assertEquals(riskSpansOf(tagged!, "data__x____label__toxic"), [
    { start: 0, end: 6, risk: Risk.high },
    { start: 7, end: 16, risk: Risk.low },
  ]);
  assertThrows(
    () => riskSpansOf(tagged!, name),
    `Cannot use the attribute "${name}" of document "a": it only has data__x____label__toxic, `,
  );
  assertEquals(riskSpansOf({ document: documents[2]!, attributes: {} }, name), []);
});

const attributesOf = (...ids: string[]) =>
  ids.map((id) => id === "?" ? "{" : `{"id":"${id}","attributes":{"${name}":[]}}`).join("\n");
const documentsOf = (...ids: string[]) =>
  ids.map((id) => id === "?" ? "{" : `{"id":"${id}","text":"t","source":"s"}`).join("\n");

Deno.test("a malformed line in one file leaves out its document and no other", async () => {
  const cases: [string, string, string, number][] = [
    [documentsOf("a", "?", "c"), attributesOf("a", "c"), "ac", 1], // never tagged
    [documentsOf("a", "?", "c"), attributesOf("a", "b", "c"), "ac", 1], // tagged before the damage
    [documentsOf("a", "b", "?"), attributesOf("a", "b", "c"), "ab", 1],
    [documentsOf("a", "b", "c"), attributesOf("a", "?", "c"), "ac", 1],
    [documentsOf("a", "b", "c"), attributesOf("a", "b", "?"), "ab", 1],
    [documentsOf("?", "b", "c"), attributesOf("a", "?", "c"), "c", 2],
  ];
  for (const [documents, attributes, expected, bad] of cases) {
    const path = await written("d.jsonl", documents);
    const tags = await written("a.jsonl", attributes);
    let malformed = 0;
    const read = readDolma(path, [tags, tags], { onMalformed: () => malformed++ });
    const ids = await Array.fromAsync(read, ({ document }) => document.id);
    assertEquals(ids.join(""), expected, documents + attributes);
    assert(malformed >= bad, "both attribute files report theirs");
    await assertRejects(() => Array.fromAsync(readDolma(path, [tags])), "line ");
  }
});

Deno.test("attribute files of other documents, in another order, too short or too long are refused", async () => {
  const path = await written("d.jsonl", documentsOf("a", "b"));
  const cases: [string, string][] = [
    [attributesOf("b", "a"), 'its id is "a", but that of'],
    [attributesOf("a"), 'has no line left for the document "b"'],
    [attributesOf("a", "b", "c"), 'has no document "c" left for it'],
  ];
  for (const [attributes, message] of cases) {
    const tags = await written("a.jsonl", attributes);
    const read = readDolma(path, [tags], { onMalformed: () => {} });
    await assertRejects(() => Array.fromAsync(read), message);
  }
});

Deno.test("malformed documents and attributes are named with file, line and field", async () => {
  const read = (documents: string, attributes: string) => async () => {
    const path = await written("d.jsonl", documents);
    await Array.fromAsync(readDolma(path, [await written("a.jsonl", attributes)]));
  };
  const good = attributesOf("a"), one = documentsOf("a");
  await assertRejects(read('{"id":1,"text":""}', good), 'd.jsonl" line 1: field "id" is not a');
  await assertRejects(read(`${one}\n{"id":"b"}`, good), 'd.jsonl" line 2: field "text" is missing');
  await assertRejects(read("[1]", good), "it is not a JSON object");
  await assertRejects(read(one, '{"id":"a"}'), 'a.jsonl" line 1: field "attributes" is not an');
  const bad = (span: string) => `{"id":"a","attributes":{"x":[${span}]}}`;
  await assertRejects(read(one, bad("[0,1]")), '"x" is not a list of [start, end, score]');
  await assertRejects(read(one, bad("[0,0.5,1]")), '"x" is not a list');
  await assertRejects(read(one, bad("[0,2,1]")), 'span [0, 2) of "x" leaves its 1 characters');
});
