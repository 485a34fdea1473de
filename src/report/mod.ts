/** Tables, progress, the command line of a task, and results. @module */

export * from "../base/process.ts";
export * from "./command_line.ts";
export * from "./html.ts";
export * from "./interrupt.ts";
export * from "./kept_results.ts";
export * from "./options.ts";
export * from "./page.ts";
export * from "./printable.ts";
export * from "./progress.ts";
export * from "./results.ts";
export * from "./samples.ts";
export * from "./table.ts";
export type { PlotSpec } from "./plot_style.ts";
