// The loss of the fourth model, in one line, checked while it is written.

import { lossOf } from "../../src/slung/derivative.ts";
import { h } from "./dom.ts";

/** The line. */
export interface OwnLoss {
  readonly value: string;
  /** Whether it is a loss. */
  readonly valid: boolean;
  set(value: string): void;
}

const ideas = [
  "p * p",
  "p",
  "softplus(m) - softplus(m - 5)",
  "-0.01 * lp - 0.99 * l1mp",
];

/** Puts the field into an element. */
export function ownLoss(element: HTMLElement, onChange: () => void): OwnLoss {
  const said = h("pre", {
    class: "status",
    id: "own-said",
    role: "status",
    "aria-live": "polite",
  });
  said.style.whiteSpace = "pre-wrap";
  let valid = true;
  const check = () => {
    try {
      const { slope } = lossOf("own", field.value);
      valid = true;
      said.textContent = `A loss. Its slope: ${slope}`;
    } catch (error) {
      valid = false;
      said.textContent = (error as Error).message;
    }
    field.setAttribute("aria-invalid", String(!valid));
  };
  const field = h("input", {
    id: "own-line",
    type: "text",
    list: "own-ideas",
    spellcheck: "false",
    autocapitalize: "off",
    "aria-describedby": "own-said",
    input: () => {
      check();
      onChange();
    },
  });
  element.append(
    h(
      "details",
      { open: true },
      h("summary", {}, "Your own loss for marked words, in one line"),
      h(
        "p",
        { class: "quiet" },
        "Of p, the token's probability; m, its log-odds; lp = log p; l1mp = log(1 − p). " +
          "It is differentiated, compared with finite differences, and compiled into the kernel.",
      ),
      h("label", { for: "own-line" }, "Loss of a marked token"),
      field,
      h(
        "datalist",
        { id: "own-ideas" },
        ...ideas.map((value) => h("option", { value })),
      ),
      said,
    ),
  );
  return {
    get value() {
      return field.value;
    },
    get valid() {
      return valid;
    },
    set(value) {
      field.value = value;
      check();
    },
  };
}
