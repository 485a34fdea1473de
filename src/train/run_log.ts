// The log of a training run, one line of JSON a step, which survives a kill at any moment.

import { exists, readText } from "../base/files.ts";
import { type Fields, readRecords } from "../data/records.ts";
import { riskNames } from "../slung/objective.ts";
import type { LogEntry } from "./loop.ts";

/** One line of the log: what a step reported, classes by name. */
export type LogLine = Omit<LogEntry, "lossByClass"> & { lossByClass: Record<string, number> };

/** A log that is being written. */
export interface RunLog extends Disposable {
  /** Appends what a step reported. */
  write(entry: LogEntry): void;
}

/** Opens a log for appending. The first entry drops the lines that its step and later ones left before a kill. */
export async function openLog(path: string): Promise<RunLog> {
  const earlier = await exists(path) ? await readText(path) : "";
  let file: Deno.FsFile | undefined;
  const write = (text: string) => {
    const bytes = new TextEncoder().encode(text);
    for (let done = 0; done < bytes.length;) done += file!.writeSync(bytes.subarray(done));
  };
  return {
    write(entry) {
      if (!file) {
        Deno.writeTextFileSync(`${path}.partial`, linesBefore(earlier, entry.step));
        Deno.renameSync(`${path}.partial`, path);
        file = Deno.openSync(path, { append: true });
      }
      const named = entry.lossByClass.map((loss, risk) => [riskNames[risk]!, loss]);
      write(JSON.stringify({ ...entry, lossByClass: Object.fromEntries(named) }) + "\n");
    },
    [Symbol.dispose]: () => file?.close(),
  };
}

function linesBefore(log: string, step: number): string {
  const lines = log.split("\n").slice(0, -1); // what follows the last line feed was cut off by a kill
  return lines.filter((line) => (JSON.parse(line) as LogLine).step < step)
    .map((line) => `${line}\n`).join("");
}

/** The curves of a log, one for each risk class that has a loss, for `lossCurves`. */
export async function lossSeries(
  path: string,
): Promise<{ name: string; points: { step: number; loss: number }[] }[]> {
  const lines = await Array.fromAsync(readRecords(path, (fields: Fields) => fields as LogLine));
  return riskNames.flatMap((name) => {
    const points = lines.flatMap(({ step, lossByClass }) =>
      lossByClass[name] === undefined ? [] : [{ step, loss: lossByClass[name] }]
    );
    return points.length === 0 ? [] : [{ name: `${name} risk`, points }];
  });
}
