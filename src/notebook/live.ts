// A display that lives while a cell trains: loss curves by risk class, tokens per second, time left. In a notebook one
// figure is redrawn in place; in a terminal it is the progress line. An interrupt (or Ctrl-C) stops the training after its
// step, with a checkpoint, and ends the cell with an error, so that nothing half-trained reaches a table. The same cell,
// run again, goes on from there.
//
// Jupyter interrupts a kernel by SIGINT. Deno's kernel dies of it unless something listens, also after the last listener
// has left; the listener here therefore stays as long as the kernel. (Its `interrupt_request` is no way out: it ends
// a loop without awaits, but leaves a kernel that was awaiting hanging for good.)

import { CannotError } from "../base/errors.ts";
import {
  callback,
  checkOptions,
  flag,
  number,
  required,
  text,
  wholeNumber,
} from "../base/options.ts";
import { type Experiment, type Outcome, type Run, runExperiment } from "../experiments/runner.ts";
import { baseTitle } from "../experiments/titles.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { createProgress } from "../report/progress.ts";
import { checkpointsIn } from "../train/checkpoint.ts";
import type { CheckpointStore } from "../train/loop.ts";
import { lessonFolder } from "./cache.ts";
import { displayable, jupyter, send, show } from "./display.ts";
import { type TrainingEntry, trainingPicture, type TrainingState } from "./live_picture.ts";

/** What to hand to `pretrain` or `trainOnSpans`, which keep checkpoints of their own. */
export interface LiveHooks {
  /** Feeds the display. */
  onLog: (entry: TrainingEntry, steps?: number) => void;
  /** Aborted by an interrupt. */
  signal: AbortSignal;
}

/** What to hand to `fit`: `fit(model, { …, ...hooks })`. */
export interface TrainingHooks extends LiveHooks {
  /** Keeps what an interrupted `fit` has done, under a name that its model, data and settings decide. */
  checkpoint: CheckpointStore;
}

/** What the display says about itself. */
export interface LiveTrainingOptions {
  /** What is trained, e.g. `Masked SLUNG`. */
  title: string;
  /** Optimiser steps in all; `fit` tells them by itself. */
  steps?: number;
  /** Milliseconds between redraws, at least; 1000 unless given. */
  interval?: number;
  /** Whether the training keeps checkpoints of its own, as `pretrain` and `trainOnSpans` do. */
  ownCheckpoints?: boolean;
}

/**
 * Trains with a live display, and returns what the training returns.
 *
 * @example In a notebook cell
 * ```ts ignore
 * const outcome = await liveTraining({ title: "Masked" }, (hooks) => fit(model, { ...settings, ...hooks }));
 * ```
 * @throws {CannotError} when the cell was interrupted; it says whether the same cell goes on or begins anew.
 */
export async function liveTraining<Result, Own extends boolean = false>(
  options: LiveTrainingOptions & { ownCheckpoints?: Own },
  training: (hooks: Own extends true ? LiveHooks : TrainingHooks) => Promise<Result>,
): Promise<Result> {
  checkOptions("train with a live display", options, {
    title: required(text),
    steps: wholeNumber({ min: 0 }),
    interval: number({ min: 0 }),
    ownCheckpoints: flag,
  });
  using interrupt = listenForInterrupt();
  const { signal } = interrupt;
  const screen = openScreen(options);
  const kept = new InterruptedRuns(`${await lessonFolder("interrupted")}`, signal);
  try {
    const hooks = {
      ...{ onLog: screen.update, signal },
      ...(!options.ownCheckpoints && { checkpoint: kept }),
    };
    const result = await training(hooks as Parameters<typeof training>[0]);
    if (!signal.aborted) {
      await kept.forget();
      await screen.end("finished");
      return result;
    }
    const saved = kept.saved || (options.ownCheckpoints ?? false);
    await screen.end(saved ? "saved" : "stopped");
    throw interrupted(`${options.title}, ${screen.where()}`, saved);
  } catch (error) {
    if (!signal.aborted) await screen.end("failed");
    throw error;
  }
}

/** How an experiment is shown, and what it hands on. */
export interface LiveExperimentOptions {
  /** Names the folder that keeps what is finished; equal runs in it are not trained again. */
  keep: string;
  /** Is handed every model that was trained in this call, before it is measured; it must not keep it. */
  onModel?: (run: Run, stage: string, model: LanguageModel) => void | Promise<void>;
}

/**
 * Runs an experiment with a live display for each model. What is finished is kept in the notebook's cache, by all that
 * decides it: the same cell, run again, trains nothing twice, and a changed setting trains what depends on it.
 *
 * @throws {CannotError} when the cell was interrupted: then the outcomes are not complete, and none is returned.
 */
export async function liveExperiment<Results extends object>(
  gpu: Gpu,
  experiment: Experiment<Results>,
  options: LiveExperimentOptions,
): Promise<Outcome<Results>[]> {
  checkOptions("run an experiment", options, { keep: required(text), onModel: callback });
  const { keep, onModel } = options;
  using interrupt = listenForInterrupt();
  const { signal } = interrupt;
  let screen: Screen | undefined, shown = "", where = "before the first step";
  const finish = async (state: TrainingState) => {
    await screen?.end(state);
    screen = undefined;
  };
  const ended: Promise<void>[] = [];
  const titleOf = ({ method, seed, amount }: Run) =>
    [
      method?.title ?? baseTitle,
      ...(amount !== undefined && amount !== 0 && amount !== 1
        ? [`${amount} x the risky data`]
        : []),
      ...(seed !== 0 ? [`seed ${seed}`] : []),
    ].join(", ");
  const outcomes = await runExperiment(gpu, experiment, await lessonFolder(keep), {
    signal,
    ...(onModel && { onModel }),
    onTraining(run, entry, steps, stage) {
      const title = `${titleOf(run)}${stage === "trained" ? "" : `, ${stage}`}`;
      if (title !== shown) {
        if (screen) ended.push(screen.end("finished"));
        screen = openScreen({ title });
        shown = title;
      }
      screen!.update(entry, steps);
      where = `${title}, ${screen!.where()}`;
      if (entry.step + 1 === steps) {
        ended.push(screen!.end("finished"));
        screen = undefined;
        where = `${title}, before it was measured`;
      }
    },
    onOutcome(outcome, reused) {
      if (!reused || !outcome.run.method) return;
      ended.push(show(displayable({ text: `${titleOf(outcome.run)}: kept from an earlier run` })));
    },
  }).catch(async (error) => {
    await finish("failed");
    throw error;
  });
  await finish("saved");
  await Promise.all(ended);
  if (signal.aborted) throw interrupted(where, true);
  return outcomes;
}

function interrupted(where: string, saved: boolean): CannotError {
  return new CannotError(
    "finish this cell",
    `it was interrupted (${where})`,
    saved ? "Run it again to go on from there" : "Run it again to begin anew",
  );
}

/** The states of runs that were interrupted, each in a folder of its own: a changed setting makes another run. */
class InterruptedRuns implements CheckpointStore {
  /** An interrupt is what saves. */
  readonly every = Infinity;
  /** Whether one was saved. */
  saved = false;
  readonly #resumed = new Set<string>();

  constructor(readonly folder: string, readonly signal: AbortSignal) {}

  async resume(run: Parameters<CheckpointStore["resume"]>[0]): Promise<number> {
    this.#resumed.add(run.fingerprint);
    return await checkpointsIn(this.#folderOf(run), 1).resume(run);
  }

  async save(run: Parameters<CheckpointStore["save"]>[0], step: number): Promise<void> {
    if (!this.signal.aborted) return;
    await checkpointsIn(this.#folderOf(run), 1).save(run, step);
    this.saved = true;
  }

  /** Removes what the runs of this call went on from. */
  async forget(): Promise<void> {
    for (const fingerprint of this.#resumed) {
      await Deno.remove(`${this.folder}/${fingerprint}`, { recursive: true }).catch(() => {});
    }
  }

  #folderOf({ fingerprint }: { fingerprint: string }): string {
    return `${this.folder}/${fingerprint}`;
  }
}

interface Screen {
  update: TrainingHooks["onLog"];
  /** How far it has come. */
  where(): string;
  end(state: TrainingState): Promise<void>;
}

function openScreen(options: LiveTrainingOptions): Screen {
  return jupyter() ? notebookScreen(options) : terminalScreen(options);
}

function describeStep(done: number, total: number): string {
  return done === 0 ? "before its first step" : `step ${done} of ${total || "many"}`;
}

function terminalScreen({ title, steps = 0 }: LiveTrainingOptions): Screen {
  let progress: ReturnType<typeof createProgress> | undefined;
  let done = 0, all = steps;
  return {
    update({ step, loss, tokensPerSecond }, total = steps) {
      [done, all] = [step + 1, total];
      progress ??= createProgress({ total, label: title });
      progress.update(step + 1, `loss ${loss.toFixed(3)}, ${Math.round(tokensPerSecond)} tokens/s`);
    },
    where: () => describeStep(done, all),
    end() {
      progress?.[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

function notebookScreen({ title, steps = 0, interval = 1000 }: LiveTrainingOptions): Screen {
  const door = jupyter()!;
  const id = crypto.randomUUID();
  const history: TrainingEntry[] = [];
  const began = performance.now();
  let total = steps, drawn = -Infinity, shown = false;
  let first: { steps: number; time: number } | undefined;
  let drawing: Promise<void> | undefined;
  const draw = async (state: TrainingState) => {
    drawn = performance.now();
    // The first steps compile the kernels: what is left is estimated from those after them.
    const since = first && history.length > first.steps
      ? { steps: history.length - first.steps, seconds: (drawn - first.time) / 1000 }
      : undefined;
    if (history.length > 0) first ??= { steps: history.length, time: drawn };
    const picture = trainingPicture({
      title,
      history,
      total,
      state,
      seconds: (drawn - began) / 1000,
      ...(since && { secondsPerStep: since.seconds / since.steps }),
    });
    const update = shown;
    shown = true;
    await send(door, picture, { update, display_id: id });
  };
  return {
    update(entry, known = total) {
      total = known;
      history.push(entry);
      if (drawing || performance.now() - drawn < interval) return;
      // A read-back brings many steps at once: draw after the last of them.
      drawing = Promise.resolve().then(() => draw("training")).finally(() => drawing = undefined);
    },
    where: () => describeStep((history.at(-1)?.step ?? -1) + 1, total),
    async end(state) {
      await drawing;
      await draw(state);
    },
  };
}

const waiting = new Set<() => void>();
let listening = false;

function listenForInterrupt(): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const onInterrupt = () => {
    // In a terminal the second Ctrl-C ends the process; a notebook has its restart button.
    if (controller.signal.aborted && !jupyter()) Deno.exit(130);
    controller.abort();
  };
  waiting.add(onInterrupt);
  if (!listening) Deno.addSignalListener("SIGINT", hear);
  listening = true;
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      waiting.delete(onInterrupt);
      if (waiting.size > 0 || jupyter()) return;
      Deno.removeSignalListener("SIGINT", hear);
      listening = false;
    },
  };
}

function hear(): void {
  for (const onInterrupt of waiting) onInterrupt();
}
