// The frequencies of rotary positions, and how published models changed them for longer contexts than they were
// trained on. The formulas are those of `transformers` (modeling_rope_utils.py).

import { rotaryFrequencies as plainFrequencies } from "../../kernels/rotary.ts";
import type { RotaryPositions, RotaryScaling } from "./config.ts";

/** R, how many entries of a head of width D turn with the position. */
export function turnedWidth({ share }: RotaryPositions, headWidth: number): number {
  return Math.floor(share * headWidth);
}

/** The angle by which each of the R/2 pairs of a head turns from one position to the next. */
export function rotaryFrequencies(positions: RotaryPositions, headWidth: number): Float64Array {
  const frequencies = plainFrequencies(turnedWidth(positions, headWidth), positions.theta);
  const { scaling } = positions;
  return scaling ? frequencies.map((frequency) => scaled(frequency, scaling)) : frequencies;
}

function scaled(frequency: number, scaling: RotaryScaling): number {
  const slow = frequency / scaling.factor;
  if (scaling.kind === "linear") return slow;
  const { lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
  const turns = originalContext * frequency / (2 * Math.PI); // within the original context
  if (turns > high) return frequency;
  if (turns < low) return slow;
  const share = (turns - low) / (high - low);
  return (1 - share) * slow + share * frequency;
}
