// One sentence under all models: how probable each token is to them; and, of the token that is pointed at, where its loss
// pulls.

import { Risk } from "../../src/slung/risk.ts";
import { visible } from "../../src/notebook/svg.ts";
import { contestants } from "../engine/methods.ts";
import type { Client } from "./client.ts";
import type { Run } from "./run.ts";
import { eachFrame, h, whenQuiet } from "./dom.ts";

/** Shows the sentences in an element; returns what to call when the run has changed. */
export function readingIn(
  element: HTMLElement,
  run: Run,
  client: Client,
  onFault: (error: unknown) => void,
): () => void {
  const select = h("select", {
    id: "sentence",
    change: () => choose(select.selectedIndex),
  });
  const strips = contestants.map(({ title }) =>
    h("div", {
      class: "sentence",
      role: "toolbar",
      "aria-label": `${title}, token by token`,
    })
  );
  const explain = h("p", {
    class: "quiet explain",
    role: "status",
    "aria-live": "polite",
  });
  element.append(
    h(
      "div",
      { class: "controls" },
      h("label", { for: "sentence" }, "Sentence"),
      select,
    ),
    h(
      "div",
      { class: "reading" },
      ...contestants.flatMap(({ name, title }, i) => [
        h("h3", { class: name }, title),
        strips[i]!,
      ]),
    ),
    explain,
  );
  let sentence = 0, boxes: HTMLElement[][] = [];
  let pointed: { model: number; token: number } | undefined;
  let flows: { step: number; sentence: number; maps: number[][][] } | undefined;
  let drawnFor: unknown;

  const stepNow = () => run.losses.at(-1)?.step ?? 0;
  const choose = (index: number) => {
    sentence = index;
    pointed = undefined;
    draw();
  };
  const fetchFlow = whenQuiet(120, async () => {
    const asked = { step: stepNow(), sentence };
    try {
      flows = { ...asked, maps: await client.call("flow", sentence) };
      draw();
    } catch (error) {
      onFault(error);
    }
  });
  const point = (model: number, token: number | undefined) => {
    pointed = token === undefined ? undefined : { model, token };
    if (pointed && (flows?.step !== stepNow() || flows.sentence !== sentence)) {
      fetchFlow();
    }
    draw();
  };
  const walk = (event: Event, model: number, token: number) => {
    const { key } = event as KeyboardEvent;
    const [down, right] = {
      ArrowRight: [0, 1],
      ArrowLeft: [0, -1],
      ArrowDown: [1, 0],
      ArrowUp: [-1, 0],
    }[key] ?? [0, 0];
    if (key === "Escape") point(model, undefined);
    const next = boxes[model + down!]?.[token + right!];
    if (down === right || !next) return;
    event.preventDefault();
    next.focus();
  };
  const build = () => {
    boxes = strips.map((strip, model) => {
      const made = (run.tokens[sentence] ?? []).map(({ text, risk }, token) =>
        h(
          "button",
          {
            type: "button",
            class: `token ${risk === Risk.high ? "risky" : ""}`,
            tabindex: token === 0 ? 0 : -1,
            mouseenter: () => point(model, token),
            mouseleave: () => point(model, undefined),
            focus: () => point(model, token),
            blur: () => point(model, undefined),
            keydown: (event) => walk(event, model, token),
          },
          visible(text),
        )
      );
      strip.replaceChildren(...made);
      return made;
    });
  };
  const draw = eachFrame(() => {
    if (drawnFor !== run.tokens) {
      drawnFor = run.tokens;
      sentence = 0;
      select.replaceChildren(
        ...run.tokens.map((tokens) =>
          h("option", {}, tokens.map(({ text }) => text).join("").trim())
        ),
      );
      build();
    } else if (
      boxes[0]?.length !== run.tokens[sentence]?.length ||
      select.selectedIndex !== built
    ) {
      build();
    }
    built = select.selectedIndex;
    const look = run.looks.at(-1);
    const flow = flows?.sentence === sentence && pointed ? flows.maps : undefined;
    boxes.forEach((row, model) => {
      const probabilities = look?.models[model]?.probabilities[sentence] ?? [];
      const pull = flow && pointed ? flow[model]![pointed.token - 1] ?? [] : undefined;
      const strongest = Math.max(
        ...(flow ?? []).flatMap((of) => of[pointed!.token - 1] ?? []),
        1e-9,
      );
      row.forEach((box, token) => {
        const probability = probabilities[token];
        const amount = pull ? (pull[token] ?? 0) / strongest : probability ?? 0;
        box.style.setProperty(
          "--amount",
          String(Number.isNaN(amount) ? 0 : amount),
        );
        box.style.setProperty("--shade", pull ? "var(--flow)" : "var(--heat)");
        box.classList.toggle("pointed", token === pointed?.token);
        const said = probability === undefined || Number.isNaN(probability)
          ? "nothing predicts the first token"
          : `probability ${percent(probability)}`;
        box.title = said;
        box.setAttribute(
          "aria-label",
          `${run.tokens[sentence]![token]!.text}: ${said}`,
        );
      });
    });
    explain.textContent = pointed
      ? explanation(pointed.token, flow)
      : "Blue: how probable the token is to the model. A thick line under a token: it is marked.";
  });
  let built = -1;

  const explanation = (
    token: number,
    flow: number[][][] | undefined,
  ): string => {
    const { text, risk } = run.tokens[sentence]![token]!;
    const look = run.looks.at(-1);
    const chances = contestants.map(({ title }, i) =>
      `${title} ${percent(look?.models[i]?.probabilities[sentence]?.[token] ?? NaN)}`
    ).join(", ");
    if (token === 0) {
      return `“${text.trim()}” is the first token: nothing predicts it.`;
    }
    if (!flow) {
      return `“${text.trim()}”: ${chances}. Its gradient is being computed …`;
    }
    const silent = contestants.filter((_, i) =>
      (flow[i]![token - 1] ?? []).every((norm) => norm === 0)
    ).map(({ title }) => title);
    const pull = risk === Risk.high && silent.length > 0
      ? `${silent.join(" and ")}: no loss on this token, so nothing flows from it.`
      : "Orange: how strongly its loss pulls at each token that was read before it.";
    return `“${text.trim()}”: ${chances}. ${pull}`;
  };
  return draw;
}

function percent(share: number): string {
  if (Number.isNaN(share)) return "–";
  return share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}
