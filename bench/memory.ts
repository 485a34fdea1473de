// Bytes that a library holds on its device, counted from outside by listening to the creation and destruction of buffers
// and textures: the only way to ask our own code and every peer the same question. Freed memory that a library keeps in
// a pool counts as held, since nobody else can have it.

const texelBytes: Record<string, number> = { rgba32float: 16, rgba16float: 8, r32float: 4 };

/** Watches all devices of the process from its creation on. */
export class MemoryWatch {
  readonly #devices = new Map<GPUDevice, { held: number; peak: number }>();
  readonly #restore: () => void;

  /** Starts to listen. */
  constructor() {
    const { createBuffer, createTexture } = GPUDevice.prototype;
    const follow = this.#follow.bind(this);
    GPUDevice.prototype.createBuffer = function (descriptor) {
      return follow(this, createBuffer.call(this, descriptor), descriptor.size);
    };
    GPUDevice.prototype.createTexture = function (descriptor) {
      const texture = createTexture.call(this, descriptor);
      const texels = texture.width * texture.height * texture.depthOrArrayLayers;
      return follow(this, texture, texels * (texelBytes[descriptor.format] ?? 4));
    };
    this.#restore = () => Object.assign(GPUDevice.prototype, { createBuffer, createTexture });
  }

  /** Bytes that the library of a device holds now. */
  held(device: GPUDevice): number {
    return this.#of(device).held;
  }

  /** The most bytes held at one time since the last {@linkcode MemoryWatch.mark}. */
  peak(device: GPUDevice): number {
    return this.#of(device).peak;
  }

  /** Begins to look for a new peak. Returns the bytes held now. */
  mark(device: GPUDevice): number {
    const count = this.#of(device);
    return count.peak = count.held;
  }

  /** Stops listening. */
  [Symbol.dispose](): void {
    this.#restore();
  }

  #of(device: GPUDevice): { held: number; peak: number } {
    let count = this.#devices.get(device);
    if (!count) this.#devices.set(device, count = { held: 0, peak: 0 });
    return count;
  }

  #follow<Resource extends { destroy(): undefined }>(
    device: GPUDevice,
    resource: Resource,
    bytes: number,
  ): Resource {
    const count = this.#of(device);
    count.held += bytes;
    count.peak = Math.max(count.peak, count.held);
    const destroy = resource.destroy.bind(resource);
    let alive = true;
    resource.destroy = () => {
      if (alive) count.held -= bytes;
      alive = false;
      return destroy();
    };
    return resource;
  }
}
