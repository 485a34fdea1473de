// The GPU twin of a host batch: allocated once by a program, overwritten before every replay.

import { groupByToken } from "../../kernels/embedding.ts";
import { noRow } from "../../kernels/selective_loss.ts";
import { activeRows, type Batch } from "../data/packing.ts";
import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Objective } from "../slung/objective.ts";

/** Rows of a table to be looked up, grouped by row for the table's gradient. */
export class Lookup {
  /** [N] u32: the row of the table. */
  readonly tokens: Tensor;
  /** [N] u32: the places of `tokens`, sorted by what they hold. */
  readonly order: Tensor;
  /** [N + 1] u32: where the places of each different row begin in `order`. */
  readonly starts: Tensor;
  readonly #program: Program;
  #groups = 0;

  /** Allocates the tensors in a program, which frees them. */
  constructor(program: Program, name: string, length: number) {
    this.#program = program;
    this.tokens = program.allocate(name, [length], "u32");
    this.order = program.allocate(`${name}/order`, [length], "u32");
    this.starts = program.allocate(`${name}/starts`, [length + 1], "u32");
  }

  /** How many different rows were written last. */
  readonly groups = (): number => this.#groups;

  /** Writes the rows. */
  write(tokens: Uint32Array): void {
    const { gpu } = this.#program;
    const { order, starts, count } = groupByToken(tokens);
    this.#groups = count;
    gpu.write(this.tokens, tokens);
    gpu.write(this.order, order);
    gpu.write(this.starts, starts);
  }
}

/** The GPU side of a batch, overwritten for every replay. */
export class BatchTensors {
  /** [B·T] u32, grouped for the embedding's gradient. */
  readonly tokens: Lookup;
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
  readonly #program: Program;
  readonly #rows: number;
  readonly #time: number;
  #documentPositions: Lookup | undefined;
  #active = 0;

  /**
   * Allocates the tensors in a program, which frees them.
   *
   * @param rows B · T
   * @param time T
   */
  constructor(program: Program, rows: number, time: number) {
    const integers = (name: string) => program.allocate(name, [rows], "u32");
    this.#program = program;
    this.#rows = rows;
    this.#time = time;
    this.tokens = new Lookup(program, "tokens", rows);
    this.targets = integers("targets");
    this.classes = integers("classes");
    this.weights = program.allocate("weights", [rows]);
    this.positions = integers("positions");
    this.firstKey = integers("first_key");
    this.activeRows = integers("active_rows");
    program.gpu.write(this.positions, Uint32Array.from({ length: rows }, (_, row) => row % time));
  }

  /** How many rows carry a loss in the batch that was written last. */
  readonly activeCount = (): number => this.#active;

  /** [B·T] u32: where each token stands in its own document, for learned positions; written if asked for. */
  documentPositions(): Lookup {
    return this.#documentPositions ??= new Lookup(this.#program, "document_positions", this.#rows);
  }

  /** Writes a batch; rows without a term of the objective are left out of the loss. */
  write(batch: Batch, terms: Objective["terms"]): void {
    const { gpu } = this.#program;
    const active = activeRows(batch, terms);
    const padded = new Uint32Array(this.#rows).fill(noRow);
    padded.set(active);
    this.#active = active.length;
    this.tokens.write(batch.tokens);
    gpu.write(this.targets, batch.targets);
    gpu.write(this.classes, Uint32Array.from(batch.classes));
    gpu.write(this.weights, batch.weights);
    gpu.write(this.firstKey, batch.firstKey);
    gpu.write(this.activeRows, padded);
    const inDocument = (first: number, row: number) => row % this.#time - first;
    this.#documentPositions?.write(batch.firstKey.map(inDocument));
  }
}
