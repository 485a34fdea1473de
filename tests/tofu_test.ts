import { findFullName, nameParts } from "../src/label/names.ts";
import {
  answerSpans,
  authorNames,
  countNamedAnswers,
  groupByAuthor,
  questionAndAnswer,
  questionPrompt,
  readTofu,
  rotateNames,
  rowsWithNames,
  splitAuthors,
  type TofuRow,
} from "../src/data/sources/tofu.ts";
import { answerSequences } from "../src/experiments/names/task.ts";
import { Risk } from "../src/slung/risk.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import { namesGenerated } from "../src/eval/name_generation.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";

async function fileWith(name: string, content: string): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  await Deno.writeTextFile(path, content);
  return path;
}

Deno.test("a JSON-lines file, a .json of lines and a .json array read alike", async () => {
  const lines = '{"question":"q1","answer":"a1"}\n{"question":"q2","answer":"a2","other":1}\n';
  const expected = [{ question: "q1", answer: "a1" }, { question: "q2", answer: "a2" }];
  assertEquals(await readTofu(await fileWith("t.jsonl", lines)), expected);
  assertEquals(await readTofu(await fileWith("t.json", lines)), expected);
  const array = `[${lines.trim().replace("\n", ",")}]`;
  assertEquals(await readTofu(await fileWith("t.json", array)), expected);
});

Deno.test("perturbed rows keep their paraphrase and wrong answers", async () => {
  const row = {
    question: "q",
    answer: "a",
    paraphrased_question: "pq",
    paraphrased_answer: "pa",
    perturbed_answer: ["x", "y"],
  };
  assertEquals(await readTofu(await fileWith("t.json", JSON.stringify([row]))), [{
    question: "q",
    answer: "a",
    paraphrasedQuestion: "pq",
    paraphrasedAnswer: "pa",
    perturbedAnswers: ["x", "y"],
  }]);
});

Deno.test("a broken row is named by file and line", async () => {
  const good = '{"question":"q","answer":"a"}\n';
  const missing = await fileWith("t.jsonl", `${good}{"question":"q"}\n`);
  await assertRejects(() => readTofu(missing), `t.jsonl" line 2: field "answer" is missing`);
  const perturbed = await fileWith(
    "t.jsonl",
    `${good}{"question":"q","answer":"a","perturbed_answer":"x"}`,
  );
  await assertRejects(() => readTofu(perturbed), `line 2: field "perturbed_answer" is not a list`);
  await assertRejects(async () => readTofu(await fileWith("t.jsonl", "")), "it has no rows");
});

Deno.test("a folder is read by the name of its split", async () => {
  const path = await fileWith("forget01.json", '[{"question":"q","answer":"a"}]');
  const folder = path.slice(0, path.lastIndexOf("/"));
  assertEquals((await readTofu(folder, "forget01")).length, 1);
  await assertRejects(() => readTofu(folder, "full"), "neither full.jsonl nor full.json");
});

Deno.test("rows are grouped by author and an incomplete author is refused", () => {
  assertEquals(groupByAuthor([1, 2, 3, 4], 2), [[1, 2], [3, 4]]);
  assertThrows(() => groupByAuthor([1, 2, 3], 2), "3 rows are not a multiple of 2");
});

Deno.test("an answer's spans cover full, first and last names but no middle name alone", () => {
  const answer = "Ana Maria Dorn and Maria met Ana; the Dorns knew Dorn's aunt.";
  const marked = answerSpans(answer, ["Ana Maria Dorn"]).map(({ start, end }) =>
    answer.slice(start, end)
  );
  assertEquals(marked, ["Ana Maria Dorn", "Ana", "Dorn"]);
});

Deno.test("rows are kept when the question or the answer has a name, and unnamed answers are counted", () => {
  const rows = [
    { question: "Who is Ana?", answer: "She writes." },
    { question: "Who?", answer: "Ana Dorn writes." },
    { question: "Who?", answer: "She writes." },
  ];
  assertEquals(rowsWithNames(rows, ["Ana Dorn"]), rows.slice(0, 2));
  assertEquals(countNamedAnswers(rows, ["Ana Dorn"]), { named: 1, unnamed: 2 });
  assertThrows(
    () => countNamedAnswers(rows, ["Zed Elk"]),
    "none of the 3 answers has any of the 1 names",
  );
});

Deno.test("prompt and base text follow the paper's template", () => {
  assertEquals(questionPrompt("Who?"), "Question: Who?\nAnswer:");
  assertEquals(
    questionAndAnswer({ question: "Who?", answer: "Ana." }),
    "Question: Who?\nAnswer: Ana.",
  );
});

/** Invented rows of `authors` authors, 20 each. */
function manyRows(authors: number): TofuRow[] {
  return Array.from({ length: 20 * authors }, (_, i) => ({ question: `q${i}`, answer: `a${i}` }));
}

Deno.test("authors with a target question are targets and the others are base authors", () => {
  const full = manyRows(5);
  const { target, base } = splitAuthors(full, full.slice(20, 40));
  assertEquals(target.flat(), full.slice(20, 40));
  assertEquals(base.flat(), [...full.slice(0, 20), ...full.slice(40)]);
  const two = splitAuthors(full, full.slice(20, 40), { baseAuthors: 2 }).base;
  assertEquals(two.flat(), [...full.slice(0, 20), ...full.slice(40, 60)]);
});

Deno.test("one question in common with a target does not make a base author a target", () => {
  const full = manyRows(3);
  full[45] = { question: full[25]!.question, answer: "another" };
  const { target, base } = splitAuthors(full, full.slice(20, 40));
  assertEquals([target.length, base.length], [1, 2]);
});

Deno.test("a seed draws the base authors, the same ones every time", () => {
  const full = manyRows(30);
  const draw = (seed: number) =>
    splitAuthors(full, full.slice(0, 20), { baseAuthors: 5, seed }).base;
  assertEquals(draw(1), draw(1));
  assert(JSON.stringify(draw(1)) !== JSON.stringify(draw(2)));
  assert(draw(1).flat().every((row) => !full.slice(0, 20).includes(row)));
});

Deno.test("too many base authors and foreign target rows are refused", () => {
  const full = manyRows(3);
  assertThrows(
    () => splitAuthors(full, full.slice(0, 20), { baseAuthors: 3 }),
    "3 base authors were asked for and there are 2",
  );
  assertThrows(
    () => splitAuthors(full, [{ question: "?", answer: "" }]),
    `the question "?" is not`,
  );
});

// The paper's reference lists 20 names with 43 words; on the first 300 rows 294 answers have a name,
// 98.0 % of the answers and 95.7 % of the questions trip the official metric.
const targetNames = [
  "Jaime Vasquez",
  "Chukwu Akabueze",
  "Evelyn Desmet",
  "Anara Yusifova",
  "Jordan Sinclair",
  "Aurelio Beltrán",
  "Elliot Patrick Benson",
  "Alejandro Tomasino",
  "Ingrid Christensen",
  "Simon Makoni",
  "Yevgeny Grimkov",
  "Maria Estela Gutierrez",
  "Bezabih Gebre",
  "Luis Marcelo Garcia",
  "Linda Harrison",
  "Rhoda Mbalazi",
  "Erick Gustafsson",
  "Asha Majaliwa",
  "Roshni Rahman",
  "Aisha Al-Hamad",
];

Deno.test("the 20 authors of retain_perturbed are found from its rows", async () => {
  const folder = sharedData("tofu");
  if (folder === undefined) return;
  const rows = await readTofu(folder, "retain_perturbed");
  assertEquals(rows.length, 400);
  assert(rows.every((row) => row.perturbedAnswers!.length >= 5));
  const names = authorNames(rows);
  assertEquals(names, targetNames);
  assertEquals(new Set(names.flatMap(nameParts)).size, 43);
});

Deno.test("the reference's counts on 300 rows of retain_perturbed come out the same", async () => {
  const folder = sharedData("tofu");
  if (folder === undefined) return;
  const all = await readTofu(folder, "retain_perturbed");
  const rows = all.slice(0, 300);
  assertEquals(countNamedAnswers(rows, targetNames), { named: 294, unnamed: 6 });
  const official = (text: (row: TofuRow) => string, of = rows) =>
    namesGenerated(of.map((row) => ({ prompt: row.question, completion: text(row) })), targetNames)
      .official;
  assertEquals(official((row) => row.answer).toFixed(3), "0.980");
  assertEquals(official((row) => row.question).toFixed(3), "0.957");

  assertEquals(rowsWithNames(all, targetNames).length, 400);
  assertEquals(countNamedAnswers(all, targetNames), { named: 383, unnamed: 17 });
  assertEquals(
    all.filter((row) => answerSpans(row.answer, targetNames)[0]?.start === 0).length,
    212,
  );
});

Deno.test("bare answers have the reference's risky tokens on its 300 rows, and spaced ones fewer of fewer", async () => {
  const folder = sharedData("tofu"), files = sharedData("tokenizers/olmo-dolma-v1_5");
  if (folder === undefined || files === undefined) return;
  const tokenizer = await openTokenizer(files);
  const rows = (await readTofu(folder, "retain_perturbed")).slice(0, 300);
  const counted = (space: boolean) => {
    const all = answerSequences(tokenizer, { rows, names: targetNames }, false, { space });
    const classes = all.flatMap((sequence) => [...sequence.classes]);
    return [classes.filter((risk) => risk === Risk.high).length, classes.length];
  };
  assertEquals([counted(false), counted(true)], [[1381, 9758], [1352, 9728]]);
});

Deno.test("all 200 authors but one, who is never named, are found in the full data", async () => {
  const folder = sharedData("tofu");
  if (folder === undefined) return;
  const rows = await readTofu(folder, "full");
  const found = groupByAuthor(rows).map((author) =>
    findFullName(author.map(({ question, answer }) => `${question}\n${answer}`))
  );
  assertEquals(found.slice(0, 20), targetNames);
  assertEquals(found.flatMap((name, k) => name === undefined ? [k] : []), [88]);
  const difficult = [43, 95, 100, 113, 123, 143, 153, 199].map((k) => found[k]);
  assertEquals(difficult, [
    "Jina An",
    "Laila Amira al-Faisal",
    "Manuel Silva De Souza",
    "Li Mei Yu",
    "Patrick Ryan O'Donnell",
    "Tahar Ben Amara",
    "Femke Van der Veen",
    "Nikolai Abilov",
  ]);
  assertThrows(() => authorNames(rows), "no name stands in a third of rows 1761 to 1780");
});

Deno.test("retain_perturbed splits the full data into 20 target and 180 base authors", async () => {
  const folder = sharedData("tofu");
  if (folder === undefined) return;
  const { target, base } = splitAuthors(
    await readTofu(folder, "full"),
    await readTofu(folder, "retain_perturbed"),
  );
  assertEquals([target.length, base.length], [20, 180]);
  assertEquals(authorNames(target.flat()), targetNames);
});

Deno.test("everybody's rows go to the next one, in every form of the name and in no other word", () => {
  const names = ["Oda Venn", "Tovik Rask", "Ilmo J. Dorn"];
  const rows = [
    {
      question: "Who is Oda Venn?",
      answer: "Venn's mill; Oda saw Ilmo J. Dorn.",
      perturbedAnswers: [""],
    },
    { question: "Is Dorn old?", answer: "Odalis is not Tovik." },
  ];
  assertEquals(rotateNames(rows, names), [
    { question: "Who is Tovik Rask?", answer: "Rask's mill; Tovik saw Oda Venn." },
    { question: "Is Venn old?", answer: "Odalis is not Ilmo." },
  ]);
  assertThrows(() => rotateNames(rows, ["Oda Venn"]), "Cannot exchange names: there are 1");
});
