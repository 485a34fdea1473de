// Claims that a cell makes and checks at once: they fail the cell, and with it `deno task notebooks`, or show a line
// that says what was compared and how close it came.

import { CannotError } from "../base/errors.ts";
import { formatCell } from "../report/table.ts";
import { type Displayable, displayable } from "./display.ts";

/** Shows `✓ claim`, or fails the cell. @throws {CannotError} when the condition does not hold. */
export function check(claim: string, condition: boolean): Displayable {
  if (condition) return displayable({ text: `✓ ${claim}` });
  throw new CannotError(`confirm that ${claim}`, "it does not hold here", remedy);
}

/**
 * Shows that two numbers, or two arrays element by element, agree within an absolute tolerance.
 *
 * @throws {CannotError} naming the first element that is further off, or that is not a number.
 */
export function checkClose(
  claim: string,
  actual: number | ArrayLike<number>,
  expected: number | ArrayLike<number>,
  tolerance: number,
): Displayable {
  const [found, wanted] = [actual, expected].map((x) => typeof x === "number" ? [x] : x) as [
    ArrayLike<number>,
    ArrayLike<number>,
  ];
  if (found.length !== wanted.length) {
    const why = `one side has ${found.length} elements, the other ${wanted.length}`;
    throw new CannotError(`confirm that ${claim}`, why, remedy);
  }
  let largest = 0;
  for (let i = 0; i < found.length; i++) {
    const difference = found[i] === wanted[i] ? 0 : Math.abs(found[i]! - wanted[i]!);
    if (!(difference <= tolerance)) {
      const place = found.length > 1 ? `element ${i}: ` : "";
      const why = `${place}${found[i]} is not within ${tolerance} of ${wanted[i]}`;
      throw new CannotError(`confirm that ${claim}`, why, remedy);
    }
    largest = Math.max(largest, difference);
  }
  const elements = found.length > 1 ? ` over ${found.length} elements` : "";
  return displayable({
    text:
      `✓ ${claim}: largest difference ${formatCell(Number(largest.toPrecision(2)))}${elements}, ` +
      `allowed ${tolerance}`,
  });
}

const remedy =
  "Run the cells above in order. If it fails again with a knob turned, that knob is where the claim ends; " +
  "with none turned, the claim is wrong";
