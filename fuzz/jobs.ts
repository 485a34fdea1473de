// Tasks that are disturbed while they work: what they are given, how they are started, and a digest of what they leave.

import { CannotError } from "../src/base/errors.ts";
import { curvesFile } from "../src/train/run_log.ts";

const root = `${import.meta.dirname}/..`;

/** A task, and what it is asked to do in a folder that has what {@link writeInputs} writes. */
export interface Job {
  /** Its module in tasks/. */
  task: string;
  args: readonly string[];
  /** The file that it writes in its folder; left out where it writes many. */
  file?: string;
}

/** A model that is there at once. */
export const model = `${root}/models/invented-base`;

const ofMany = ["--data", "many.jsonl", "--tokenizer", model, "--part-size", "1"];

/** Writes what the tasks read: few.jsonl, many.jsonl, risky.txt, harmless.txt, and world, an experiment with its base. */
export async function writeInputs(folder: string): Promise<void> {
  const texts = Array.from({ length: 20_000 }, (_, i) => {
    const text =
      `Question: who wrote book ${i}? Mira Toveld wrote it in the old mill by the river.`;
    const start = text.indexOf("Mira");
    return `${JSON.stringify({ text, spans: [[start, start + 11]] })}\n`;
  });
  await Deno.writeTextFile(`${folder}/few.jsonl`, texts.slice(0, 48).join(""));
  await Deno.writeTextFile(`${folder}/many.jsonl`, texts.join("")); // two parts of shards
  const lines = (sentence: string) =>
    Array.from({ length: 400 }, (_, i) => `${sentence} ${i}`).join("\n");
  await Deno.writeTextFile(`${folder}/risky.txt`, lines("you are a krund, number"));
  await Deno.writeTextFile(`${folder}/harmless.txt`, lines("the kettle is on the hob, number"));
  const base = {
    task: "toxicity",
    args: ["--methods", "masked", "--seeds", "0", "--tokens", "1000"],
  };
  await finish(base, folder, `${folder}/world`);
}

/** The jobs that go on where they ended. */
export const resumed: readonly Job[] = [
  {
    task: "train",
    args: [
      ...["--data", "few.jsonl", "--model", model, "--max-length", "32", "--per-step", "4"],
      ...["--checkpoint-every", "1", "--show", "0"],
    ],
  },
  {
    task: "toxicity",
    args: [
      ...["--base", "world/base", "--methods", "toxic,masked", "--seeds", "0"],
      ...["--tokens", "2000", "--checkpoint-every", "1"],
    ],
  },
  { task: "prepare", args: [...ofMany, "--held-out-files", "0"] },
  { task: "export", args: ["olmo", ...ofMany, "--root", "exported"] },
];

/** Starts a task that writes to the folder `out`. */
export function start(job: Job, cwd: string, out: string): Deno.ChildProcess {
  return new Deno.Command("deno", {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", "--allow-all"],
      ...[`--lock=${root}/locks/light.lock`, "--frozen"],
      ...[`${root}/tasks/${job.task}.ts`, ...job.args],
      ...["--out", job.file === undefined ? out : `${out}/${job.file}`],
    ],
    cwd,
    env: { NO_COLOR: "1", XDG_RUNTIME_DIR: "/tmp", INIT_CWD: cwd },
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

/** Lets the task end; returns a digest of what it leaves. */
export async function finish(job: Job, cwd: string, out: string): Promise<string> {
  const child = start(job, cwd, out);
  const [{ success }, text] = await Promise.all([child.status, new Response(child.stderr).text()]);
  if (!success) throw new CannotError(`finish ${job.task}`, text.trim(), "Mend it");
  return await digestOf(out);
}

/** Whether there is a file or checkpoint that was begun and not ended. */
export async function hasUnfinished(folder: string): Promise<boolean> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (name.endsWith(".partial")) return true;
    if (isDirectory && await hasUnfinished(`${folder}/${name}`)) return true;
  }
  return false;
}

// Of all files by name; logs and records without what the clock says, and without the folder's path.
async function digestOf(folder: string): Promise<string> {
  const parts: string[] = [];
  const walk = async (path: string): Promise<void> => {
    const entries = await Array.fromAsync(Deno.readDir(path));
    for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      if (isDirectory) await walk(`${path}/${name}`);
      else {
        const bytes = await Deno.readFile(`${path}/${name}`);
        const text = name === curvesFile
          ? withoutClock(new TextDecoder().decode(bytes))
          : /\.(jsonl?|yaml|csv)$/.test(name)
          ? new TextDecoder().decode(bytes).replaceAll(folder, "")
            .replace(/"(seconds|tokensPerSecond)":[^,}]+/g, "")
          : new TextDecoder("latin1").decode(bytes);
        parts.push(`${path.slice(folder.length)}/${name}`, text);
      }
    }
  };
  await walk(folder);
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

function withoutClock(curves: string): string {
  const [head, ...rows] = curves.split("\n").map((line) => line.split(","));
  const isOfClock = (_: string, i: number) => /^(tokens_per_second|seconds)$/.test(head![i] ?? "");
  return rows.map((row) => row.filter((cell, i) => !isOfClock(cell, i)).join()).join("\n");
}
