// The GPU twin of a host batch: allocated once by a program, overwritten before every replay.

import { groupByToken } from "../../kernels/embedding.ts";
import { noRow } from "../../kernels/selective_loss.ts";
import { activeRows, type Batch } from "../data/packing.ts";
import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Objective } from "../slung/objective.ts";

/** The GPU side of a batch, overwritten for every replay. */
export class BatchTensors {
  /** [B·T] u32. */
  readonly tokens: Tensor;
  /** [B·T] u32: the token that each position predicts. */
  readonly targets: Tensor;
  /** [B·T] u32: risk class of the target. */
  readonly classes: Tensor;
  /** [B·T] f32: weight of the target, 0 where nothing is predicted. */
  readonly weights: Tensor;
  /** [B·T] u32: 0 to T − 1 in every row. */
  readonly positions: Tensor;
  /** [B·T] u32: position at which the document starts, the first that attention sees. */
  readonly firstKey: Tensor;
  /** [B·T] u32: the rows that carry a loss, then `noRow`. */
  readonly activeRows: Tensor;
  /** [B·T] u32: rows sorted by token, for the embedding's gradient. */
  readonly order: Tensor;
  /** [B·T + 1] u32: where the rows of each different token begin in `order`. */
  readonly starts: Tensor;
  readonly #program: Program;
  readonly #rows: number;
  #active = 0;
  #groups = 0;

  /**
   * Allocates the tensors in a program, which frees them.
   *
   * @param rows B · T
   * @param time T
   */
  constructor(program: Program, rows: number, time: number) {
    const integers = (name: string, length = rows) => program.allocate(name, [length], "u32");
    this.#program = program;
    this.#rows = rows;
    this.tokens = integers("tokens");
    this.targets = integers("targets");
    this.classes = integers("classes");
    this.weights = program.allocate("weights", [rows]);
    this.positions = integers("positions");
    this.firstKey = integers("first_key");
    this.activeRows = integers("active_rows");
    this.order = integers("order");
    this.starts = integers("starts", rows + 1);
    program.gpu.write(this.positions, Uint32Array.from({ length: rows }, (_, row) => row % time));
  }

  /** How many rows carry a loss in the batch that was written last. */
  readonly activeCount = (): number => this.#active;

  /** How many different tokens it has. */
  readonly groups = (): number => this.#groups;

  /** Writes a batch; rows without a term of the objective are left out of the loss. */
  write(batch: Batch, terms: Objective["terms"]): void {
    const { gpu } = this.#program;
    const active = activeRows(batch, terms);
    const padded = new Uint32Array(this.#rows).fill(noRow);
    padded.set(active);
    const { order, starts, count } = groupByToken(batch.tokens);
    this.#active = active.length;
    this.#groups = count;
    gpu.write(this.tokens, batch.tokens);
    gpu.write(this.targets, batch.targets);
    gpu.write(this.classes, Uint32Array.from(batch.classes));
    gpu.write(this.weights, batch.weights);
    gpu.write(this.firstKey, batch.firstKey);
    gpu.write(this.activeRows, padded);
    gpu.write(this.order, order);
    gpu.write(this.starts, starts);
  }
}
