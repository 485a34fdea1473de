// What all figures share: theme, colours and shapes, round axis ranges, and labels that stand beside their points without
// covering each other. Nothing here needs Vega, so specs can be made (and read by other tools) without it.
// Colours are those of Okabe and Ito, told apart with any colour vision; shape and dash repeat them.

import { largest, smallest } from "../base/extremes.ts";
import type { TopLevelSpec } from "npm:vega-lite@6.5.0";

/** A Vega-Lite v6 specification, for `renderPlot` or any other tool that reads Vega-Lite. */
export type PlotSpec = Readonly<Record<string, unknown>>;

/** The version of Vega-Lite that specs are written for. */
export const schema = "https://vega.github.io/schema/vega-lite/v6.json";

/** Fonts, grid and legends of all figures. */
export const theme: Readonly<Record<string, unknown>> = {
  font: "sans-serif",
  background: "white",
  view: { stroke: null },
  axis: {
    labelFlush: false,
    labelFontSize: 12,
    titleFontSize: 13,
    titleFontWeight: "normal",
    titlePadding: 10,
    gridColor: "#e8e8e8",
    domainColor: "#888",
    tickColor: "#888",
  },
  legend: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 320 },
  title: { fontSize: 15, anchor: "start", offset: 14 },
} satisfies NonNullable<TopLevelSpec["config"]>;

/** The Okabe-Ito palette without its yellow, which is too pale for lines on white. */
export const palette: readonly string[] = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#000000",
];
/** One shape per colour, so that colour is never alone in telling marks apart. */
export const shapes: readonly string[] = [
  "circle",
  "square",
  "triangle-up",
  "diamond",
  "cross",
  "triangle-down",
  "triangle-left",
];
/** Dash patterns of lines, the first one solid. */
export const dashes: readonly number[][] = [
  [1, 0],
  [6, 3],
  [2, 2],
  [8, 3, 2, 3],
  [4, 4],
  [1, 3],
  [10, 4],
];

/** The first `length` of `items`, from the start again when they are used up. */
export function cycle<Item>(items: readonly Item[], length: number): Item[] {
  return Array.from({ length }, (_, i) => items[i % items.length]!);
}

/** What an axis shows. */
export interface Axis {
  /** Its title. */
  title: string;
  /** The largest possible value: 1 for shares, 100 for percentages. */
  most: number;
  /** Whether it begins at 0 wherever the values do; false unless given. */
  fromZero?: boolean;
}

/** Labels that look the same in all figures, whoever stands beside them: those of one group share colour and shape. */
export type StyleOrder = readonly (readonly string[])[];

/** Colour and shape of the field `label`, those of `order` first. */
export function styleScales(
  labels: readonly string[],
  order: StyleOrder,
): Record<"color" | "shape", StyleScale> {
  const groupOf = (label: string) => order.findIndex((group) => group.includes(label));
  const others = labels.filter((label) => groupOf(label) < 0);
  const indices = labels.map((label) =>
    groupOf(label) >= 0 ? groupOf(label) : order.length + others.indexOf(label)
  );
  const scale = (range: string[]): StyleScale => ({
    field: "label",
    scale: { domain: [...labels], range },
    legend: null,
  });
  return {
    color: scale(indices.map((index) => palette[index % palette.length]!)),
    // Once the colours are used up, each comes again with another shape.
    shape: scale(
      indices.map((index) => shapes[(index + Math.floor(index / palette.length)) % shapes.length]!),
    ),
  };
}

interface StyleScale {
  field: "label";
  scale: { domain: string[]; range: string[] };
  legend: null;
}

/**
 * A range of round numbers around values from 0 to `most`, with room for marks at either end.
 *
 * @param options.most 1 for shares, 100 for percentages.
 * @param options.fromZero Whether it begins at 0 wherever the values do.
 */
export function niceDomain(
  values: readonly number[],
  { most, fromZero }: { most: number; fromZero: boolean },
): [low: number, high: number] {
  const low = fromZero ? 0 : smallest(values, most), high = largest(values, 0);
  const margin = Math.max((high - low) * 0.12, most / 100);
  const rough = (high - low + 2 * margin) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
  const start = Math.max(Math.floor((low - margin) / step) * step, 0);
  const end = Math.min(Math.ceil((high + margin) / step) * step, most);
  const room = (end - start) * 0.02;
  return [start === 0 ? -room : start, end === most ? end + room : end];
}

/** Where a value lies in a range, 0 to 1. */
export function fraction(value: number, [low, high]: readonly [number, number]): number {
  return (value - low) / (high - low);
}

/** A text to place beside a point, in pixels from the top left. */
export interface Label {
  /** What it says. */
  text: string;
  /** Of its point. */
  x: number;
  /** Of its point. */
  y: number;
}

/** Where a label goes, relative to its point. */
export interface Placement {
  /** Which part of the text stands at the offset. */
  align: "left" | "right" | "center";
  /** Pixels to the right. */
  dx: number;
  /** Pixels down. */
  dy: number;
}

/** A rectangle, its sides in pixels from the left and from the top. */
export type Box = Record<"left" | "right" | "top" | "bottom", number>;

/** Font size of direct labels, in pixels. */
export const labelSize = 12;

/**
 * Puts each label beside its point, where it covers least: 32 places are tried, near ones first,
 * against the frame, all points, the obstacles and the labels already placed. Sizes are estimated
 * (0.58 em per character), because without a canvas nothing can measure text. A label further than
 * 20 pixels from its point is tied to it by a thin line.
 */
export function placeLabels(
  labels: readonly Label[],
  frame: Box,
  obstacles: readonly Box[] = [],
): (Placement & { baseline: "middle" })[] {
  const taken = [...labels.map(({ x, y }) => around(x, y, 7, 7)), ...obstacles];
  return labels.map((label) => {
    const half = label.text.length * labelSize * 0.58 / 2;
    const places = candidates.map((placement, order) => {
      const side = placement.align === "left" ? half : placement.align === "right" ? -half : 0;
      const box = around(label.x + placement.dx + side, label.y + placement.dy, half, 8);
      const boxes = [box, ...leaderBoxes(label, placement)];
      const outside = area(box) - overlap(box, frame);
      const covered = boxes.flatMap((mine) => taken.map((other) => overlap(mine, other)))
        .reduce((sum, pixels) => sum + pixels, 0);
      return { placement, boxes, cost: outside * 4 + covered + order };
    });
    const best = places.reduce((a, b) => b.cost < a.cost ? b : a);
    taken.push(...best.boxes);
    return { ...best.placement, baseline: "middle" };
  });
}

/** Where the line from a point to its label ends, relative to the point; none if it is near. */
export function leaderEnd({ align, dx, dy }: Placement): { x: number; y: number } | undefined {
  if (Math.hypot(dx, dy) < 20) return undefined;
  return { x: dx - 2 * Math.sign(dx), y: align === "center" ? dy - 8 * Math.sign(dy) : dy };
}

/** The line as a row of 4 by 4 pixel boxes, weighty enough to keep labels and lines apart. */
function leaderBoxes(label: Label, placement: Placement): Box[] {
  const end = leaderEnd(placement);
  if (end === undefined) return [];
  const steps = Math.ceil(Math.hypot(end.x, end.y) / 4);
  return Array.from({ length: steps - 3 }, (_, i) => {
    const part = (i + 3) / steps; // the first pixels lie on the point itself
    return around(label.x + part * end.x, label.y + part * end.y, 2, 2);
  });
}

/** Eight directions at four distances. */
const candidates: readonly Placement[] = [10, 22, 36, 52].flatMap((distance): Placement[] => {
  const dx = distance * 0.7, dy = distance * 0.9 + 5;
  return [
    { align: "left", dx: distance, dy: 0 },
    { align: "right", dx: -distance, dy: 0 },
    { align: "center", dx: 0, dy: -dy },
    { align: "center", dx: 0, dy },
    { align: "left", dx, dy: -dy },
    { align: "left", dx, dy },
    { align: "right", dx: -dx, dy: -dy },
    { align: "right", dx: -dx, dy },
  ];
});

function around(x: number, y: number, halfWidth: number, halfHeight: number): Box {
  return { left: x - halfWidth, right: x + halfWidth, top: y - halfHeight, bottom: y + halfHeight };
}

function area({ left, right, top, bottom }: Box): number {
  return (right - left) * (bottom - top);
}

function overlap(a: Box, b: Box): number {
  const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return across > 0 && down > 0 ? across * down : 0;
}
