// The operations of a decoder on the tape: each records its forward dispatches and how to go back.
// Shapes: N = B·T rows, C channels, H query heads and G key-value heads of width D, F feed-forward width, V vocabulary.

import {
  geluBackward,
  geluForward,
  swigluBackward,
  swigluForward,
} from "../../kernels/activation.ts";
import { attentionBackward, attentionForward } from "../../kernels/attention.ts";
import { embeddingBackward, embeddingForward } from "../../kernels/embedding.ts";
import { matmul } from "../../kernels/matmul.ts";
import { normBackward, normForward } from "../../kernels/norm.ts";
import { rotary as rotaryKernel } from "../../kernels/rotary.ts";
import {
  selectiveLoss as lossKernel,
  type SelectiveLossRequest,
} from "../../kernels/selective_loss.ts";
import "../../kernels/tuning.ts"; // so an adapter is opened with the kernels that suit it
import type { Tensor } from "../gpu/tensor.ts";
import type { Parameter } from "./parameters.ts";
import type { Tape, Variable } from "./tape.ts";

/** The tokens of a batch as the embedding needs them, grouped for its backward pass. */
export interface TokenInputs {
  /** [N] */
  tokens: Tensor;
  /** [N] rows grouped by token, and [N + 1] where groups start (`groupByToken`); for training only. */
  order?: Tensor;
  starts?: Tensor;
  groups?: () => number;
}

/** Looks up token embeddings: [N] → [N, C]. */
export function embedding(tape: Tape, inputs: TokenInputs, table: Parameter): Variable {
  const { tokens, order, starts, groups } = inputs;
  const y = tape.variable("embedding", [tokens.length, table.value.shape[1]!]);
  embeddingForward(tape.program, { tokens, table: table.value, y: y.value });
  tape.record([y], () => {
    embeddingBackward(tape.program, {
      tokens,
      order: order!,
      starts: starts!,
      groups: groups!,
      dy: y.gradient!,
      dtable: table.gradient!,
    });
  });
  return y;
}

/** Layer norm (`centered`) or RMS norm over the channels: [N, C] → [N, C]. */
export function norm(
  tape: Tape,
  name: string,
  x: Variable,
  options: { weight?: Parameter; bias?: Parameter; centered: boolean; epsilon: number },
): Variable {
  const { weight, bias, centered, epsilon } = options;
  const y = tape.variable(name, x.value.shape);
  const shared = {
    x: x.value,
    statistics: tape.allocate(`${name}/statistics`, [x.value.shape[0]!, 2]),
    ...(weight && { weight: weight.value }),
    ...(bias && { bias: bias.value }),
    centered,
    epsilon,
  };
  normForward(tape.program, { ...shared, y: y.value });
  tape.record([y], () => {
    const { gradient: dx, fresh } = tape.receive(x);
    if (fresh) tape.program.clear(dx);
    normBackward(tape.program, {
      ...shared,
      dy: y.gradient!,
      dx,
      ...(weight?.gradient && { dweight: weight.gradient }),
      ...(bias?.gradient && { dbias: bias.gradient }),
    });
  });
  return y;
}

/**
 * y = x · Wᵀ, or stream + x · Wᵀ: [N, K] with W [M, K] → [N, M]. The stream's gradient is y's, without a copy: x, which
 * was computed from the stream, has consumed it before the stream's earlier readers add to it.
 */
export function linear(
  tape: Tape,
  name: string,
  x: Variable,
  weight: Parameter,
  stream?: Variable,
): Variable {
  const [height, depth] = x.value.shape as [number, number];
  const columns = weight.value.shape[0]!;
  const y = tape.variable(name, [height, columns]);
  const forward = { rows: height, columns, depth };
  matmul(tape.program, {
    a: x.value,
    b: weight.value,
    out: y.value,
    ...forward,
    transposeB: true,
    ...(stream && { addend: stream.value }),
  });
  tape.record([y], () => {
    const dy = y.gradient!;
    const { gradient: dx, fresh } = tape.receive(x);
    matmul(tape.program, {
      a: dy,
      b: weight.value,
      out: dx,
      rows: height,
      columns: depth,
      depth: columns,
      accumulate: !fresh,
    });
    matmul(tape.program, {
      a: dy,
      b: x.value,
      out: weight.gradient!,
      rows: columns,
      columns: depth,
      depth: height,
      transposeA: true,
      accumulate: true,
    });
    if (stream) tape.share(stream, dy);
  });
  return y;
}

/** The logits of final hidden states, in f32 whatever these are stored in: [N, C] with W [V, C] → [N, V]. */
export function logits(tape: Tape, { value: hidden }: Variable, { value }: Parameter): Tensor {
  const [height, depth] = hidden.shape as [number, number];
  const columns = value.shape[0]!;
  const out = tape.allocate("logits", [height, columns]);
  const shape = { rows: height, columns, depth, transposeB: true };
  matmul(tape.program, { a: hidden, b: value, out, ...shape });
  return out;
}

/** Where the positions and angles of a batch are. */
export interface RotaryInputs {
  /** [N] */
  positions: Tensor;
  /** From `rotaryAngles`. */
  angles: Tensor;
  headWidth: number;
  pairing: "half" | "interleaved";
}

/** Turns [N, H·D] by its rotary positions, in place: `x` must not be used otherwise. */
export function rotary(tape: Tape, x: Variable, inputs: RotaryInputs): Variable {
  const heads = x.value.shape[1]! / inputs.headWidth;
  rotaryKernel(tape.program, { ...inputs, x: x.value, heads });
  tape.record([], () => {
    rotaryKernel(tape.program, { ...inputs, x: x.gradient!, heads, backward: true });
  });
  return x;
}

/** Causal attention: q [B·T, H·D], k and v [B·T, G·D] → [B·T, H·D]. */
export function attention(
  tape: Tape,
  name: string,
  { q, k, v, firstKey, batch, headWidth }: {
    q: Variable;
    k: Variable;
    v: Variable;
    firstKey: Tensor;
    batch: number;
    headWidth: number;
  },
): Variable {
  const time = q.value.shape[0]! / batch;
  const heads = q.value.shape[1]! / headWidth;
  const kvHeads = k.value.shape[1]! / headWidth;
  const out = tape.variable(name, q.value.shape);
  const shared = {
    batch,
    time,
    heads,
    kvHeads,
    headWidth,
    q: q.value,
    k: k.value,
    v: v.value,
    firstKey,
    out: out.value,
    statistics: tape.allocate(`${name}/statistics`, [batch, heads, time, 2]),
  };
  attentionForward(tape.program, shared);
  tape.record([out], () => {
    attentionBackward(tape.program, {
      ...shared,
      dout: out.gradient!,
      dq: overwritten(tape, q),
      dk: overwritten(tape, k),
      dv: overwritten(tape, v),
    });
  });
  return out;
}

/** silu(gate) · up: two [N, F] → [N, F]. */
export function swiglu(tape: Tape, name: string, gate: Variable, up: Variable): Variable {
  const y = tape.variable(name, gate.value.shape);
  swigluForward(tape.program, { gate: gate.value, up: up.value, y: y.value });
  tape.record([y], () => {
    swigluBackward(tape.program, {
      gate: gate.value,
      up: up.value,
      dy: y.gradient!,
      dgate: overwritten(tape, gate),
      dup: overwritten(tape, up),
    });
  });
  return y;
}

/** gelu(x): [N, F] → [N, F]. */
export function gelu(tape: Tape, name: string, x: Variable): Variable {
  const y = tape.variable(name, x.value.shape);
  geluForward(tape.program, { x: x.value, y: y.value });
  tape.record([y], () => {
    geluBackward(tape.program, { x: x.value, dy: y.gradient!, dx: overwritten(tape, x) });
  });
  return y;
}

/** The selective loss of the final hidden states [N, C]; its gradients are computed on the way. */
export function selectiveLoss(
  tape: Tape,
  hidden: Variable,
  unembedding: Parameter,
  request: Omit<
    SelectiveLossRequest,
    "hidden" | "unembedding" | "dhidden" | "dunembedding"
  >,
): void {
  lossKernel(tape.program, {
    ...request,
    hidden: hidden.value,
    unembedding: unembedding.value,
    ...(tape.training && {
      dhidden: tape.receive(hidden).gradient,
      dunembedding: unembedding.gradient!,
    }),
  });
}

// The gradient of a variable whose only reader is the calling operation.
function overwritten(tape: Tape, variable: Variable): Tensor {
  const { gradient, fresh } = tape.receive(variable);
  if (!fresh) throw new Error(`${variable.value.name} is read by more than one operation`);
  return gradient;
}
