// Progress on standard error. A terminal gets one live line: bar, done/total, rate, time left.
// A file or a pipe gets a plain line every few seconds, so that a log stays short and readable.
// The live line is drawn at each update, at most ten times a second.

import { printable, printableMessage } from "./printable.ts";

/** What to show, and where. */
export interface ProgressOptions {
  /** The number of units that make up the whole, e.g. optimiser steps. */
  total: number;
  /** What is being done, e.g. `Training`. */
  label: string;
  /** Units that were done before the display began, which say nothing about the rate; 0 unless given. */
  from?: number;
  /** Seconds between plain lines when standard error is no terminal. */
  interval?: number;
  /** Where to write; standard error unless given. */
  output?: ProgressOutput;
}

/** A place to write progress to. */
export interface ProgressOutput {
  /** Whether the line can be redrawn in place. */
  readonly live: boolean;
  /** The width of a line in columns. */
  readonly columns: number;
  /** Milliseconds on any monotonic clock. */
  now(): number;
  /** Writes a text as it is. */
  write(text: string): void;
}

/** A running display; `using progress = createProgress(…)` ends it with its block. */
export interface Progress extends Disposable {
  /** Reports that `done` of `total` units are done, with an optional message, e.g. the loss. */
  update(done: number, message?: string): void;
  /** Prints a line that stays, above the live one. */
  note(line: string): void;
}

/** Starts showing progress towards `total`. */
export function createProgress(options: ProgressOptions): Progress {
  const output = options.output ?? standardError();
  return output.live ? liveProgress(options, output) : plainProgress(options, output);
}

const clearLine = "\r\x1b[K";

function liveProgress(
  { total, label, from = 0 }: ProgressOptions,
  output: ProgressOutput,
): Progress {
  const start = output.now();
  let drawn = -Infinity, line = "";
  const draw = () => output.write(clearLine + line);
  return {
    update(done, message) {
      const elapsed = output.now() - start;
      line = progressLine({ label, done, total, from, message, elapsed, output });
      if (output.now() - drawn < 100 && done < total) return;
      drawn = output.now();
      draw();
    },
    note(text) {
      output.write(`${clearLine}${printableMessage(text)}\n`);
      draw();
    },
    [Symbol.dispose]() {
      output.write(line === "" ? "" : `${clearLine}${line}\n`);
      line = "";
    },
  };
}

function plainProgress(
  { total, label, from = 0, interval = 5 }: ProgressOptions,
  output: ProgressOutput,
): Progress {
  const start = output.now();
  let printed = start, pending: string | undefined;
  return {
    update(done, message) {
      const elapsed = output.now() - start;
      pending = factsLine({ label, done, total, from, message, elapsed });
      if (output.now() - printed < interval * 1000) return;
      printed = output.now();
      output.write(`${pending}\n`);
      pending = undefined;
    },
    note: (line) => output.write(`${printableMessage(line)}\n`),
    [Symbol.dispose]() {
      if (pending !== undefined) output.write(`${pending}\n`);
      pending = undefined;
    },
  };
}

interface State {
  label: string;
  done: number;
  total: number;
  from: number;
  message: string | undefined;
  /** Milliseconds since the start. */
  elapsed: number;
}

/** The live line: a bar of 24 cells in front of the facts, cut to the width of the terminal. */
function progressLine({ output, ...state }: State & { output: ProgressOutput }): string {
  const filled = Math.round(24 * Math.min(Math.max(state.done / state.total, 0), 1));
  const bar = "█".repeat(filled) + "░".repeat(24 - filled);
  return `${bar} ${factsLine(state)}`.slice(0, output.columns - 1);
}

/** `Training 120/300, 14.2/s, 12 s left, loss 3.21`. */
function factsLine({ label, done, total, from, message, elapsed }: State): string {
  const facts = [`${printable(label)} ${done}/${total}`];
  const rate = (done - from) / (elapsed / 1000);
  if (done > from && elapsed > 0) {
    facts.push(rate >= 1 ? `${Number(rate.toPrecision(3))}/s` : `${duration(1 / rate)} each`);
    facts.push(done < total ? `${duration((total - done) / rate)} left` : duration(elapsed / 1000));
  }
  if (message) facts.push(printable(message));
  return facts.join(", ");
}

/** Seconds as a reader says them: `0.4 s`, `42 s`, `3 min 05 s`, `2 h 07 min`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pad = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${pad(whole % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

function standardError(): ProgressOutput {
  const encoder = new TextEncoder();
  const live = Deno.stderr.isTerminal();
  return {
    live,
    get columns() { // read each time: a terminal can be resized
      try {
        return Deno.consoleSize().columns;
      } catch {
        return 80;
      }
    },
    now: () => performance.now(),
    write(text) {
      let bytes = encoder.encode(text);
      while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
    },
  };
}
