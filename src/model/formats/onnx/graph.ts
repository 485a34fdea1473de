// A computation as ONNX has it: nodes in the order in which they run, each making one named value of others, and constants
// by name. Weights are declared here by name and shape; where their bytes lie is decided when the file is written.

/** The types of elements, with the numbers that ONNX gives them. */
export const elementTypes = { f32: 1, i64: 7, bool: 9, f16: 10 } as const;

/** A type of elements. */
export type ElementType = keyof typeof elementTypes;

/** A whole number, a list of them, or a float32; ONNX keeps the kinds apart. */
export type Attribute = { int: number } | { ints: readonly number[] } | { float: number };

/** An operation: the value `output` is `op` of `inputs`; an empty input is left out. */
export interface Node {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, Attribute>>;
}

/** What goes in or comes out: sizes that are known as numbers, others by name. */
export interface ValueInfo {
  name: string;
  type: ElementType;
  shape: readonly (number | string)[];
}

/** A constant that the graph itself holds: shapes, indices, frequencies. */
export interface Constant {
  name: string;
  type: ElementType;
  shape: readonly number[];
  bytes: Uint8Array;
}

/** A whole computation. */
export interface OnnxGraph {
  inputs: readonly ValueInfo[];
  outputs: readonly ValueInfo[];
  nodes: readonly Node[];
  constants: readonly Constant[];
  /** Of which type the weights are. */
  weightType: "f32" | "f16";
  /** The shape of every weight, by name. */
  weights: ReadonlyMap<string, readonly number[]>;
}

/** Nodes and constants, while they are gathered. */
export class GraphBuilder {
  readonly nodes: Node[] = [];
  readonly #constants = new Map<string, Constant>();

  /** The constants so far. */
  get constants(): Constant[] {
    return [...this.#constants.values()];
  }

  /** Adds an operation with one output, and returns that output's name, which is the name given. */
  node(
    name: string,
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    return this.nodeOf([name], op, inputs, attributes)[0]!;
  }

  /** Adds an operation with several outputs. */
  nodeOf(
    outputs: readonly string[],
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): readonly string[] {
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  /** Whole numbers as a constant, a vector; the same numbers are the same constant. */
  ints(...values: number[]): string {
    const name = `ints/${values.join("_")}`;
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    return this.#constant({ name, type: "i64", shape: [values.length], bytes });
  }

  /** One whole number as a constant without dimensions. */
  int(value: number): string {
    const bytes = new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);
    return this.#constant({ name: `int/${value}`, type: "i64", shape: [], bytes });
  }

  /** One number as a constant without dimensions. */
  number(value: number, type: "f32" | "f16"): string {
    const bytes = bytesOfNumbers([value], type);
    return this.#constant({ name: `${type}/${value}`, type, shape: [], bytes });
  }

  /** A vector as a constant. */
  vector(name: string, values: ArrayLike<number>, type: "f32" | "f16"): string {
    const bytes = bytesOfNumbers(values, type);
    return this.#constant({ name, type, shape: [values.length], bytes });
  }

  #constant(constant: Constant): string {
    if (!this.#constants.has(constant.name)) this.#constants.set(constant.name, constant);
    return constant.name;
  }
}

function bytesOfNumbers(values: ArrayLike<number>, type: "f32" | "f16"): Uint8Array {
  const array = type === "f32" ? Float32Array.from(values) : Float16Array.from(values);
  return new Uint8Array(array.buffer);
}
