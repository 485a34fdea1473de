// Tokens in reading order, coloured by risk class, loss, probability or any value. Colour never stands alone: the value
// is printed below its token, and a class is an underline too. White space is drawn, because tokens begin with it.

import { CannotError } from "../base/errors.ts";
import { checkOptions, decimals, listOf, number, object, text } from "../base/options.ts";
import { displayWidth, escapeHtml } from "../report/table.ts";
import { type Displayable, displayable } from "./display.ts";
import { ink, mix, readableOn, round, svgDocument, svgText, textWidth, visible } from "./svg.ts";

/** A number for each token, or none. */
export type TokenValues = ArrayLike<number | null | undefined>;

/** What colours the tokens: at most one of `losses`, `probabilities` and `values`; classes go with any. */
export interface TokenColours {
  /** The risk class of each token: 1 low, 2 possibly, 3 definitely risky, 0 unlabelled. */
  classes?: ArrayLike<number>;
  /** In nats; the scale begins at 0. Where there is none (`null`, `undefined`, NaN): a grey dash. */
  losses?: TokenValues;
  /** Between 0 and 1. */
  probabilities?: TokenValues;
  /** Anything else; the scale is two-sided when some are negative. */
  values?: TokenValues;
  /** What the colours mean, e.g. `gradient of the hidden state`. */
  legend?: string;
  /** The ends of the scale, so that two pictures can be compared; what lies outside takes the colour of the end. */
  domain?: readonly [number, number];
  /** Decimals of the numbers; 2 unless given. */
  precision?: number;
}

const classStyles = [
  { name: "unlabelled", fill: "#e6e6e6", line: undefined },
  { name: "low risk", fill: "#ffffff", line: undefined },
  { name: "possibly risky", fill: "#f3cf73", line: { colour: "#8a5a00", dash: "4 2" } },
  { name: "definitely risky", fill: "#eb9a74", line: { colour: "#9c2f00", dash: "" } },
] as const;

/**
 * Shows tokens as coloured boxes, with a legend; as text, each with its value below.
 *
 * @throws {CannotError} when lengths differ, a class is none of 0–3, or more than one value is to colour a token.
 */
export function showTokens(tokens: readonly string[], colours: TokenColours = {}): Displayable {
  checkOptions("show tokens", colours, {
    ...{ classes: object, losses: object, probabilities: object, values: object },
    ...{ legend: text, domain: listOf(number(), 2), precision: decimals },
  });
  const scale = readScale(tokens, colours);
  const classes = readClasses(tokens, colours.classes);
  const cells = tokens.map((token, i): Cell => {
    const number = scale?.label(scale.values[i]);
    const style = classes && classStyles[classes[i]!]!;
    return {
      text: visible(token) || "∅",
      number,
      style,
      fill: scale ? scale.colour(scale.values[i]) : style?.fill ?? "#f2f2f2",
      endsLine: token.includes("\n"),
    };
  });
  const legend = colours.legend ?? scale?.legend ?? (classes ? "risk class" : "tokens");
  const used = classes && classStyles.filter((_, risk) => classes.includes(risk));
  return displayable({
    svg: draw(cells, {
      legend,
      scale,
      classes: used,
      alternative: describe(cells, legend),
    }),
    text: layOutText(cells, legend, classes, false),
    coloured: layOutText(cells, legend, classes, true),
  });
}

interface Cell {
  text: string;
  number: string | undefined;
  style: (typeof classStyles)[number] | undefined;
  fill: string;
  endsLine: boolean;
}

interface Scale {
  values: TokenValues;
  legend: string;
  domain: readonly [number, number];
  colour(value: number | null | undefined): string;
  label(value: number | null | undefined): string;
}

const kinds = {
  losses: { legend: "loss (nats)", high: ink.orange },
  probabilities: { legend: "probability", high: ink.blue },
  values: { legend: "value", high: ink.blue },
} as const;

function readScale(tokens: readonly string[], colours: TokenColours): Scale | undefined {
  const given = (Object.keys(kinds) as (keyof typeof kinds)[]).filter((kind) => colours[kind]);
  if (given.length > 1) {
    fail(`${given.join(" and ")} are given`, "Show one of them; classes go with any");
  }
  const kind = given[0];
  if (!kind) return undefined;
  const values = colours[kind]!;
  checkLength(tokens, values, kind);
  const finite = Array.from(values).filter(isNumber);
  const lowest = Math.min(0, ...finite), highest = Math.max(0, ...finite);
  const reach = Math.max(-lowest, highest);
  const domain = colours.domain ??
    (kind === "probabilities" ? [0, 1] : lowest < 0 ? [-reach, reach] : [0, highest]);
  const { legend, high } = kinds[kind];
  const precision = colours.precision ?? 2;
  return {
    values,
    legend,
    domain,
    colour(value) {
      if (!isNumber(value)) return "#e6e6e6";
      const [low, top] = domain;
      const zero = low < 0 && top > 0 ? 0 : low;
      const part = value >= zero ? (value - zero) / (top - zero) : (zero - value) / (zero - low);
      return mix("#ffffff", value >= zero ? high : ink.orange, Math.min(1, Math.max(0, part || 0)));
    },
    label: (value) => isNumber(value) ? value.toFixed(precision) : "–",
  };
}

function readClasses(tokens: readonly string[], classes?: ArrayLike<number>): number[] | undefined {
  if (!classes) return undefined;
  checkLength(tokens, classes, "classes");
  return Array.from(classes, (risk, i) => {
    if (classStyles[risk]) return risk;
    return fail(`token ${i} has class ${risk}`, "Classes are 0, 1, 2 and 3; see Risk");
  });
}

function checkLength(tokens: readonly string[], values: ArrayLike<unknown>, kind: string): void {
  if (values.length === tokens.length) return;
  fail(
    `there are ${tokens.length} tokens but ${values.length} ${kind}`,
    "Give one for each token; null where there is none",
  );
}

function fail(why: string, remedy: string): never {
  throw new CannotError("show tokens", why, remedy);
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === "number" && !Number.isNaN(value);
}

const lineWidth = 860, size = 14, small = 10, gap = 3;

function draw(
  cells: readonly Cell[],
  { legend, scale, classes, alternative }: {
    legend: string;
    scale: Scale | undefined;
    classes: readonly (typeof classStyles)[number][] | undefined;
    alternative: string;
  },
): string {
  const boxHeight = scale ? 36 : 24;
  const rowHeight = boxHeight + 8;
  const head = drawLegend(legend, scale, classes);
  const body = [head.svg];
  let x = 8, y = 34, widest = head.width;
  for (const cell of cells) {
    const width = Math.max(textWidth(cell.text, size), textWidth(cell.number ?? "", small)) + 6;
    if (x > 8 && x + width > lineWidth) [x, y] = [8, y + rowHeight];
    body.push(drawCell(cell, x, y, width, boxHeight));
    x += width + gap;
    widest = Math.max(widest, x);
    if (cell.endsLine) [x, y] = [8, y + rowHeight];
  }
  return svgDocument(widest + 5, y + (x > 8 ? rowHeight : 0) + 2, alternative, body.join(""));
}

function drawCell(cell: Cell, x: number, y: number, width: number, height: number): string {
  const { text, number, style, fill } = cell;
  const middle = x + width / 2;
  const colour = readableOn(fill);
  const at = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${height}"`;
  const hint = [text, style?.name, number].filter(Boolean).join(", ");
  return `<g><title>${
    escapeHtml(hint)
  }</title><rect ${at} rx="3" fill="${fill}" stroke="#c4c4c4"/>` +
    svgText(text, { x: middle, y: y + 16, size, fill: colour, anchor: "middle", mono: true }) +
    (number === undefined ? "" : svgText(number, {
      x: middle,
      y: y + 30,
      size: small,
      fill: colour,
      anchor: "middle",
      mono: true,
    })) +
    (style?.line ? underline(x, y + height + 3, width, style.line) : "") + "</g>";
}

function underline(
  x: number,
  y: number,
  width: number,
  { colour, dash }: { colour: string; dash: string },
): string {
  return `<line x1="${round(x)}" x2="${round(x + width)}" y1="${y}" y2="${y}" stroke="${colour}" ` +
    `stroke-width="3"${dash && ` stroke-dasharray="${dash}"`}/>`;
}

function drawLegend(
  legend: string,
  scale: Scale | undefined,
  classes: readonly (typeof classStyles)[number][] = [],
): { svg: string; width: number } {
  const parts = [svgText(legend, { x: 8, y: 19, weight: "bold" })];
  let x = 8 + legend.length * 7.2 + 16; // bold sans-serif takes at most about 0.6 em
  if (scale) {
    const [low, high] = scale.domain;
    const labels = [low, high].map((end) => scale.label(end)) as [string, string];
    parts.push(svgText(labels[0], { x, y: 19, size: 11 }));
    x += textWidth(labels[0], 11) + 6;
    for (let step = 0; step < 12; step++) {
      const fill = scale.colour(low + (high - low) * step / 11);
      parts.push(`<rect x="${round(x + 8 * step)}" y="8" width="8" height="14" fill="${fill}"/>`);
    }
    parts.push(`<rect x="${round(x)}" y="8" width="96" height="14" fill="none" stroke="#999"/>`);
    parts.push(svgText(labels[1], { x: x + 102, y: 19, size: 11 }));
    x += 102 + textWidth(labels[1], 11) + 20;
  }
  for (const { name, fill, line } of classes) {
    if (scale && !line) continue; // only the underline tells classes where a value fills the box
    const swatch = scale ? "none" : fill;
    parts.push(
      `<rect x="${round(x)}" y="8" width="18" height="12" fill="${swatch}" stroke="#c4c4c4"/>`,
    );
    if (line) parts.push(underline(x, 22, 18, line));
    parts.push(svgText(name, { x: x + 24, y: 19, size: 11 }));
    x += 24 + name.length * 6.2 + 16;
  }
  return { svg: parts.join(""), width: x };
}

function describe(cells: readonly Cell[], legend: string): string {
  const words = cells.map(({ text, number, style }) => {
    const facts = [style?.line ? style.name : "", number ?? ""].filter(Boolean).join(", ");
    return facts ? `${text} (${facts})` : text;
  });
  return `${legend}: ${words.join(" ")}`;
}

// Below each token its value, and the digit of its class where that is not low; lines of at most 96 columns.
function layOutText(
  cells: readonly Cell[],
  legend: string,
  classes: readonly number[] | undefined,
  coloured: boolean,
): string {
  const lines = [legend];
  let rows = ["", "", ""], width = 0;
  const flush = () => {
    lines.push(...rows.map((row) => row.trimEnd()).filter((row, i) => i === 0 || row !== ""));
    [rows, width] = [["", "", ""], 0];
  };
  cells.forEach(({ text, number = "", fill, endsLine }, i) => {
    const mark = classes && classes[i] !== 1 ? `[${classes[i]}]` : "";
    const column = Math.max(...[text, number, mark].map(displayWidth)) + 1;
    if (width > 0 && width + column > 96) flush();
    const pad = (cell: string) => cell + " ".repeat(column - displayWidth(cell));
    rows[0] += coloured ? ansi(text, fill) + " ".repeat(column - displayWidth(text)) : pad(text);
    rows[1] += pad(number);
    rows[2] += pad(mark);
    width += column;
    if (endsLine) flush();
  });
  if (width > 0) flush();
  return lines.join("\n");
}

function ansi(text: string, background: string): string {
  const rgb = [1, 3, 5].map((at) => parseInt(background.slice(at, at + 2), 16)).join(";");
  const foreground = readableOn(background) === "#000000" ? 30 : 97;
  return `\x1b[48;2;${rgb}m\x1b[${foreground}m${text}\x1b[0m`;
}
