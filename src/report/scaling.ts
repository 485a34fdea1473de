// A measure over the amount of something, one line for each name, drawn in panels that share the horizontal axis.

import type { TopLevelSpec } from "npm:vega-lite@6.5.0";
import { CannotError } from "../base/errors.ts";
import type { Interval } from "../base/interval.ts";
import {
  type Axis,
  fraction,
  labelSize,
  niceDomain,
  type PlotSpec,
  schema,
  type StyleOrder,
  styleScales,
  theme,
} from "./plot_style.ts";

/** A name at some amount, with what each panel shows of it. */
export interface ScalingPoint<Key extends string> {
  /** Names the line. */
  label: string;
  /** Where it stands on the logarithmic axis; 0 is drawn as a level line. */
  amount: number;
  /** By panel. */
  values: Readonly<Record<Key, Interval>>;
}

/**
 * One panel for each key, over the amount (logarithmic), a line for each label, named at its right end. Labels at amount 0
 * are dashed level lines.
 *
 * @throws {CannotError} when nothing has an amount above 0.
 */
export function scalingPlot<Key extends string>(
  points: readonly ScalingPoint<NoInfer<Key>>[],
  panels: Readonly<Record<Key, Axis>>,
  { title = "", amountTitle, order = [] }: {
    title?: string;
    amountTitle: string;
    order?: StyleOrder;
  },
): PlotSpec {
  const amounts = [...new Set(points.map(({ amount }) => amount))].filter((amount) => amount > 0)
    .sort((a, b) => a - b);
  if (amounts.length === 0) {
    throw new CannotError(
      "plot a measure over an amount",
      "no point has any",
      "Give points with an amount above 0",
    );
  }
  const keys = Object.keys(panels) as Key[];
  return {
    $schema: schema,
    config: theme,
    title,
    vconcat: keys.map((key, i) => {
      const own = points.map(({ label, amount, values }) => ({ label, amount, ...values[key] }));
      const last = i === keys.length - 1;
      return scalingPanel(own, amounts, panels[key], last ? amountTitle : null, order);
    }),
  } satisfies TopLevelSpec;
}

type Panel = Extract<TopLevelSpec, { vconcat: unknown }>["vconcat"][number];

function scalingPanel(
  points: readonly (Interval & { label: string; amount: number })[],
  amounts: readonly number[],
  axis: Axis,
  xTitle: string | null,
  order: StyleOrder,
): Panel {
  const width = 480, height = 230;
  const values = points.map(({ label, amount, mean, low, high }) => ({
    label,
    amount,
    mean,
    low: Math.max(low, 0),
    high: Math.min(high, axis.most),
  }));
  const xDomain: [number, number] = [amounts[0]! / 1.1, amounts.at(-1)! * 1.1];
  const yDomain = niceDomain(values.flatMap(({ low, high }) => [low, high]), {
    most: axis.most,
    fromZero: axis.fromZero ?? false,
  });
  const labels = [...new Set(points.map(({ label }) => label))];
  const ends = labels.map((label) =>
    values.filter((value) => value.label === label)
      .reduce((right, value) => value.amount > right.amount ? value : right)
  );
  const labelHeights = spreadApart(
    ends.map(({ mean }) => height * (1 - fraction(mean, yDomain))),
    labelSize + 4,
    [labelSize / 2, height - labelSize / 2],
  );
  const { color, shape } = styleScales(labels, order);
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
    title: axis.title,
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
        { label, mean },
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
          data: { values: [{ label }] },
          mark: { type: "text", align: "left", fontSize: labelSize, color: "#222" },
          encoding: {
            x: { value: width + 18 },
            y: { value: labelHeights[i]! },
            text: { field: "label" },
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
