// The readers of comments: small files in each layout, then the real ones, whole.

import {
  readCivilComments,
  readGoEmotions,
  readJigsaw,
  readLabelledPosts,
  readReddit,
  readSentences,
  readTargets,
  readToxicityPrompts,
} from "../src/data/sources/comments.ts";
import { readCsv } from "../src/data/csv.ts";
import type { ReadingOptions } from "../src/data/lines.ts";
import { assert, assertClose, assertEquals, assertRejects } from "./assert.ts";
import { sharedData } from "./data.ts";

async function written(name: string, content: string): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  await Deno.writeTextFile(path, content);
  return path;
}

/** Everything a reader yields, and the messages about what it left out. */
async function all<Item>(
  read: (options: ReadingOptions) => AsyncIterable<Item>,
): Promise<{ items: Item[]; messages: string[] }> {
  const messages: string[] = [];
  const onMalformed = (error: Error) => messages.push(error.message);
  return { items: await Array.fromAsync(read({ onMalformed })), messages };
}

Deno.test("CSV fields may be quoted and hold commas, quotes and line breaks", async () => {
  const path = await written("a.csv", 'id,text\r\n1,"a, ""b""\n\nc"\n2,\n\n3,"""",\n');
  const { items, messages } = await all((options) => readCsv(path, ["id", "text"], options));
  assertEquals(items.map(({ fields }) => ({ ...fields })), [
    { id: "1", text: 'a, "b"\n\nc' },
    { id: "2", text: "" },
  ]);
  assert(items[0]!.where.endsWith('a.csv" line 2'));
  assertEquals(messages.length, 1);
  assert(messages[0]!.includes('a.csv" line 7: it has 3 fields, the header 2'), messages[0]);
});

Deno.test("CSV that is not strict is named by line, and a lost quote does not swallow the file", async () => {
  const read = (content: string) => async () =>
    await Array.fromAsync(readCsv(await written("a.csv", content), ["id"]));
  await assertRejects(read('id,text\n1,a "b" c\n'), "line 2: field 2 has a quote, but does not");
  await assertRejects(read('id,text\n1,"a"b\n2,"\n'), "goes on after its closing quote");
  await assertRejects(read('id,text\n1,"a\n2,b\n'), "line 2: it opens a quote that is not closed");
  await assertRejects(read("name\n"), 'it has no column "id"; its header is ["name"]');
  await assertRejects(read(""), 'it has no column "id"');
});

Deno.test("CivilComments' toxicity is the share of votes that are not for not toxic", async () => {
  const comments = await written("c.csv", "comment_id,comment_text\n1,One.\n2,Two.\n3,Three.\n");
  const votes = await written(
    "v.csv",
    "annotation,comment_id,worker,country,all toxic,not toxic\n" +
      "0,1,5,X,False,True\n1,1,6,X,False,False\n2,2,5,X,True,False\n3,2,6,X,False,perhaps\n",
  );
  const { items, messages } = await all((options) => readCivilComments(comments, votes, options));
  assertEquals(items, [
    { id: "1", text: "One.", toxicity: 0.5 },
    { id: "2", text: "Two.", toxicity: 1 },
    { id: "3", text: "Three.", toxicity: undefined },
  ]);
  assertEquals(messages.length, 1);
});

Deno.test("a table of targets refuses what is no share", async () => {
  const path = await written("t.csv", "id,comment_text,target\n1,a,0.5\n2,b,\n3,c,2\n4,d,1\n");
  const { items, messages } = await all((options) => readTargets(path, options));
  assertEquals(items.map(({ toxicity }) => toxicity), [0.5, 1]);
  assert(messages[1]!.includes('line 4: target is "2", not a number from 0 to 1'), messages[1]);
  await assertRejects(() => Array.fromAsync(readTargets(path)), 'line 3: target is ""');
});

Deno.test("Jigsaw's comments are toxic where any label is set, and unknown where none was scored", async () => {
  const path = await written(
    "train.csv",
    "id,comment_text,toxic,severe_toxic,obscene,threat,insult,identity_hate\n" +
      '1,"One,\ntwo",0,0,0,0,0,0\n2,Three,1,0,0,0,1,0\n3,Four,-1,-1,-1,-1,-1,-1\n4,Five,0,0,x,0,0,0\n',
  );
  const { items, messages } = await all((options) => readJigsaw(path, options));
  assertEquals(items, [
    { id: "1", text: "One,\ntwo", toxicity: 0, labels: [] },
    { id: "2", text: "Three", toxicity: 1, labels: ["toxic", "insult"] },
    { id: "3", text: "Four", toxicity: undefined, labels: [] },
  ]);
  assert(messages[0]!.includes('line 6: "obscene" is "x", not 0, 1 or -1'), messages[0]);
});

Deno.test("prompts come with both texts and both toxicities, which may be missing", async () => {
  const path = await written(
    "p.jsonl",
    '{"filename":"f.txt","begin":7,"challenging":true,"prompt":{"text":"So","toxicity":0.25},' +
      '"continuation":{"text":" it goes","toxicity":null}}\n{"filename":"g.txt","begin":0,"prompt":"text"}\n',
  );
  const { items, messages } = await all((options) => readToxicityPrompts(path, options));
  assertEquals(items, [{
    id: "f.txt:7",
    challenging: true,
    prompt: { text: "So", toxicity: 0.25 },
    continuation: { text: " it goes", toxicity: undefined },
  }]);
  assert(messages[0]!.includes('p.jsonl" line 2: field "prompt" is not an object'), messages[0]);
});

Deno.test("posts with labels and GoEmotions lines are read, others named", async () => {
  const posts = await written("p.json", '[["a","normal"],["b","hatespeech"],["c","odd"],"d"]');
  const labelled = await all((options) => readLabelledPosts(posts, options));
  assertEquals(labelled.items.map(({ id, toxicity }) => [id, toxicity]), [["0", 0], ["1", 1]]);
  assertEquals(labelled.messages.length, 2);
  assert(labelled.messages[0]!.includes('p.json" row 3'), labelled.messages[0]);
  const lines = await written("g.tsv", 'He said "so.\t3,27\tx1\nno tabs\nA\t\tx2\n');
  const emotions = await all((options) => readGoEmotions(lines, options));
  assertEquals(emotions.items, [
    { id: "x1", text: 'He said "so.', toxicity: undefined, labels: [3, 27] },
  ]);
  assertEquals(emotions.messages.length, 2);
});

Deno.test("a Reddit dump gives bodies and selftexts, without what was voted down or removed", async () => {
  const rows = [
    { id: "a", body: "A comment.", score: 3 },
    { id: "b", title: "Not used", selftext: "A post.", score: 0 },
    { id: "c", body: "Voted down.", score: -1 },
    { id: "d", body: "[deleted]", score: 1 },
    { id: "e", selftext: "", score: 1 },
    { id: "f", score: 1 },
  ];
  const path = await written("RC.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
  const { items, messages } = await all((options) => readReddit(path, options));
  assertEquals(items, [
    { id: "a", text: "A comment.", source: "reddit" },
    { id: "b", text: "A post.", source: "reddit" },
  ]);
  assert(messages[0]!.includes('RC.jsonl" line 6: field "selftext" is missing'), messages[0]);
  const voted = await all((options) => readReddit(path, { ...options, minimumScore: -5 }));
  assertEquals(voted.items.map(({ id }) => id), ["a", "b", "c"]);
});

Deno.test("the real collections are read whole, without a malformed line", async () => {
  const path = (name: string) => sharedData(name) ?? "";
  const [comments, votes] = ["comments", "annotations"].map((name) =>
    path(`civil_comments/${name}.csv`)
  );
  if (!comments || !votes) return;
  const collections: [number, (options: ReadingOptions) => AsyncIterable<unknown>][] = [
    [16_100, (options) => readCivilComments(comments, votes, options)],
    [6_954, (options) => readTargets(path("civil_comments/balanced_7k.csv"), options)],
    [5_000, (options) => readToxicityPrompts(path("rtp/rtp_5000.jsonl"), options)],
    [6_648, (options) => readSentences(path("jigsaw_sentences/dev_toxic.txt"), options)],
    [13_584, (options) => readLabelledPosts(path("reddit/cad_train.json"), options)],
    [43_410, (options) => readGoEmotions(path("reddit/goemotions_train.tsv"), options)],
  ];
  for (const [count, read] of collections) {
    const { items, messages } = await all(read);
    assertEquals(messages, []);
    assertEquals(items.length, count);
  }
  const targets = await Array.fromAsync(readTargets(path("civil_comments/balanced_7k.csv")));
  const toxic = targets.filter(({ toxicity }) => toxicity! >= 0.5).length;
  assertClose(toxic / targets.length, 0.5, 0.01, "share of toxic comments");
});
