// deno task results: writes the tables of the README anew from docs/results/, where the numbers of runs are kept.
// deno task results --keep runs/demo --as demo: keeps those of a run there first.
// deno task results --grader path/to/tofu/full.jsonl: checks the offline grader on TOFU's answers, and keeps that.

import { CannotError } from "../src/base/errors.ts";
import { readText, writeFileAtomic } from "../src/base/files.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { checkGrader, type GraderCheck } from "../src/experiments/names/grader_check.ts";
import { tofuData } from "../src/experiments/names/tofu.ts";
import { fillBlocks, keptOf, type KeptResults } from "../src/report/kept_results.ts";
import { readResults } from "../src/report/results.ts";
import { keptNames, pathOf, readmeTables } from "./results_tables.ts";

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
    if (keep !== undefined) {
      const results = await readResults(keep);
      const { mtime } = await Deno.stat(`${keep}/results.json`);
      const kept = { ...keptOf(results, mtime ?? new Date()), ...(note !== undefined && { note }) };
      await write(as!, kept);
    }
    if (grader !== undefined) await write("grader", await graderResults(grader));
    const path = pathOf("README.md"), before = await readText(path);
    const after = fillBlocks(before, await readmeTables());
    await writeFileAtomic(path, after);
    const changed = after !== before;
    terminal.print(changed ? "The tables of README.md are new." : "README.md is as it was.");
    return { changed };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

async function write(name: string, kept: KeptResults<unknown>): Promise<void> {
  await writeFileAtomic(pathOf(`docs/results/${name}.json`), `${JSON.stringify(kept, null, 2)}\n`);
}

async function graderResults(data: string): Promise<KeptResults<GraderCheck>> {
  const { task } = await tofuData({ data, baseAuthors: 1, replay: 0 });
  return {
    command: "deno task results --grader path/to/tofu/full.jsonl",
    date: new Date().toISOString().slice(0, 10),
    ...{ seeds: [], adapter: null, seconds: null },
    metrics: checkGrader(task),
  };
}
