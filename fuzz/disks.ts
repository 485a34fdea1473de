// deno task fuzz:disks: lets every task that writes meet a full disk and a read-only one, looks at how it refuses and what it
// leaves, gives it room, and compares what it leaves then with what it leaves undisturbed. Takes Linux and root.

import { CannotError } from "../src/base/errors.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { createProgress } from "../src/report/progress.ts";
import { renderTable } from "../src/report/table.ts";
import { type SmallDisk, smallDisk } from "../tests/fixtures/small_disk.ts";
import { finish, hasUnfinished, type Job, model, resumed, start, writeInputs } from "./jobs.ts";

/** What came of a task. */
interface Outcome {
  task: string;
  /** Disks that it met. */
  disks: number;
  /** Of these, those that it refused as a sentence, with nothing begun and not ended. */
  refused: number;
  /** Of these, those on which it left, with room at last, what it leaves undisturbed. */
  equal: number;
}

const jobs: readonly Job[] = [
  ...resumed,
  { task: "export", args: ["onnx", "--model", model] },
  { task: "export", args: ["eval", "--results", "world"] },
  { task: "label", args: ["--text", "many.jsonl", "--pattern", "email"], file: "labels.jsonl" },
  { task: "label", args: ["--text", "many.jsonl", "--pattern", "email"], file: "labels.parquet" },
  {
    task: "train_classifier",
    args: ["--risky", "risky.txt", "--harmless", "harmless.txt"],
    file: "risky.linear",
  },
  { task: "report", args: ["world"], file: "report.html" },
  { task: "page", args: [] },
];

const shares = [0.02, 0.3, 0.6, 0.9]; // of what it writes undisturbed

const command = defineCommand({
  name: "fuzz:disks",
  summary:
    "Fills the disk under every task that writes, or forbids writing, and sees what is left.",
  examples: ["", "--task label"],
  options: {
    task: {
      type: "list",
      choices: [...new Set(jobs.map(({ task }) => task))],
      help: "Only these; all if left out",
    },
  },
  async run({ task: wanted = [] }, terminal) {
    const chosen = jobs.filter(({ task }) => wanted.length === 0 || wanted.includes(task));
    const folder = await Deno.makeTempDir();
    try {
      await writeInputs(folder);
      const outcomes: Outcome[] = [];
      using progress = createProgress({ total: chosen.length, label: "Filling" });
      for (const [i, job] of chosen.entries()) {
        outcomes.push(await withoutRoom(job, folder, `${folder}/undisturbed${i}`, terminal));
        progress.update(i + 1, nameOf(job));
      }
      terminal.print(renderTable([
        { key: "task", title: "Task" },
        { key: "disks", title: "Disks" },
        { key: "refused", title: "Refused, nothing half-written" },
        { key: "equal", title: "Equal with room" },
      ], outcomes));
      const wrong = outcomes.filter(({ disks, refused, equal }) =>
        refused < disks || equal < disks
      );
      if (wrong.length === 0) return { outcomes };
      const why = `${wrong.map(({ task }) => task).join(", ")} did something else`;
      throw new CannotError("fill every disk and lose nothing", why, "See the lines above");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

export default command;

if (import.meta.main) await runCommand(command);

function nameOf({ task, args, file }: Job): string {
  if (file !== undefined) return `${task}, ${file}`;
  return task === "export" ? `${task} ${args[0]}` : task;
}

async function withoutRoom(
  job: Job,
  cwd: string,
  folder: string,
  terminal: Terminal,
): Promise<Outcome> {
  const task = nameOf(job), usual = `${folder}/${job.task}`; // a model card tells the name of its folder
  await Deno.mkdir(usual, { recursive: true });
  const undisturbed = await finish(job, cwd, usual), bytes = await bytesOf(usual);
  const outcome: Outcome = { task, disks: 0, refused: 0, equal: 0 };
  for (const share of [undefined, ...shares]) {
    const pages = share === undefined ? 256 : Math.max(1, Math.floor(share * bytes / 4096));
    await using disk = await smallDisk(`${4 * pages}k`);
    if (!disk) throw new CannotError("fill a disk", "it takes Linux and root", "Run it as root");
    const out = `${disk.path}/${job.task}`;
    await Deno.mkdir(out);
    if (share === undefined) await disk.remount("ro");
    outcome.disks++;
    const fault = await faultOf(job, cwd, out);
    const where = share === undefined ? "read-only" : `full at ${4 * pages} KiB`;
    if (fault === undefined) outcome.refused++;
    else terminal.note(`${task}, ${where}: ${fault}`);
    if (await isEqual(job, { cwd, out, disk, undisturbed })) outcome.equal++;
    else terminal.note(`${task}, ${where}: with room at last, it left something else`);
  }
  return outcome;
}

// What is wrong with how a task refuses a disk.
async function faultOf(job: Job, cwd: string, out: string): Promise<string | undefined> {
  const child = start(job, cwd, out);
  const [{ code }, text] = await Promise.all([child.status, new Response(child.stderr).text()]);
  if (code !== 1) return `it ended with ${code}`;
  if (!/^Cannot .*\. \S.*$/m.test(text) || text.includes("\n    at ")) return text.trim();
  return await hasUnfinished(out) ? "it left what it had begun" : undefined;
}

async function isEqual(
  job: Job,
  { cwd, out, disk, undisturbed }: {
    cwd: string;
    out: string;
    disk: SmallDisk;
    undisturbed: string;
  },
): Promise<boolean> {
  await disk.remount("rw,size=64m");
  return await finish(job, cwd, out) === undisturbed;
}

async function bytesOf(folder: string): Promise<number> {
  let bytes = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    bytes += isDirectory ? await bytesOf(path) : (await Deno.stat(path)).size;
  }
  return bytes;
}
