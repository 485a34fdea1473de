// Figure 1 of the paper for a text of one's own: what a model reads, and what each objective makes of the token after it.

import type { Objective } from "../slung/objective.ts";
import { Risk } from "../slung/risk.ts";
import { type Displayable, displayable } from "./display.ts";
import { ink, svgDocument, svgText, textWidth, visible } from "./svg.ts";

const uses = {
  learned: { fill: "#d5ead9", colour: "#00532c", mark: "✓", dash: "" },
  masked: { fill: "#ffffff", colour: "#6b6b6b", mark: "–", dash: ` stroke-dasharray="3 2"` },
  other: { fill: "#f6c9b0", colour: "#7a2500", mark: "✗", dash: "" },
} as const;

/**
 * Shows a text twice: as it is read, and once for each objective as it is to be predicted. Every token is read; only what
 * is asked of its prediction differs.
 */
export function showObjectives(
  tokens: readonly string[],
  classes: ArrayLike<number>,
  objectives: readonly { title: string; objective: Objective }[],
): Displayable {
  const rowsOfText = objectives.map(({ title, objective }) => ({
    title,
    uses: tokens.map((_, i) => {
      const term = objective.terms[classes[i]!];
      return i === 0
        ? undefined
        : !term
        ? "masked"
        : term.name === "cross_entropy"
        ? "learned"
        : "other";
    }) as (keyof typeof uses | undefined)[],
  }));
  const size = 13, left = 130;
  const widths = tokens.map((token) => Math.max(34, textWidth(visible(token), size) + 8));
  const at = widths.map((_, i) =>
    left + widths.slice(0, i).reduce((sum, width) => sum + width + 3, 0)
  );
  const width = at.at(-1)! + widths.at(-1)! + 12;
  const body = [svgText("is read", { x: 12, y: 31, weight: "bold" })];
  tokens.forEach((token, i) => {
    const risky = classes[i] === Risk.high;
    body.push(
      `<rect x="${at[i]}" y="14" width="${widths[i]}" height="26" rx="3" fill="${
        risky ? "#eb9a74" : "#f2f2f2"
      }" stroke="${risky ? "#9c2f00" : "#c4c4c4"}"/>`,
      svgText(visible(token), {
        x: at[i]! + widths[i]! / 2,
        y: 32,
        size,
        anchor: "middle",
        mono: true,
      }),
    );
  });
  rowsOfText.forEach((row, r) => {
    const y = 66 + 46 * r;
    body.push(svgText(row.title, { x: 12, y: y + 17, weight: "bold" }));
    row.uses.forEach((use, i) => {
      if (use === undefined) return;
      const { fill, colour, mark, dash } = uses[use];
      body.push(
        `<rect x="${at[i]}" y="${y}" width="${
          widths[i]
        }" height="26" rx="3" fill="${fill}" stroke="${colour}"${dash}/>`,
        svgText(mark, {
          x: at[i]! + widths[i]! / 2,
          y: y + 18,
          size: 14,
          fill: colour,
          anchor: "middle",
          weight: "bold",
        }),
      );
    });
  });
  const bottom = 66 + 46 * rowsOfText.length;
  const meanings = {
    learned: "learned",
    masked: "no loss: read, but never a target",
    other: "another loss",
  };
  let x = left;
  for (const [use, meaning] of Object.entries(meanings)) {
    const { fill, colour, dash } = uses[use as keyof typeof uses];
    body.push(
      `<rect x="${x}" y="${
        bottom - 4
      }" width="18" height="13" rx="2" fill="${fill}" stroke="${colour}"${dash}/>`,
      svgText(meaning, { x: x + 24, y: bottom + 7, size: 11, fill: ink.grey }),
    );
    x += 44 + meaning.length * 6;
  }
  const text = ["is read: " + tokens.map(visible).join(" ")].concat(
    rowsOfText.map(({ title, uses }) =>
      `${title}: ${
        uses.map((use, i) => use ? `${visible(tokens[i]!)} ${use}` : "").filter(Boolean).join(", ")
      }`
    ),
  ).join("\n");
  return displayable({
    svg: svgDocument(Math.max(width, x), bottom + 20, text.slice(0, 400), body.join("")),
    text,
  });
}
