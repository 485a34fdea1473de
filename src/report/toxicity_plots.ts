// The paper's figures of the toxicity experiment. Figure 2: understanding against generation, one point per method, with
// 95 % intervals both ways and the Pareto frontier. Figure 3: both against the amount of toxic data.
// The paper prints no values for either, so none are drawn beside ours. A method has the same colour and shape in all.

import type { TopLevelSpec } from "vega-lite";
import { CannotError } from "../base/errors.ts";
import {
  type Box,
  fraction,
  labelSize,
  leaderEnd,
  niceDomain,
  palette,
  placeLabels,
  type PlotSpec,
  schema,
  shapes,
  theme,
} from "./plot_style.ts";
import { paperMethods } from "./toxicity_tables.ts";

/** A mean with its 95 % interval; both bounds equal the mean where there is none. */
export interface MeanInterval {
  /** The mean. */
  mean: number;
  /** Lower bound. */
  low: number;
  /** Upper bound. */
  high: number;
}

/** A method in Figure 2. */
export interface TradeOffPoint {
  /** Its label; see {@linkcode paperMethods}. */
  method: string;
  /** Mean toxicity of its generations, 0 to 1; lower is better. */
  toxicity: MeanInterval;
  /** Probe AUROC, 0.5 to 1; higher is better. */
  auroc: MeanInterval;
  /** Whether no other method is better on both; see `paretoFrontier`. */
  onFrontier: boolean;
}

/** A method trained with some amount of toxic data, in Figure 3. */
export interface ScalingPoint {
  /** Its label. */
  method: string;
  /** Toxic tokens it was trained on; a method with 0 is drawn as a level line. */
  amount: number;
  /** Mean toxicity of its generations. */
  toxicity: MeanInterval;
  /** Probe AUROC. */
  auroc: MeanInterval;
}

// In the order of `paperMethods`: black, sky blue, vermilion, blue, green; then pink and orange for others.
const colours = [6, 5, 1, 0, 2, 3, 4].map((i) => palette[i]!);

/** Length of the ends of interval bars, in pixels. */
const capSize = 9;

/**
 * Figure 2: probe AUROC over toxicity of generations. The best corner is the upper left; a grey step joins the methods on
 * the frontier, and bars are 95 % intervals.
 */
export function toxicityTradeOff(points: readonly TradeOffPoint[], title = ""): PlotSpec {
  const width = 560, height = 400;
  const values = points.map(({ method, toxicity, auroc, onFrontier }) => ({
    method,
    onFrontier,
    toxicity: toxicity.mean,
    toxicityLow: Math.max(toxicity.low, 0),
    toxicityHigh: Math.min(toxicity.high, 1),
    auroc: auroc.mean,
    aurocLow: Math.max(auroc.low, 0),
    aurocHigh: Math.min(auroc.high, 1),
  }));
  const xDomain = niceDomain(
    values.flatMap(({ toxicityLow, toxicityHigh }) => [toxicityLow, toxicityHigh]),
    { most: 1, fromZero: false },
  );
  const yDomain = niceDomain(
    values.flatMap(({ aurocLow, aurocHigh }) => [aurocLow, aurocHigh]),
    { most: 1, fromZero: false },
  );
  const left = (toxicity: number) => width * fraction(toxicity, xDomain);
  const top = (auroc: number) => height * (1 - fraction(auroc, yDomain));
  const frontier = values.filter(({ onFrontier }) => onFrontier)
    .sort((a, b) => a.toxicity - b.toxicity);
  // Nothing more toxic is better, so the last step goes on to the right.
  const steps = frontier.flatMap((from, i): Box[] => {
    const to = frontier[i + 1];
    const x = left(from.toxicity), y = top(from.auroc);
    if (to === undefined) return [line(x, y, width, y, 1)];
    const x2 = left(to.toxicity);
    return [line(x, y, x2, y, 1), line(x2, top(to.auroc), x2, y, 1)];
  });
  const bars = values.flatMap((value): Box[] => {
    const x = left(value.toxicity), y = top(value.auroc);
    return [
      line(left(value.toxicityLow), y, left(value.toxicityHigh), y, capSize / 2),
      line(x, top(value.aurocHigh), x, top(value.aurocLow), capSize / 2),
    ];
  });
  const placements = placeLabels(
    values.map(({ method, toxicity, auroc }) => ({
      text: method,
      x: left(toxicity),
      y: top(auroc),
    })),
    { left: 0, top: 0, right: width, bottom: height },
    [...bars, ...steps],
  );
  const leaders = values.flatMap((value, i) => {
    const end = leaderEnd(placements[i]!);
    return end === undefined ? [] : [{
      ...value,
      x2: value.toxicity + end.x / width * (xDomain[1] - xDomain[0]),
      y2: value.auroc - end.y / height * (yDomain[1] - yDomain[0]),
    }];
  });
  const x = {
    field: "toxicity",
    type: "quantitative",
    scale: { domain: xDomain, nice: false },
    title: "Toxicity of generations (lower is better)",
  } as const;
  const y = {
    field: "auroc",
    type: "quantitative",
    scale: { domain: yDomain, nice: false },
    title: "Probe AUROC (higher is better)",
  } as const;
  const toRightEdge = (value: typeof values[number]) => ({ ...value, toxicity: xDomain[1] });
  const { color, shape } = methodScales(points.map(({ method }) => method));
  const bar = { type: "rule", strokeWidth: 1.5, opacity: 0.75 } as const;
  const cap = { type: "tick", thickness: 1.5, size: capSize, opacity: 0.75 } as const;
  const end = (field: string) => ({ field, type: "quantitative" } as const);
  return {
    $schema: schema,
    config: theme,
    title: { text: title, subtitle: "Bars: 95 % intervals. Grey line: Pareto frontier." },
    width,
    height,
    data: { values },
    layer: [
      {
        data: { values: [...frontier, ...frontier.slice(-1).map(toRightEdge)] },
        mark: { type: "line", interpolate: "step-after", color: "#bbb", strokeWidth: 1.5 },
        encoding: { x, y, order: { field: "toxicity" } },
      },
      {
        data: { values: leaders },
        mark: { type: "rule", color: "#888", strokeWidth: 0.75 },
        encoding: { x, y, x2: { field: "x2" }, y2: { field: "y2" } },
      },
      {
        mark: bar,
        encoding: { x: { ...x, field: "toxicityLow" }, x2: { field: "toxicityHigh" }, y, color },
      },
      {
        mark: bar,
        encoding: { y: { ...y, field: "aurocLow" }, y2: { field: "aurocHigh" }, x, color },
      },
      ...["toxicityLow", "toxicityHigh"].map((field) => ({
        mark: { ...cap, orient: "vertical" },
        encoding: { x: end(field), y, color },
      } as const)),
      ...["aurocLow", "aurocHigh"].map((field) => ({
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
        encoding: { x, y, text: { field: "method" } },
      } as const)),
    ],
  } satisfies TopLevelSpec;
}

/**
 * Figure 3: toxicity of generations and probe AUROC over the amount of toxic data (logarithmic), one line per method,
 * named at its right end. Methods trained without toxic data are dashed level lines.
 */
export function toxicityScaling(points: readonly ScalingPoint[], title = ""): PlotSpec {
  const amounts = [...new Set(points.map(({ amount }) => amount))].filter((amount) => amount > 0)
    .sort((a, b) => a - b);
  if (amounts.length === 0) {
    throw new CannotError(
      "plot the scaling of toxic data",
      "no method was trained on any",
      "Give points with an amount above 0",
    );
  }
  return {
    $schema: schema,
    config: theme,
    title,
    vconcat: [
      scalingPanel(points, amounts, "toxicity", "Toxicity of generations"),
      scalingPanel(points, amounts, "auroc", "Probe AUROC", "Toxic tokens in training"),
    ],
  } satisfies TopLevelSpec;
}

type Panel = Extract<TopLevelSpec, { vconcat: unknown }>["vconcat"][number];

function scalingPanel(
  points: readonly ScalingPoint[],
  amounts: readonly number[],
  key: "toxicity" | "auroc",
  yTitle: string,
  xTitle: string | null = null,
): Panel {
  const width = 480, height = 230;
  const values = points.map(({ method, amount, [key]: { mean, low, high } }) => ({
    method,
    amount,
    mean,
    low: Math.max(low, 0),
    high: Math.min(high, 1),
  }));
  const xDomain: [number, number] = [amounts[0]! / 1.1, amounts.at(-1)! * 1.1];
  const yDomain = niceDomain(values.flatMap(({ low, high }) => [low, high]), {
    most: 1,
    fromZero: false,
  });
  const methods = [...new Set(points.map(({ method }) => method))];
  const ends = methods.map((method) =>
    values.filter((value) => value.method === method)
      .reduce((right, value) => value.amount > right.amount ? value : right)
  );
  const labelHeights = spreadApart(
    ends.map(({ mean }) => height * (1 - fraction(mean, yDomain))),
    labelSize + 4,
    [labelSize / 2, height - labelSize / 2],
  );
  const { color, shape } = methodScales(methods);
  const x = {
    field: "amount",
    type: "quantitative",
    scale: { type: "log", base: 2, domain: xDomain, nice: false },
    axis: { values: amounts as number[], format: ".3~s", grid: false },
    title: xTitle,
  } as const;
  const y = {
    field: "mean",
    type: "quantitative",
    scale: { domain: yDomain, nice: false },
    title: yTitle,
  } as const;
  const trained = [{ filter: "datum.amount > 0" }];
  return {
    width,
    height,
    data: { values },
    layer: [
      {
        transform: [{ filter: "datum.amount == 0" }],
        mark: { type: "rule", strokeDash: [5, 4], strokeWidth: 1.5 },
        encoding: { y, color },
      },
      {
        transform: trained,
        mark: { type: "rule", strokeWidth: 1.5, opacity: 0.75 },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
      },
      {
        transform: trained,
        mark: { type: "line", strokeWidth: 2 },
        encoding: { x, y, color },
      },
      {
        transform: trained,
        mark: { type: "point", filled: true, size: 70, opacity: 1 },
        encoding: { x, y, color, shape },
      },
      // From the edge to the name of each line, which may have been moved to make room.
      ...ends.flatMap((
        { method, mean },
        i,
      ): Extract<Panel, { layer: unknown }>["layer"] => [
        {
          data: { values: [{ mean }] },
          mark: { type: "rule", strokeWidth: 0.75, color: "#888" },
          encoding: {
            x: { value: width },
            y,
            x2: { value: width + 14 },
            y2: { value: labelHeights[i]! },
          },
        },
        {
          data: { values: [{ method }] },
          mark: { type: "text", align: "left", fontSize: labelSize, color: "#222" },
          encoding: {
            x: { value: width + 18 },
            y: { value: labelHeights[i]! },
            text: { field: "method" },
          },
        },
      ]),
    ],
  };
}

/**
 * Moves positions as little as keeps them `gap` apart, in their order and within bounds: the least sum of squares, by
 * pooling neighbours that are too close (isotonic regression).
 */
export function spreadApart(
  positions: readonly number[],
  gap: number,
  [least, most]: readonly [number, number],
): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]!);
  const pools: { sum: number; members: number[] }[] = [];
  order.forEach((i, rank) => {
    let pool = { sum: positions[i]! - rank * gap, members: [i] };
    for (let above; (above = pools.at(-1)) && centre(above) > centre(pool); pools.pop()) {
      pool = { sum: above.sum + pool.sum, members: [...above.members, ...pool.members] };
    }
    pools.push(pool);
  });
  const moved = [...positions];
  let rank = 0;
  for (const pool of pools) {
    const start = Math.max(Math.min(centre(pool), most - (order.length - 1) * gap), least);
    for (const i of pool.members) moved[i] = start + gap * rank++;
  }
  return moved;
}

function centre({ sum, members }: { sum: number; members: readonly number[] }): number {
  return sum / members.length;
}

// Colour and shape by method, the same in all figures.
function methodScales(methods: readonly string[]): Record<"color" | "shape", MethodScale> {
  const names: readonly string[] = paperMethods;
  const others = methods.filter((method) => !names.includes(method));
  const indices = methods.map((method) =>
    names.includes(method) ? names.indexOf(method) : names.length + others.indexOf(method)
  );
  const scale = (items: readonly string[]): MethodScale => ({
    field: "method",
    scale: { domain: [...methods], range: indices.map((index) => items[index % items.length]!) },
    legend: null,
  });
  return { color: scale(colours), shape: scale(shapes) };
}

interface MethodScale {
  field: "method";
  scale: { domain: string[]; range: string[] };
  legend: null;
}

/** A line as an obstacle for labels, which keep `room` pixels away. */
function line(left: number, top: number, right: number, bottom: number, room: number): Box {
  return { left: left - room, top: top - room, right: right + room, bottom: bottom + room };
}
