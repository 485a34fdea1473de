// The figure that every experiment draws of its methods.

import { writeFileAtomic } from "../base/files.ts";
import type { Interval } from "../base/interval.ts";
import { renderPlot, tradeOffPlot } from "../report/plot.ts";
import { methodOrder } from "./titles.ts";

/**
 * Draws what models know against what they say, in the colours that methods have everywhere.
 *
 * @returns The path.
 * @throws {CannotError} when the file cannot be written, or Vega cannot be had.
 */
export async function drawTradeOff(
  path: string,
  points: readonly { label: string; x: Interval; y: Interval }[],
  axes: Parameters<typeof tradeOffPlot>[1],
  title: string,
): Promise<string> {
  const plot = tradeOffPlot(points, axes, { title, order: methodOrder });
  await writeFileAtomic(path, await renderPlot(plot));
  return path;
}
