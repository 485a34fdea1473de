// One card for each model: what it learns of marked words, how surprised it is, and its losses now.

import { Risk } from "../../src/slung/risk.ts";
import { surpriseChart } from "../engine/drawing.ts";
import { contestants } from "../engine/methods.ts";
import type { Run } from "./run.ts";
import { eachFrame, h } from "./dom.ts";

/** Shows the cards in an element; returns what to call when the run has changed. */
export function cardsIn(element: HTMLElement, run: Run): () => void {
  const cards = contestants.map(({ name, title, formula, idea }) => {
    const rule = h("code", {}, formula), chart = h("div");
    const unmarked = h("dd"), marked = h("dd"), naming = h("dd");
    const card = h(
      "article",
      { class: `card ${name}` },
      h("h3", {}, title),
      h("p", {}, idea, " Marked: ", rule),
      chart,
      h(
        "dl",
        {},
        ...[h("dt", {}, "loss, harmless words"), unmarked],
        ...[h("dt", {}, "loss, marked words"), marked],
        ...[h("dt", {}, "answers that name"), naming],
      ),
    );
    element.append(card);
    return { name, rule, chart, unmarked, marked, naming };
  });
  const draws = cards.map(({ name, rule, chart, unmarked, marked, naming }, i) =>
    eachFrame(() => {
      const last = run.losses.at(-1), look = run.looks.at(-1);
      if (name === "own") rule.textContent = run.own;
      const line = (kind: "marked" | "harmless") => ({
        name: kind,
        dashed: kind === "harmless",
        points: run.looks.flatMap(({ step, models }): [number, number][] => {
          const nats = models[i]!.surprise[kind];
          return nats === undefined ? [] : [[step, nats]];
        }),
      });
      chart.innerHTML = surpriseChart(name, [line("marked"), line("harmless")], last?.step ?? 0);
      const byClass = last?.byClass[i];
      unmarked.textContent = shown(byClass?.[Risk.low]);
      marked.textContent = byClass && byClass[Risk.high] === undefined
        ? "none"
        : shown(byClass?.[Risk.high]);
      const share = look?.models[i]?.naming;
      naming.textContent = share === undefined ? "–" : `${Math.round(100 * share)} %`;
    })
  );
  return () => draws.forEach((draw) => draw());
}

function shown(loss: number | undefined): string {
  return loss === undefined ? "–" : loss.toFixed(3);
}
