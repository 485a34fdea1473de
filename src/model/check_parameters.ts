// A model's weights against the list that its configuration demands: every parameter there, nothing else, each of its
// shape, and each of its values a number.

import { CannotError } from "../base/errors.ts";
import { show } from "../base/show.ts";
import type { DecoderConfig } from "./config.ts";
import { parameterShapes } from "./parameter_shapes.ts";

/**
 * Checks tensors, in memory or still in a file, against the parameters of `config`.
 *
 * @param where What holds the tensors, for errors, e.g. a folder.
 * @throws {CannotError} naming the missing, unknown or misshapen tensor, what it is and what it should be.
 */
export function checkParameters(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, { shape: readonly number[] }>,
  where: string,
): void {
  checkTensors(parameterShapes(config), tensors, where);
}

/** Checks tensors against names and shapes; arguments and errors are those of {@linkcode checkParameters}. */
export function checkTensors(
  expected: Iterable<readonly [name: string, shape: readonly number[]]>,
  tensors: ReadonlyMap<string, { shape: readonly number[] }>,
  where: string,
): void {
  const refuse = (why: string) =>
    new CannotError(
      `use the weights of "${where}"`,
      why,
      "Check that configuration and weights belong to the same model",
    );
  const known = new Set<string>();
  for (const [name, shape] of expected) {
    const found = tensors.get(name);
    if (!found) throw refuse(`tensor "${name}" ${show(shape)} is missing`);
    if (found.shape.join() !== shape.join()) {
      throw refuse(
        `tensor "${name}" has shape ${show(found.shape)}, the configuration needs ${show(shape)}`,
      );
    }
    known.add(name);
  }
  for (const [name, { shape }] of tensors) {
    if (!known.has(name)) {
      throw refuse(`tensor ${show(name)} ${show(shape)} is not part of the model`);
    }
  }
}

/**
 * Checks that every value is a number: a model with a NaN in it answers, and what it answers is nothing.
 *
 * @param what For the error, e.g. `use the weights of "runs/a"`.
 * @throws {CannotError} naming the tensor, the value and its place.
 */
export function checkFinite(what: string, name: string, data: Float32Array): void {
  let place = 0;
  while (place < data.length && Number.isFinite(data[place])) place++; // twenty times as fast as findIndex
  if (place === data.length) return;
  throw new CannotError(
    what,
    `tensor ${show(name)} has the value ${data[place]} at element ${place.toLocaleString("en")}`,
    "Its training diverged or the file is damaged: use an earlier checkpoint or copy it again",
  );
}
