// What a model computes is measured only where it is a number.

import { CannotError } from "../base/errors.ts";

/**
 * Checks what a model computed.
 *
 * @param what For the error, e.g. `score text 3`.
 * @throws {CannotError} when one of the values is NaN or infinite.
 */
export function expectFinite(what: string, values: Float32Array | Float64Array): void {
  if (values.every((value) => Number.isFinite(value))) return;
  throw new CannotError(
    what,
    "what the model computes for it is not finite",
    "Its training diverged, or its weights overflow f16: use an earlier checkpoint, or f32",
  );
}
