// The few assertions the suite needs, on top of node:assert, so that tests run without any registry.

import { deepStrictEqual, ok } from "node:assert/strict";

/** Fails unless `condition` holds. */
export function assert(
  condition: unknown,
  message = "expected a true condition",
): asserts condition {
  ok(condition, message);
}

/** Fails unless both values are deeply equal. For long arrays use `assertSame`: a diff of them never ends. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  deepStrictEqual(actual, expected, message as string);
}

/**
 * Fails unless every |actual − expected| ≤ tolerance · max(1, largest |expected|).
 * Scaling by the largest entry, not by each one, is the error a matrix kernel can promise.
 */
export function assertClose(
  actual: number | ArrayLike<number>,
  expected: number | ArrayLike<number>,
  tolerance: number,
  what = "value",
): void {
  const left = typeof actual === "number" ? [actual] : actual;
  const right = typeof expected === "number" ? [expected] : expected;
  ok(left.length === right.length, `${what}: ${left.length} values, expected ${right.length}`);
  let scale = 1;
  for (let i = 0; i < right.length; i++) scale = Math.max(scale, Math.abs(right[i]!));
  for (let i = 0; i < right.length; i++) {
    const error = Math.abs(left[i]! - right[i]!);
    ok(
      error <= tolerance * scale, // also false for NaN
      `${what}[${i}] is ${left[i]}, expected ${right[i]} within ${tolerance * scale}`,
    );
  }
}

/** The relative error ‖actual − expected‖ / ‖expected‖. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0, norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(difference / Math.max(norm, 1e-300));
}

/** Fails unless `run` throws an error whose message contains `part`. */
export function assertThrows(run: () => unknown, part: string): void {
  let error: unknown;
  try {
    run();
  } catch (caught) {
    error = caught;
  }
  assertMessage(error, part);
}

/** Fails unless `run` rejects with an error whose message contains `part`. */
export async function assertRejects(run: () => Promise<unknown>, part: string): Promise<void> {
  let error: unknown;
  try {
    await run();
  } catch (caught) {
    error = caught;
  }
  assertMessage(error, part);
}

function assertMessage(error: unknown, part: string): void {
  ok(error instanceof Error, `expected an error with "${part}", but nothing was thrown`);
  ok(error.message.includes(part), `expected an error with "${part}", got: ${error.message}`);
}
