// All parameters of a model, packed into a few large arenas (weights, gradients), so that the optimiser and the global
// norm sweep everything in a handful of dispatches. Each parameter is a view of an arena.

import { CannotError } from "../base/errors.ts";
import { type Gpu, viewAlignment } from "../gpu/gpu.ts";
import { describeShape, elements, type Tensor } from "../gpu/tensor.ts";

/** A learned tensor and, when the model is trained, its gradient. */
export interface Parameter {
  /** A view of a weight arena. */
  readonly value: Tensor;
  /** A view of a gradient arena, of the same shape. */
  readonly gradient?: Tensor;
}

/** Parameters that share weight decay and lie side by side. */
export interface ParameterGroup {
  /** Whether weight decay applies. */
  readonly decays: boolean;
  /** The arena of the values, flat. */
  readonly weight: Tensor;
  /** The arena of the gradients, laid out alike. */
  readonly gradient?: Tensor;
}

/** Host copies of parameters by name. */
export type HostParameters = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;

/** Named parameters on the GPU. */
export class Parameters {
  /** The arenas: decayed ones first, split where a binding would grow too large. */
  readonly groups: readonly ParameterGroup[];
  readonly #gpu: Gpu;
  readonly #byName = new Map<string, Parameter>();

  /**
   * Allocates zeroed arenas.
   *
   * @param shapes Shape of each parameter, in canonical order.
   * @param options.gradients Whether to allocate gradients.
   * @param options.decays Whether a parameter is subject to weight decay.
   */
  constructor(
    gpu: Gpu,
    shapes: ReadonlyMap<string, readonly number[]>,
    options: { gradients: boolean; decays: (name: string) => boolean },
  ) {
    this.#gpu = gpu;
    const groups: ParameterGroup[] = [];
    const limit = gpu.adapter.limits.maxStorageBufferBindingSize! / 4;
    for (const decays of [true, false]) {
      const members = [...shapes].filter(([name]) => options.decays(name) === decays);
      for (const chunk of fill(members, limit)) {
        const label = `${decays ? "decayed" : "undecayed"}${groups.length}`;
        const weight = gpu.allocate(`weights/${label}`, [chunk.length]);
        const gradient = options.gradients
          ? gpu.allocate(`gradients/${label}`, [chunk.length])
          : undefined;
        groups.push({ decays, weight, ...(gradient && { gradient }) });
        for (const { name, shape, start } of chunk.members) {
          this.#byName.set(name, {
            value: view(weight, name, shape, start),
            ...(gradient && { gradient: view(gradient, `d(${name})`, shape, start) }),
          });
        }
      }
    }
    this.groups = groups;
  }

  /** One parameter by its name. */
  get(name: string): Parameter {
    const parameter = this.#byName.get(name);
    if (!parameter) throw new Error(`There is no parameter "${name}"`);
    return parameter;
  }

  /** The names, in arena order. */
  get names(): string[] {
    return [...this.#byName.keys()];
  }

  /** Copies host values to the GPU. @throws {CannotError} for a missing tensor or a wrong shape. */
  upload(values: HostParameters): void {
    for (const [name, { value }] of this.#byName) {
      const host = values.get(name);
      if (host?.shape.join() !== value.shape.join()) {
        throw new CannotError(
          `load parameter "${name}"`,
          host ? `its shape is ${describeShape(host.shape)}` : "it is missing",
          `Give a checkpoint in which it is ${describeShape(value.shape)}`,
        );
      }
      this.#gpu.write(value, host!.data);
    }
  }

  /** Copies the values (or the gradients) back to the host. */
  async download(
    which: "value" | "gradient" = "value",
  ): Promise<Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>> {
    const key = which === "value" ? "weight" : "gradient";
    const arenas = this.groups.map((group) => group[key]!);
    const contents = await this.#gpu.readAll(arenas);
    const host = new Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>();
    for (const [name, parameter] of this.#byName) {
      const tensor = parameter[which]!;
      const arena = contents[arenas.findIndex(({ buffer }) => buffer === tensor.buffer)]!;
      const data = new Float32Array(arena, tensor.offset, tensor.length).slice();
      host.set(name, { shape: [...tensor.shape], data });
    }
    return host;
  }

  /** Frees all arenas. */
  destroy(): void {
    for (const { weight, gradient } of this.groups) {
      this.#gpu.free(weight);
      if (gradient) this.#gpu.free(gradient);
    }
  }
}

interface Chunk {
  length: number;
  members: { name: string; shape: readonly number[]; start: number }[];
}

// Fills arenas in order, opening a new one when the next parameter would pass the limit.
function fill(members: [string, readonly number[]][], limit: number): Chunk[] {
  const chunks: Chunk[] = [];
  const alignment = viewAlignment / 4;
  for (const [name, shape] of members) {
    const length = Math.ceil(elements(shape) / alignment) * alignment;
    let chunk = chunks.at(-1);
    if (!chunk || chunk.length + length > limit) chunks.push(chunk = { length: 0, members: [] });
    chunk.members.push({ name, shape, start: chunk.length });
    chunk.length += length;
  }
  return chunks;
}

function view(arena: Tensor, name: string, shape: readonly number[], start: number): Tensor {
  return { ...arena, name, shape, offset: arena.offset + start * 4, length: elements(shape) };
}
