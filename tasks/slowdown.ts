// deno task slowdown runs/direct runs/masked …: by what factor each run is slower than the first in learning what is risky,
// and what is harmless, on the texts that `train` watched.

import { CannotError } from "../src/base/errors.ts";
import { slowdown } from "../src/eval/slowdown.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { type Column, renderTable } from "../src/report/table.ts";
import type { ClassLosses } from "../src/train/watch.ts";
import { readWatched, type WatchedLine } from "../src/train/run_log.ts";

const command = defineCommand({
  name: "slowdown",
  summary: "Tells by what factor runs learn more slowly than one that learns everything.",
  examples: ["runs/direct runs/masked", "runs/direct runs/masked runs/unlikelihood"],
  operand: "runs",
  options: {
    runs: {
      type: "list",
      of: "path",
      required: true,
      placeholder: "folder",
      help: "What train left behind: first the run that learns everything, then the others",
    },
  },
  async run({ runs }, terminal) {
    const paths = runs as string[];
    if (paths.length < 2) {
      throw new CannotError(
        "tell a slowdown",
        `there is ${paths.length === 0 ? "no run" : "one run"} to compare`,
        "Give the run that learns everything, and then another",
      );
    }
    const watched = await Promise.all(paths.map(readWatchedLines));
    const part = watched.every((lines) => lines.every(({ heldOut }) => heldOut))
      ? "heldOut"
      : "sample";
    const curveOf = (lines: readonly WatchedLine[], risk: string) =>
      lines.flatMap(({ step, ...own }) => {
        const loss = own[part]?.[risk];
        return loss === undefined ? [] : [{ step, loss }];
      });
    expectSameStart(paths, watched.map((lines) => lines[0]!.sample));
    const [first, ...others] = watched as [WatchedLine[], ...WatchedLine[][]];
    const classes = Object.keys(first.at(-1)![part]!).filter((risk) => risk !== "all");
    const rows = others.map((lines, i) => ({
      run: paths[i + 1]!,
      factors: Object.fromEntries(classes.map((risk) => {
        const last = curveOf(lines, risk).at(-1);
        return [risk, last === undefined ? null : slowdown(curveOf(first, risk), last)];
      })),
    }));
    const columns: Column<Record<string, string>>[] = [
      { key: "run", title: "Run" },
      ...classes.map((key) => ({ key, title: `${key} risk`, align: "right" } as const)),
    ];
    terminal.print(renderTable(
      columns,
      rows.map(({ run, factors }) => ({
        run,
        ...Object.fromEntries(classes.map((risk) => [risk, shown(factors[risk]!)])),
      })),
    ));
    terminal.print(
      `Slower than ${paths[0]} by this factor, on ${
        part === "sample" ? "the watched texts" : "texts held out"
      }. –: the first never got so low; ∞: no better than before training.`,
    );
    return { than: paths[0]!, part, runs: rows.map(asJson) };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

async function readWatchedLines(path: string): Promise<WatchedLine[]> {
  const lines = await readWatched(path);
  if (lines.length > 0) return lines;
  throw new CannotError(
    `tell the slowdown of "${path}"`,
    "nothing was watched in it",
    "Give the --out of train, which watches unless --watch-every is 0",
  );
}

// JSON has no infinity.
function asJson({ run, factors }: { run: string; factors: Record<string, number | null> }): object {
  const entries = Object.entries(factors).map(([risk, factor]) => [
    risk,
    factor === null ? "never" : factor === Infinity ? "infinite" : factor,
  ]);
  return { run, factors: Object.fromEntries(entries) };
}

// Other texts, or another model to begin with, would show before the first step.
function expectSameStart(paths: readonly string[], starts: readonly ClassLosses[]): void {
  const [first, ...others] = starts as [ClassLosses, ...ClassLosses[]];
  const odd = others.findIndex((start) =>
    Object.keys({ ...first, ...start }).some((risk) =>
      !(Math.abs(start[risk]! - first[risk]!) <= 1e-3)
    )
  );
  if (odd < 0) return;
  throw new CannotError(
    `tell the slowdown of "${paths[odd + 1]}"`,
    `before its first step it differs from "${paths[0]}"`,
    "Compare runs of the same texts, model and seed",
  );
}

function shown(factor: number | null): string {
  return factor === null ? "–" : factor === Infinity ? "∞" : `${factor.toPrecision(3)} ×`;
}
