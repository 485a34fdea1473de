// The tape runs while a program is recorded: an operation appends its forward dispatches and leaves a closure that
// appends its backward ones; `backward()` runs the closures in reverse. A model is written once, forwards, and what runs
// every step is still a fixed list. Gradients of activations borrow scratch memory and give it back once consumed, and so
// do the activations of a segment that is computed again on the way back, or never needed again.

import type { Program } from "../gpu/program.ts";
import type { Precision, Tensor } from "../gpu/tensor.ts";
import type { Parameter } from "./parameters.ts";

/** A value of the model and, while backward is being recorded, its gradient. */
export interface Variable {
  /** Written by the forward pass. */
  readonly value: Tensor;
  /** Whether something that is learned went into it: the backward pass goes no further than that. */
  needsGradient: boolean;
  /** Borrowed while the backward pass is recorded. */
  gradient?: Tensor | undefined;
}

interface Step {
  readonly output: Variable;
  /** Whether the output, which was there before, still needs its gradient afterwards. */
  readonly inPlace: boolean;
  readonly backward: () => void;
}

/** Records a model's forward pass and derives its backward pass. */
export class Tape {
  #steps: Step[] = [];
  #borrowed: Tensor[] | undefined; // by the segment that is being recorded
  readonly #holders = new Map<Tensor, number>();

  /**
   * Starts an empty tape.
   *
   * @param program Where dispatches go.
   * @param training Whether a backward pass will be asked for.
   * @param precision What activations and their gradients are stored in.
   */
  constructor(
    readonly program: Program,
    readonly training: boolean,
    readonly precision: Precision = "f32",
  ) {}

  /**
   * A new activation.
   *
   * @param from What it is computed from, which decides whether it needs a gradient; it does unless given.
   */
  variable(
    name: string,
    shape: readonly number[],
    from?: readonly (Variable | Parameter | undefined)[],
  ): Variable {
    const value = this.allocate(name, shape, this.precision);
    return { value, needsGradient: this.training && (from?.some(isLearned) ?? true) };
  }

  /** Memory that lasts until the backward pass has used it. */
  allocate(name: string, shape: readonly number[], precision: Precision = "f32"): Tensor {
    if (!this.#borrowed) return this.program.allocate(name, shape, precision);
    const tensor = this.program.borrow(name, shape, precision);
    this.#borrowed.push(tensor);
    return tensor;
  }

  /**
   * Records a part of the model, such as a layer, of which only the output outlives it: without training its
   * activations are scratch memory, and with `recompute` they are computed a second time in the backward pass
   * (activation checkpointing, Chen et al., 2016). `part` must record the same every time it is called.
   */
  segment(part: () => Variable, { recompute }: { recompute: boolean }): Variable {
    const { output, steps, borrowed } = this.#recordApart(part);
    if (output.needsGradient && !recompute) {
      this.#steps.push(...steps);
      return output;
    }
    for (const tensor of borrowed) if (tensor !== output.value) this.program.release(tensor);
    this.record(output, () => {
      const again = this.#recordApart(part);
      again.output.gradient = output.gradient;
      output.gradient = undefined;
      this.#walkBack(again.steps);
      for (const tensor of again.borrowed) this.program.release(tensor);
    });
    return output;
  }

  /** Leaves the backward closure of an operation that made `output`; it is not asked where no gradient is needed. */
  record(output: Variable, backward: () => void): void {
    if (this.training) this.#steps.push({ output, inPlace: false, backward });
  }

  /** Leaves the backward closure of an operation that changed `output` in place with what is in `from`. */
  recordInPlace(
    output: Variable,
    backward: () => void,
    from: readonly (Variable | Parameter)[] = [],
  ): void {
    if (!this.training) return;
    output.needsGradient ||= from.some(isLearned);
    this.#steps.push({ output, inPlace: true, backward });
  }

  /**
   * The gradient of `variable` for an operation to contribute to. `fresh` says that nothing is in it yet and that it
   * must be overwritten, not added to.
   */
  receive(variable: Variable): { gradient: Tensor; fresh: boolean } {
    if (variable.gradient) {
      // Two variables may share a gradient (see `share`); adding to it would corrupt the other's.
      if (this.#holders.get(variable.gradient) !== 1) {
        throw new Error(
          `The gradient of ${variable.value.name} is still needed by another variable`,
        );
      }
      return { gradient: variable.gradient, fresh: false };
    }
    const { name, shape } = variable.value;
    const gradient = this.program.borrow(`d(${name})`, shape, this.precision);
    variable.gradient = gradient;
    this.#holders.set(gradient, 1);
    return { gradient, fresh: true };
  }

  /** Lets `variable` use the gradient of another one as its own, without a copy: the backward pass of addition. */
  share(variable: Variable, gradient: Tensor): void {
    if (variable.gradient) {
      throw new Error(`${variable.value.name} already has a gradient: record the addition later`);
    }
    variable.gradient = gradient;
    this.#holders.set(gradient, this.#holders.get(gradient)! + 1);
  }

  /** Records the backward pass. The last operation must have set the gradients of what it read. */
  backward(): void {
    this.#walkBack(this.#steps);
    this.#steps = [];
  }

  #walkBack(steps: readonly Step[]): void {
    for (const { output, inPlace, backward } of steps.toReversed()) {
      if (!output.needsGradient) continue;
      backward();
      if (!inPlace) this.#release(output);
    }
  }

  #recordApart(part: () => Variable): { output: Variable; steps: Step[]; borrowed: Tensor[] } {
    const outer = { steps: this.#steps, borrowed: this.#borrowed };
    const steps = this.#steps = [];
    const borrowed = this.#borrowed = [];
    const output = part();
    this.#steps = outer.steps;
    this.#borrowed = outer.borrowed;
    return { output, steps, borrowed };
  }

  #release(variable: Variable): void {
    const { gradient } = variable;
    if (!gradient) return;
    variable.gradient = undefined;
    const holders = this.#holders.get(gradient)! - 1;
    this.#holders.set(gradient, holders);
    if (holders === 0) this.program.release(gradient);
  }
}

// A parameter that is learned has its gradient from the start, a variable gets one on the way back.
function isLearned(source: Variable | Parameter | undefined): boolean {
  if (source === undefined) return false;
  return "needsGradient" in source ? source.needsGradient : source.gradient !== undefined;
}
