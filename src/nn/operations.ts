// The operations of a decoder on the tape: each records its forward dispatches and how to go back.
// Shapes: N = B·T rows, C channels, H query heads and G key-value heads of width D, F feed-forward width, V vocabulary.

import {
  add as addKernel,
  geluBackward,
  type GeluForm,
  geluForward,
  swigluBackward,
  swigluForward,
} from "../../kernels/activation.ts";
import { attentionBackward, attentionForward } from "../../kernels/attention.ts";
import { biasBackward, biasForward } from "../../kernels/bias.ts";
import { embeddingBackward, embeddingForward } from "../../kernels/embedding.ts";
import { linearForward, linearInputGradient, linearWeightGradient } from "../../kernels/linear.ts";
import { normBackward, normForward } from "../../kernels/norm.ts";
import { rotary as rotaryKernel } from "../../kernels/rotary.ts";
import {
  selectiveLoss as lossKernel,
  type SelectiveLossRequest,
} from "../../kernels/selective_loss.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Parameter } from "./parameters.ts";
import type { Tape, Variable } from "./tape.ts";

/** The tokens (or positions) of a batch as the embedding needs them, grouped for its backward pass. */
export interface TokenInputs {
  /** [N] rows of the table. */
  tokens: Tensor;
  /** [N] rows grouped by token, from `groupByToken`; this and what follows for training only. */
  order?: Tensor;
  /** [N + 1] where groups start in `order`. */
  starts?: Tensor;
  /** How many groups there are in the batch at hand. */
  groups?: () => number;
}

/** Looks up embeddings, [N] → [N, C], or adds them to `to` in place, which must not be used otherwise. */
export function embedding(
  tape: Tape,
  name: string,
  inputs: TokenInputs,
  table: Parameter,
  to?: Variable,
): Variable {
  const { tokens, order, starts, groups } = inputs;
  const y = to ?? tape.variable(name, [tokens.length, table.value.shape[1]!]);
  const add = to !== undefined;
  embeddingForward(tape.program, { tokens, table: table.value, y: y.value, add });
  tape.record(add ? [] : [y], () => {
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

/** Layer norm (`centered`) or RMS norm over the channels, or over every `width` of them: [N, C] → [N, C]. */
export function norm(
  tape: Tape,
  name: string,
  x: Variable,
  options: {
    weight?: Parameter;
    bias?: Parameter;
    centered: boolean;
    epsilon: number;
    width?: number;
  },
): Variable {
  const { weight, bias, centered, epsilon, width = x.value.shape[1]! } = options;
  const y = tape.variable(name, x.value.shape);
  const rows = (tensor: Tensor) => ({ ...tensor, shape: [tensor.length / width, width] });
  const shared = {
    x: rows(x.value),
    statistics: tape.allocate(`${name}/statistics`, [x.value.length / width, 2]),
    ...(weight && { weight: weight.value }),
    ...(bias && { bias: bias.value }),
    centered,
    epsilon,
  };
  normForward(tape.program, { ...shared, y: rows(y.value) });
  tape.record([y], () => {
    const { gradient: dx, fresh } = tape.receive(x);
    if (fresh) tape.program.clear(dx);
    normBackward(tape.program, {
      ...shared,
      dy: rows(y.gradient!),
      dx: rows(dx),
      ...(weight?.gradient && { dweight: weight.gradient }),
      ...(bias?.gradient && { dbias: bias.gradient }),
    });
  });
  return y;
}

/**
 * y = x · Wᵀ (+ bias) (+ stream): [N, K] with W [M, K] and a bias [M] → [N, M]. The stream's gradient is y's, without a
 * copy: x, which was computed from the stream, has consumed it before the stream's earlier readers add to it.
 */
export function linear(
  tape: Tape,
  name: string,
  x: Variable,
  { weight, bias, stream }: { weight: Parameter; bias?: Parameter; stream?: Variable },
): Variable {
  const { program } = tape;
  const y = tape.variable(name, [x.value.shape[0]!, weight.value.shape[0]!]);
  linearForward(program, {
    x: x.value,
    weight: weight.value,
    y: y.value,
    addend: stream?.value,
  });
  if (bias) biasForward(tape.program, { x: y.value, bias: bias.value });
  tape.record([y], () => {
    const dy = y.gradient!;
    if (bias) biasBackward(tape.program, { dy, dbias: bias.gradient! });
    const { gradient: dx, fresh } = tape.receive(x);
    linearInputGradient(program, { dy, weight: weight.value, dx, accumulate: !fresh });
    linearWeightGradient(program, { dy, x: x.value, dweight: weight.gradient! });
    if (stream) tape.share(stream, dy);
  });
  return y;
}

/** a + b: two [N, C] → [N, C]. The gradients of both are y's, without a copy, as in {@linkcode linear}. */
export function add(tape: Tape, name: string, a: Variable, b: Variable): Variable {
  const y = tape.variable(name, a.value.shape);
  addKernel(tape.program, { a: a.value, b: b.value, y: y.value });
  tape.record([y], () => {
    tape.share(a, y.gradient!);
    tape.share(b, y.gradient!);
  });
  return y;
}

/** The logits of final hidden states, in f32 whatever these are stored in: [N, C] with W [V, C] → [N, V]. */
export function logits(tape: Tape, { value: hidden }: Variable, { value }: Parameter): Tensor {
  const y = tape.allocate("logits", [hidden.shape[0]!, value.shape[0]!]);
  linearForward(tape.program, { x: hidden, weight: value, y });
  return y;
}

/** Where the positions and angles of a batch are. */
export interface RotaryInputs {
  /** [N] */
  positions: Tensor;
  /** [length, R/2, 2] cosine and sine, from `rotaryAngles`. */
  angles: Tensor;
  /** D. */
  headWidth: number;
  /** Which entries of a head turn together: j and j + D/2, or 2j and 2j + 1. */
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
export function gelu(tape: Tape, name: string, x: Variable, form: GeluForm): Variable {
  const y = tape.variable(name, x.value.shape);
  geluForward(tape.program, form, { x: x.value, y: y.value });
  tape.record([y], () => {
    geluBackward(tape.program, form, { x: x.value, dy: y.gradient!, dx: overwritten(tape, x) });
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
