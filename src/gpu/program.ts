// A program is a fixed list of dispatches, recorded once and replayed every step: pipelines, bind groups and buffers
// are made while recording and never again. What varies by step is data in buffers, written before a replay.

import { CannotError } from "../base/errors.ts";
import { type Gpu, megabytes } from "./gpu.ts";
import type { Kernel } from "./kernel.ts";
import {
  byteLength,
  bytesPerElement,
  describeShape,
  elements,
  type ElementType,
  type Precision,
  type Tensor,
} from "./tensor.ts";

/** Workgroup counts along x, y and z; any zero skips the dispatch. */
export type Workgroups = readonly [number, number?, number?];

/** What a launcher records. */
export interface DispatchRequest {
  /** Compiled once per source and entry point. */
  kernel: Kernel;
  /** Tensors by the names that the WGSL file declares. */
  tensors: Record<string, Tensor>;
  /** Textures by the names that the WGSL file declares, from {@linkcode Program.texture}. */
  textures?: Record<string, GPUTexture>;
  /** The values of the `dims` uniform, in declared order; JS numbers become u32 unless wrapped by `f32()`. */
  dims?: readonly (number | Float)[];
  /** Fixed counts, or a function of host state that is asked at every replay. */
  workgroups: Workgroups | (() => Workgroups);
  /** Multiply-adds that it takes at most; only those of products of matrices are told. */
  multiplyAdds?: number;
}

/** A float inside the `dims` uniform. */
export interface Float {
  /** Rounded to f32. */
  readonly float: number;
}

/** Marks a number of the `dims` uniform as f32. */
export function f32(value: number): Float {
  return { float: value };
}

interface Dispatch {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: Workgroups | (() => Workgroups);
  readonly writes: readonly Tensor[];
  readonly multiplyAdds: number;
}

interface Clear {
  readonly clear: Tensor;
}

interface Copy {
  readonly from: Tensor;
  readonly to: Tensor;
}

interface TextureCopy {
  readonly from: Tensor;
  readonly first: number;
  readonly texels: number;
  readonly texture: GPUTexture;
  readonly active: (() => boolean) | undefined;
}

type Command = Dispatch | Clear | Copy | TextureCopy;

/** Texels along x of every texture that holds part of a tensor: element i is in texel (i / 4) of the rows in order. */
export const textureWidth = 1024;

// Unused texels at the end of a row. Without them, lines of 2 KB would all lie in the same few sets of a CPU's cache.
const texturePadding = 4;

/** Elements of a tensor, both numbers multiples of 4. */
export interface TextureRange {
  /** The first element. */
  readonly first: number;
  /** How many. */
  readonly count: number;
}

// A texture of the pool and what it holds at this point of the recording.
interface PooledTexture {
  readonly texture: GPUTexture;
  content: (TextureRange & { tensor: Tensor; active: (() => boolean) | undefined }) | undefined;
}

/** A list of GPU commands that is recorded once and replayed many times. */
export class Program {
  readonly #commands: Command[] = [];
  readonly #owned: Tensor[] = [];
  readonly #idle = new Map<string, Tensor[]>();
  readonly #textures = new Map<string, PooledTexture[]>(); // by precision and height, the one used last at the end

  /**
   * Starts an empty list.
   *
   * @param name Prefix of the names of the tensors it allocates.
   */
  constructor(readonly gpu: Gpu, readonly name: string) {}

  /** The number of recorded commands. */
  get length(): number {
    return this.#commands.length;
  }

  /** Allocates a tensor that lives as long as the program; `options` are those of {@linkcode Gpu.allocate}. */
  allocate(
    name: string,
    shape: readonly number[],
    type: ElementType = "f32",
    options: { views?: boolean } = {},
  ): Tensor {
    const tensor = this.gpu.allocate(`${this.name}/${name}`, shape, type, options);
    this.#owned.push(tensor);
    return tensor;
  }

  /** A scratch tensor, reusing the memory of one that was released at an earlier point of the recording. */
  borrow(name: string, shape: readonly number[], type: Precision = "f32"): Tensor {
    const idle = this.#idle.get(memoryKind(elements(shape), type))?.pop();
    return idle
      ? { ...idle, name: `${this.name}/${name}`, shape }
      : this.allocate(name, shape, type);
  }

  /** Says that no command recorded from here on needs the content of a borrowed tensor. */
  release(tensor: Tensor): void {
    const kind = memoryKind(tensor.length, tensor.type);
    const idle = this.#idle.get(kind);
    if (idle) idle.push(tensor);
    else this.#idle.set(kind, [tensor]);
  }

  /**
   * A texture that holds a range of a tensor when the next dispatch runs: recorded as a copy, unless an earlier copy is
   * still good. Of each size there are two, so that both operands of a product can have one; the older is reused.
   *
   * @param active Asked at every replay: whether the copy is needed.
   */
  texture(tensor: Tensor, { first, count }: TextureRange, active?: () => boolean): GPUTexture {
    const texels = count / 4;
    const height = Math.ceil(texels / textureWidth);
    const precision = tensor.type === "f16" ? "f16" : "f32";
    const kind = memoryKind(height, precision);
    const pool = this.#textures.get(kind) ?? [];
    const holds = ({ content }: PooledTexture) =>
      content && content.first === first && content.count === count &&
      sameElements(content.tensor, tensor) &&
      (content.active === undefined || content.active === active);
    let pooled = pool.find(holds);
    if (!pooled) {
      const stale = pool.find(({ content }) => !content);
      const leastRecent = pool.length < 2 ? undefined : pool[0];
      pooled = stale ?? leastRecent ?? this.#addTexture(height, precision);
      pooled.content = { tensor, first, count, active };
      const { texture } = pooled;
      this.#commands.push({ from: tensor, first, texels, texture, active });
    }
    this.#textures.set(kind, [...pool.filter((other) => other !== pooled), pooled]);
    return pooled.texture;
  }

  /** Records one dispatch. */
  dispatch(request: DispatchRequest): void {
    const { kernel, tensors, textures = {}, dims, workgroups, multiplyAdds = 0 } = request;
    const entries: GPUBindGroupEntry[] = [];
    const writes: Tensor[] = [];
    for (const [name, tensor] of Object.entries(tensors)) {
      const binding = kernel.bindings.get(name);
      if (!binding) throw new Error(`Kernel ${kernel.name} declares no "${name}"`);
      const vectors = Math.ceil(tensor.length / 4);
      const size = Math.max(16, vectors * 4 * bytesPerElement(tensor.type));
      if (size > this.gpu.bindingLimit) throw tooLarge(this.gpu, kernel.name, tensor, size);
      const resource = { buffer: tensor.buffer, offset: tensor.offset, size };
      entries.push({ binding: binding.index, resource });
      if (binding.access === "read_write") writes.push(tensor);
    }
    for (const [name, texture] of Object.entries(textures)) {
      entries.push({ binding: kernel.bindings.get(name)!.index, resource: texture.createView() });
    }
    if (dims) {
      const buffer = this.gpu.constants(packDims(dims));
      entries.push({ binding: kernel.bindings.get("dims")!.index, resource: { buffer } });
    }
    const pipeline = this.gpu.pipeline(kernel);
    const label = `${this.name}/${kernel.name}`;
    const layout = pipeline.getBindGroupLayout(0);
    const bindGroup = this.gpu.device.createBindGroup({ label, layout, entries });
    const { name } = kernel;
    this.#commands.push({ name, pipeline, bindGroup, workgroups, writes, multiplyAdds });
    for (const tensor of writes) this.#forgetTextures(tensor);
  }

  /** Records setting a tensor to zero. */
  clear(tensor: Tensor): void {
    this.#commands.push({ clear: tensor });
    this.#forgetTextures(tensor);
  }

  /** Records copying a tensor to another of the same length and type. */
  copy(from: Tensor, to: Tensor): void {
    if (from.type !== to.type) {
      throw new Error(`Cannot copy "${from.name}" of ${from.type} to "${to.name}" of ${to.type}`);
    }
    this.#commands.push({ from, to });
    this.#forgetTextures(to);
  }

  /** Multiply-adds of a replay with what it would read now, as far as dispatches tell them. */
  get multiplyAdds(): number {
    return this.#commands.reduce(
      (sum, command) => computes(command) ? sum + command.multiplyAdds : sum,
      0,
    );
  }

  /** Submits the whole list once, or `times` times in a row. */
  replay(times = 1): void {
    const encoder = this.gpu.device.createCommandEncoder({ label: this.name });
    for (let i = 0; i < times; i++) this.#encode(encoder, this.#commands);
    this.gpu.device.queue.submit([encoder.finish()]);
  }

  /**
   * Replays command by command and stops after the first for which `inspect` answers true: how a run that met a NaN
   * finds the tensor in which it began. Slow: one read for every command.
   */
  async findFirst(
    inspect: (tensor: Tensor) => Promise<boolean>,
  ): Promise<{ kernel: string; tensor: string } | undefined> {
    for (const command of this.#commands) {
      const encoder = this.gpu.device.createCommandEncoder({ label: this.name });
      this.#encode(encoder, [command]);
      this.gpu.device.queue.submit([encoder.finish()]);
      if (!("writes" in command)) continue;
      for (const tensor of command.writes) {
        if (tensor.type !== "u32" && await inspect(tensor)) {
          return { kernel: command.name, tensor: tensor.name };
        }
      }
    }
    return undefined;
  }

  /**
   * Replays once with a timestamp around every dispatch and returns GPU time by kernel, longest first. Ticks are taken
   * as nanoseconds, which holds for Vulkan's software adapter; elsewhere only the shares are meaningful.
   */
  async profile(): Promise<{ kernel: string; calls: number; milliseconds: number }[]> {
    const { device } = this.gpu;
    const capacity = 2 * 2048; // a query set holds at most 4096
    const totals = new Map<string, { kernel: string; calls: number; milliseconds: number }>();
    for (let first = 0; first < this.#commands.length; first += capacity / 2) {
      const commands = this.#commands.slice(first, first + capacity / 2);
      const querySet = device.createQuerySet({ type: "timestamp", count: capacity });
      const encoder = device.createCommandEncoder({ label: this.name });
      // A GPU waits forever for a timestamp that nothing writes, such as one of a dispatch of no workgroups.
      const timed: Dispatch[] = [];
      for (const command of commands) {
        if (!computes(command)) {
          this.#encode(encoder, [command]);
          continue;
        }
        const beginningOfPassWriteIndex = 2 * timed.length;
        const endOfPassWriteIndex = beginningOfPassWriteIndex + 1;
        const writes = { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex };
        this.#encode(encoder, [command], writes);
        timed.push(command);
      }
      const size = capacity * 8;
      const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
      const resolved = device.createBuffer({ label: "timestamps", size, usage });
      if (timed.length > 0) encoder.resolveQuerySet(querySet, 0, 2 * timed.length, resolved, 0);
      device.queue.submit([encoder.finish()]);
      const times = new BigUint64Array(await this.gpu.readBuffer(resolved, size));
      resolved.destroy();
      querySet.destroy();
      timed.forEach(({ name }, i) => {
        const entry = totals.get(name) ?? { kernel: name, calls: 0, milliseconds: 0 };
        entry.calls++;
        entry.milliseconds += Number(times[2 * i + 1]! - times[2 * i]!) / 1e6;
        totals.set(name, entry);
      });
    }
    return [...totals.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  }

  /** Frees the tensors that the program allocated. */
  destroy(): void {
    for (const tensor of this.#owned) this.gpu.free(tensor);
    for (const { texture } of [...this.#textures.values()].flat()) this.gpu.freeTexture(texture);
    this.#owned.length = 0;
    this.#textures.clear();
    this.#commands.length = 0;
  }

  /** Frees the tensors of the program at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  #addTexture(height: number, precision: Precision): PooledTexture {
    const size: [number, number] = [textureWidth + texturePadding, height];
    const texture = this.gpu.allocateTexture(`${this.name}/texture`, size, precision);
    return { texture, content: undefined };
  }

  // A copy in a texture is stale once its tensor is written.
  #forgetTextures(written: Tensor): void {
    for (const pooled of [...this.#textures.values()].flat()) {
      if (pooled.content && overlap(pooled.content.tensor, written)) pooled.content = undefined;
    }
  }

  #encode(
    encoder: GPUCommandEncoder,
    commands: readonly Command[],
    timestampWrites?: GPUComputePassTimestampWrites,
  ): void {
    let pass: GPUComputePassEncoder | undefined;
    for (const command of commands) {
      if ("pipeline" in command) {
        const [x, y = 1, z = 1] = countOf(command.workgroups);
        if (x * y * z === 0) continue;
        pass ??= encoder.beginComputePass(timestampWrites && { timestampWrites });
        pass.setPipeline(command.pipeline);
        pass.setBindGroup(0, command.bindGroup);
        pass.dispatchWorkgroups(x, y, z);
        continue;
      }
      if ("texture" in command && command.active?.() === false) continue;
      pass?.end();
      pass = undefined;
      if ("texture" in command) {
        copyToTexture(encoder, command);
      } else if ("clear" in command) {
        const { buffer, offset } = command.clear;
        encoder.clearBuffer(buffer, offset, byteLength(command.clear));
      } else {
        const { from, to } = command;
        const bytes = byteLength(from);
        encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, bytes);
      }
    }
    pass?.end();
  }
}

// Whether a replay dispatches it now.
function computes(command: Command): command is Dispatch {
  return "pipeline" in command && !countOf(command.workgroups).includes(0);
}

function countOf(workgroups: Dispatch["workgroups"]): Workgroups {
  return typeof workgroups === "function" ? workgroups() : workgroups;
}

function tooLarge(gpu: Gpu, kernel: string, tensor: Tensor, bytes: number): CannotError {
  const limit = megabytes(gpu.bindingLimit);
  return new CannotError(
    `bind "${tensor.name}" ${describeShape(tensor.shape)} to kernel ${kernel}`,
    `it needs ${megabytes(bytes)} and ${gpu.adapter.name} binds at most ${limit}`,
    "Record it in views of rows (`rowViews`), or products with it by `kernels/linear.ts`",
  );
}

// Whole rows at once, then what is left of the last one: a copy must not read past the end of the buffer.
function copyToTexture(
  encoder: GPUCommandEncoder,
  { from, first, texels, texture }: TextureCopy,
): void {
  const rows = Math.floor(texels / textureWidth);
  const rest = texels % textureWidth;
  const elementBytes = bytesPerElement(from.type);
  const bytesPerRow = 4 * elementBytes * textureWidth;
  const offset = from.offset + elementBytes * first;
  const { buffer } = from;
  if (rows > 0) {
    encoder.copyBufferToTexture({ buffer, offset, bytesPerRow }, { texture }, [textureWidth, rows]);
  }
  if (rest > 0) {
    const source = { buffer, offset: offset + rows * bytesPerRow };
    encoder.copyBufferToTexture(source, { texture, origin: [0, rows] }, [rest, 1]);
  }
}

// Scratch memory is lent again for the same number of the same type only.
function memoryKind(count: number, type: ElementType): string {
  return `${count} ${type}`;
}

function sameElements(a: Tensor, b: Tensor): boolean {
  return a.buffer === b.buffer && a.offset === b.offset && a.length === b.length;
}

function overlap(a: Tensor, b: Tensor): boolean {
  return a.buffer === b.buffer && a.offset < b.offset + byteLength(b) &&
    b.offset < a.offset + byteLength(a);
}

function packDims(dims: readonly (number | Float)[]): ArrayBuffer {
  const bytes = new ArrayBuffer(Math.ceil(dims.length / 4) * 16);
  const view = new DataView(bytes);
  dims.forEach((value, i) => {
    if (typeof value === "number") view.setUint32(4 * i, value, true);
    else view.setFloat32(4 * i, value.float, true);
  });
  return bytes;
}
