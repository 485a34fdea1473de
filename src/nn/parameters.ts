// All parameters of a model, packed into a few large arenas (weights, gradients), so that the optimiser and the global
// norm sweep everything in a handful of dispatches. Each parameter is a view of an arena. The weights that are learned are
// f32; a model in f16 reads a rounded copy of them, laid out alike. Frozen weights have neither a gradient nor a copy:
// a model in f16 holds them in f16 alone.

import { rounding } from "../../kernels/rounding.ts";
import { CannotError } from "../base/errors.ts";
import { type Gpu, megabytes, viewAlignment } from "../gpu/gpu.ts";
import { Program } from "../gpu/program.ts";
import {
  bytesPerElement,
  describeShape,
  elements,
  type Precision,
  type Tensor,
} from "../gpu/tensor.ts";

/** A tensor of a model and, where it is learned, its gradient. */
export interface Parameter {
  /** What kernels read, a view of an arena: in f16 the rounded copy of `master`. */
  readonly value: Tensor;
  /** Of what is learned in f16: a view of a weight arena in f32. */
  readonly master?: Tensor;
  /** Of what is learned: a view of a gradient arena, of the same shape, in f32. */
  readonly gradient?: Tensor;
}

/** Parameters that are all frozen, or all learned and share weight decay, and lie side by side. */
export interface ParameterGroup {
  /** The arena of the values, flat: f32 where they are learned, else in the model's precision. */
  readonly weight: Tensor;
  /** Of what is learned. */
  readonly gradient?: Tensor;
  /** Of what is learned in f16. */
  readonly copy?: Tensor;
  /** Whether weight decay applies. */
  readonly decays: boolean;
}

/** Parameters that are learned. */
export interface LearnedGroup extends ParameterGroup {
  /** The arena of the gradients, laid out like the values. */
  readonly gradient: Tensor;
  /** The arena of the values' copies in f16, laid out alike. */
  readonly copy?: Tensor;
}

/** How parameters are held. */
export interface ParameterOptions {
  /** Whether a parameter is learned: it then has a gradient. */
  learned: (name: string) => boolean;
  /** Whether weight decay applies to a parameter that is learned. */
  decays: (name: string) => boolean;
  /** What kernels read the values in. */
  precision: Precision;
}

/** A parameter's value on the host. */
export interface HostParameter {
  /** Outermost dimension first. */
  shape: readonly number[];
  /** Row-major. */
  data: Float32Array;
}

/** Host copies of parameters by name. */
export type HostParameters = ReadonlyMap<string, HostParameter>;

const elementsPerFlush = 2 ** 24; // writes are staged in host memory until they are flushed
const smallestOverflow = 65520; // rounds to infinity in f16
const largestVanishing = 2 ** -25; // rounds to 0

/** Bytes that wait in host and adapter at most while parameters are uploaded one by one. */
export function stagedForUpload(
  shapes: ReadonlyMap<string, readonly number[]>,
  precision: Precision,
): number {
  const parts = [...shapes.values()].map((shape) => Math.min(elements(shape), elementsPerFlush));
  const total = parts.reduce((sum, length) => sum + length, 0);
  const largest = parts.reduce((most, length) => Math.max(most, length), 0);
  return bytesPerElement(precision) * Math.min(total, elementsPerFlush + largest);
}

/** Named parameters on the GPU. */
export class Parameters {
  /** All arenas, split where a binding would grow too large; what is learned comes first. */
  readonly groups: readonly ParameterGroup[];
  /** The arenas of what is learned, those with weight decay first. */
  readonly learned: readonly LearnedGroup[];
  readonly #gpu: Gpu;
  readonly #precision: Precision;
  readonly #byName = new Map<string, Parameter>();
  readonly #places: Place[] = [];
  #vanished = 0;

  /**
   * Allocates zeroed arenas.
   *
   * @param shapes Shape of each parameter, in canonical order.
   */
  constructor(
    gpu: Gpu,
    shapes: ReadonlyMap<string, readonly number[]>,
    { learned, decays, precision }: ParameterOptions,
  ) {
    this.#gpu = gpu;
    this.#precision = precision;
    const alignment = viewAlignment / bytesPerElement(precision);
    const limit = gpu.bindingLimit / 4;
    const kindOf = (name: string) =>
      !learned(name) ? "frozen" : decays(name) ? "decayed" : "undecayed";
    const groups: ParameterGroup[] = [];
    const learnedGroups: LearnedGroup[] = [];
    for (const kind of ["decayed", "undecayed", "frozen"] as const) {
      const members = [...shapes].filter(([name]) => kindOf(name) === kind);
      const stored = kind === "frozen" ? precision : "f32";
      for (const [name, shape] of members) expectBuffer(gpu, name, shape, stored);
      for (const chunk of fill(members, limit, alignment)) {
        const arena = (use: string, type: Precision) =>
          gpu.allocate(`${use}/${kind}${groups.length}`, [chunk.length], type, { views: true });
        const decays = kind === "decayed";
        const weight = arena("weights", stored);
        const gradient = kind === "frozen" ? undefined : arena("gradients", "f32");
        const copy = gradient && precision === "f16" ? arena("weights_f16", precision) : undefined;
        if (gradient) learnedGroups.push({ decays, weight, gradient, ...(copy && { copy }) });
        groups.push(learnedGroups[groups.length] ?? { decays, weight });
        for (const { name, shape, start } of chunk.members) {
          this.#places.push({ name, shape, group: groups.length - 1, start });
          this.#byName.set(name, {
            value: view(copy ?? weight, name, shape, start),
            ...(copy && { master: view(weight, name, shape, start) }),
            ...(gradient && { gradient: view(gradient, `d(${name})`, shape, start) }),
          });
        }
      }
    }
    this.groups = groups;
    this.learned = learnedGroups;
  }

  /** One parameter by its name. */
  get(name: string): Parameter {
    const parameter = this.#byName.get(name);
    if (!parameter) throw new Error(`There is no parameter "${name}"`);
    return parameter;
  }

  /** Whether there is a parameter of this name. */
  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Names and shapes of what is learned, in arena order. */
  get learnedShapes(): Map<string, readonly number[]> {
    const learned = this.#places.filter(({ group }) => group < this.learned.length);
    return new Map(learned.map(({ name, shape }) => [name, shape]));
  }

  /** The names, in arena order. */
  get names(): string[] {
    return [...this.#byName.keys()];
  }

  /**
   * Copies host values to the GPU.
   *
   * @throws {CannotError} for a missing tensor, a wrong shape, and in f16 for a value that it cannot hold.
   */
  upload(values: HostParameters): void {
    this.#vanished = 0;
    for (const [name, { data }] of values) this.#countLoss(name, data);
    this.uploadArenas(this.groups.map(({ weight }) => weight), values);
    this.#roundCopies();
  }

  /** Copies values of what is learned to the GPU; the rest stays. Throws as {@linkcode Parameters.upload}. */
  uploadLearned(values: HostParameters): void {
    for (const [name, { data }] of values) this.#countLoss(name, data);
    this.uploadArenas(this.learned.map(({ weight }) => weight), values);
    this.#roundCopies();
  }

  /**
   * Copies values to the GPU as they come, so that the host needs to hold one tensor at a time.
   *
   * @throws {CannotError} as {@linkcode Parameters.upload}, and for a tensor that is no parameter.
   */
  async uploadFrom(values: AsyncIterable<readonly [string, HostParameter]>): Promise<void> {
    const missing = new Map(this.#places.map((place) => [place.name, place]));
    const { queue } = this.#gpu.device;
    let staged = 0;
    this.#vanished = 0;
    for await (const [name, value] of values) {
      const place = missing.get(name);
      if (!place) {
        throw new CannotError(
          `load parameter "${name}"`,
          this.#byName.has(name) ? "it came twice" : "the model has none of this name",
          "Check that configuration and weights belong to the same model",
        );
      }
      checkShape(place, value);
      this.#countLoss(name, value.data);
      missing.delete(name);
      const tensor = placed(this.groups[place.group]!.weight, place);
      for (let start = 0; start < value.data.length; start += elementsPerFlush) {
        const part = value.data.subarray(start, start + elementsPerFlush);
        this.#gpu.write(tensor, part, start);
        staged += part.length;
        if (staged < elementsPerFlush) continue;
        queue.submit([]);
        await this.#gpu.settle();
        staged = 0;
      }
    }
    for (const place of missing.values()) checkShape(place, undefined);
    this.#roundCopies();
  }

  /** How many of the values that were uploaded last are so small that f16 takes them for 0. */
  get vanished(): number {
    return this.#vanished;
  }

  #countLoss(name: string, data: Float32Array): void {
    if (this.#precision !== "f16") return;
    for (let i = 0; i < data.length; i++) {
      const magnitude = Math.abs(data[i]!);
      if (magnitude >= smallestOverflow) throw beyondHalf(name, data[i]!);
      if (magnitude <= largestVanishing && magnitude > 0) this.#vanished++;
    }
  }

  #roundCopies(): void {
    using program = new Program(this.#gpu, "upload");
    for (const { weight, copy } of this.groups) if (copy) rounding(program, weight, copy);
    program.replay();
  }

  /**
   * Copies all values, those of what is learned, or the gradients (in f16 training multiplied by the loss scale), back
   * to the host, in f32.
   */
  async download(
    which: "value" | "learned" | "gradient" = "value",
  ): Promise<Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>> {
    if (which === "gradient") {
      return await this.downloadArenas(this.learned.map(({ gradient }) => gradient));
    }
    const groups = which === "learned" ? this.learned : this.groups;
    return await this.downloadArenas(groups.map(({ weight }) => weight));
  }

  /**
   * Copies host values by parameter into arenas that are laid out like the weights: one for each group, or only for
   * each that is learned.
   *
   * @throws {CannotError} for a missing tensor or a wrong shape.
   */
  uploadArenas(arenas: readonly Tensor[], values: HostParameters): void {
    for (const place of this.#places) {
      if (place.group >= arenas.length) continue;
      const host = values.get(place.name);
      checkShape(place, host);
      this.#gpu.write(placed(arenas[place.group]!, place), host!.data);
    }
  }

  /** Copies arenas, as of {@linkcode Parameters.uploadArenas}, to the host by parameter, in f32. */
  async downloadArenas(
    arenas: readonly Tensor[],
  ): Promise<Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>> {
    const host = new Map<string, { shape: number[]; data: Float32Array<ArrayBuffer> }>();
    for (const [index, arena] of arenas.entries()) {
      const content = await this.#gpu.read(arena);
      for (const { name, shape, group, start } of this.#places) {
        if (group !== index) continue;
        const data = content.slice(start, start + elements(shape));
        host.set(name, { shape: [...shape], data });
      }
    }
    return host;
  }

  /** Sets all gradients to zero. */
  clearGradients(): void {
    for (const { gradient } of this.learned) this.#gpu.clear(gradient);
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
  /** Elements from the start of its arenas. */
  start: number;
}

function placed(arena: Tensor, { name, shape, start }: Place): Tensor {
  return view(arena, name, shape, start);
}

function checkShape({ name, shape }: Place, host: HostParameter | undefined): void {
  if (host?.shape.join() === shape.join()) return;
  throw new CannotError(
    `load parameter "${name}"`,
    host ? `its shape is ${describeShape(host.shape)}` : "it is missing",
    `Give a checkpoint in which it is ${describeShape(shape)}`,
  );
}

function beyondHalf(name: string, value: number): CannotError {
  const why = `its value ${value} is beyond 65,504, the largest of f16`;
  return new CannotError(`load parameter "${name}" in f16`, why, "Use f32");
}

interface Chunk {
  length: number;
  members: { name: string; shape: readonly number[]; start: number }[];
}

// A parameter lies in one buffer.
function expectBuffer(
  gpu: Gpu,
  name: string,
  shape: readonly number[],
  stored: Precision,
): void {
  const bytes = bytesPerElement(stored) * elements(shape);
  const limit = gpu.adapter.limits.maxBufferSize!;
  if (bytes <= limit) return;
  const rows = Math.floor(limit * shape[0]! / bytes);
  throw new CannotError(
    `hold the parameter "${name}" ${describeShape(shape)}`,
    `it needs ${megabytes(bytes)} and ${gpu.adapter.name} allocates at most ${megabytes(limit)}`,
    `At most ${rows} of its ${shape[0]} rows fit: use another adapter or a smaller model`,
  );
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
