// Two measures against each other, of which one should be low and the other high: one point for each label, with its
// intervals both ways, and the frontier of those that no other one beats.

import type { TopLevelSpec } from "npm:vega-lite@6.5.0";
import type { Interval } from "../base/interval.ts";
import {
  type Axis,
  type Box,
  fraction,
  labelSize,
  leaderEnd,
  niceDomain,
  placeLabels,
  type PlotSpec,
  schema,
  type StyleOrder,
  styleScales,
  theme,
} from "./plot_style.ts";

/** A point of the figure. */
export interface TradeOffPoint {
  /** Stands beside it. */
  label: string;
  /** Lower is better. */
  x: Interval;
  /** Higher is better. */
  y: Interval;
}

/**
 * The points that no other one beats, by rising x: one beats another if it is at least as good on both axes (lower x,
 * higher y) and better on one. Equal points are kept together.
 */
export function paretoFrontier<Point>(
  points: readonly Point[],
  { x, y }: { x: (point: Point) => number; y: (point: Point) => number },
): Point[] {
  const beats = (a: Point, b: Point) =>
    x(a) <= x(b) && y(a) >= y(b) && (x(a) < x(b) || y(a) > y(b));
  return points
    .filter((point) => !points.some((other) => beats(other, point)))
    .sort((a, b) => x(a) - x(b));
}

/** Length of the ends of interval bars, in pixels. */
const capSize = 9;

/** The figure: the best corner is the upper left, and a grey step joins the points of the frontier. */
export function tradeOffPlot(
  points: readonly TradeOffPoint[],
  axes: { x: Axis; y: Axis },
  { title = "", order = [] }: { title?: string; order?: StyleOrder } = {},
): PlotSpec {
  const width = 560, height = 400;
  const values = points.map(({ label, x, y }) => ({
    label,
    x: x.mean,
    xLow: Math.max(x.low, 0),
    xHigh: Math.min(x.high, axes.x.most),
    y: y.mean,
    yLow: Math.max(y.low, 0),
    yHigh: Math.min(y.high, axes.y.most),
  }));
  type Value = typeof values[number];
  const domain = ({ most, fromZero = false }: Axis, bounds: number[]) =>
    niceDomain(bounds, { most, fromZero });
  const xDomain = domain(axes.x, values.flatMap(({ xLow, xHigh }) => [xLow, xHigh]));
  const yDomain = domain(axes.y, values.flatMap(({ yLow, yHigh }) => [yLow, yHigh]));
  const left = (value: number) => width * fraction(value, xDomain);
  const top = (value: number) => height * (1 - fraction(value, yDomain));
  const frontier = paretoFrontier(values, { x: ({ x }) => x, y: ({ y }) => y });
  // Nothing further right is better, so the last step goes on to the edge.
  const steps = frontier.flatMap((from, i): Box[] => {
    const to = frontier[i + 1];
    const x = left(from.x), y = top(from.y);
    if (to === undefined) return [line(x, y, width, y, 1)];
    const x2 = left(to.x);
    return [line(x, y, x2, y, 1), line(x2, top(to.y), x2, y, 1)];
  });
  const spread = values.filter(({ xLow, xHigh, yLow, yHigh }) => xLow < xHigh || yLow < yHigh);
  const bars = spread.flatMap((value): Box[] => {
    const x = left(value.x), y = top(value.y);
    return [
      line(left(value.xLow), y, left(value.xHigh), y, capSize / 2),
      line(x, top(value.yHigh), x, top(value.yLow), capSize / 2),
    ];
  });
  const placements = placeLabels(
    values.map(({ label, x, y }) => ({ text: label, x: left(x), y: top(y) })),
    { left: 0, top: 0, right: width, bottom: height },
    [...bars, ...steps],
  );
  const leaders = values.flatMap((value, i) => {
    const end = leaderEnd(placements[i]!);
    return end === undefined ? [] : [{
      ...value,
      x2: value.x + end.x / width * (xDomain[1] - xDomain[0]),
      y2: value.y - end.y / height * (yDomain[1] - yDomain[0]),
    }];
  });
  const encode = (field: "x" | "y", title: string, range: [number, number]) => ({
    field,
    type: "quantitative",
    scale: { domain: range, nice: false },
    title,
  } as const);
  const x = encode("x", axes.x.title, xDomain), y = encode("y", axes.y.title, yDomain);
  const toRightEdge = (value: Value) => ({ ...value, x: xDomain[1] });
  const { color, shape } = styleScales(values.map(({ label }) => label), order);
  const bar = { type: "rule", strokeWidth: 1.5, opacity: 0.75 } as const;
  const cap = { type: "tick", thickness: 1.5, size: capSize, opacity: 0.75 } as const;
  const end = (field: string) => ({ field, type: "quantitative" } as const);
  const intervals = { data: { values: spread } };
  const explained = spread.length > 0 ? "Bars: 95 % intervals. " : "";
  return {
    $schema: schema,
    config: theme,
    title: { text: title, subtitle: `${explained}Grey line: Pareto frontier.` },
    width,
    height,
    data: { values },
    layer: [
      {
        data: { values: [...frontier, ...frontier.slice(-1).map(toRightEdge)] },
        mark: { type: "line", interpolate: "step-after", color: "#bbb", strokeWidth: 1.5 },
        encoding: { x, y, order: { field: "x" } },
      },
      {
        data: { values: leaders },
        mark: { type: "rule", color: "#888", strokeWidth: 0.75 },
        encoding: { x, y, x2: { field: "x2" }, y2: { field: "y2" } },
      },
      {
        ...intervals,
        mark: bar,
        encoding: { x: { ...x, field: "xLow" }, x2: { field: "xHigh" }, y, color },
      },
      {
        ...intervals,
        mark: bar,
        encoding: { y: { ...y, field: "yLow" }, y2: { field: "yHigh" }, x, color },
      },
      ...["xLow", "xHigh"].map((field) => ({
        ...intervals,
        mark: { ...cap, orient: "vertical" },
        encoding: { x: end(field), y, color },
      } as const)),
      ...["yLow", "yHigh"].map((field) => ({
        ...intervals,
        mark: { ...cap, orient: "horizontal" },
        encoding: { x, y: end(field), color },
      } as const)),
      {
        mark: { type: "point", filled: true, size: 120, opacity: 1 },
        encoding: { x, y, color, shape },
      },
      ...values.map((value, i) => ({
        data: { values: [value] },
        mark: { type: "text", fontSize: labelSize, color: "#222", ...placements[i]! },
        encoding: { x, y, text: { field: "label" } },
      } as const)),
    ],
  } satisfies TopLevelSpec;
}

/** A line as an obstacle for labels, which keep `room` pixels away. */
function line(left: number, top: number, right: number, bottom: number, room: number): Box {
  return { left: left - room, top: top - room, right: right + room, bottom: bottom + room };
}
