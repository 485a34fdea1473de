// How kernel tests run a kernel: host arrays in, host arrays out, through buffers that notice a write past the end.

import { type Gpu, viewAlignment } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { elements, type ElementType, type Precision, type Tensor } from "../src/gpu/tensor.ts";
import { Random } from "../src/base/random.ts";
import { assert } from "./assert.ts";

/** A tensor's shape and content; a Uint32Array makes it a u32 tensor. */
export interface Host {
  shape: readonly number[];
  data: Float32Array | Uint32Array;
  /** What floats are stored in on the GPU; f32 unless given. */
  stored?: Precision;
}

/** Standard normal numbers: same label, same numbers. */
export function normals(label: string, ...shape: number[]): Host {
  const random = new Random(1, label);
  return { shape, data: Float32Array.from({ length: elements(shape) }, () => random.normal()) };
}

/** Zeros, or `value` everywhere: outputs that a kernel must overwrite start as `filled(NaN, …)`. */
export function filled(value: number, ...shape: number[]): Host {
  return { shape, data: new Float32Array(elements(shape)).fill(value) };
}

/** The same numbers as f16 stores them, on the GPU in f16. */
export function halves({ shape, data }: Host): Host {
  return { shape, data: new Float32Array(new Float16Array(data)), stored: "f16" };
}

/** Given f32 numbers, one vector unless a shape is given. */
export function floats(values: ArrayLike<number>, shape: readonly number[] = []): Host {
  return { shape: shape.length ? shape : [values.length], data: Float32Array.from(values) };
}

/** Given u32 numbers, one vector unless a shape is given. */
export function integers(values: ArrayLike<number>, shape: readonly number[] = []): Host {
  return { shape: shape.length ? shape : [values.length], data: Uint32Array.from(values) };
}

/** What the tensors of one launch are called. */
export type Hosts = Record<string, Host>;
type Results<H extends Hosts> = { [Name in keyof H]: Float32Array };

// Elements behind every tensor that no kernel may touch, and what they hold.
const guardLength = viewAlignment / 4;
const guard = 7;

/**
 * Uploads `hosts`, records a program on them, replays it and reads every tensor back (u32 converted to numbers).
 * Fails when anything was written behind the end of a tensor.
 */
export async function launch<H extends Hosts>(
  gpu: Gpu,
  hosts: H,
  record: (program: Program, tensors: { [Name in keyof H]: Tensor }) => void,
  replays = 1,
): Promise<Results<H>> {
  using program = new Program(gpu, "test");
  const names = Object.keys(hosts);
  const wholes = names.map((name) => {
    const host = hosts[name]!;
    const length = host.data.length + guardLength;
    const whole = program.allocate(name, [length], typeOf(host), { views: true });
    const guarded = host.data instanceof Uint32Array
      ? new Uint32Array(whole.length)
      : new Float32Array(whole.length);
    guarded.fill(guard).set(host.data);
    gpu.write(whole, guarded);
    return whole;
  });
  const tensors = Object.fromEntries(names.map((name, i) => {
    const { shape } = hosts[name]!;
    return [name, { ...wholes[i]!, shape, length: elements(shape) } satisfies Tensor];
  }));
  record(program, tensors as { [Name in keyof H]: Tensor });
  for (let i = 0; i < replays; i++) program.replay();
  const contents = await gpu.readAll(wholes);
  return Object.fromEntries(names.map((name, i) => {
    const { length } = hosts[name]!.data;
    const content = Float32Array.from(numbersIn(contents[i]!, wholes[i]!.type));
    const behind = content.subarray(length);
    assert(behind.every((value) => value === guard), `wrote past the end of "${name}"`);
    return [name, content.slice(0, length)];
  })) as Results<H>;
}

function typeOf({ data, stored = "f32" }: Host): ElementType {
  return data instanceof Uint32Array ? "u32" : stored;
}

function numbersIn(content: ArrayBuffer, type: ElementType): ArrayLike<number> {
  if (type === "u32") return new Uint32Array(content);
  return type === "f16" ? new Float16Array(content) : new Float32Array(content);
}
