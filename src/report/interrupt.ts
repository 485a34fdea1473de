// Stopping a task: the first Ctrl-C asks it to stop where it can save, the second ends the process.

import type { Terminal } from "./command_line.ts";

/** Hears Ctrl-C until it is disposed of. */
export interface Interrupt extends Disposable {
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Begins to listen for Ctrl-C. */
export function onInterrupt(terminal: Terminal): Interrupt {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(130);
    terminal.note("Stopping after this step; press Ctrl-C again to stop at once");
    controller.abort();
  };
  Deno.addSignalListener("SIGINT", stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => Deno.removeSignalListener("SIGINT", stop),
  };
}
