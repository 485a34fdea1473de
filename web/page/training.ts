// The controls of the training, and what it says about itself.

import { plannedSteps } from "../engine/example.ts";
import { h } from "./dom.ts";

/** What can be asked for. */
export interface TrainingActions {
  /** Trains so many more steps; begins if there is nothing to go on with. */
  train(steps: number): void;
  stop(): void;
  /** Back to four fresh copies. */
  reset(): void;
}

/** The controls. */
export interface TrainingControls {
  readonly seed: number;
  readonly learningRate: number;
  set(values: { seed: number; learningRate: number }): void;
  /** Shows what can be done now. */
  show(state: "loading" | "fresh" | "training" | "stopped"): void;
}

/** Puts the controls into an element. */
export function trainingControls(
  element: HTMLElement,
  actions: TrainingActions,
): TrainingControls {
  const steps = numberField("steps", { value: 60, min: 1, max: plannedSteps, step: 1 });
  const seed = numberField("seed", {
    value: 0,
    min: 0,
    max: 2 ** 32 - 1,
    step: 1,
  });
  const rate = numberField("rate", {
    value: 0.001,
    min: 1e-5,
    max: 0.1,
    step: "any",
  });
  const go = h("button", {
    type: "button",
    class: "main",
    id: "go",
    click: () => {
      if (
        steps.reportValidity() && seed.reportValidity() && rate.reportValidity()
      ) {
        actions.train(steps.valueAsNumber);
      }
    },
  }, "Train");
  const stop = h(
    "button",
    { type: "button", id: "stop", click: actions.stop },
    "Stop",
  );
  const reset = h("button", {
    type: "button",
    id: "reset",
    click: actions.reset,
  }, "Start over");
  element.append(
    go,
    stop,
    reset,
    h("label", { for: "steps" }, "steps", steps),
    h("label", { for: "seed" }, "seed", seed),
    h("label", { for: "rate" }, "learning rate", rate),
  );
  return {
    get seed() {
      return seed.valueAsNumber;
    },
    get learningRate() {
      return rate.valueAsNumber;
    },
    set(values) {
      seed.value = String(values.seed);
      rate.value = String(values.learningRate);
    },
    show(state) {
      go.disabled = state === "loading" || state === "training";
      go.textContent = state === "stopped"
        ? "Go on"
        : state === "training"
        ? "Training …"
        : "Train";
      stop.disabled = state !== "training";
      reset.disabled = state === "loading" || state === "fresh";
      seed.disabled = rate.disabled = state === "training" ||
        state === "stopped";
    },
  };
}

function numberField(
  id: string,
  values: { value: number; min: number; max: number; step: number | string },
): HTMLInputElement {
  return h("input", { id, type: "number", required: true, ...values });
}
