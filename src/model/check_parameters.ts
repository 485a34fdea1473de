// A model's weights against the list that its configuration demands: every parameter there, nothing
// else, each of its shape. A checkpoint that fails is refused before any of its tensors is read.

import { CannotError } from "../base/errors.ts";
import { type DecoderConfig, parameterShapes, type Weights } from "./config.ts";
import { readTensor, type TensorEntry } from "./safetensors.ts";
import { show } from "../base/show.ts";

/**
 * Checks tensors, in memory or still in a file, against the parameters of `config`.
 *
 * @param where What holds the tensors, for errors, e.g. a folder.
 * @param nameOf The name that `where` has for a parameter; the same name if left out.
 * @throws {CannotError} naming the missing, unknown or misshapen tensor, what it is and what it should be.
 */
export function checkParameters(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, { shape: readonly number[] }>,
  where: string,
  nameOf: (parameter: string) => string = (parameter) => parameter,
): void {
  const refuse = (why: string) =>
    new CannotError(
      `use the weights of "${where}"`,
      why,
      "Check that configuration and weights belong to the same model",
    );
  const known = new Set<string>();
  for (const [parameter, shape] of parameterShapes(config)) {
    const name = nameOf(parameter);
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

/** Reads all parameters of `config`. Arguments and errors are those of {@linkcode checkParameters}. */
export async function readParameters(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, TensorEntry>,
  where: string,
  nameOf: (parameter: string) => string = (parameter) => parameter,
): Promise<Weights> {
  checkParameters(config, tensors, where, nameOf);
  const weights: Weights = new Map();
  for (const parameter of parameterShapes(config).keys()) {
    weights.set(parameter, await readTensor(tensors.get(nameOf(parameter))!));
  }
  return weights;
}
