// What the page knows about the run that the worker does.

import type { Look, StepLosses } from "../engine/lab.ts";
import type { ShownToken } from "../engine/sequences.ts";

/** The state that the panels draw. */
export interface Run {
  /** Of the sentences that are trained on. */
  tokens: readonly ShownToken[][];
  own: string;
  losses: StepLosses[];
  looks: Look[];
}

/** Nothing has happened. */
export function newRun(): Run {
  return { tokens: [], own: "", losses: [], looks: [] };
}
