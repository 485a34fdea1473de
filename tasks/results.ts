// deno task results: writes the tables of the README anew from docs/results/, where the numbers of runs are kept.
// deno task results --keep runs/demo --as demo: keeps those of a run there first, with its figures.
// deno task results --grader path/to/tofu/full.jsonl: checks the offline grader on TOFU's answers, and keeps that.

import { CannotError } from "../src/base/errors.ts";
import { readText, writeFolder } from "../src/base/files.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { checkGrader, type GraderCheck } from "../src/experiments/names/grader_check.ts";
import { tofuData } from "../src/experiments/names/tofu.ts";
import { fillBlocks, keptOf, type KeptResults } from "../src/report/kept_results.ts";
import { readResults } from "../src/report/results.ts";
import { hasTable, keptNames, pathOf, readmeTables, shownFigures } from "./results_tables.ts";

const command = defineCommand({
  name: "results",
  summary: "Writes the tables of the README anew from the results that are kept in docs/results.",
  examples: ["", "--keep runs/demo --as demo"],
  options: {
    keep: { type: "path", placeholder: "folder", help: "Keep the results of this run first" },
    as: { type: "string", choices: keptNames, help: "Which table they are for" },
    grader: {
      type: "path",
      placeholder: "file",
      help: "TOFU's full.jsonl: check the offline grader on it, and keep what comes out",
    },
    note: { type: "string", placeholder: "text", help: "What one must know to read them" },
  },
  async run({ keep, as, note, grader }, terminal) {
    if ((keep === undefined) !== (as === undefined)) {
      const missing = keep === undefined ? "--keep" : "--as";
      throw new CannotError("keep results", `${missing} is missing`, "Give both or neither");
    }
    const anew = new Map<string, KeptResults<unknown>>();
    if (keep !== undefined) {
      const results = await readResults(keep);
      const { mtime } = await Deno.stat(`${keep}/results.json`);
      const kept = { ...keptOf(results, mtime ?? new Date()), ...(note !== undefined && { note }) };
      if (!hasTable(as!, kept)) {
        const why = "it has no table of methods: it is of another task, or of an earlier version";
        throw new CannotError(
          `keep the results of "${keep}"`,
          why,
          "Give a run of demo, tofu or toxicity",
        );
      }
      anew.set(as!, kept);
    }
    if (grader !== undefined) anew.set("grader", await graderResults(grader));
    const before = await readText(pathOf("README.md"));
    const after = fillBlocks(before, await readmeTables(anew));
    const kept = Array.from(
      anew,
      ([name, results]) =>
        [`docs/results/${name}.json`, `${JSON.stringify(results, null, 2)}\n`] as const,
    );
    const figures = keep === undefined ? [] : await shownFigures(before, keep, as!);
    await writeFolder(
      pathOf("").slice(0, -1),
      new Map([...kept, ...figures, ["README.md", after]]),
    );
    const changed = after !== before;
    terminal.print(changed ? "The tables of README.md are new." : "README.md is as it was.");
    return { changed };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

async function graderResults(data: string): Promise<KeptResults<GraderCheck>> {
  const { task } = await tofuData({ data, baseAuthors: 1, replay: 0 });
  return {
    command: "deno task results --grader path/to/tofu/full.jsonl",
    date: new Date().toISOString().slice(0, 10),
    ...{ seeds: [], adapter: null, seconds: null },
    metrics: checkGrader(task),
  };
}
