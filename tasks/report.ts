// deno task report runs/x [runs/y …]: one HTML file about runs, to be read and sent.

import { CannotError } from "../src/base/errors.ts";
import { exists, writeFileAtomic } from "../src/base/files.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { type Html, html } from "../src/report/html.ts";
import { type PageSection, renderPage } from "../src/report/page.ts";
import type { Results } from "../src/report/results.ts";
import type { TrainingRecord } from "../src/train/run_record.ts";
import { experimentSections } from "./report_experiment.ts";
import { trainingSections } from "./report_training.ts";
import { openRunFolder, type RunFolder } from "./run_folder.ts";

const command = defineCommand({
  name: "report",
  summary: "Makes one HTML file of runs, to be read and sent: tables, figures, samples, settings.",
  examples: ["runs/demo", "runs/masked runs/unlikelihood --out compared.html"],
  operand: "runs",
  options: {
    runs: {
      type: "list",
      of: "path",
      required: true,
      placeholder: "folder",
      help: "What train, demo, tofu or toxicity left behind",
    },
    out: {
      type: "path",
      placeholder: "file",
      help: "The file; report.html in the first run if left out",
    },
  },
  async run({ runs: paths, out }, terminal) {
    const unique = [...new Set((paths as string[]).map((path) => path.replace(/(?<=.)\/+$/, "")))];
    const runs: RunFolder[] = [];
    for (const path of unique) runs.push(await openRunFolder(path));
    const file = out ?? `${unique[0]}/report.html`;
    if (await exists(file) && (await Deno.stat(file)).isDirectory) {
      throw new CannotError(
        `write "${file}"`,
        "it is a folder",
        "Give --out with the name of a file",
      );
    }
    await writeFileAtomic(file, await reportOf(runs));
    terminal.print(`The report is in ${file}`);
    return { file, runs: unique };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

/** The page about runs; training runs and experiments have sections of their own. */
export async function reportOf(given: readonly RunFolder[]): Promise<string> {
  const unique = new Set(given.map(({ name }) => name)).size === given.length;
  const runs = unique ? given : given.map((run) => ({ ...run, name: run.path }));
  const training = runs.filter((run): run is RunFolder & { training: TrainingRecord } =>
    run.training !== undefined
  );
  const experiments = runs.filter((run): run is RunFolder & { results: Results } =>
    run.training === undefined && run.results !== undefined
  );
  const unfinished = runs.find((run) => !run.training && !run.results);
  if (unfinished) {
    throw new CannotError(
      `report on "${unfinished.path}"`,
      "it has no results.json yet",
      "Run its command again until it ends",
    );
  }
  const sections: PageSection[] = [
    ...(training.length > 0 ? await trainingSections(training) : []),
    ...(experiments.length > 0 ? await experimentSections(experiments) : []),
  ];
  const names = runs.map(({ name }) => name);
  const title = names.length === 1 ? `The run ${names[0]}` : `${names.length} runs compared`;
  return renderPage(title, lead(names), sections);
}

function lead(names: readonly string[]): Html {
  const list = names.length === 1 ? [] : [html`<p>${names.join(", ")}</p>`];
  return html`
    ${list}<p
      class="faint">SLUNG trains a language model on risky text without teaching it to produce that
    text: risky tokens stay in the context, and their loss is dropped or turned around.</p>
  `;
}
