// Chooses every sequence's next token, greedily or among the top k, and moves on to the next position.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { rowLanes, rowsOf64Lanes } from "./grid.ts";
import source from "./next_token.wgsl" with { type: "text" };
import rows from "./rows.wgsl" with { type: "text" };

/** Records choosing each sequence's next token from the logits at its position, and moving its position on. */
export function nextToken(
  program: Program,
  request: {
    /** [B, V] */
    logits: Tensor;
    /** [B] prompt lengths. */
    lengths: Tensor;
    /** [B] sequence numbers: a sequence draws the same tokens in whatever batch it runs. */
    ids: Tensor;
    /** [B]; stays within the capacity. */
    positions: Tensor;
    /** [B, capacity] prompts, then what was chosen. */
    tokens: Tensor;
    /** [B] */
    current: Tensor;
    /** 1 is greedy. */
    topK: number;
    temperature: number;
    seed: number;
  },
): void {
  const { logits, lengths, ids, positions, tokens, current, seed } = request;
  const [batch, capacity] = tokens.shape as [number, number];
  const vocabulary = logits.shape[1]!;
  // Top-k passes over the row 32 times, and the software adapter ends an invocation's loops after 65,535 rounds in all.
  const lanes = vocabulary > 1024 ? rowsOf64Lanes : rowLanes(program.gpu);
  const topK = Math.min(request.topK, vocabulary);
  const dims = [batch, vocabulary, capacity, topK, f32(1 / request.temperature), seed >>> 0];
  const text = { rows, next_token: source };
  program.dispatch({
    kernel: kernel("next_token", text, "choose", lanes),
    tensors: { logits, lengths, ids, positions, tokens, current },
    dims,
    workgroups: [Math.ceil(batch / lanes.ROWS)],
  });
  program.dispatch({
    kernel: kernel("next_token", text, "advance", lanes),
    tensors: { positions },
    dims,
    workgroups: [Math.ceil(batch / 64)],
  });
}
