// Which precision a run gets: the one that is wanted, or f32 with one line that says so.

import type { Gpu } from "./gpu.ts";
import type { Precision } from "./tensor.ts";

/** A precision that the adapter has, and a line for the user where it is not the wanted one. */
export interface PrecisionChoice {
  /** What the run uses. */
  precision: Precision;
  /** Why it is not what was wanted. */
  note?: string;
}

/** The wanted precision where the adapter has it, else f32 and a note to be shown. */
export function choosePrecision(gpu: Gpu, wanted: Precision): PrecisionChoice {
  if (wanted === "f32" || gpu.storesHalves) return { precision: wanted };
  const note = `${gpu.adapter.name} has no shader-f16: training in f32 instead of f16.`;
  return { precision: "f32", note };
}
