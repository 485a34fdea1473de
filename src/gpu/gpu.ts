// The one door to WebGPU: the device, its named and accounted buffers, its compiled kernels, and its errors.
// Deno's device reports errors late and anonymously; every object here carries a label, the first error is kept,
// and the next read (where the program waits anyway) throws it with the name of the kernel or buffer.

/// <reference types="npm:@webgpu/types@0.1.74" />

import { CannotError } from "../base/errors.ts";
import { type KernelChoices, knownChoices } from "./choices.ts";
import { compile, type Kernel } from "./kernel.ts";
import { type RecordedPipeline, recordingDevice } from "./recording_device.ts";
import { runtimeOf, waysToAnAdapter, whatToReport } from "./runtime.ts";
import {
  byteLength,
  bytesPerElement,
  describeShape,
  elements,
  type ElementType,
  type Precision,
  type Tensor,
} from "./tensor.ts";

/** What the adapter is and may do; printed by `deno task doctor` and stored with every result. */
export interface AdapterDescription {
  /** The driver's description, else vendor and architecture. */
  name: string;
  /** Whether the adapter computes on the CPU: correct, but its timings say nothing about a GPU. */
  software: boolean;
  /** All WebGPU features of the adapter, sorted. */
  features: string[];
  /** The limits that decide which models fit, in bytes or counts. */
  limits: Record<string, number>;
  /** How it computes what can be computed in several ways; what is set here holds for programs recorded later. */
  kernels: KernelChoices;
}

const usefulFeatures = ["shader-f16", "timestamp-query", "subgroups"];
const usefulLimits = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
  "maxTextureDimension2D",
] as const;

/** Bytes to which views inside an arena are aligned: the largest alignment WebGPU lets an adapter ask. */
export const viewAlignment = 256;

/**
 * A WebGPU device with named, accounted memory and errors that say what failed.
 *
 * @example
 * ```ts
 * import { Gpu } from "@slung/slung";
 *
 * using gpu = await Gpu.open(); // closed at the end of the block, with all that it holds
 * console.log(gpu.adapter.name);
 * ```
 */
export class Gpu {
  /** Decides how an adapter that was opened computes; set by `kernels/tuning.ts`, which can measure it. */
  static choose: ((gpu: Gpu) => Promise<void>) | undefined;

  /** For what this class does not wrap. */
  readonly device: GPUDevice;
  /** What {@linkcode Gpu.open} found. */
  readonly adapter: AdapterDescription;
  /** Lanes of a workgroup that share one row in row-wise kernels: a CPU is faster with none sharing. */
  readonly lanesPerRow: 1 | 64;
  /** Bytes of a tensor that a kernel can bind; what is larger is bound in views (`views.ts`). */
  readonly bindingLimit: number;
  readonly #buffers = new Map<GPUBuffer | GPUTexture, { name: string; bytes: number }>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #constants = new Map<string, GPUBuffer>();
  #failure: CannotError | undefined;
  #closed = false;

  private constructor(
    device: GPUDevice,
    adapter: AdapterDescription,
    { lanesPerRow, bindingLimit }: { lanesPerRow: 1 | 64; bindingLimit: number },
  ) {
    this.device = device;
    this.adapter = adapter;
    this.lanesPerRow = lanesPerRow;
    this.bindingLimit = bindingLimit;
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#fail((event as GPUUncapturedErrorEvent).error.message);
    });
    device.lost.then((info) => {
      if (!this.#closed) this.#fail(`the device was lost (${info.message || info.reason})`);
    });
  }

  /**
   * Opens the fastest adapter with its own limits, where kernels can use them.
   *
   * @param options.lanesPerRow Overrides what suits the adapter, so that tests reach both variants on either.
   * @param options.without Features to do without, as on an adapter that lacks them.
   * @param options.bindingLimit Binds less than the adapter can, so that tests reach views with small tensors.
   * @param options.kernels Overrides what is known to suit the adapter.
   * @throws {CannotError} when there is no adapter, with the way to get one.
   */
  static async open(
    options: {
      lanesPerRow?: 1 | 64;
      without?: readonly string[];
      bindingLimit?: number;
      kernels?: Partial<KernelChoices>;
    } = {},
  ): Promise<Gpu> {
    const { without = [] } = options;
    const { gpu: webGpu } = globalThis.navigator as Navigator | undefined ?? {}; // Node 20 has neither
    const adapter = await webGpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) {
      throw new CannotError("use WebGPU", "no adapter was found", waysToAnAdapter[runtimeOf()]);
    }
    const limits = Object.fromEntries(usefulLimits.map((name) => [name, adapter.limits[name]]));
    const features: string[] = [...adapter.features].filter((name) => !without.includes(name))
      .sort();
    const requiredFeatures = usefulFeatures.filter((name) =>
      features.includes(name)
    ) as GPUFeatureName[];
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits: limits });
    const { vendor, architecture, description } = adapter.info;
    const name = description || [vendor, architecture].filter(Boolean).join(" ") || "unnamed";
    const software = adapter.info.isFallbackAdapter ||
      /llvmpipe|swiftshader|basic render/i.test(name);
    const lanesPerRow = options.lanesPerRow ?? (software ? 1 : 64);
    const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
    const bindingLimit = options.bindingLimit ??
      Math.min(maxStorageBufferBindingSize, maxBufferSize);
    const known = knownChoices({ name, software, limits });
    const kernels: KernelChoices = { ...known, ...options.kernels && { origin: "set" } };
    Object.assign(kernels, options.kernels);
    const gpu = new Gpu(device, { name, software, features, limits, kernels }, {
      lanesPerRow,
      bindingLimit,
    });
    if (!options.kernels) await Gpu.choose?.(gpu);
    return gpu;
  }

  /**
   * One that takes down what is recorded for this adapter, and neither holds memory nor computes.
   *
   * @param options.halves Let it store f16 whatever this adapter does.
   * @param options.unlimited Let bindings and buffers be of any size.
   */
  recorder(
    { halves = false, unlimited = false }: { halves?: boolean; unlimited?: boolean } = {},
  ): { gpu: Gpu; pipelines: readonly RecordedPipeline[] } {
    const { limits, features } = this.device;
    const { device, pipelines } = recordingDevice({
      limits,
      features: halves ? new Set([...features, "shader-f16"]) : features,
    });
    const adapter = unlimited
      ? { ...this.adapter, limits: { ...this.adapter.limits, maxBufferSize: Infinity } }
      : this.adapter;
    const { lanesPerRow, bindingLimit } = this;
    const sizes = { lanesPerRow, bindingLimit: unlimited ? Infinity : bindingLimit };
    return { gpu: new Gpu(device, adapter, sizes), pipelines };
  }

  /** Whether kernels can store f16. */
  get storesHalves(): boolean {
    return this.device.features.has("shader-f16");
  }

  /** Whether kernels can read storage textures, which a CPU reads several times as fast as buffers. */
  get readsTextures(): boolean {
    const { wgslLanguageFeatures } = navigator.gpu as {
      wgslLanguageFeatures?: ReadonlySet<string>;
    };
    return wgslLanguageFeatures?.has("readonly_and_readwrite_storage_textures") ?? false;
  }

  /** Bytes of all live buffers. */
  get bytes(): number {
    return [...this.#buffers.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Live buffers, largest first. */
  inventory(): { name: string; bytes: number }[] {
    return [...this.#buffers.values()].sort((a, b) => b.bytes - a.bytes);
  }

  /**
   * Allocates a zeroed tensor.
   *
   * @param options.views Whether all that reads and writes it takes it in views: it may then be as large as a buffer.
   * @throws {CannotError} when one binding of the adapter, or in views one buffer, cannot hold it.
   */
  allocate(
    name: string,
    shape: readonly number[],
    type: ElementType = "f32",
    { views = false }: { views?: boolean } = {},
  ): Tensor {
    const length = elements(shape);
    const size = 4 * bytesPerElement(type); // kernels may read it as vec4
    const bytes = Math.max(16, Math.ceil(length / 4) * size);
    const limit = views ? this.adapter.limits.maxBufferSize! : this.bindingLimit;
    if (bytes > limit) {
      const does = views ? "allocates" : "binds";
      const most = 4 * Math.floor(limit / size); // elements
      const rows = Math.floor(most * shape[0]! / length);
      throw new CannotError(
        `allocate "${name}" ${describeShape(shape)}`,
        `it needs ${megabytes(bytes)} and ${this.adapter.name} ${does} at most ${megabytes(limit)}`,
        rows > 0
          ? `At most ${rows} of its ${shape[0]} rows fit: use a smaller batch or micro-batch`
          : `Its rows may have at most ${most} elements: use a smaller model`,
      );
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const buffer = this.device.createBuffer({ label: name, size: bytes, usage });
    this.#buffers.set(buffer, { name, bytes });
    return { name, shape, type, buffer, offset: 0, length };
  }

  /** Gives a tensor's buffer back. Views of an arena are freed with the arena. */
  free(tensor: Tensor): void {
    if (this.#buffers.delete(tensor.buffer)) tensor.buffer.destroy();
  }

  /**
   * Allocates a storage texture of four floats a texel, for operands that are read often: software adapters read one
   * two to four times as fast as a buffer. (A sampled texture takes three times as long: its levels cost, though it has one.)
   *
   * @param size Texels along x and y.
   * @param precision How the floats are stored.
   */
  allocateTexture(name: string, size: [number, number], precision: Precision): GPUTexture {
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST;
    const format = precision === "f16" ? "rgba16float" : "rgba32float";
    const texture = this.device.createTexture({ label: name, size, format, usage });
    const bytes = 4 * bytesPerElement(precision) * size[0] * size[1];
    this.#buffers.set(texture, { name, bytes });
    return texture;
  }

  /** Gives a texture's memory back. */
  freeTexture(texture: GPUTexture): void {
    if (this.#buffers.delete(texture)) texture.destroy();
  }

  /** A small uniform buffer holding `values` (numbers are u32 when integral types are declared in WGSL). */
  constants(values: ArrayBuffer): GPUBuffer {
    const key = new Uint32Array(values).join();
    let buffer = this.#constants.get(key);
    if (!buffer) {
      const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
      buffer = this.device.createBuffer({ label: "constants", size: values.byteLength, usage });
      this.device.queue.writeBuffer(buffer, 0, values);
      this.#constants.set(key, buffer);
    }
    return buffer;
  }

  /** The compiled pipeline of a kernel; compiled once per source and entry point. */
  pipeline(kernel: Kernel): GPUComputePipeline {
    const key = `${kernel.entryPoint}\n${kernel.source}`;
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = compile(this.device, kernel);
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  /**
   * Copies host data into a tensor, from element `start` on; floats are rounded where it stores f16.
   *
   * @throws {RangeError} past its end, and where a write of f16 cuts a word of two elements.
   */
  write(tensor: Tensor, data: Float32Array | Uint32Array, start = 0): void {
    if (start + data.length > tensor.length) {
      throw new RangeError(
        `Cannot write ${data.length} elements at ${start} to "${tensor.name}" of ${tensor.length}`,
      );
    }
    if (data.length === 0) return;
    const stored = tensor.type === "f16" ? halves(tensor, data, start) : data;
    this.device.queue.writeBuffer(
      tensor.buffer,
      tensor.offset + start * bytesPerElement(tensor.type),
      stored.buffer as ArrayBuffer,
      stored.byteOffset,
      stored.byteLength,
    );
  }

  /** Sets a tensor to zero. */
  clear(tensor: Tensor): void {
    const encoder = this.device.createCommandEncoder({ label: "clear" });
    encoder.clearBuffer(tensor.buffer, tensor.offset, byteLength(tensor));
    this.device.queue.submit([encoder.finish()]);
  }

  /** Reads one tensor of floats back. */
  async read(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
    const [content] = await this.readAll([tensor]);
    return tensor.type === "f16"
      ? new Float32Array(new Float16Array(content!))
      : new Float32Array(content!);
  }

  /** Reads one u32 tensor back. */
  async readIntegers(tensor: Tensor): Promise<Uint32Array<ArrayBuffer>> {
    return new Uint32Array((await this.readAll([tensor]))[0]!);
  }

  /**
   * Reads several tensors in one map, since a map costs about 12 ms in Deno, whatever its size. What is larger than a
   * binding takes several maps, between which nothing should be submitted that writes these tensors.
   *
   * @throws {CannotError} for any GPU error since the last read.
   */
  async readAll(tensors: readonly Tensor[]): Promise<ArrayBuffer[]> {
    const contents = tensors.map(({ length, type }) =>
      new Uint8Array(length * bytesPerElement(type))
    );
    for (const pieces of readsOf(tensors, stagedForRead(this, Infinity))) {
      const bytes = pieces.reduce((sum, { size }) => sum + size, 0);
      const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
      const size = Math.max(4, bytes);
      const staging = this.device.createBuffer({ label: "staging", size, usage });
      const encoder = this.device.createCommandEncoder({ label: "read" });
      let start = 0;
      for (const { index, first, size } of pieces) {
        const { buffer, offset } = tensors[index]!;
        encoder.copyBufferToBuffer(buffer, offset + first, staging, start, size);
        start += size;
      }
      this.device.queue.submit([encoder.finish()]);
      const mapped = await this.#map(staging);
      start = 0;
      for (const { index, first, size } of pieces) {
        const content = contents[index]!;
        content.set(mapped.subarray(start, start + Math.min(size, content.length - first)), first);
        start += size;
      }
      staging.destroy();
    }
    return contents.map(({ buffer }) => buffer);
  }

  /** Reads a buffer that is not a tensor, such as resolved timestamps. */
  async readBuffer(buffer: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const staging = this.device.createBuffer({ label: "staging", size: bytes, usage });
    const encoder = this.device.createCommandEncoder({ label: "read" });
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
    this.device.queue.submit([encoder.finish()]);
    const content = (await this.#map(staging)).slice().buffer;
    staging.destroy();
    return content;
  }

  /** Waits until all submitted work is done. @throws {CannotError} for any GPU error so far. */
  async settle(): Promise<void> {
    await this.device.queue.onSubmittedWorkDone();
    this.throwFailure();
  }

  /** Throws the first GPU error that has been reported, if any. */
  throwFailure(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Frees everything. The object must not be used afterwards. */
  close(): void {
    this.#closed = true;
    for (const buffer of this.#buffers.keys()) buffer.destroy();
    for (const buffer of this.#constants.values()) buffer.destroy();
    this.#buffers.clear();
    this.#constants.clear();
    this.device.destroy();
  }

  /** Closes the device and frees its buffers at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }

  // What a buffer holds, until it is destroyed.
  async #map(staging: GPUBuffer): Promise<Uint8Array<ArrayBuffer>> {
    try {
      await staging.mapAsync(GPUMapMode.READ);
    } catch (cause) {
      await new Promise((resolve) => setTimeout(resolve)); // the event that says why comes one turn later
      this.throwFailure();
      throw cause;
    }
    this.throwFailure();
    return new Uint8Array(staging.getMappedRange());
  }

  #fail(message: string): void {
    const exhausted = /out of memory|not enough memory/i.test(message);
    this.#failure ??= new CannotError(
      "go on with the GPU",
      message.trim().replace(/\s*\n\s*/g, " ").replace(/\.$/, ""),
      exhausted
        ? `Use a smaller batch or model; ${
          megabytes(this.bytes)
        } are in use on ${this.adapter.name}`
        : `If the message names a kernel, report it with ${whatToReport[runtimeOf()]}`,
    );
  }
}

/** Some bytes of one of several tensors, in whole words. */
interface Piece {
  index: number;
  /** From the start of the tensor. */
  first: number;
  size: number;
}

const mostBytesRead = 256 * 2 ** 20;

/** Bytes of the buffer through which a read of so many goes. */
export function stagedForRead({ bindingLimit }: Gpu, bytes: number): number {
  return Math.min(bytes, bindingLimit, mostBytesRead);
}

// Tensors in order, cut where one map would become too large. There is always one, so that a read hears of errors.
function readsOf(tensors: readonly Tensor[], most: number): Piece[][] {
  const reads: Piece[][] = [[]];
  let room = most;
  tensors.forEach((tensor, index) => {
    const bytes = byteLength(tensor);
    for (let first = 0; first < bytes;) {
      if (room === 0) {
        reads.push([]);
        room = most;
      }
      const size = Math.min(room, bytes - first);
      reads.at(-1)!.push({ index, first, size });
      first += size;
      room -= size;
    }
  });
  return reads;
}

// Rounded to f16 and padded to whole words of two elements.
function halves(tensor: Tensor, data: ArrayLike<number>, start: number): Float16Array {
  const end = start + data.length;
  if (start % 2 === 1 || (end % 2 === 1 && end < tensor.length)) {
    throw new RangeError(`Cannot write elements ${start} to ${end} of "${tensor.name}" by words`);
  }
  const stored = new Float16Array(Math.ceil(data.length / 2) * 2);
  stored.set(data);
  return stored;
}

/** Formats bytes as `12.3 MiB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
