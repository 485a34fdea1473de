// Lines of a stream of text.

/** Cuts a stream of text at its line feeds; what follows the last one is dropped. */
export class TextLineStream extends TransformStream<string, string> {
  /** A stream that begins with a line. */
  constructor() {
    let rest = "";
    super({
      transform(chunk, controller) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop()!;
        for (const line of lines) controller.enqueue(line);
      },
    });
  }
}
