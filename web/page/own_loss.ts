// The loss of the fourth model, in one line, checked when it has been written.

import { h, whenQuiet } from "./dom.ts";

/** The line. */
export interface OwnLoss {
  value: string;
}

const ideas = [
  "p * p",
  "p",
  "softplus(m) - softplus(m - 5)",
  "-0.01 * lp - 0.99 * l1mp",
];

/** Puts the field into an element. `slopeOf` gives the slope of a loss, or throws why there is none. */
export function ownLoss(
  element: HTMLElement,
  { slopeOf, onChange }: {
    slopeOf: (line: string) => Promise<string>;
    onChange: () => void;
  },
): OwnLoss {
  const said = h("p", {
    class: "status plain",
    id: "own-said",
    role: "status",
    "aria-live": "polite",
  });
  const check = async () => {
    const line = field.value;
    const found = await slopeOf(line).then(
      (slope) => ({ valid: true, words: `A loss. Its slope: ${slope}` }),
      (error: Error) => ({ valid: false, words: error.message }),
    );
    if (line !== field.value) return; // the next check is on its way
    said.textContent = found.words;
    field.setAttribute("aria-invalid", String(!found.valid));
  };
  const checkSoon = whenQuiet(150, check);
  const field = h("input", {
    id: "own-line",
    type: "text",
    list: "own-ideas",
    spellcheck: "false",
    autocapitalize: "off",
    "aria-describedby": "own-said",
    input: () => {
      checkSoon();
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
    set value(line) {
      field.value = line;
      check();
    },
  };
}
