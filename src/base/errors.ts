// Every error a user can cause reads `Cannot <what>: <why>. <what to do>`.
// The command line prints such an error as one line; anything else is a bug and keeps its stack.

/**
 * An error caused by input, files, limits or the machine, with a remedy the user can act on.
 *
 * @example
 * ```ts
 * import { CannotError, readRiskyTexts } from "@slung/slung";
 *
 * const error = await readRiskyTexts("missing.jsonl").catch((error) => error);
 * console.log(error instanceof CannotError); // true
 * ```
 */
export class CannotError extends Error {
  /** Begins the first line of the stack. */
  override name = "CannotError";

  /**
   * Puts the three parts into one sentence and its remedy.
   *
   * @param what The action that failed, e.g. `read "data.jsonl" line 7`.
   * @param why The reason, e.g. `field "answer" is missing`.
   * @param remedy What the user can do about it, e.g. `Add the field or remove the line`.
   */
  constructor(what: string, why: string, remedy: string, options?: ErrorOptions) {
    super(`Cannot ${short(what)}: ${short(why)}. ${short(remedy)}.`, options);
  }
}

const longest = 1200; // UTF-16 units of a part: what is quoted from a file can have any length

function short(part: string): string {
  return part.length <= longest ? part : `${part.slice(0, longest)}…`;
}
