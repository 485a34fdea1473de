// The log of a training run, one line of JSON a step, which survives a kill at any moment; what was watched on the way, in
// the same form; and both as one table of numbers, for tools that draw curves.

import { CannotError } from "../base/errors.ts";
import { exists, readBytes, writeFileAtomic } from "../base/files.ts";
import { parseJson } from "../base/json.ts";
import { type Fields, numberField, readRecords } from "../data/records.ts";
import { riskNames } from "../slung/objective.ts";
import type { LogEntry } from "./loop.ts";
import type { ClassLosses } from "./watch.ts";

/** One line of the log: what a step reported, classes by name. */
export type LogLine = Omit<LogEntry, "lossByClass"> & { lossByClass: Record<string, number> };

/** The name of the log in the folder of a run. */
export const logFile = "log.jsonl";
/** The name of what was watched on the way. */
export const watchedFile = "watched.jsonl";
/** The name of both as one table. */
export const curvesFile = "curves.csv";

/** What was seen of a model after some steps: mean −log p in nats per token, by the name of the risk class. */
export interface WatchedLine {
  /** Steps done. */
  step: number;
  /** Of the sample of the texts that are trained on. */
  sample: ClassLosses;
  /** Of texts that are not. */
  heldOut?: ClassLosses;
}

/** A file of lines, each of a step, that is being written. */
export interface StepLines<Line extends { step: number }> extends Disposable {
  /** Appends a line. */
  write(line: Line): void;
}

/** Opens the log of a run for appending. */
export async function openLog(path: string): Promise<StepLines<LogEntry>> {
  const lines = await openStepLines<LogLine>(path);
  return {
    write: (entry) => lines.write({ ...entry, lossByClass: byRiskName(entry.lossByClass) }),
    [Symbol.dispose]: () => lines[Symbol.dispose](),
  };
}

/** Values of risk classes by the names of those; classes without a value are left out. */
export function byRiskName(values: readonly (number | undefined)[]): Record<string, number> {
  const named = values.map((value, risk) => [riskNames[risk]!, value]);
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}

/**
 * Opens a file for appending. The first line drops those that its step and later ones left before a kill.
 *
 * @throws {CannotError} naming the file, when it cannot be read; `write` does when it cannot be written.
 */
export async function openStepLines<Line extends { step: number }>(
  path: string,
): Promise<StepLines<Line>> {
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
    write(line) {
      attempt(() => {
        if (file) return;
        Deno.writeTextFileSync(`${path}.partial`, linesBefore(earlier, line.step));
        Deno.renameSync(`${path}.partial`, path);
        file = Deno.openSync(path, { append: true });
      });
      attempt(() => write(`${JSON.stringify(line)}\n`));
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
    const { step, lossByClass, sample } = Object(parseJson(line)) as Record<string, unknown>;
    return typeof step === "number" && isObject(lossByClass ?? sample) ? step : Infinity;
  } catch {
    return Infinity;
  }
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

/** The steps of a run, as its log tells them; none where it has no log. */
export async function readLog(folder: string): Promise<LogLine[]> {
  return await readStepLines<LogLine>(`${folder}/${logFile}`, "lossByClass");
}

/** What was watched while a run went on; nothing where nothing was. */
export async function readWatched(folder: string): Promise<WatchedLine[]> {
  return await readStepLines<WatchedLine>(`${folder}/${watchedFile}`, "sample");
}

async function readStepLines<Line>(path: string, losses: keyof Line & string): Promise<Line[]> {
  if (!await exists(path)) return [];
  return await Array.fromAsync(readRecords(path, (fields: Fields, where) => {
    numberField(fields, "step", where);
    if (isObject(fields[losses])) return fields as Line;
    throw new CannotError(`read ${where}`, `field "${losses}" is no object`, "Remove the line");
  }));
}

/** A curve, for `lossCurves`. */
export interface Curve {
  /** Names it in the legend. */
  name: string;
  /** In order. */
  points: { step: number; loss: number }[];
}

/** The curves of a run's log, one for each risk class that has a loss. */
export async function lossSeries(folder: string): Promise<Curve[]> {
  const lines = await readLog(folder);
  return riskNames.flatMap((name) =>
    curve(`${name} risk`, lines, ({ lossByClass }) => lossByClass[name])
  );
}

/** The curves of what was watched, one for each class of the sample and of held-out texts. */
export async function watchedSeries(folder: string): Promise<Curve[]> {
  const lines = await readWatched(folder);
  return [
    ...riskNames.flatMap((name) =>
      curve(`${name} risk, of the sample`, lines, ({ sample }) => sample[name])
    ),
    ...riskNames.flatMap((name) =>
      curve(`${name} risk, held out`, lines, ({ heldOut }) => heldOut?.[name])
    ),
  ];
}

function curve<Line extends { step: number }>(
  name: string,
  lines: readonly Line[],
  loss: (line: Line) => number | undefined,
): Curve[] {
  const points = lines.flatMap((line) => {
    const value = loss(line);
    return value === undefined ? [] : [{ step: line.step, loss: value }];
  });
  return points.length === 0 ? [] : [{ name, points }];
}

/**
 * Writes the log of a run and what was watched as one table, a row a step: `loss` and `loss_<class>` are what is trained,
 * `sample_<class>` and `held_out_<class>` the mean −log p of the watched tokens, both before the step.
 */
export async function writeCurves(folder: string): Promise<void> {
  const rows = new Map<number, Record<string, number>>();
  const put = (step: number, values: Record<string, number>) =>
    rows.set(step, { ...rows.get(step), ...values });
  for (const { step, lossByClass, ...numbers } of await readLog(folder)) {
    const { loss, learningRate, gradientNorm, tokens, tokensPerSecond, seconds } = numbers;
    put(step, { loss, ...prefixed("loss", lossByClass) });
    put(step, { learning_rate: learningRate, gradient_norm: gradientNorm, tokens });
    put(step, { tokens_per_second: tokensPerSecond, seconds });
  }
  for (const { step, sample, heldOut } of await readWatched(folder)) {
    put(step, { ...prefixed("sample", sample), ...prefixed("held_out", heldOut ?? {}) });
  }
  const columns = [...new Set([...rows.values()].flatMap((row) => Object.keys(row)))];
  const lines = [...rows].sort(([a], [b]) => a - b).map(([step, row]) =>
    [step, ...columns.map((column) => row[column] ?? "")].join()
  );
  const text = [["step", ...columns].join(), ...lines, ""].join("\n");
  await writeFileAtomic(`${folder}/${curvesFile}`, text);
}

function prefixed(prefix: string, values: ClassLosses): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${prefix}_${name}`, value]),
  );
}
