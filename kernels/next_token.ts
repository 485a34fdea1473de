// Chooses every sequence's next token, greedily or by a draw, and moves on to the next position.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { rowLanes } from "./grid.ts";
import source from "./next_token.wgsl" with { type: "text" };
import rows from "./rows.wgsl" with { type: "text" };

/** Stands for a token where the logits were not finite: no text can be written with them. */
export const noToken = 0xffffffff;

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
    /** 1 is greedy; `Infinity` draws among all. */
    topK: number;
    /** The probability that the likeliest tokens, among which is drawn, have together; 1 unless given. */
    topP?: number;
    temperature: number;
    seed: number;
  },
): void {
  const { logits, lengths, ids, positions, tokens, current, seed, topP = 1 } = request;
  const [batch, capacity] = tokens.shape as [number, number];
  const vocabulary = logits.shape[1]!;
  const lanes = rowLanes(program.gpu, lanesFor(vocabulary));
  const topK = Math.min(request.topK, vocabulary);
  const temperature = f32(1 / request.temperature);
  const dims = [batch, vocabulary, capacity, topK, f32(topP), temperature, seed >>> 0];
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

// A draw passes over the row up to 68 times, and the software adapter ends an invocation's loops after 65,535 rounds in
// all: 256 lanes are enough for 246,000 tokens.
function lanesFor(vocabulary: number): number | undefined {
  if (vocabulary <= 900) return undefined;
  return vocabulary <= 61_000 ? 64 : 256;
}
