// Stands in for @std/cli/unstable-progress-bar: redraws its line on a clock, not when told to.

interface ProgressBarOptions {
  max: number;
  writable: WritableStream<Uint8Array>;
  clear: boolean;
  formatter: () => string;
  refreshMilliseconds: number;
}

/** A line that is redrawn until `stop` clears it. */
export class ProgressBar {
  value = 0;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #timer: ReturnType<typeof setInterval>;

  constructor({ writable, formatter, refreshMilliseconds }: ProgressBarOptions) {
    this.#writer = writable.getWriter();
    const print = () => this.#write(`\r\x1b[K<std> ${formatter()}`);
    this.#timer = setInterval(print, refreshMilliseconds);
    print();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#write("\r\x1b[K");
  }

  async #write(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }
}
