// The door to plot.ts for programs that draw at their end, or not at all. The module's name is a value, which Deno does
// not follow when it starts, so that Vega is fetched only by runs that draw.

import { CannotError } from "../base/errors.ts";

/**
 * Loads the plotting module.
 *
 * @throws {CannotError} when Vega cannot be had; whatever was computed does not depend on it.
 */
export async function loadPlots(): Promise<typeof import("./plot.ts")> {
  const specifier = "./plot.ts";
  return await import(specifier).catch((cause) => {
    throw new CannotError(
      "draw a picture",
      cause.message,
      "All else is saved; run the same command again when npm can be reached",
      { cause },
    );
  });
}
