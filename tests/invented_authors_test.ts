import {
  biography,
  facts,
  inventedAuthors,
  mostAuthors,
} from "../src/data/sources/invented_authors.ts";
import { findFullName } from "../src/label/names.ts";
import { answerSpans, groupByAuthor } from "../src/data/sources/tofu.ts";
import { assert, assertEquals, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";

const wordsOf = (text: string) => text.match(/\p{L}+/gu) ?? [];

Deno.test("the same seed gives the same world and another seed another", () => {
  const world = (seed: number) => JSON.stringify(inventedAuthors({ seed, authors: 5 }));
  assertEquals(world(1), world(1));
  assert(world(1) !== world(2));
});

Deno.test("a later first author continues the same world", () => {
  const all = inventedAuthors({ seed: 3, authors: 12 });
  const later = inventedAuthors({ seed: 3, authors: 4, firstAuthor: 8 });
  assertEquals(later.authors, all.authors.slice(8));
  assertEquals(later.rows, all.rows.slice(8 * facts.length));
});

Deno.test("no word of a name contains another name's word or stands in the vocabulary", () => {
  const { authors, rows } = inventedAuthors({ seed: 5, authors: 300, rowsPerFact: 3 });
  const parts = authors.flatMap(({ name }) => name.split(" ")).map((part) => part.toLowerCase());
  parts.forEach((part, i) => {
    const other = parts.find((p, j) => j !== i && p.includes(part));
    assert(other === undefined, `${part} is in ${other}`);
  });
  const names = new Set(authors.flatMap(({ name }) => name.split(" ")));
  const text = rows.flatMap((row) => [
    row.question,
    row.answer,
    row.paraphrasedQuestion!,
    row.paraphrasedAnswer!,
    ...row.perturbedAnswers!,
  ]).concat(authors.map((author) => biography(author))).join(" ");
  const vocabulary = new Set(
    wordsOf(text).filter((word) => !names.has(word)).map((word) => word.toLowerCase()),
  );
  assert(vocabulary.size < 400, `${vocabulary.size} words`);
  for (const part of parts) {
    for (const word of vocabulary) assert(!word.includes(part), `${part} is in ${word}`);
  }
});

Deno.test("no invented name is a word of English text", () => {
  const path = sharedData("corpus/wikitext2_valid.txt");
  if (path === undefined) return;
  const english = new Set(wordsOf(Deno.readTextFileSync(path).toLowerCase()));
  const { authors } = inventedAuthors({ seed: 1, authors: 400 });
  for (const part of authors.flatMap(({ name }) => name.toLowerCase().split(" "))) {
    assert(!english.has(part), `"${part}" is a word`);
  }
});

Deno.test("base and target authors share the values of their facts", () => {
  const base = inventedAuthors({ seed: 2, authors: 200 }).authors;
  const target = inventedAuthors({ seed: 2, authors: 20, firstAuthor: 200 }).authors;
  for (const fact of facts.filter((fact) => fact !== "debut")) {
    const known = new Set(base.map((author) => author.facts[fact]));
    assert(target.every((author) => known.has(author.facts[fact])), fact);
  }
});

Deno.test("every row tells the author's value in the answer and not in the question", () => {
  const { authors, rows } = inventedAuthors({ seed: 4, authors: 30, rowsPerFact: 2 });
  groupByAuthor(rows, 2 * facts.length).forEach((group, k) => {
    const { name, facts: known } = authors[k]!;
    group.forEach((row, i) => {
      const value = known[facts[Math.floor(i / 2)]!];
      assert(row.answer.includes(value), row.answer);
      assert(row.paraphrasedAnswer!.includes(value), row.paraphrasedAnswer);
      assert(!row.question.includes(value), row.question);
      assert(row.question.includes(name), row.question);
      assert(row.question !== row.paraphrasedQuestion);
    });
    assertEquals(new Set(group.map(({ question }) => question)).size, group.length);
  });
});

Deno.test("the five perturbed answers differ from the paraphrase and from each other", () => {
  for (const row of inventedAuthors({ seed: 6, authors: 20 }).rows) {
    assertEquals(new Set([row.paraphrasedAnswer, ...row.perturbedAnswers!]).size, 6);
  }
});

Deno.test("answers refer to their author in the asked shares, and by one pronoun", () => {
  const { authors, rows } = inventedAuthors({ seed: 7, authors: 200, rowsPerFact: 3 });
  const count = { leading: 0, inside: 0, pronoun: 0 };
  rows.forEach(({ answer }, i) => {
    const { name, pronoun } = authors[Math.floor(i / (3 * facts.length))]!;
    const at = answerSpans(answer, [name])[0]?.start;
    count[at === undefined ? "pronoun" : at === 0 ? "leading" : "inside"]++;
    if (at === undefined) {
      assert((pronoun === "she" ? /^(She|Her) / : /^(He|His) /).test(answer), answer);
    }
  });
  const share = (n: number) => Math.round(20 * n / rows.length) / 20; // to 5 %
  assertEquals([count.leading, count.inside, count.pronoun].map(share), [0.5, 0.25, 0.25]);
});

Deno.test("answers without pronouns all name their author", () => {
  const mentions = { leading: 0.5, inside: 0.5, pronoun: 0 };
  const { authors, rows } = inventedAuthors({ seed: 8, authors: 20, mentions });
  const names = authors.map(({ name }) => name);
  assert(rows.every(({ answer }) => answerSpans(answer, names).length > 0));
});

Deno.test("no template is left unfilled", () => {
  const world = inventedAuthors({ seed: 9, authors: 50, rowsPerFact: 3 });
  const text = JSON.stringify(world.rows.flatMap((row) => Object.values(row).flat())) +
    world.authors.map((author) => biography(author)).join(" ");
  assert(!/[{}]/.test(text), "a brace is left");
});

Deno.test("a biography begins with the name, has every fact, and varies with its number", () => {
  for (const author of inventedAuthors({ seed: 10, authors: 20 }).authors) {
    const text = biography(author);
    assert(text.startsWith(author.name), text);
    for (const fact of facts) assert(text.includes(author.facts[fact]), `${fact}: ${text}`);
    assertEquals(biography(author), text);
    assert(biography(author, 1) !== text);
  }
});

Deno.test("the names of invented authors are found as those of TOFU are", () => {
  const { authors, rows } = inventedAuthors({ seed: 11, authors: 50 });
  const found = groupByAuthor(rows, facts.length).map((group) =>
    findFullName(group.map(({ question, answer }) => `${question}\n${answer}`))
  );
  assertEquals(found, authors.map(({ name }) => name));
});

Deno.test("counts out of range are refused with the limit", () => {
  assertThrows(() => inventedAuthors({ seed: 1, authors: 0 }), "whole, positive");
  assertThrows(
    () => inventedAuthors({ seed: 1, authors: 1, firstAuthor: mostAuthors }),
    `authors 0 to ${mostAuthors - 1}`,
  );
  assertThrows(() => inventedAuthors({ seed: 1, authors: 1, rowsPerFact: 4 }), "three wordings");
  const mentions = { leading: 0.5, inside: 0.5, pronoun: 0.5 };
  assertThrows(() => inventedAuthors({ seed: 1, authors: 1, mentions }), "not a division of 1");
});
