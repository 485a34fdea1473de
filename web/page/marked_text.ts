// A text field in which stretches can be marked. The field is an ordinary one, so that keyboard, touch and screen readers
// work as everywhere; the marks lie behind it, under the same text.

import { Risk, type RiskSpan } from "../../src/slung/risk.ts";
import {
  type Mark,
  markOf,
  markStretch,
  moveSpans,
  nextMark,
  stretchAt,
} from "../engine/marking.ts";
import { h } from "./dom.ts";

/** The field and what is in it. */
export interface MarkedText {
  element: HTMLElement;
  readonly text: string;
  readonly spans: readonly RiskSpan[];
  /** Puts another text there. */
  set(text: string, spans: readonly RiskSpan[]): void;
}

/** How marks are called, and shown. */
export const markNames: Readonly<Record<Mark, string>> = {
  [Risk.low]: "harmless",
  [Risk.possible]: "possibly risky",
  [Risk.high]: "risky",
};
/** The style of a mark. */
export const markStyles: Readonly<Record<number, string>> = {
  [Risk.possible]: "possible",
  [Risk.high]: "high",
};

/** Makes a field. */
export function markedText({ label, readOnly = false, onChange }: {
  label: string;
  /** Whether only the marks can be changed. */
  readOnly?: boolean;
  onChange: () => void;
}): MarkedText {
  let text = "", spans: RiskSpan[] = [];
  const behind = h("div", { class: "behind", "aria-hidden": "true" });
  const said = h("p", {
    class: "status",
    role: "status",
    "aria-live": "polite",
  });
  const field = h("textarea", {
    "aria-label": label,
    spellcheck: "false",
    autocomplete: "off",
    readonly: readOnly,
    rows: 3,
    input() {
      spans = moveSpans(spans, text, field.value);
      text = field.value;
      draw();
      onChange();
    },
    keydown(event) {
      const { key, ctrlKey, metaKey } = event as KeyboardEvent;
      if (key !== "Enter" || !(ctrlKey || metaKey)) return;
      event.preventDefault();
      mark();
    },
  });

  const draw = () => {
    const parts: (Node | string)[] = [];
    let at = 0;
    for (const { start, end, risk } of spans) {
      parts.push(
        text.slice(at, start),
        h("mark", { class: markStyles[risk] ?? "" }, text.slice(start, end)),
      );
      at = end;
    }
    behind.replaceChildren(...parts, text.slice(at) + "\n");
    if (!CSS.supports("field-sizing", "content")) {
      field.style.height = "auto";
      field.style.height = `${field.scrollHeight + 2}px`;
    }
  };
  const mark = (wanted?: Mark) => {
    const stretch = stretchAt(text, field.selectionStart, field.selectionEnd);
    if (!stretch) {
      said.textContent = "Select some words first, or put the caret in one.";
      return;
    }
    const risk = wanted ?? nextMark(markOf(spans, stretch));
    spans = markStretch(spans, stretch, risk);
    said.textContent = `“${text.slice(stretch.start, stretch.end)}” is now ${markNames[risk]}.`;
    field.focus();
    draw();
    onChange();
  };
  const button = (risk: Mark, caption: string) =>
    h(
      "button",
      { type: "button", click: () => mark(risk) },
      h("span", {
        class: `swatch ${markStyles[risk] ?? ""}`,
        "aria-hidden": "true",
      }),
      caption,
    );
  return {
    element: h(
      "div",
      {},
      h("div", { class: "marked" }, behind, field),
      h(
        "div",
        { class: "controls" },
        button(Risk.high, "Mark as risky"),
        button(Risk.possible, "Possibly risky"),
        button(Risk.low, "Unmark"),
      ),
      said,
    ),
    get text() {
      return text;
    },
    get spans() {
      return spans;
    },
    set(newText, newSpans) {
      text = field.value = newText;
      spans = newSpans.filter(({ risk }) => risk !== Risk.low)
        .map((span) => ({ ...span })).sort((a, b) => a.start - b.start);
      said.textContent = "";
      draw();
    },
  };
}
