// Figures as SVG text, rendered by Vega without a browser: same spec, same bytes, on any machine.
// Vega, about 30 MB, is fetched by the first figure that is rendered; specs are made without it.

import type { TopLevelSpec } from "npm:vega-lite@6.5.0";
import { importPackage } from "../base/packages.ts";
import { cycle, dashes, palette, type PlotSpec, schema, theme } from "./plot_style.ts";

export {
  type Axis,
  type Box,
  type Label,
  palette,
  placeLabels,
  type Placement,
  type PlotSpec,
  schema,
  type StyleOrder,
  theme,
} from "./plot_style.ts";
export { scalingPlot, type ScalingPoint } from "./scaling.ts";
export { paretoFrontier, tradeOffPlot, type TradeOffPoint } from "./trade_off.ts";

/**
 * Renders a Vega-Lite v6 spec to SVG.
 *
 * Vega numbers the ids of clip paths and gradients per process; here they are renamed after the
 * picture itself, so that a spec gives the same bytes each time, and pictures can share a page.
 *
 * @throws {CannotError} when Vega cannot be had; whatever was computed does not depend on it.
 */
export async function renderPlot(spec: PlotSpec): Promise<string> {
  const { compile } = await importPackage<typeof import("npm:vega-lite@6.5.0")>("vegaLite");
  const vega = await importPackage<typeof import("npm:vega@6.4.0")>("vega");
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
    config: theme,
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
    config: theme,
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
