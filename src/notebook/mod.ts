// The notebook surface: what lessons show, and how they check themselves. Every object prints as well in a terminal.
//
//   showTokens(tokens, { losses })         tokens coloured by class, loss, probability or any value   (picture)
//   showTable(rowsOrDataFrame)             a table                                                    (HTML)
//   await showPlot(spec)                   a Vega-Lite figure, with its data as text                   (picture)
//   await liveTraining({ title }, (hooks) => fit(model, { …, ...hooks }))    a display that lives while training
//   environment(gpu)                       versions and adapter
//   check(claim, condition), checkClose(claim, actual, expected, tolerance)
//   await show(a, b)                       shows things before the cell ends; its last value shows itself

export { check, checkClose } from "./check.ts";
export {
  type Content,
  customInspect,
  type Displayable,
  displayable,
  jupyterDisplay,
  type MimeBundle,
  show,
} from "./display.ts";
export { environment, notebookSize } from "./environment.ts";
export { lessonFolder, projectPath } from "./cache.ts";
export {
  liveExperiment,
  type LiveExperimentOptions,
  type LiveHooks,
  liveTraining,
  type LiveTrainingOptions,
  type TrainingHooks,
} from "./live.ts";
export type { TrainingEntry } from "./live_picture.ts";
export { showPlot, type ShowPlotOptions, type Spec } from "./plot.ts";
export type { Cell, Column, TableRow } from "../report/table.ts";
export { type Frame, showTable, type ShowTableOptions } from "./table.ts";
export { showTokens, type TokenColours, type TokenValues } from "./tokens.ts";
export {
  type BarOptions,
  type BarValue,
  type ChartOptions,
  type HeatMap,
  type LineOptions,
  type LinePoint,
  showBars,
  showHeatMap,
  showLines,
  showTradeOff,
} from "./charts.ts";
export { type Exercise, exercise } from "./exercise.ts";
export { showCode } from "./code.ts";
export { showObjectives } from "./objectives.ts";
