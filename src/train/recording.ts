// What trainOnSpans writes beside the model while it works: the log, what is watched, the record and the phrases. Nothing
// is written before the run has gone on from its checkpoint, so that the folder of another run stays as it is.

import type { Sequence } from "../data/sequence.ts";
import type { RiskyText } from "../data/spans.ts";
import type { LanguageModel } from "../model/language_model.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { LogEntry, TrainingOutcome, Watch } from "./loop.ts";
import {
  logFile,
  openLog,
  openStepLines,
  watchedFile,
  type WatchedLine,
  writeCurves,
} from "./run_log.ts";
import {
  readRunRecord,
  riskyPhrases,
  type TrainingRecord,
  writePhrases,
  writeRunRecord,
} from "./run_record.ts";
import { chooseSamples, continueSamples, type Sample } from "./samples.ts";
import { spread, watchedSample, watchLosses } from "./watch.ts";

const mostWatched = { sample: 16, heldOut: 64 }; // windows

/** What is recorded of a run. */
export interface RecordingOptions {
  /** The folder of the run. */
  out: string;
  /** The model in training. */
  model: LanguageModel;
  /** Reads its texts. */
  tokenizer: Tokenizer;
  /** What it is trained on, and what only measured. */
  texts: { trained: readonly RiskyText[]; heldOut: readonly RiskyText[] };
  /** Both in windows. */
  windows: { trained: readonly Sequence[]; heldOut: readonly Sequence[] };
  /** Steps between measures; 0 for none. */
  watchEvery: number;
  /** Texts whose beginnings are continued. */
  samples: number;
  /** What is known before the first step. */
  record: Omit<TrainingRecord, "state" | "watched" | "steps" | "seconds" | "diverged" | "samples">;
  /** Called with everything that was watched. */
  onWatched?: ((line: WatchedLine) => void) | undefined;
}

/** A run that is being recorded. */
export interface Recording extends Disposable {
  /** For `fit`. */
  readonly watch: Watch;
  /** Is told how many steps there are. */
  plan(steps: number): void;
  /** Records a step. */
  log(entry: LogEntry): void;
  /** Completes the record; of a run that was stopped, as far as it came. */
  end(outcome: TrainingOutcome): Promise<void>;
}

/** Begins to record a run whose model is about to be trained, or to go on. */
export async function openRecording(options: RecordingOptions): Promise<Recording> {
  const { out, model, tokenizer, texts, record } = options;
  const began = performance.now();
  const earlier = await readRunRecord(out);
  const chosen = chooseSamples(
    texts.heldOut.length > 0 ? texts.heldOut : texts.trained,
    options.samples,
  );
  const samples = await samplesBefore(options, chosen, earlier);
  const watching = await openWatching(options);
  const log = await openLog(`${out}/${logFile}`);
  let steps = 0, written = false;
  const write = (changes: Partial<TrainingRecord>) =>
    writeRunRecord(out, {
      ...record,
      ...{ state: "training", watched: watching?.record ?? null, steps, seconds: null },
      ...{ diverged: null, samples },
      ...changes,
    });
  return {
    watch: {
      every: options.watchEvery || Infinity,
      async look(step) {
        if (!written && step < steps) await write({});
        written = true;
        await watching?.look(step);
      },
    },
    plan: (all) => steps = all,
    log: (entry) => log.write(entry),
    async end({ finished, log, diverged }) {
      if (finished && log.length === 0 && earlier?.state === "finished") return;
      await writePhrases(out, riskyPhrases([...texts.trained, ...texts.heldOut]));
      await writeCurves(out);
      if (!finished) return await write({});
      const after = await continueSamples(model, tokenizer, samples);
      await write({
        state: "finished",
        seconds: Math.round(performance.now() - began) / 1000,
        diverged: diverged ?? null,
        samples: samples.map((sample, i) => ({ ...sample, after: after[i]! })),
      });
    },
    [Symbol.dispose]() {
      log[Symbol.dispose]();
      watching?.[Symbol.dispose]();
    },
  };
}

// A run that goes on has no weights from before it began, but the record of what they said.
async function samplesBefore(
  { model, tokenizer, record }: RecordingOptions,
  chosen: readonly Sample[],
  earlier: TrainingRecord | undefined,
): Promise<Sample[]> {
  if (record.model.from === null) return [...chosen];
  const goesOn = earlier?.state === "training" &&
    chosen.every(({ prompt }, i) => prompt === earlier.samples[i]?.prompt);
  if (goesOn) return chosen.map((sample, i) => ({ ...sample, before: earlier.samples[i]!.before }));
  const before = await continueSamples(model, tokenizer, chosen);
  return chosen.map((sample, i) => ({ ...sample, before: before[i]! }));
}

interface Watching extends Disposable {
  look(step: number): Promise<void>;
  record: TrainingRecord["watched"];
}

async function openWatching(
  { out, model, windows, watchEvery: every, onWatched }: RecordingOptions,
): Promise<Watching | undefined> {
  if (every === 0) return undefined;
  const sample = watchLosses(model, watchedSample(windows.trained, mostWatched.sample));
  const heldOut = windows.heldOut.length === 0
    ? undefined
    : watchLosses(model, spread(windows.heldOut, mostWatched.heldOut));
  const lines = await openStepLines<WatchedLine>(`${out}/${watchedFile}`);
  return {
    async look(step) {
      const measured = await sample.measure();
      const line = { step, sample: measured, ...(heldOut && { heldOut: await heldOut.measure() }) };
      lines.write(line);
      onWatched?.(line);
    },
    record: { every, sample: sample.tokens, heldOut: heldOut?.tokens ?? null },
    [Symbol.dispose]() {
      sample[Symbol.dispose]();
      heldOut?.[Symbol.dispose]();
      lines[Symbol.dispose]();
    },
  };
}
