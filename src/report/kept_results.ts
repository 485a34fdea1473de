// Results that are kept in the repository: the numbers of a run without what its models wrote, with the command, seeds and
// date. Tables in texts for people are made from them, between comments that name them, so that no cell is typed by hand:
//   <!-- results demo -->
//   …
//   <!-- end -->

import { CannotError } from "../base/errors.ts";
import { readJson } from "../base/files.ts";
import type { Json, Results } from "./results.ts";

/** What is kept of a run. */
export interface KeptResults<Metrics = Json> {
  /** What made it, to be typed again. */
  command: string;
  /** When it ended, as YYYY-MM-DD. */
  date: string;
  /** Of its models. */
  seeds: number[];
  /** What computed it; null if that is not known. */
  adapter: string | null;
  /** How long it took, beside whatever else the machine did; null if that is not known. */
  seconds: number | null;
  /** What one must know to read the numbers. */
  note?: string;
  /** What came out. */
  metrics: Metrics;
}

/** What of a run is kept. @param date When it ended. */
export function keptOf(results: Results, date: Date): KeptResults {
  const [script, ...args] = results.commandLine;
  const task = script!.replace(/\.ts$/, "").replaceAll("_", "-");
  const { seconds = null } = results.timing;
  return {
    command: ["deno task", task, ...withoutFolders(args)].join(" "),
    date: date.toISOString().slice(0, 10),
    seeds: Object.values(results.seeds),
    adapter: results.adapter?.name ?? null,
    seconds,
    metrics: results.metrics,
  };
}

/** Reads kept results. @throws {CannotError} naming the file, and the field that is missing. */
export async function readKept<Metrics>(path: string): Promise<KeptResults<Metrics>> {
  const value = await readJson(path) as Partial<KeptResults<Metrics>> | null;
  for (const field of ["command", "date", "seeds", "metrics"] as const) {
    if (value?.[field] !== undefined) continue;
    throw new CannotError(
      `read "${path}"`,
      `field "${field}" is missing`,
      "Keep the results of a run anew: deno task results --keep FOLDER --as NAME",
    );
  }
  return value as KeptResults<Metrics>;
}

/** The line below a table: how its numbers were made. */
export function keptCaption({ command, date, seeds, adapter, seconds, note }: KeptResults): string {
  const which = seeds.length === 0
    ? ""
    : seeds.length === 1
    ? `seed ${seeds[0]}, `
    : `seeds ${seeds.join(", ")}, `;
  const where = adapter === null ? "" : `, ${adapter}`;
  const long = seconds === null ? "" : `, ${Math.max(1, Math.round(seconds / 60))} minutes`;
  return `\`${command}\`, ${which}${date}${where}${long}.${note === undefined ? "" : ` ${note}`}`;
}

/** Where a text names kept results, in order. */
export function namedBlocks(text: string): string[] {
  return Array.from(text.matchAll(blocks), ([, name]) => name!);
}

/**
 * Puts content between the comments that name it.
 *
 * @throws {CannotError} for a comment that names nothing that is known.
 */
export function fillBlocks(text: string, contents: ReadonlyMap<string, string>): string {
  return text.replace(blocks, (_, name: string) => {
    const content = contents.get(name);
    if (content === undefined) {
      throw new CannotError(
        `fill in the results "${name}"`,
        `known are ${[...contents.keys()].join(", ")}`,
        "Correct the comment in the text",
      );
    }
    return `<!-- results ${name} -->\n\n${content}\n\n<!-- end -->`;
  });
}

const blocks = /<!-- results ([\w-]+) -->\n[\s\S]*?<!-- end -->/g;

// Where a run lay on somebody's machine decides nothing.
function withoutFolders(args: readonly string[]): string[] {
  return args.filter((arg, i) =>
    !/^--(?:out|measure|keep-models)\b/.test(arg) &&
    !/^--(?:out|measure|keep-models)$/.test(args[i - 1] ?? "")
  );
}
