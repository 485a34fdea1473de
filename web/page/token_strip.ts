// Tokens of a sentence as boxes; white space is drawn, because tokens begin with it.

import { visible } from "../../src/notebook/svg.ts";
import { Risk } from "../../src/slung/risk.ts";
import type { ShownToken } from "../engine/sequences.ts";
import { h } from "./dom.ts";
import { markStyles } from "./marked_text.ts";

const classNames: Readonly<Record<number, string>> = {
  [Risk.low]: "harmless",
  [Risk.possible]: "possibly risky",
  [Risk.high]: "risky",
};

/** The tokens, coloured by class. */
export function classStrip(tokens: readonly ShownToken[]): HTMLElement {
  return h(
    "div",
    { class: "sentence", role: "list" },
    ...tokens.map(({ text, risk }) =>
      h(
        "span",
        {
          role: "listitem",
          class: `token ${markStyles[risk] ?? ""}`,
          "aria-label": `${text}, ${classNames[risk]}`,
        },
        visible(text),
      )
    ),
  );
}
