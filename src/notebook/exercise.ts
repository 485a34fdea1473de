// Exercises of a lesson: an answer is a value or a function of the student's, and a check that tells right from wrong and
// says what is wrong. An exercise without an answer is no failure, so that a notebook runs through.

import { type Displayable, displayable } from "./display.ts";

/** Shows whether an answer is right; `undefined` is none yet. */
export type Exercise<Answer> = (answer: Answer | undefined) => Promise<Displayable>;

/**
 * Makes an exercise.
 *
 * @param name E.g. `1.2`.
 * @param faultOf Says in a sentence what is wrong with an answer, as a hint; nothing where it is right.
 * @param lesson What a right answer has shown.
 */
export function exercise<Answer>(
  name: string,
  faultOf: (answer: Answer) => string | undefined | Promise<string | undefined>,
  lesson: string,
): Exercise<Answer> {
  return async (answer) => {
    if (answer === undefined) {
      return displayable({
        text: `○ Exercise ${name}: no answer yet. Write one above and run the cell.`,
      });
    }
    const fault = await attempt(() => faultOf(answer));
    if (fault === undefined) return displayable({ text: `✓ Exercise ${name}: right. ${lesson}` });
    return displayable({ text: `✗ Exercise ${name}: not yet. ${fault}` });
  };
}

async function attempt(
  check: () => string | undefined | Promise<string | undefined>,
): Promise<string | undefined> {
  try {
    return await check();
  } catch (error) {
    return `It ends with an error: ${(error as Error).message}`;
  }
}

/** Whether two numbers are as good as equal. */
export function near(found: number, wanted: number, tolerance = 1e-6): boolean {
  return found === wanted || Math.abs(found - wanted) <= tolerance * Math.max(1, Math.abs(wanted));
}

/** A value as it stands in a hint. */
export function shown(value: unknown): string {
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (value instanceof Set) return shown([...value]);
  if (ArrayBuffer.isView(value)) return shown(Array.from(value as Float64Array));
  return JSON.stringify(value) ?? String(value);
}
