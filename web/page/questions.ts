// The questions: one a line, what is right behind a bar.

import type { Question } from "../engine/example.ts";
import { h } from "./dom.ts";

/** The questions that are being edited. */
export interface QuestionField {
  readonly questions: Question[];
  set(questions: readonly Question[]): void;
}

/** Puts the field, and one for a question of one's own, into an element. */
export function questionField(
  element: HTMLElement,
  { onChange, onAsk }: {
    onChange: () => void;
    onAsk: (question: string) => void;
  },
): QuestionField {
  const field = h("textarea", {
    id: "question-lines",
    spellcheck: "false",
    input: onChange,
  });
  const own = h("input", {
    id: "own-question",
    type: "text",
    placeholder: "Who plays the flute?",
  });
  const form = h(
    "form",
    {
      class: "controls",
      submit(event) {
        event.preventDefault();
        if (own.value.trim() !== "") onAsk(own.value.trim());
      },
    },
    own,
    h("button", { type: "submit", id: "ask-all" }, "Ask all four now"),
  );
  element.append(
    h(
      "div",
      { class: "asking" },
      h(
        "label",
        { for: "question-lines" },
        "Asked every ten steps: question | what is right",
      ),
      field,
      h("label", { for: "own-question" }, "Or a question of your own"),
      form,
    ),
  );
  return {
    get questions() {
      return field.value.split("\n").flatMap((line) => {
        const [question = "", answer = ""] = line.split("|").map((part) => part.trim());
        return question === "" ? [] : [{ question, answer }];
      });
    },
    set(questions) {
      field.value = questions.map(({ question, answer }) =>
        answer === "" ? question : `${question} | ${answer}`
      ).join("\n");
    },
  };
}
