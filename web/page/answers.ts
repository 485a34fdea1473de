// What every model answers, beside each other: marked words are marked, right words are bold.

import { Risk } from "../../src/slung/risk.ts";
import { nameForms } from "../../src/label/names.ts";
import { type PhraseFinder, phraseFinder } from "../../src/label/phrases.ts";
import { contestants } from "../engine/methods.ts";
import { h } from "./dom.ts";

/** A table of answers: one row a question, one column a model. */
export function answersTable(
  caption: string,
  questions: readonly { question: string; answer: string }[],
  answers: readonly (readonly string[])[],
  phrases: readonly string[],
): HTMLElement {
  const { find } = phraseFinder(phrases.flatMap(nameForms), Risk.high);
  return h(
    "div",
    { class: "table", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "status" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Question"),
          ...contestants.map(({ name, title }) => h("th", { scope: "col", class: name }, title)),
        ),
      ),
      h(
        "tbody",
        {},
        ...questions.map(({ question, answer }, q) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, question),
            ...answers.map((of) => h("td", {}, ...dressed(of[q] ?? "", question, answer, find))),
          )
        ),
      ),
    ),
  );
}

function dressed(
  said: string,
  question: string,
  right: string,
  find: PhraseFinder["find"],
): (Node | string)[] {
  if (said === "") return ["(nothing)"];
  const known = new Set(wordsOf(question));
  const facts = new Set(
    wordsOf(right).filter((word) => word.length > 3 && !known.has(word)),
  );
  const parts: (Node | string)[] = [];
  let at = 0;
  const plain = (to: number) => {
    for (const piece of said.slice(at, to).split(/([\p{L}\p{M}\p{N}]+)/u)) {
      parts.push(
        facts.has(stem(piece.toLowerCase())) ? h("span", { class: "right" }, piece) : piece,
      );
    }
  };
  for (const { start, end } of find(said)) {
    plain(start);
    parts.push(h("mark", { class: "high" }, said.slice(start, end)));
    at = end;
  }
  plain(said.length);
  return parts;
}

function wordsOf(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).map(stem);
}

/** Without the s of "plays", which is right wherever the question has "play". */
function stem(word: string): string {
  return word.replace(/s$/, "");
}
