// ONNX's messages, with the field numbers of its schema (onnx.proto, IR version 8, operators 17).

import {
  type Attribute,
  type Constant,
  type ElementType,
  elementTypes,
  type Node,
  type OnnxGraph,
  type ValueInfo,
} from "./graph.ts";
import {
  floatField,
  intField,
  messageField,
  packedIntsField,
  type Pieces,
  textField,
} from "./protobuf.ts";

const irVersion = 8, operatorVersion = 17; // ONNX 1.12, ONNX Runtime 1.12

/** Where a weight's bytes are: in the model itself, or from a byte of a file beside it. */
export type Location = { pieces: Pieces } | { file: string; offset: number; length: number };

/** The bytes of a `.onnx` file. @param locations Of every weight of the graph. */
export function encodeModel(
  graph: OnnxGraph,
  locations: ReadonlyMap<string, Location>,
  producer: string,
): Pieces {
  return [
    ...intField(1, irVersion),
    ...textField(2, producer),
    ...messageField(7, encodeGraph(graph, locations)),
    ...messageField(8, [...textField(1, ""), ...intField(2, operatorVersion)]),
  ];
}

function encodeGraph(graph: OnnxGraph, locations: ReadonlyMap<string, Location>): Pieces {
  const { nodes, constants, inputs, outputs, weights, weightType } = graph;
  const weightTensors = [...weights].map(([name, shape]) =>
    encodeTensor({ name, shape, type: weightType }, locations.get(name)!)
  );
  const fields = (number: number, messages: Pieces[]) =>
    messages.flatMap((message) => messageField(number, message));
  return [
    ...fields(1, nodes.map(encodeNode)),
    ...textField(2, "decoder"),
    ...fields(5, [...constants.map(encodeConstant), ...weightTensors]),
    ...fields(11, inputs.map(encodeValue)),
    ...fields(12, outputs.map(encodeValue)),
  ];
}

function encodeNode({ op, inputs, outputs, attributes }: Node): Pieces {
  return [
    ...inputs.flatMap((name) => textField(1, name)),
    ...outputs.flatMap((name) => textField(2, name)),
    ...textField(3, outputs[0]!),
    ...textField(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) =>
      messageField(5, encodeAttribute(name, value))
    ),
  ];
}

function encodeAttribute(name: string, value: Attribute): Pieces {
  const type = (number: number) => intField(20, number);
  if ("float" in value) return [...textField(1, name), ...floatField(2, value.float), ...type(1)];
  if ("int" in value) return [...textField(1, name), ...intField(3, value.int), ...type(2)];
  const ints = value.ints.flatMap((int) => intField(8, int));
  return [...textField(1, name), ...ints, ...type(7)];
}

function encodeConstant({ bytes, ...tensor }: Constant): Pieces {
  return encodeTensor(tensor, { pieces: [bytes] });
}

function encodeTensor(
  { name, shape, type }: { name: string; shape: readonly number[]; type: ElementType },
  location: Location,
): Pieces {
  const head = [
    ...packedIntsField(1, shape),
    ...intField(2, elementTypes[type]),
    ...textField(8, name),
  ];
  if ("pieces" in location) return [...head, ...messageField(9, location.pieces)];
  const { file, offset, length } = location;
  const entries = Object.entries({ location: file, offset, length }).flatMap(([key, value]) =>
    messageField(13, [...textField(1, key), ...textField(2, String(value))])
  );
  return [...head, ...entries, ...intField(14, 1)];
}

function encodeValue({ name, type, shape }: ValueInfo): Pieces {
  const dimensions = shape.flatMap((size) =>
    messageField(1, typeof size === "number" ? intField(1, size) : textField(2, size))
  );
  const tensor = [...intField(1, elementTypes[type]), ...messageField(2, dimensions)];
  return [...textField(1, name), ...messageField(2, messageField(1, tensor))];
}
