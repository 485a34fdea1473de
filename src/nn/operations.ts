// The operations of a decoder on the tape: each records its forward dispatches and how to go back.
// Shapes: N = B·T rows, C channels, H query heads and G key-value heads of width D, F feed-forward width, V vocabulary.

import {
  add as addKernel,
  geluBackward,
  type GeluForm,
  geluForward,
  scale as scaleKernel,
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
import "../../kernels/tuning.ts"; // so an adapter is opened with the kernels that suit it
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
  const y = to ?? tape.variable(name, [tokens.length, table.value.shape[1]!], [table]);
  const add = to !== undefined;
  embeddingForward(tape.program, { tokens, table: table.value, y: y.value, add });
  const backward = () => {
    if (!table.gradient) return;
    embeddingBackward(tape.program, {
      tokens,
      order: order!,
      starts: starts!,
      groups: groups!,
      dy: y.gradient!,
      dtable: table.gradient,
    });
  };
  if (add) tape.recordInPlace(y, backward, [table]);
  else tape.record(y, backward);
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
  const y = tape.variable(name, x.value.shape, [x, weight, bias]);
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
  tape.record(y, () => {
    const received = x.needsGradient ? tape.receive(x) : undefined;
    if (received?.fresh) tape.program.clear(received.gradient);
    normBackward(tape.program, {
      ...shared,
      dy: rows(y.gradient!),
      ...(received && { dx: rows(received.gradient) }),
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
  const shape = [x.value.shape[0]!, weight.value.shape[0]!];
  const y = tape.variable(name, shape, [x, weight, bias, stream]);
  linearForward(program, {
    x: x.value,
    weight: weight.value,
    y: y.value,
    addend: stream?.value,
  });
  if (bias) biasForward(program, { x: y.value, bias: bias.value });
  tape.record(y, () => {
    const dy = y.gradient!;
    if (bias?.gradient) biasBackward(program, { dy, dbias: bias.gradient });
    linearBackward(tape, x, weight, dy);
    if (stream?.needsGradient) tape.share(stream, dy);
  });
  return y;
}

/**
 * y += scale · (x · Aᵀ) · Bᵀ in place, a change of low rank r (LoRA: Hu et al., 2021): y [N, M], x [N, K], A [r, K],
 * B [M, r]. Nothing else may have used `y`.
 */
export function addLowRank(
  tape: Tape,
  name: string,
  y: Variable,
  x: Variable,
  { a, b, scale }: { a: Parameter; b: Parameter; scale: number },
): void {
  const { program } = tape;
  const inner = tape.variable(name, [x.value.shape[0]!, a.value.shape[0]!], [x, a]);
  linearForward(program, { x: x.value, weight: a.value, y: inner.value });
  scaleKernel(program, inner.value, scale);
  tape.record(inner, () => {
    const { gradient } = inner;
    scaleKernel(program, gradient!, scale);
    linearBackward(tape, x, a, gradient!);
  });
  linearForward(program, { x: inner.value, weight: b.value, y: y.value, accumulate: true });
  tape.recordInPlace(y, () => linearBackward(tape, inner, b, y.gradient!), [inner, b]);
}

// What y = x · Wᵀ sends back to x and W, as far as these need it.
function linearBackward(tape: Tape, x: Variable, weight: Parameter, dy: Tensor): void {
  const { program } = tape;
  if (x.needsGradient) {
    const { gradient: dx, fresh } = tape.receive(x);
    linearInputGradient(program, { dy, weight: weight.value, dx, accumulate: !fresh });
  }
  if (weight.gradient) linearWeightGradient(program, { dy, x: x.value, dweight: weight.gradient });
}

/** a + b: two [N, C] → [N, C]. The gradients of both are y's, without a copy, as in {@linkcode linear}. */
export function add(tape: Tape, name: string, a: Variable, b: Variable): Variable {
  const y = tape.variable(name, a.value.shape, [a, b]);
  addKernel(tape.program, { a: a.value, b: b.value, y: y.value });
  tape.record(y, () => {
    for (const term of [a, b]) if (term.needsGradient) tape.share(term, y.gradient!);
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
  tape.recordInPlace(x, () => {
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
  const out = tape.variable(name, q.value.shape, [q, k, v]);
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
  tape.record(out, () => {
    using scratch = new Scratch(tape);
    attentionBackward(tape.program, {
      ...shared,
      dout: out.gradient!,
      dq: scratch.gradientOf(q),
      dk: scratch.gradientOf(k),
      dv: scratch.gradientOf(v),
    });
  });
  return out;
}

/** silu(gate) · up: two [N, F] → [N, F]. */
export function swiglu(tape: Tape, name: string, gate: Variable, up: Variable): Variable {
  const y = tape.variable(name, gate.value.shape, [gate, up]);
  swigluForward(tape.program, { gate: gate.value, up: up.value, y: y.value });
  tape.record(y, () => {
    using scratch = new Scratch(tape);
    swigluBackward(tape.program, {
      gate: gate.value,
      up: up.value,
      dy: y.gradient!,
      dgate: scratch.gradientOf(gate),
      dup: scratch.gradientOf(up),
    });
  });
  return y;
}

/** gelu(x): [N, F] → [N, F]. */
export function gelu(tape: Tape, name: string, x: Variable, form: GeluForm): Variable {
  const y = tape.variable(name, x.value.shape, [x]);
  geluForward(tape.program, form, { x: x.value, y: y.value });
  tape.record(y, () => {
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
  using scratch = new Scratch(tape);
  lossKernel(tape.program, {
    ...request,
    hidden: hidden.value,
    unembedding: unembedding.value,
    ...(tape.training && {
      dhidden: scratch.gradientOf(hidden),
      ...(unembedding.gradient && { dunembedding: unembedding.gradient }),
    }),
  });
}

// The gradient of a variable whose only reader is the calling operation.
function overwritten(tape: Tape, variable: Variable): Tensor {
  const { gradient, fresh } = tape.receive(variable);
  if (!fresh) throw new Error(`${variable.value.name} is read by more than one operation`);
  return gradient;
}

/** Gradients for kernels that write those of all inputs: of what needs none they go into memory that is given back. */
class Scratch implements Disposable {
  readonly #tape: Tape;
  readonly #borrowed: Tensor[] = [];

  constructor(tape: Tape) {
    this.#tape = tape;
  }

  /** Where the gradient of an input is written, whose only reader is the calling operation. */
  gradientOf(variable: Variable): Tensor {
    if (variable.needsGradient) return overwritten(this.#tape, variable);
    const { name, shape } = variable.value;
    const { program, precision } = this.#tape;
    const tensor = program.borrow(`unused(${name})`, shape, precision);
    this.#borrowed.push(tensor);
    return tensor;
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#borrowed) this.#tape.program.release(tensor);
  }
}
