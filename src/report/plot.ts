// Figures as SVG text, rendered by Vega without a browser: same spec, same bytes, on any machine.
// Import this module where a figure is drawn, not at the start: Vega is about 30 MB.
// Colours are those of Okabe and Ito, told apart with any colour vision; shape and dash repeat them.

import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

/** A Vega-Lite v6 specification, for {@linkcode renderPlot} or any other tool that reads Vega-Lite. */
export type PlotSpec = Readonly<Record<string, unknown>>;

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
const shapes = [
  "circle",
  "square",
  "triangle-up",
  "diamond",
  "cross",
  "triangle-down",
  "triangle-left",
];
const dashes = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3], [10, 4]];

const schema = "https://vega.github.io/schema/vega-lite/v6.json";
const config: TopLevelSpec["config"] = {
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
};

/**
 * Renders a Vega-Lite v6 spec to SVG.
 *
 * Vega numbers the ids of clip paths and gradients per process; here they are renamed after the
 * picture itself, so that a spec gives the same bytes each time, and pictures can share a page.
 */
export async function renderPlot(spec: PlotSpec): Promise<string> {
  const compiled = compile(spec as unknown as TopLevelSpec);
  const view = new vega.View(vega.parse(compiled.spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  const ids = [...new Set(Array.from(svg.matchAll(/\bid="([^"]+)"/g), (match) => match[1]!))];
  const renamed = (prefix: string) =>
    ids.reduce(
      (text, id, i) =>
        text.replaceAll(`id="${id}"`, `id="${prefix}-${i}"`)
          .replaceAll(`url(#${id})`, `url(#${prefix}-${i})`),
      svg,
    );
  return renamed(`plot-${fingerprint(renamed("plot"))}`);
}

/** FNV-1a of a text, as 8 hexadecimal digits. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** One method in the trade-off between what it leaks and what it knows. */
export interface ParetoPoint {
  /** Its label. */
  method: string;
  /** Share of generations that name a protected person, in percent; lower is better. */
  nameGeneration: number;
  /** Accuracy on what may be known, in percent; higher is better. */
  knowledge: number;
}

/**
 * Knowledge over name generation, one labelled point per method (the paper's trade-off figure).
 * A grey step joins the methods that no other beats on both axes.
 */
export function paretoPlot(points: readonly ParetoPoint[], title = ""): PlotSpec {
  const width = 560, height = 380;
  const xDomain = niceDomain(points.map((point) => point.nameGeneration), true);
  const yDomain = niceDomain(points.map((point) => point.knowledge), false);
  const front = paretoFront(points);
  const pixel = (point: ParetoPoint) => ({
    x: width * fraction(point.nameGeneration, xDomain),
    y: height * (1 - fraction(point.knowledge, yDomain)),
  });
  const labels = placeLabels(
    points.map((point) => ({ text: point.method, ...pixel(point) })),
    { left: 0, top: 0, right: width, bottom: height },
    front.slice(1).flatMap((point, i) => {
      const from = pixel(front[i]!), to = pixel(point);
      return [
        { left: from.x, right: to.x, top: from.y - 1, bottom: from.y + 1 },
        { left: to.x - 1, right: to.x + 1, top: to.y, bottom: from.y },
      ];
    }),
  );
  const leaders = points.flatMap((point, i) => {
    const end = leaderEnd(labels[i]!);
    return end === undefined ? [] : [{
      ...point,
      x2: point.nameGeneration + end.x / width * (xDomain[1] - xDomain[0]),
      y2: point.knowledge - end.y / height * (yDomain[1] - yDomain[0]),
    }];
  });
  const methods = points.map((point) => point.method);
  const x = {
    field: "nameGeneration",
    type: "quantitative",
    scale: { domain: xDomain, nice: false },
    title: "Name generation (%, lower is better)",
  } as const;
  const y = {
    field: "knowledge",
    type: "quantitative",
    scale: { domain: yDomain, nice: false },
    title: "Knowledge (%, higher is better)",
  } as const;
  return {
    $schema: schema,
    config,
    title,
    width,
    height,
    layer: [
      {
        data: { values: front },
        mark: { type: "line", interpolate: "step-after", color: "#bbb", strokeWidth: 1.5 },
        encoding: { x, y, order: { field: "nameGeneration" } },
      },
      {
        data: { values: leaders },
        mark: { type: "rule", color: "#888", strokeWidth: 0.75 },
        encoding: { x, y, x2: { field: "x2" }, y2: { field: "y2" } },
      },
      {
        data: { values: [...points] },
        mark: { type: "point", filled: true, size: 110, opacity: 1 },
        encoding: {
          x,
          y,
          color: {
            field: "method",
            scale: { domain: methods, range: cycle(palette, methods.length) },
            legend: null,
          },
          shape: {
            field: "method",
            scale: { domain: methods, range: cycle(shapes, methods.length) },
            legend: null,
          },
        },
      },
      ...points.map((point, i) => ({
        data: { values: [point] },
        mark: { type: "text", fontSize: labelSize, color: "#222", ...labels[i]! },
        encoding: { x, y, text: { field: "method" } },
      } as const)),
    ],
  } satisfies TopLevelSpec;
}

/** The points that no other point beats on both axes, from left to right. */
export function paretoFront(points: readonly ParetoPoint[]): ParetoPoint[] {
  const sorted = points.toSorted((a, b) =>
    a.nameGeneration - b.nameGeneration || b.knowledge - a.knowledge
  );
  let best = -Infinity;
  return sorted.filter(({ knowledge }) => knowledge > best && ((best = knowledge), true));
}

/** A named curve: the loss at some optimiser steps. */
export interface LossSeries {
  /** Its entry in the legend. */
  name: string;
  /** From the first step to the last. */
  points: readonly { step: number; loss: number }[];
}

/** Loss over optimiser steps, one line per series. */
export function lossCurves(series: readonly LossSeries[], title = ""): PlotSpec {
  const names = series.map(({ name }) => name);
  const values = series.flatMap(({ name, points }) => points.map((point) => ({ name, ...point })));
  return {
    $schema: schema,
    config,
    title,
    width: 560,
    height: 320,
    data: { values },
    mark: { type: "line", strokeWidth: 2, clip: true },
    encoding: {
      x: { field: "step", type: "quantitative", title: "Optimiser step", axis: { tickMinStep: 1 } },
      y: {
        field: "loss",
        type: "quantitative",
        title: "Loss (nats per token)",
        scale: { zero: false },
      },
      color: {
        field: "name",
        title: null,
        scale: { domain: names, range: cycle(palette, names.length) },
      },
      strokeDash: {
        field: "name",
        title: null,
        scale: { domain: names, range: cycle(dashes, names.length) },
      },
    },
  } satisfies TopLevelSpec;
}

/** One bar of a grouped chart. */
export interface Bar {
  /** What the bars that stand together share, e.g. a metric. */
  group: string;
  /** What tells them apart, e.g. a method. */
  series: string;
  /** Its height. */
  value: number;
}

/** Bars side by side within groups, each with its value on top. */
export function groupedBars(bars: readonly Bar[], valueTitle: string, title = ""): PlotSpec {
  const series = [...new Set(bars.map((bar) => bar.series))];
  const groups = [...new Set(bars.map((bar) => bar.group))];
  const x = {
    field: "group",
    type: "nominal",
    sort: groups,
    title: null,
    axis: { labelAngle: 0, labelPadding: 6, labelLimit: 50 * series.length },
  } as const;
  const xOffset = { field: "series", sort: series } as const;
  const y = { field: "value", type: "quantitative", title: valueTitle } as const;
  return {
    $schema: schema,
    config,
    title,
    // 38 pixels hold a label such as 100.0 above its bar.
    width: { step: 38, for: "offset" },
    height: 300,
    data: { values: [...bars] },
    layer: [
      {
        mark: { type: "bar" },
        encoding: {
          x,
          xOffset,
          y,
          color: {
            field: "series",
            title: null,
            scale: { domain: series, range: cycle(palette, series.length) },
          },
        },
      },
      {
        mark: { type: "text", dy: -7, fontSize: 11, color: "#222" },
        encoding: { x, xOffset, y, text: { field: "value", format: ".3~g" } },
      },
    ],
  } satisfies TopLevelSpec;
}

function cycle<Item>(items: readonly Item[], length: number): Item[] {
  return Array.from({ length }, (_, i) => items[i % items.length]!);
}

/** A range of round numbers around values in percent, with room for marks at 0 and at 100. */
function niceDomain(values: readonly number[], fromZero: boolean): [number, number] {
  const low = fromZero ? 0 : Math.min(...values, 100), high = Math.max(...values, 0);
  const margin = Math.max((high - low) * 0.12, 1);
  const rough = (high - low + 2 * margin) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
  const start = Math.max(Math.floor((low - margin) / step) * step, 0);
  const end = Math.min(Math.ceil((high + margin) / step) * step, 100);
  const room = (end - start) * 0.02;
  return [start === 0 ? -room : start, end === 100 ? end + room : end];
}

function fraction(value: number, [low, high]: readonly [number, number]): number {
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

const labelSize = 12;

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
function leaderEnd({ align, dx, dy }: Placement): { x: number; y: number } | undefined {
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
