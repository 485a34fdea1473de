// The first cell of every notebook: with what, and on what, the numbers below were made.

import { describeProcess } from "../base/process.ts";
import type { Displayable } from "./display.ts";
import { showTable } from "./table.ts";

/** Versions and adapter as a small table. Takes a `Gpu`, or anything that describes its adapter. */
export function environment(
  gpu?: { readonly adapter: { name: string; software: boolean; features: readonly string[] } },
): Displayable {
  const { deno, v8, project } = describeProcess().versions;
  const rows = [
    { what: "This project", value: project },
    { what: "Deno", value: deno },
    { what: "V8", value: v8 },
  ];
  if (gpu) {
    const { name, software, features } = gpu.adapter;
    const useful = ["shader-f16", "subgroups", "timestamp-query"]
      .filter((feature) => features.includes(feature));
    rows.push(
      { what: "Adapter", value: software ? `${name}, on the CPU` : name },
      { what: "Features", value: useful.join(", ") || "none of those used here" },
    );
  }
  return showTable(rows, { columns: [{ key: "what", title: "" }, { key: "value", title: "" }] });
}

/**
 * How long a notebook may take: `quick` unless the variable SLUNG_NOTEBOOK says `full`, as
 * `deno task notebooks --full` sets it.
 */
export function notebookSize(): "quick" | "full" {
  return Deno.env.get("SLUNG_NOTEBOOK") === "full" ? "full" : "quick";
}
