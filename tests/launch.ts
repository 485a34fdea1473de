// How kernel tests run a kernel: host arrays in, host arrays out, through buffers that notice a write past the end.

import { type Gpu, viewAlignment } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { elements, type Tensor } from "../src/gpu/tensor.ts";
import { Random } from "../src/base/random.ts";
import { assert } from "./assert.ts";

/** A tensor's shape and content; a Uint32Array makes it a u32 tensor. */
export interface Host {
  shape: readonly number[];
  data: Float32Array | Uint32Array;
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
    const { shape, data } = hosts[name]!;
    const whole = program.allocate(name, [elements(shape) + guardLength]);
    gpu.write(whole, new Float32Array(guardLength).fill(guard), data.length);
    gpu.write(whole, data);
    return whole;
  });
  const tensors = Object.fromEntries(names.map((name, i) => {
    const { shape, data } = hosts[name]!;
    const type = data instanceof Uint32Array ? "u32" : "f32";
    return [name, { ...wholes[i]!, shape, type, length: elements(shape) } satisfies Tensor];
  }));
  record(program, tensors as { [Name in keyof H]: Tensor });
  for (let i = 0; i < replays; i++) program.replay();
  const contents = await gpu.readAll(wholes);
  return Object.fromEntries(names.map((name, i) => {
    const { data } = hosts[name]!;
    const content = contents[i]!;
    const behind = new Float32Array(content, data.length * 4);
    assert(behind.every((value) => value === guard), `wrote past the end of "${name}"`);
    const own = content.slice(0, data.length * 4);
    const values = data instanceof Uint32Array
      ? Float32Array.from(new Uint32Array(own))
      : new Float32Array(own);
    return [name, values];
  })) as Results<H>;
}
