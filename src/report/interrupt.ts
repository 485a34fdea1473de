// Stopping a task: the first Ctrl-C, or the system's request to end, asks it to stop where it can save; the second ends it.

import type { Terminal } from "./command_line.ts";

/** Hears Ctrl-C until it is disposed of. */
export interface Interrupt extends Disposable {
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
}

// Windows knows no request to end.
const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];

/** Begins to listen for Ctrl-C. */
export function onInterrupt(terminal: Terminal): Interrupt {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) Deno.exit(130);
    terminal.note("Stopping after this step; press Ctrl-C again to stop at once");
    controller.abort();
  };
  for (const name of signals) Deno.addSignalListener(name, stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of signals) Deno.removeSignalListener(name, stop);
    },
  };
}
