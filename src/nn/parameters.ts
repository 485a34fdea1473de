// All parameters of a model, packed into a few large arenas (weights, gradients), so that the optimiser and the global
// norm sweep everything in a handful of dispatches. Each parameter is a view of an arena. The weights that are learned and
// saved are f32; a model in f16 reads a rounded copy of them, laid out alike.

import { rounding } from "../../kernels/rounding.ts";
import { CannotError } from "../base/errors.ts";
import { type Gpu, viewAlignment } from "../gpu/gpu.ts";
import { Program } from "../gpu/program.ts";
import {
  bytesPerElement,
  describeShape,
  elements,
  type Precision,
  type Tensor,
} from "../gpu/tensor.ts";

/** A learned tensor and, when the model is trained, its gradient. */
export interface Parameter {
  /** What kernels read, a view of an arena: in f16 the rounded copy of `master`. */
  readonly value: Tensor;
  /** In f16: what is learned, a view of a weight arena in f32. */
  readonly master?: Tensor;
  /** A view of a gradient arena, of the same shape, in f32. */
  readonly gradient?: Tensor;
}

/** Parameters that share weight decay and lie side by side. */
export interface ParameterGroup {
  /** Whether weight decay applies. */
  readonly decays: boolean;
  /** The arena of the values in f32, flat. */
  readonly weight: Tensor;
  /** The arena of their copies in f16, laid out alike. */
  readonly copy?: Tensor;
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
  readonly #places: Place[] = [];

  /**
   * Allocates zeroed arenas.
   *
   * @param shapes Shape of each parameter, in canonical order.
   * @param options.gradients Whether to allocate gradients.
   * @param options.precision What kernels read the values in.
   * @param options.decays Whether a parameter is subject to weight decay.
   */
  constructor(
    gpu: Gpu,
    shapes: ReadonlyMap<string, readonly number[]>,
    options: { gradients: boolean; precision: Precision; decays: (name: string) => boolean },
  ) {
    this.#gpu = gpu;
    const { precision } = options;
    const alignment = viewAlignment / bytesPerElement(precision);
    const groups: ParameterGroup[] = [];
    const limit = gpu.adapter.limits.maxStorageBufferBindingSize! / 4;
    for (const decays of [true, false]) {
      const members = [...shapes].filter(([name]) => options.decays(name) === decays);
      for (const chunk of fill(members, limit, alignment)) {
        const label = `${decays ? "decayed" : "undecayed"}${groups.length}`;
        const weight = gpu.allocate(`weights/${label}`, [chunk.length]);
        const gradient = options.gradients
          ? gpu.allocate(`gradients/${label}`, [chunk.length])
          : undefined;
        const copy = precision === "f16"
          ? gpu.allocate(`weights_f16/${label}`, [chunk.length], precision)
          : undefined;
        groups.push({ decays, weight, ...(copy && { copy }), ...(gradient && { gradient }) });
        for (const { name, shape, start } of chunk.members) {
          this.#places.push({ name, shape, group: groups.length - 1, offset: 4 * start });
          this.#byName.set(name, {
            value: view(copy ?? weight, name, shape, start),
            ...(copy && { master: view(weight, name, shape, start) }),
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
    this.uploadArenas(this.groups.map(({ weight }) => weight), values);
    using program = new Program(this.#gpu, "upload");
    for (const { weight, copy } of this.groups) if (copy) rounding(program, weight, copy);
    program.replay();
  }

  /** Copies the values, or the gradients (in f16 training multiplied by the loss scale), back to the host, in f32. */
  async download(
    which: "value" | "gradient" = "value",
  ): Promise<Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>> {
    const key = which === "value" ? "weight" : "gradient";
    return await this.downloadArenas(this.groups.map((group) => group[key]!));
  }

  /**
   * Copies host values by parameter into one f32 arena for each group, laid out like its weights.
   *
   * @throws {CannotError} for a missing tensor or a wrong shape.
   */
  uploadArenas(arenas: readonly Tensor[], values: HostParameters): void {
    for (const { name, shape, group, offset } of this.#places) {
      const host = values.get(name);
      if (host?.shape.join() !== shape.join()) {
        throw new CannotError(
          `load parameter "${name}"`,
          host ? `its shape is ${describeShape(host.shape)}` : "it is missing",
          `Give a checkpoint in which it is ${describeShape(shape)}`,
        );
      }
      const arena = arenas[group]!;
      const length = elements(shape);
      this.#gpu.write({ ...arena, name, shape, offset: arena.offset + offset, length }, host!.data);
    }
  }

  /** Copies f32 arenas that are laid out like the weights, one for each group, to the host by parameter. */
  async downloadArenas(
    arenas: readonly Tensor[],
  ): Promise<Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>> {
    const contents = await this.#gpu.readAll(arenas);
    const host = new Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>();
    for (const { name, shape, group, offset } of this.#places) {
      const data = new Float32Array(contents[group]!, offset, elements(shape)).slice();
      host.set(name, { shape: [...shape], data });
    }
    return host;
  }

  /** Sets all gradients to zero. */
  clearGradients(): void {
    for (const { gradient } of this.groups) {
      if (gradient) this.#gpu.write(gradient, new Float32Array(gradient.length));
    }
  }

  /** Frees all arenas. */
  destroy(): void {
    for (const { weight, copy, gradient } of this.groups) {
      for (const arena of [weight, copy, gradient]) if (arena) this.#gpu.free(arena);
    }
  }
}

interface Place {
  name: string;
  shape: readonly number[];
  /** Index of the group. */
  group: number;
  /** Bytes from the start of an f32 arena. */
  offset: number;
}

interface Chunk {
  length: number;
  members: { name: string; shape: readonly number[]; start: number }[];
}

// Fills arenas in order, opening a new one when the next parameter would pass the limit.
function fill(
  members: [string, readonly number[]][],
  limit: number,
  alignment: number,
): Chunk[] {
  const chunks: Chunk[] = [];
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
  const offset = arena.offset + start * bytesPerElement(arena.type);
  return { ...arena, name, shape, offset, length: elements(shape) };
}
