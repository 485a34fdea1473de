// The training loop: submits steps, reads their scalars many at a time, shows progress, checkpoints, stops when asked,
// and resumes. What a step does depends on its number alone, so that a resumed run repeats the one never stopped.

import type { Batch } from "../data/packing.ts";
import type { LanguageModel } from "../model/language_model.ts";
import { divergenceOf } from "./divergence.ts";
import type { Optimiser } from "./optimiser.ts";
import { learningRate, type Schedule } from "./schedule.ts";
import type { StepReport, Trainer } from "./trainer.ts";

/**
 * A step's report with the time it took.
 *
 * @example
 * ```ts
 * import { type LogEntry, Risk } from "@slung/slung";
 *
 * const line = ({ step, loss, lossByClass, tokensPerSecond }: LogEntry) =>
 *   `step ${step}: ${loss.toFixed(3)}, of high risk ${lossByClass[Risk.high]?.toFixed(3) ?? "-"}, ` +
 *   `${Math.round(tokensPerSecond)} tokens/s`;
 * ```
 */
export interface LogEntry extends StepReport {
  /** Predicted positions per second since the last read-back. */
  tokensPerSecond: number;
  /** Seconds since this process began to train. */
  seconds: number;
}

/** Whatever a checkpoint holds, and what it belongs to. */
export interface CheckpointedRun {
  /** Its weights are saved and restored. */
  model: LanguageModel;
  /** Its moments are saved and restored. */
  optimiser: Optimiser;
  /** A checkpoint with another one belongs to another run. */
  fingerprint: string;
  /** What the fingerprint was made of, as JSON: a checkpoint of another run can say what differs. */
  settings?: object;
}

/** Keeps the state of a run, in a folder (`checkpointsIn`) or wherever a program can keep it. */
export interface CheckpointStore {
  /** Steps between saves. */
  every: number;
  /** Restores the newest state; returns the steps done, 0 where there is none. Refuses that of another run. */
  resume(run: CheckpointedRun): Promise<number>;
  /** Saves the state after `step` steps, whole or not at all. */
  save(run: CheckpointedRun, step: number): Promise<void>;
}

/** What is looked at while a run goes on; it must leave the model as it is. */
export interface Watch {
  /** Steps between looks: the first is before the first step, the last after the last. */
  every: number;
  /** Looks at the model after `step` steps; a resumed run looks again at the step it goes on from. */
  look(step: number): Promise<void>;
}

/** What to train on and how. */
export interface TrainingRun {
  /** Trained in place. */
  model: LanguageModel;
  /** Built for this model. */
  trainer: Trainer;
  /** Its `steps` end the run. */
  schedule: Schedule;
  /** The micro-batches of a step; a function of the step alone. */
  batches: (step: number) => readonly Batch[];
  /** Steps between read-backs, at most 64: the more, the less waiting; the fewer, the sooner a NaN is seen. */
  readEvery?: number;
  /** Where to save on the way; needs a fingerprint. */
  checkpoint?: CheckpointStore;
  /** Identifies the run to its checkpoints: equal for equal models, data and settings (`fingerprintOf`). */
  fingerprint?: string;
  /** What the fingerprint was made of. */
  settings?: object;
  /** What is looked at on the way. */
  watch?: Watch;
  /** Called once per step, `readEvery` of them at a time. */
  onLog?: (entry: LogEntry) => void;
  /** Aborting stops after the current step, with a checkpoint. */
  signal?: AbortSignal;
}

/**
 * How a run ended.
 *
 * @example
 * ```ts
 * import type { TrainingOutcome } from "@slung/slung";
 *
 * const verdict = ({ step, finished }: TrainingOutcome) =>
 *   finished ? `done after ${step} steps` : `stopped after ${step}; run again to go on`;
 * ```
 */
export interface TrainingOutcome {
  /** Steps done in all, earlier sessions included. */
  step: number;
  /** Whether all steps of the schedule are done. */
  finished: boolean;
  /** The reports of this session. */
  log: LogEntry[];
  /** Why the run has diverged, where it has: all steps are done, but the model is none. */
  diverged?: string;
}

/**
 * Trains from the newest checkpoint (or from the start) to the end of the schedule.
 *
 * @throws {CannotError} when a value became NaN or infinite, a step has nothing to learn, or a checkpoint cannot be saved.
 */
export async function train(run: TrainingRun): Promise<TrainingOutcome> {
  const { model, trainer, schedule, checkpoint, fingerprint = "", signal, readEvery = 16 } = run;
  const { settings, watch } = run;
  const saved = { model, optimiser: trainer.optimiser, fingerprint, ...(settings && { settings }) };
  const log: LogEntry[] = [];
  const began = performance.now();
  let last = began;
  let step = await checkpoint?.resume(saved) ?? 0;

  const read = async () => {
    const reports = await trainer.drain();
    const now = performance.now();
    const tokens = reports.reduce((sum, report) => sum + report.tokens, 0);
    for (const report of reports) {
      const tokensPerSecond = tokens / (now - last) * 1000;
      const entry = { ...report, tokensPerSecond, seconds: (now - began) / 1000 };
      log.push(entry);
      run.onLog?.(entry);
    }
    last = now;
  };

  let lastSave = step;
  while (step < schedule.steps && !signal?.aborted) {
    if (watch && step % watch.every === 0) await watch.look(step);
    trainer.step(step, run.batches(step), learningRate(schedule, step));
    step++;
    const due = checkpoint && step % checkpoint.every === 0;
    // At least every second on a slow adapter, so that progress lives and an abort is heard.
    const silent = performance.now() - last > 1000;
    if (trainer.pending === readEvery || silent || due || step === schedule.steps) await read();
    if (due) {
      await checkpoint.save(saved, step);
      lastSave = step;
    }
  }
  if (trainer.pending > 0) await read();
  if (step === schedule.steps) await watch?.look(step);
  if (step !== lastSave) await checkpoint?.save(saved, step);
  const diverged = divergenceOf(log, model.config.vocabularySize);
  return { step, finished: step >= schedule.steps, log, ...(diverged && { diverged }) };
}
