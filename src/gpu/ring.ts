// A ring of scalars on the GPU. Reading one number costs about 12 ms in Deno, so steps push their scalars here and the
// host reads many steps in one map.

import type { Gpu } from "./gpu.ts";
import type { Tensor } from "./tensor.ts";

/** Scalars of many steps, read back together. */
export class ScalarRing {
  readonly #storage: Tensor;
  #pushed = 0;

  /**
   * @param sources The tensors that are copied at every push.
   * @param capacity Pushes that fit before `drain` must be called.
   */
  constructor(
    readonly gpu: Gpu,
    readonly sources: readonly Tensor[],
    readonly capacity: number,
  ) {
    this.#storage = gpu.allocate("scalar_ring", [capacity, this.#width]);
  }

  /** Pushes not yet drained. */
  get length(): number {
    return this.#pushed;
  }

  /** Copies the sources as they are after all work submitted so far. */
  push(): void {
    if (this.#pushed === this.capacity) throw new RangeError("The scalar ring is full: drain it");
    const encoder = this.gpu.device.createCommandEncoder({ label: "scalar_ring" });
    let offset = this.#storage.offset + this.#pushed * this.#width * 4;
    for (const source of this.sources) {
      const size = source.length * 4;
      encoder.copyBufferToBuffer(source.buffer, source.offset, this.#storage.buffer, offset, size);
      offset += size;
    }
    this.gpu.device.queue.submit([encoder.finish()]);
    this.#pushed++;
  }

  /** Reads all pushes, oldest first, and empties the ring: one row of concatenated sources per push. */
  async drain(): Promise<Float32Array[]> {
    const all = await this.gpu.read(this.#storage);
    const rows = Array.from(
      { length: this.#pushed },
      (_, i) => all.slice(i * this.#width, (i + 1) * this.#width),
    );
    this.#pushed = 0;
    return rows;
  }

  /** Frees the storage. */
  destroy(): void {
    this.gpu.free(this.#storage);
  }

  get #width(): number {
    return this.sources.reduce((sum, { length }) => sum + length, 0);
  }
}
