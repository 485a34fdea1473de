// What the tensors of a format are called, and how they hold the parameters: each as it is, or queries, keys and values
// joined in one, or stored [in, out]. One table for each format; from it a file's tensors are taken apart into parameters
// and put together again.

import type { DecoderConfig, HostTensor } from "../config.ts";
import type { NamedTensor } from "../model.ts";
import { parameterShapes } from "../parameter_shapes.ts";

/** What a format calls the modules of a decoder. */
export interface Naming {
  /** Modules outside of the layers, such as `model.norm`. */
  outside: Readonly<Record<string, string>>;
  /** What comes before the modules of a layer; `#` stands for its number. */
  layer: string;
  /** Modules of a layer, such as `mlp.up_proj`. */
  inLayer: Readonly<Record<string, string>>;
  /** Queries, keys and values in one: all rows of each in turn, or those of every head. */
  joined?: { name: string; rows: "whole" | "by_head" };
  /** Whether the matrices of layers are stored [in, out], as GPT-2's Conv1D. */
  transposed?: boolean;
}

/** A tensor of a file, and the parameters that it holds. */
export interface Stored {
  /** Its name in the file. */
  name: string;
  /** Its shape in the file. */
  shape: number[];
  /** The parameters whose rows it has, in turns of `rows` of each. */
  parts: readonly Part[];
  /** Whether its two dimensions are swapped. */
  transposed: boolean;
}

interface Part {
  parameter: string;
  shape: number[];
  /** How many rows (elements, of a bias) are its turn. */
  turn: number;
}

const inLayer = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/;
const outside = /^(.+)\.(weight|bias)$/;

/** The tensors in which a format stores a model, in the order of its parameters; those of Llama without a naming. */
export function storedTensors(config: DecoderConfig, naming?: Naming): Stored[] {
  const shapes = parameterShapes(config);
  const partOf = (parameter: string, turn?: number): Part => {
    const shape = shapes.get(parameter)!;
    return { parameter, shape, turn: turn ?? shape[0]! };
  };
  const stored: Stored[] = [];
  for (const [parameter, shape] of shapes) {
    if (!naming) {
      stored.push({ name: parameter, shape, parts: [partOf(parameter)], transposed: false });
      continue;
    }
    const [, layer, module, kind] = inLayer.exec(parameter) ?? [];
    if (layer === undefined) {
      const [, module, kind] = outside.exec(parameter)!;
      const name = `${naming.outside[module!]}.${kind}`;
      stored.push({ name, shape, parts: [partOf(parameter)], transposed: false });
      continue;
    }
    const prefix = naming.layer.replace("#", layer);
    const { joined, transposed = false } = naming;
    if (!joined || !/^self_attn\.[qkv]_proj$/.test(module!)) {
      const name = `${prefix}${naming.inLayer[module!]}.${kind}`;
      stored.push(inFile(name, [partOf(parameter)], transposed));
    } else if (module === "self_attn.q_proj") {
      const turn = joined.rows === "by_head" ? config.headWidth : undefined;
      const parts = ["q_proj", "k_proj", "v_proj"].map((name) =>
        partOf(parameter.replace("q_proj", name), turn)
      );
      stored.push(inFile(`${prefix}${joined.name}.${kind}`, parts, transposed));
    }
  }
  return stored;
}

function inFile(name: string, parts: readonly Part[], transposed: boolean): Stored {
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const [, columns] = parts[0]!.shape;
  if (columns === undefined) return { name, shape: [rows], parts, transposed: false };
  return { name, shape: transposed ? [columns, rows] : [rows, columns], parts, transposed };
}

/** The parameters in a tensor of a file. */
export function takeApart({ parts, transposed }: Stored, tensor: HostTensor): NamedTensor[] {
  const [{ parameter, shape }] = parts as [Part];
  if (parts.length === 1 && !transposed) {
    return [[parameter, { shape, data: tensor.data }]];
  }
  const { data } = transposed ? transpose(tensor) : tensor;
  const values = parts.map(({ shape }) => new Float32Array(elementsOf(shape)));
  forEachTurn(parts, (part, own, start, length) => {
    values[part]!.set(data.subarray(start, start + length), own);
  });
  return parts.map(({ parameter, shape }, i) => [parameter, { shape, data: values[i]! }]);
}

/** The tensor of a file that holds parameters; the inverse of {@linkcode takeApart}. */
export function putTogether(
  { shape, parts, transposed }: Stored,
  parameters: ReadonlyMap<string, HostTensor>,
): HostTensor {
  const values = parts.map(({ parameter }) => parameters.get(parameter)!.data);
  if (parts.length === 1 && !transposed) return { shape, data: values[0]! };
  const data = new Float32Array(elementsOf(shape));
  forEachTurn(parts, (part, own, start, length) => {
    data.set(values[part]!.subarray(own, own + length), start);
  });
  return transposed ? transpose({ shape: shape.toReversed(), data }) : { shape, data };
}

// Visits the joined rows: of which part they are, where they lie in it and in the whole, and how many elements they have.
function forEachTurn(
  parts: readonly Part[],
  visit: (part: number, own: number, start: number, length: number) => void,
): void {
  const columns = parts[0]!.shape[1] ?? 1;
  const turns = parts[0]!.shape[0]! / parts[0]!.turn;
  let start = 0;
  for (let i = 0; i < turns; i++) {
    for (const [part, { turn }] of parts.entries()) {
      const length = turn * columns;
      visit(part, i * length, start, length);
      start += length;
    }
  }
}

function transpose({ shape, data }: HostTensor): HostTensor {
  const [rows, columns] = shape as [number, number];
  const turned = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) turned[c * rows + r] = data[r * columns + c]!;
  }
  return { shape: [columns, rows], data: turned };
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
