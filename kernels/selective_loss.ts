// The selective loss fused with the unembedding: hidden states in, losses and gradients out, never an [N, V] array.
// Per chunk of rows that carry a loss: gather hidden states, logits = hidden · Wᵀ, score (losses; logits become their own
// gradient), dhidden = dlogits · W, dW += dlogitsᵀ · hidden, scatter. What runs follows the number of such rows.

import { kernel } from "../src/gpu/kernel.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import type { Program, Workgroups } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { rowLanes, spread } from "./grid.ts";
import { linearForward, linearInputGradient, linearWeightGradient } from "./linear.ts";
import { stepConstants } from "./step.ts";
import source from "./selective_loss.wgsl" with { type: "text" };
import cells from "./cells.wgsl" with { type: "text" };
import rows from "./rows.wgsl" with { type: "text" };

const { INVERSE_DIVISOR, LOSS_SCALE } = stepConstants;

/** The number that pads the list of active rows. */
export const noRow = 0xffffffff;

/** What the loss of one batch reads. */
export interface LossInputs {
  /** [N] token that each row predicts. */
  targets: Tensor;
  /** [N] class of that token, 0 … 3. */
  classes: Tensor;
  /** [N] f32 weight of that token. */
  weights: Tensor;
  /** [N] the rows that carry a loss, then `noRow`. */
  activeRows: Tensor;
  /** The step buffer (`step.ts`): holds 1/Z and, for hidden states in f16, the loss scale. */
  step: Tensor;
  /** Asked at every replay: how many rows are active. */
  activeCount: () => number;
}

/** What the loss of one batch writes. */
export interface LossOutputs {
  /** [N] unweighted value of each active row's term, in nats. */
  losses: Tensor;
  /** [N] log-odds m of each active row's target: log p = −softplus(−m). */
  logOdds: Tensor;
  /** [4] Σ weight · value by class, added to what is there. */
  classSums: Tensor;
}

/** The loss of one batch and, when `dhidden` is given, its gradients. */
export interface SelectiveLossRequest extends LossInputs, LossOutputs {
  /** [N, C] final hidden states. */
  hidden: Tensor;
  /** [V, C] */
  unembedding: Tensor;
  /** [N, C] overwritten. */
  dhidden?: Tensor;
  /** [V, C] added to. */
  dunembedding?: Tensor;
  /** The WGSL function `term(class_of_token, m, w)`, from `termsToWgsl` of `src/slung/objective.ts`. */
  terms: string;
  /** Rows whose logits exist at one time, by default {@linkcode defaultChunkRows}. */
  chunkRows?: number;
}

const mostRows = 256;
const fewestRows = 16;

/**
 * Rows per chunk: at most 256, beyond which products gain nothing, and few enough for their logits to stay within the
 * bytes that suit the adapter and one binding.
 */
export function defaultChunkRows(
  gpu: Gpu,
  rowCount: number,
  vocabulary: number,
  chunkBytes: number = gpu.adapter.kernels.loss.chunkBytes,
): number {
  const rowBytes = 4 * vocabulary;
  const fitting = Math.floor(chunkBytes / rowBytes);
  const inTiles = Math.max(8, fitting - fitting % fewestRows);
  return Math.min(rowCount, mostRows, inTiles, Math.floor(gpu.bindingLimit / rowBytes));
}

/** Some of the listed rows, worked on together. */
interface Chunk {
  first: number;
  rows: number;
  /** Asked at every replay: whether this is the chunk to run. */
  active: () => boolean;
}

/**
 * The chunks of a list of rows. Large ones make good products, small ones waste less where few rows are left: so each is
 * recorded in several sizes, halves of the one before, and of those the smallest runs that holds the rows left.
 */
export function chunksOf(rowCount: number, chunkRows: number, activeCount: () => number): Chunk[] {
  const sizes = [chunkRows];
  while (sizes[0]! / 2 >= Math.max(fewestRows, rowCount / 16)) {
    sizes.unshift(Math.ceil(sizes[0]! / 2));
  }
  const firsts = Array.from({ length: Math.ceil(rowCount / chunkRows) }, (_, i) => i * chunkRows);
  return firsts.flatMap((first) =>
    sizes.map((rows, i) => {
      const fewer = sizes[i - 1] ?? 0;
      const fits = (left: number) => left > fewer && (left <= rows || rows === chunkRows);
      return { first, rows, active: () => fits(activeCount() - first) };
    })
  );
}

/** Records the loss over all active rows, chunk by chunk. */
export function selectiveLoss(program: Program, request: SelectiveLossRequest): void {
  const { hidden, unembedding, dhidden, dunembedding, activeCount, activeRows } = request;
  const { targets, classes, weights, step, losses, logOdds, classSums } = request;
  const [height, width] = hidden.shape as [number, number];
  const vocabulary = unembedding.shape[0]!;
  const storage = hidden.type === "f16" ? "f16" : "f32";
  const chunkRows = Math.min(
    height,
    request.chunkRows ?? defaultChunkRows(program.gpu, height, vocabulary),
  );
  const vectors = vocabulary % 4 === 0;
  const constants = {
    // Two loops over a row of cells: the software adapter ends an invocation's loops after 65,535 rounds in all.
    ...rowLanes(program.gpu, 2 * vocabulary / (vectors ? 4 : 1) > 65_000 ? 64 : undefined),
    VECTORS: vectors,
    INVERSE_DIVISOR,
    LOSS_SCALE,
    TERM_FUNCTION: request.terms,
    GRADIENT: dhidden !== undefined,
    SCALED: storage === "f16",
  };
  const types = { Stored: storage } as const;
  const text = { rows, cells, selective_loss: source };
  const allLogits = program.borrow("logits", [chunkRows, vocabulary]);
  const allChunk = program.borrow("hidden_chunk", [chunkRows, width], storage);
  const allGradient = dhidden && program.borrow("hidden_chunk_gradient", [chunkRows, width]);

  if (dhidden) program.clear(dhidden);
  for (const { first, rows, active } of chunksOf(height, chunkRows, activeCount)) {
    const logits = firstRows(allLogits, rows);
    const chunk = firstRows(allChunk, rows);
    const dispatch = (
      entryPoint: string,
      tensors: Record<string, Tensor>,
      workgroups: Workgroups,
    ) =>
      program.dispatch({
        kernel: kernel("selective_loss", text, entryPoint, constants, types),
        tensors: { active_rows: activeRows, ...tensors },
        dims: [rows, vocabulary, first, width, height],
        workgroups: () => active() ? workgroups : [0],
      });
    const perElement = spread(rows * width);
    dispatch("gather", { hidden, chunk }, perElement);
    linearForward(program, { x: chunk, weight: unembedding, y: logits, active });
    const scored = { targets, classes, logits, losses, log_odds: logOdds, weights };
    dispatch("score", { ...scored, ...(dhidden && { step }) }, spread(rows, constants.ROWS));
    if (!dhidden || !allGradient) continue;
    const dchunk = firstRows(allGradient, rows);
    linearInputGradient(program, { dy: logits, weight: unembedding, dx: dchunk, active });
    if (dunembedding) {
      linearWeightGradient(program, { dy: logits, x: chunk, dweight: dunembedding, active });
    }
    dispatch("scatter", { dchunk, dhidden }, perElement);
  }
  program.dispatch({
    kernel: kernel("selective_loss", text, "sum_by_class", constants, types),
    tensors: { active_rows: activeRows, classes, weights, losses, class_sums: classSums },
    dims: [height, vocabulary, 0, width, height],
    workgroups: [1],
  });
  for (const tensor of [allLogits, allChunk, allGradient]) if (tensor) program.release(tensor);
}

function firstRows(tensor: Tensor, rows: number): Tensor {
  const width = tensor.shape[1]!;
  return { ...tensor, shape: [rows, width], length: rows * width };
}
