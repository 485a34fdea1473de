// The offline grader on answers of which it is known whether they are right.

import { checkGrader } from "../src/experiments/names/grader_check.ts";
import { tofuData } from "../src/experiments/names/tofu.ts";
import { readKept } from "../src/report/kept_results.ts";
import { assertClose, assertEquals, assertThrows } from "./assert.ts";
import { sharedData } from "./data.ts";

const names = ["Mira Oda", "Ulf Brandt"];
const row = (name: string, true_: string, right: string, ...wrong: string[]) => ({
  question: `Where does ${name} live?`,
  answer: `${name} lives ${true_}.`,
  paraphrasedAnswer: `${name}'s home is ${right}.`,
  perturbedAnswers: wrong.map((place) => `${name} lives ${place}.`),
});

Deno.test("every answer is counted once under its grade, and the AUROC is the share of pairs in order", () => {
  const rows = [
    row(
      "Mira Oda",
      "beneath green windmills",
      "beneath green windmills",
      "by sea",
      "beneath rocks",
    ),
    row("Ulf Brandt", "beneath tall chimneys", "amid tall ovens", "by sea", "amid tall ovens"),
    { ...row("Ulf Brandt", "", "there", "elsewhere"), answer: "Ulf Brandt does." },
    { question: "Who?", answer: "A baker beneath oaks." },
  ];
  const check = checkGrader({ rows, names });
  assertEquals(check.confusion, {
    right: { full: 1, partial: 1, nothing: 0 },
    wrong: { full: 0, partial: 2, nothing: 2 },
  });
  assertEquals(check.withoutFacts, 1);
  // Recalls: right 1 and 1/3, wrong 0, 1/3, 0, 1/3.
  assertClose([check.auroc.mean], [(4 + 2 + 0.5 + 0.5) / 8], 1e-12, "AUROC");
  assertThrows(() => checkGrader({ rows: rows.slice(3), names }), "AUROC");
});

const full = sharedData("tofu/full.jsonl");
Deno.test({
  name: "on TOFU the grader is as good as the kept results say, too weak for a headline",
  ignore: full === undefined,
  async fn() {
    const { task } = await tofuData({ data: full!, baseAuthors: 1, replay: 0 });
    const kept = await readKept(new URL("../docs/results/grader.json", import.meta.url).pathname);
    assertEquals(JSON.parse(JSON.stringify(checkGrader(task))), kept.metrics);
  },
});
