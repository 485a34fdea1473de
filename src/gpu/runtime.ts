// Where this program runs, as far as the way to a GPU depends on it.

/** A program that runs JavaScript. */
export type Runtime = "deno" | "node" | "browser";

/** Tells a runtime by its globals. */
export function runtimeOf(
  globals: { Deno?: unknown; process?: { versions?: { node?: string } } } = globalThis as never,
): Runtime {
  if (globals.Deno !== undefined) return "deno"; // which has a `process`, too
  return globals.process?.versions?.node === undefined ? "browser" : "node";
}

/** What to do where a runtime finds no adapter. */
export const waysToAnAdapter: Readonly<Record<Runtime, string>> = {
  deno: "Run `deno task doctor`, which says how to get one on this system",
  node: "Use Node 22 or later, install the package `webgpu`, and set `navigator.gpu` before this " +
    "package is imported, as its README shows",
  browser: "Use a browser that has WebGPU, on a page of https:// or of localhost, and a graphics " +
    "driver that it knows",
};

/** What to report where a GPU fails. */
export const whatToReport: Readonly<Record<Runtime, string>> = {
  deno: "the output of `deno task doctor`",
  node: "the adapter's name and the version of `webgpu`",
  browser: "the adapter's name and the browser's version",
};
