// Element-wise operations on tensors of one shape: addition, scaling, SwiGLU and GELU.

import { kernel } from "../src/gpu/kernel.ts";
import { f32, type Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { spread } from "./grid.ts";
import source from "./activation.wgsl" with { type: "text" };

/** Records `y = a + b`. */
export function add(program: Program, { a, b, y }: { a: Tensor; b: Tensor; y: Tensor }): void {
  record(program, "add", { a, b, y });
}

/** Records `y *= factor` in place. */
export function scale(program: Program, y: Tensor, factor: number): void {
  program.dispatch({
    kernel: kernel("activation", source, "scale", {}, { Stored: y.type }),
    tensors: { y },
    dims: [y.length, f32(factor)],
    workgroups: spread(y.length),
  });
}

/** Records `y = silu(gate) · up`. */
export function swigluForward(
  program: Program,
  { gate, up, y }: { gate: Tensor; up: Tensor; y: Tensor },
): void {
  record(program, "swiglu_forward", { a: gate, b: up, y });
}

/** Records the gradients of gate and up. */
export function swigluBackward(
  program: Program,
  request: { gate: Tensor; up: Tensor; dy: Tensor; dgate: Tensor; dup: Tensor },
): void {
  const { gate, up, dy, dgate, dup } = request;
  record(program, "swiglu_backward", { a: gate, b: up, dy, da: dgate, db: dup });
}

/** `exact` is x · Φ(x) with the normal distribution function Φ; `tanh` is its approximation, as in GPT-2. */
export type GeluForm = "exact" | "tanh";

/** Records `y = gelu(x)`. */
export function geluForward(
  program: Program,
  form: GeluForm,
  { x, y }: { x: Tensor; y: Tensor },
): void {
  record(program, form === "exact" ? "gelu_forward" : "gelu_tanh_forward", { a: x, y });
}

/** Records the gradient of x. */
export function geluBackward(
  program: Program,
  form: GeluForm,
  { x, dy, dx }: { x: Tensor; dy: Tensor; dx: Tensor },
): void {
  record(program, form === "exact" ? "gelu_backward" : "gelu_tanh_backward", { a: x, dy, da: dx });
}

function record(program: Program, entryPoint: string, tensors: Record<string, Tensor>): void {
  const { length, type } = tensors.a!;
  for (const tensor of Object.values(tensors)) {
    if (tensor.length !== length) {
      throw new RangeError(
        `Cannot record ${entryPoint}: "${tensor.name}" has ${tensor.length} elements, not ${length}`,
      );
    }
  }
  program.dispatch({
    kernel: kernel("activation", source, entryPoint, {}, { Stored: type }),
    tensors,
    dims: [length, f32(1)],
    workgroups: spread(length),
  });
}
