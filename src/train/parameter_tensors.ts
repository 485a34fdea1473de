// Tensors that are named and shaped like parameters, in files of a checkpoint: with rotary entries paired in halves, as
// in the model's own file.

import { checkFinite, checkTensors } from "../model/check_parameters.ts";
import type { DecoderConfig, Weights } from "../model/config.ts";
import type { TensorEntry } from "../model/formats/safetensors.ts";
import { readTensor } from "../model/formats/tensor_data.ts";
import { withPairingOf, withRotaryPairing } from "../model/rotary_pairing.ts";

/** The names and shapes of parameters. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Tensors as files have them. */
export function pairedInHalves(config: DecoderConfig, weights: Weights): Weights {
  return withRotaryPairing({ config, weights }, "half").weights;
}

/**
 * Reads tensors that {@linkcode pairedInHalves} gave to a file, in the pairing of `config`.
 *
 * @param shapes All parameters that have to be there.
 * @param prefix What their names begin with in the file; others in it are none of these.
 * @throws {CannotError} for one that is missing, unknown, of another shape or not finite.
 */
export async function readParameters(
  config: DecoderConfig,
  shapes: Shapes,
  { tensors, path, prefix = "" }: {
    tensors: ReadonlyMap<string, TensorEntry>;
    path: string;
    prefix?: string;
  },
): Promise<Weights> {
  const entries = new Map([...tensors].filter(([name]) => name.startsWith(prefix)));
  checkTensors(
    Array.from(shapes, ([name, shape]) => [prefix + name, shape] as const),
    entries,
    path,
  );
  const weights: Weights = new Map();
  for (const name of shapes.keys()) {
    const tensor = await readTensor(entries.get(prefix + name)!);
    checkFinite(`continue from "${path}"`, prefix + name, tensor.data);
    weights.set(name, tensor);
  }
  const { config: halves } = withRotaryPairing({ config, weights: new Map() }, "half");
  return withPairingOf(config, { config: halves, weights }).weights;
}
