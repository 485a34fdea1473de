// The log of a training run, one line of JSON a step, which survives a kill at any moment.

import { CannotError } from "../base/errors.ts";
import { exists, readBytes } from "../base/files.ts";
import { parseJson } from "../base/json.ts";
import { type Fields, numberField, readRecords } from "../data/records.ts";
import { riskNames } from "../slung/objective.ts";
import type { LogEntry } from "./loop.ts";

/** One line of the log: what a step reported, classes by name. */
export type LogLine = Omit<LogEntry, "lossByClass"> & { lossByClass: Record<string, number> };

/** A log that is being written. */
export interface RunLog extends Disposable {
  /** Appends what a step reported. */
  write(entry: LogEntry): void;
}

/**
 * Opens a log for appending. The first entry drops the lines that its step and later ones left before a kill.
 *
 * @throws {CannotError} naming the file, when it cannot be read; `write` does when it cannot be written.
 */
export async function openLog(path: string): Promise<RunLog> {
  const earlier = await exists(path) ? new TextDecoder().decode(await readBytes(path)) : "";
  let file: Deno.FsFile | undefined;
  const attempt = (run: () => void) => {
    try {
      run();
    } catch (cause) {
      throw new CannotError(
        `write "${path}"`,
        (cause as Error).message,
        "Free some space; the same command goes on from the last checkpoint",
        { cause },
      );
    }
  };
  const write = (text: string) => {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += file!.writeSync(bytes.subarray(done));
  };
  return {
    write(entry) {
      attempt(() => {
        if (file) return;
        Deno.writeTextFileSync(`${path}.partial`, linesBefore(earlier, entry.step));
        Deno.renameSync(`${path}.partial`, path);
        file = Deno.openSync(path, { append: true });
      });
      const named = entry.lossByClass.map((loss, risk) => [riskNames[risk]!, loss]);
      const line = JSON.stringify({ ...entry, lossByClass: Object.fromEntries(named) });
      attempt(() => write(`${line}\n`));
    },
    [Symbol.dispose]: () => file?.close(),
  };
}

// What a kill cut off, a failing disk garbled or somebody added is no line of the log, and must not keep a run from going on.
function linesBefore(log: string, step: number): string {
  return log.split("\n").filter((line) => stepOf(line) < step).map((line) => `${line}\n`).join("");
}

function stepOf(line: string): number {
  try {
    const { step, lossByClass } = Object(parseJson(line)) as Partial<LogLine>;
    return typeof step === "number" && isObject(lossByClass) ? step : Infinity;
  } catch {
    return Infinity;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

/** The curves of a log, one for each risk class that has a loss, for `lossCurves`. */
export async function lossSeries(
  path: string,
): Promise<{ name: string; points: { step: number; loss: number }[] }[]> {
  const lines = await Array.fromAsync(readRecords(path, (fields: Fields, where) => {
    numberField(fields, "step", where);
    if (isObject(fields.lossByClass)) return fields as LogLine;
    throw new CannotError(`read ${where}`, 'field "lossByClass" is no object', "Remove the line");
  }));
  return riskNames.flatMap((name) => {
    const points = lines.flatMap(({ step, lossByClass }) =>
      lossByClass[name] === undefined ? [] : [{ step, loss: lossByClass[name] }]
    );
    return points.length === 0 ? [] : [{ name: `${name} risk`, points }];
  });
}
