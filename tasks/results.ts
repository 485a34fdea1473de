// deno task results: writes the tables of the README anew from docs/results/, where the numbers of runs are kept.
// deno task results --keep runs/demo --as demo: keeps those of a run there first.

import { CannotError } from "../src/base/errors.ts";
import { readText, writeFileAtomic } from "../src/base/files.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { fillBlocks, keptOf } from "../src/report/kept_results.ts";
import { readResults } from "../src/report/results.ts";
import { keptNames, pathOf, readmeTables } from "./results_tables.ts";

const command = defineCommand({
  name: "results",
  summary: "Writes the tables of the README anew from the results that are kept in docs/results.",
  examples: ["", "--keep runs/demo --as demo"],
  options: {
    keep: { type: "path", placeholder: "folder", help: "Keep the results of this run first" },
    as: { type: "string", choices: keptNames, help: "Which table they are for" },
    note: { type: "string", placeholder: "text", help: "What one must know to read them" },
  },
  async run({ keep, as, note }, terminal) {
    if ((keep === undefined) !== (as === undefined)) {
      const missing = keep === undefined ? "--keep" : "--as";
      throw new CannotError("keep results", `${missing} is missing`, "Give both or neither");
    }
    if (keep !== undefined) {
      const results = await readResults(keep);
      const { mtime } = await Deno.stat(`${keep}/results.json`);
      const kept = { ...keptOf(results, mtime ?? new Date()), ...(note !== undefined && { note }) };
      const text = `${JSON.stringify(kept, null, 2)}\n`;
      await writeFileAtomic(pathOf(`docs/results/${as}.json`), text);
    }
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
