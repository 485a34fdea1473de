// deno task export eval --results FOLDER --out FOLDER: what models wrote, for other programs of evaluation.

import { CannotError } from "../src/base/errors.ts";
import { exists, writeFolder } from "../src/base/files.ts";
import { lmEvaluationFiles, openUnlearningFiles, textsByModel } from "../src/eval/interchange.ts";
import { defineCommand } from "../src/report/command_line.ts";
import { readResults } from "../src/report/results.ts";

/** The command. */
export const exportToEvaluations = defineCommand({
  name: "export eval",
  summary:
    "Writes what the models of an experiment wrote as files of lm-evaluation-harness and open-unlearning.",
  examples: [
    "--results runs/demo --out exported",
    "--results runs/tofu --split retain --task tofu_names --out exported",
  ],
  options: {
    results: {
      type: "path",
      required: true,
      placeholder: "folder",
      help: "The folder of an experiment, with its results.json",
    },
    out: { type: "path", required: true, placeholder: "folder", help: "Where the files go" },
    task: { type: "string", default: "slung", help: "What lm-evaluation-harness calls the task" },
    split: {
      type: "string",
      choices: ["forget", "retain"],
      default: "forget",
      help: "Whose questions they are, in open-unlearning's words",
    },
  },
  async run({ results, out, task, split }, terminal) {
    if (!/^\w+$/.test(task)) {
      throw new CannotError(
        `name the task "${task}"`,
        "it is part of the names of files",
        "Give a name of letters, digits and _",
      );
    }
    const { generations } = await readResults(results);
    const models = textsByModel(generations);
    if (models.length === 0) {
      const why = "no model wrote anything in it, or its texts were not kept";
      throw new CannotError(
        `export "${results}"`,
        why,
        "Choose an experiment that keeps its texts",
      );
    }
    const { mtime } = await Deno.stat(`${results}/results.json`);
    const files = new Map<string, string>();
    for (const model of models) {
      const harness = lmEvaluationFiles(model, { task, date: mtime ?? new Date(0) });
      const unlearning = openUnlearningFiles(model, { split });
      for (const [path, text] of Object.entries(harness)) files.set(`lm_eval/${path}`, text);
      for (const [path, text] of Object.entries(unlearning)) {
        files.set(`open_unlearning/${path}`, text);
      }
    }
    for (const path of files.keys()) {
      if (!await exists(`${out}/${path}`)) continue;
      throw new CannotError(
        `write "${out}/${path}"`,
        "it is there already",
        "Choose another folder",
      );
    }
    await writeFolder(out, files);
    const names = models.map(({ model }) => model);
    terminal.print(`${files.size} files of ${names.join(", ")} are in ${out}.`);
    return { out, models: names, files: [...files.keys()] };
  },
});
