// The figures that lessons draw again and again, each in one call: lines, bars with intervals, a heat map, a trade-off.

import {
  checkOptions,
  decimals,
  flag,
  listOf,
  number,
  object,
  required,
  text,
} from "../base/options.ts";
import {
  cycle,
  dashes,
  palette,
  schema,
  shapes,
  type StyleOrder,
  theme,
} from "../report/plot_style.ts";
import type { Axis } from "../report/plot_style.ts";
import { tradeOffPlot, type TradeOffPoint } from "../report/trade_off.ts";
import type { Displayable } from "./display.ts";
import { showPlot } from "./plot.ts";

/** What a figure says beside its marks. */
export interface ChartOptions {
  /** Above the figure. */
  title: string;
  /** Below the horizontal axis. */
  x?: string;
  /** Beside the vertical axis. */
  y?: string;
  /** What it shows, in a sentence, for those who do not see it; the title unless given. */
  alternative?: string;
}

/** A point of a line. */
export interface LinePoint {
  /** Names the line. */
  series: string;
  /** Where. */
  x: number;
  /** How much. */
  y: number;
  /** Which of several panels side by side; one panel unless given. */
  panel?: string;
}

/** How lines are drawn. */
export interface LineOptions extends ChartOptions {
  /** A logarithmic horizontal axis, on which 0 has a place too. */
  logarithmic?: boolean;
  /** Marks on the horizontal axis; chosen unless given. */
  ticks?: readonly number[];
  /** The ends of the vertical axis. */
  range?: readonly [number, number];
  /** A mark for each point, unless false. */
  marks?: boolean;
}

const chartOptions = { title: required(text), x: text, y: text, alternative: text };

/** Shows lines, told apart by colour, dashes and marks. */
export function showLines(
  points: readonly LinePoint[],
  options: LineOptions,
): Promise<Displayable> {
  checkOptions("show lines", options, {
    ...chartOptions,
    ...{ logarithmic: flag, ticks: listOf(number()), range: listOf(number(), 2), marks: flag },
  });
  const { title, x, y, alternative, logarithmic, ticks, range, marks = true } = options;
  const names = [...new Set(points.map(({ series }) => series))];
  const panels = new Set(points.map(({ panel }) => panel)).size > 1;
  const legend = {
    title: null,
    orient: "bottom",
    columns: 3,
    symbolStrokeWidth: marks ? 0 : 2, // a mark with a dashed edge is a smudge
    symbolSize: marks ? 90 : 160,
  };
  const styled = (range: readonly unknown[]) => ({
    field: "series",
    type: "nominal",
    scale: { domain: names, range },
    legend,
  });
  const chart = {
    width: panels ? 270 : 540,
    height: panels ? 230 : 280,
    mark: {
      type: "line",
      strokeWidth: 2,
      point: marks && { filled: true, size: 50 },
      clip: !marks,
    },
    encoding: {
      x: {
        field: "x",
        type: "quantitative",
        title: x ?? null,
        ...(logarithmic && { scale: { type: "symlog", constant: 1 } }),
        axis: { grid: false, ...(ticks && { values: ticks }) },
      },
      y: {
        field: "y",
        type: "quantitative",
        title: y ?? null,
        ...(range && { scale: { domain: range } }),
      },
      color: styled(cycle(palette, names.length)),
      strokeDash: styled(names.map((_, i) => shifted(dashes, i))),
      ...(marks && { shape: styled(names.map((_, i) => shifted(shapes, i))) }),
    },
  };
  return showPlot({
    $schema: schema,
    config: theme,
    title,
    data: { values: points },
    ...(panels
      ? {
        facet: { field: "panel", sort: null, title: null, header: { labelFontSize: 13 } },
        resolve: { scale: { y: range ? "shared" : "independent" } },
        spec: chart,
      }
      : chart),
  }, { ...(alternative && { alternative }) });
}

// The eighth series has the first one's colour, but another dash and another mark.
function shifted<Item>(items: readonly Item[], i: number): Item {
  return items[(i + Math.floor(i / palette.length)) % items.length]!;
}

/** A bar, perhaps with an interval. */
export interface BarValue {
  /** Stands at its foot. */
  label: string;
  /** Its length. */
  value: number;
  /** What its colour says; one colour unless given. */
  series?: string;
  /** The ends of its interval. */
  low?: number;
  /** The ends of its interval. */
  high?: number;
}

/** How bars are drawn. */
export interface BarOptions extends ChartOptions {
  /** A line across all bars, e.g. what guessing would give. */
  reference?: { value: number; label: string };
  /** Labels in this colour and bold, e.g. risky tokens. */
  emphasise?: readonly string[];
  /** Significant digits of the numbers at the bars; 3 unless given, none for 0. */
  digits?: number;
}

/** Shows bars that lie side by side, each with its number, in the order in which they are given. */
export function showBars(bars: readonly BarValue[], options: BarOptions): Promise<Displayable> {
  checkOptions("show bars", options, {
    ...chartOptions,
    ...{ reference: object, emphasise: listOf(text), digits: decimals },
  });
  const { title, x, alternative, reference, emphasise = [], digits = 3 } = options;
  const series = [...new Set(bars.map((bar) => bar.series ?? ""))];
  const interval = bars.some(({ low, high }) => low !== undefined && low !== high);
  const values = bars.map((bar) => ({
    ...bar,
    series: bar.series ?? "",
    end: bar.high ?? bar.value,
  }));
  const test = `indexof(${JSON.stringify(emphasise)}, datum.value) >= 0`;
  const label = { field: "label", type: "nominal", sort: null, title: null } as const;
  const length = { field: "value", type: "quantitative", title: x ?? null } as const;
  return showPlot({
    $schema: schema,
    config: theme,
    title: interval ? { text: title, subtitle: "Bars: 95 % intervals over seeds." } : title,
    width: 460,
    height: { step: 26 },
    data: { values },
    encoding: {
      y: {
        ...label,
        axis: {
          labelLimit: 480, // estimated at 0.8 em a character
          labelColor: { condition: { test, value: "#9c2f00" }, value: "#222" },
          labelFontWeight: { condition: { test, value: "bold" }, value: "normal" },
        },
      },
    },
    layer: [
      {
        mark: { type: "bar" },
        encoding: {
          x: length,
          color: {
            field: "series",
            type: "nominal",
            scale: { domain: series, range: cycle(palette, series.length) },
            legend: series.length > 1 ? { title: null, orient: "bottom" } : null,
          },
        },
      },
      ...(interval
        ? [{
          mark: { type: "rule", strokeWidth: 2 },
          encoding: { x: { field: "low", type: "quantitative" }, x2: { field: "high" } },
        }]
        : []),
      ...(digits > 0
        ? [{
          mark: { type: "text", align: "left", dx: 5, fontSize: 11, color: "#222" },
          encoding: {
            x: { field: "end", type: "quantitative" },
            text: { field: "value", type: "quantitative", format: `.${digits}~r` },
          },
        }]
        : []),
      ...(reference
        ? [
          {
            data: { values: [reference] },
            mark: { type: "rule", strokeDash: [5, 4], color: "#555" },
            encoding: {
              x: { field: "value", type: "quantitative" },
              y: { value: 0 },
              y2: { value: "height" },
            },
          },
          {
            data: { values: [reference] },
            mark: { type: "text", align: "left", dx: 4, dy: -4, baseline: "bottom", color: "#555" },
            encoding: {
              x: { field: "value", type: "quantitative" },
              y: { value: 0 },
              text: { field: "label" },
            },
          },
        ]
        : []),
    ],
  }, { ...(alternative && { alternative }) });
}

/** A table of numbers as colours. */
export interface HeatMap {
  /** Names of the columns, from the left. */
  columns: readonly string[];
  /** Names of the rows, from the top. */
  rows: readonly string[];
  /** [rows][columns]; 0 stays white. */
  values: readonly ArrayLike<number>[];
}

/** Shows numbers as shades; labels of `emphasise` are bold and red. */
export function showHeatMap(
  { columns, rows, values }: HeatMap,
  options: ChartOptions & { emphasise?: readonly string[]; legend: string },
): Promise<Displayable> {
  checkOptions("show a heat map", options, {
    ...chartOptions,
    ...{ emphasise: listOf(text), legend: required(text) },
  });
  const { title, x, y, alternative, emphasise = [], legend } = options;
  const cells = values.flatMap((row, i) =>
    Array.from(row, (value, j) => ({ row: rows[i]!, column: columns[j]!, value }))
  ).filter(({ value }) => value > 0);
  const test = `indexof(${JSON.stringify(emphasise)}, datum.value) >= 0`;
  const axis = (field: string, name: string | undefined, domain: readonly string[]) => ({
    field,
    type: "ordinal",
    scale: { domain },
    axis: {
      title: name ?? null,
      grid: false,
      labelFontSize: 10,
      labelColor: { condition: { test, value: "#9c2f00" }, value: "#222" },
      labelFontWeight: { condition: { test, value: "bold" }, value: "normal" },
    },
  });
  return showPlot({
    $schema: schema,
    config: theme,
    title,
    width: 18 * columns.length,
    height: 18 * rows.length,
    data: { values: cells },
    mark: { type: "rect" },
    encoding: {
      x: axis("column", x, columns),
      y: axis("row", y, rows),
      color: {
        field: "value",
        type: "quantitative",
        scale: { type: "sqrt", scheme: "blues" },
        legend: { title: legend },
      },
    },
  }, { ...(alternative && { alternative }) });
}

/** Shows two measures against each other, of which one should be low and the other high. */
export async function showTradeOff(
  points: readonly TradeOffPoint[],
  axes: { x: Axis; y: Axis },
  options: { title: string; order?: StyleOrder },
): Promise<Displayable> {
  checkOptions("show a trade-off", options, { title: required(text), order: listOf(object) });
  const { title, order } = options;
  return await showPlot(tradeOffPlot(points, axes, { title, ...(order && { order }) }));
}
