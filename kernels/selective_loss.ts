// The selective loss fused with the unembedding: hidden states in, losses and gradients out, never an [N, V] array.
// Per chunk of rows that carry a loss: gather hidden states, logits = hidden · Wᵀ, score (losses; logits become their own
// gradient), dhidden = dlogits · W, dW += dlogitsᵀ · hidden, scatter. Chunks without such rows are skipped.

import { kernel } from "../src/gpu/kernel.ts";
import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { rowLanes, rowsOf64Lanes, spread } from "./grid.ts";
import { matmul } from "./matmul.ts";
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
  /** Rows whose logits exist at one time; by default what fits the bytes that suit the adapter, at most 256. */
  chunkRows?: number;
}

/** Rows per chunk such that a chunk's logits stay within `bytes` and skipping still pays. */
export function defaultChunkRows(rowCount: number, vocabulary: number, bytes: number): number {
  const fitting = Math.floor(bytes / (4 * vocabulary));
  return Math.max(8, Math.min(rowCount, 256, fitting - fitting % 16));
}

/** Records the loss over all active rows, chunk by chunk. */
export function selectiveLoss(program: Program, request: SelectiveLossRequest): void {
  const { hidden, unembedding, dhidden, dunembedding, activeCount, activeRows } = request;
  const { targets, classes, weights, step, losses, logOdds, classSums } = request;
  const [height, width] = hidden.shape as [number, number];
  const vocabulary = unembedding.shape[0]!;
  const storage = hidden.type === "f16" ? "f16" : "f32";
  const { chunkBytes } = program.gpu.adapter.kernels.loss;
  const chunkRows = Math.min(
    height,
    request.chunkRows ?? defaultChunkRows(height, vocabulary, chunkBytes),
  );
  const vectors = vocabulary % 4 === 0;
  const constants = {
    // Two loops over a row of cells: the software adapter ends an invocation's loops after 65,535 rounds in all.
    ...(2 * vocabulary / (vectors ? 4 : 1) > 65_000 ? rowsOf64Lanes : rowLanes(program.gpu)),
    VECTORS: vectors,
    INVERSE_DIVISOR,
    LOSS_SCALE,
    TERM_FUNCTION: request.terms,
    GRADIENT: dhidden !== undefined,
    SCALED: storage === "f16",
  };
  const types = { Stored: storage } as const;
  const text = { rows, cells, selective_loss: source };
  const logits = program.borrow("logits", [chunkRows, vocabulary]);
  const chunk = program.borrow("hidden_chunk", [chunkRows, width], storage);
  const dchunk = dhidden && program.borrow("hidden_chunk_gradient", [chunkRows, width]);

  if (dhidden) program.clear(dhidden);
  for (let first = 0; first < height; first += chunkRows) {
    const active = () => activeCount() > first;
    const dims = [chunkRows, vocabulary, first, width, height];
    const perElement = spread(chunkRows * width);
    const perRow = spread(chunkRows, constants.ROWS);
    program.dispatch({
      kernel: kernel("selective_loss", text, "gather", constants, types),
      tensors: { active_rows: activeRows, hidden, chunk },
      dims,
      workgroups: () => active() ? perElement : [0],
    });
    const logitsShape = { rows: chunkRows, columns: vocabulary, depth: width, active };
    matmul(program, { a: chunk, b: unembedding, out: logits, transposeB: true, ...logitsShape });
    program.dispatch({
      kernel: kernel("selective_loss", text, "score", constants, types),
      tensors: {
        active_rows: activeRows,
        targets,
        classes,
        logits,
        losses,
        log_odds: logOdds,
        weights,
        ...(dhidden && { step }),
      },
      dims,
      workgroups: () => active() ? perRow : [0],
    });
    if (!dhidden || !dchunk) continue;
    const dchunkShape = { rows: chunkRows, columns: width, depth: vocabulary, active };
    matmul(program, { a: logits, b: unembedding, out: dchunk, ...dchunkShape });
    if (dunembedding) {
      matmul(program, {
        a: logits,
        b: chunk,
        out: dunembedding,
        rows: vocabulary,
        columns: width,
        depth: chunkRows,
        transposeA: true,
        accumulate: true,
        active,
      });
    }
    program.dispatch({
      kernel: kernel("selective_loss", text, "scatter", constants, types),
      tensors: { active_rows: activeRows, dchunk, dhidden },
      dims,
      workgroups: () => active() ? perElement : [0],
    });
  }
  program.dispatch({
    kernel: kernel("selective_loss", text, "sum_by_class", constants, types),
    tensors: { active_rows: activeRows, classes, weights, losses, class_sums: classSums },
    dims: [height, vocabulary, 0, width, height],
    workgroups: [1],
  });
  for (const tensor of [logits, chunk, dchunk]) if (tensor) program.release(tensor);
}
