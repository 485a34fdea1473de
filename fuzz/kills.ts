// deno task fuzz:kills: ends train, toxicity, prepare and export with SIGKILL again and again, half of the time while a file is
// being written, lets them go on, and compares what they leave with what they leave undisturbed.

import { CannotError } from "../src/base/errors.ts";
import { Random } from "../src/base/random.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { createProgress } from "../src/report/progress.ts";
import { renderTable } from "../src/report/table.ts";
import { curvesFile } from "../src/train/run_log.ts";

const root = new URL("../", import.meta.url);

/** A task that is killed. */
interface Job {
  name: string;
  args: readonly string[];
}

/** What came of it. */
interface Outcome {
  task: string;
  kills: number;
  /** Kills after which an unfinished file or checkpoint lay there. */
  inside: number;
  runs: number;
  equal: number;
}

const command = defineCommand({
  name: "fuzz:kills",
  summary:
    "Kills train, toxicity, prepare and export at random moments, and compares what they leave.",
  examples: ["--kills 100", "--kills 20 --seed 3"],
  options: {
    kills: { type: "integer", default: 100, min: 4, help: "In all; a quarter of them of each" },
    seed: { type: "integer", default: 0, min: 0, max: 2 ** 32 - 1, help: "Decides the moments" },
  },
  async run({ kills, seed }, terminal) {
    const folder = await Deno.makeTempDir();
    try {
      const outcomes: Outcome[] = [];
      using progress = createProgress({ total: kills, label: "Killing" });
      await writeInputs(folder);
      for (const [i, job] of jobs.entries()) {
        const before = outcomes.reduce((sum, { kills }) => sum + kills, 0);
        const share = Math.ceil((kills - before) / (jobs.length - i));
        const onKill = (done: number) => progress.update(before + done, job.name);
        outcomes.push(await tormented(job, { folder, kills: share, seed, onKill }, terminal));
      }
      terminal.print(renderTable([
        { key: "task", title: "Task" },
        { key: "kills", title: "Kills" },
        { key: "inside", title: "while writing" },
        { key: "runs", title: "Runs" },
        { key: "equal", title: "Equal" },
      ], outcomes));
      const different = outcomes.reduce((sum, { runs, equal }) => sum + runs - equal, 0);
      if (different === 0) return { outcomes };
      const why = `${different} runs left something else than undisturbed ones`;
      throw new CannotError("go on after a kill", why, `They come back with --seed ${seed}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

export default command;

const model = new URL("models/invented-base", root).pathname;
const ofMany = ["--data", "many.jsonl", "--tokenizer", model, "--part-size", "1"];
const jobs: readonly Job[] = [
  {
    name: "train",
    args: [
      ...["--data", "few.jsonl", "--model", model, "--max-length", "32", "--per-step", "4"],
      ...["--checkpoint-every", "1", "--show", "0"],
    ],
  },
  {
    name: "toxicity",
    args: [
      ...["--base", "world/base", "--methods", "toxic,masked", "--seeds", "0"],
      ...["--tokens", "2000", "--checkpoint-every", "1"],
    ],
  },
  { name: "prepare", args: [...ofMany, "--held-out-files", "0"] },
  { name: "export", args: ["olmo", ...ofMany, "--root", "exported"] },
];

if (import.meta.main) await runCommand(command);

async function writeInputs(folder: string): Promise<void> {
  const texts = Array.from({ length: 20_000 }, (_, i) => {
    const text =
      `Question: who wrote book ${i}? Mira Toveld wrote it in the old mill by the river.`;
    const start = text.indexOf("Mira");
    return `${JSON.stringify({ text, spans: [[start, start + 11]] })}\n`;
  });
  await Deno.writeTextFile(`${folder}/few.jsonl`, texts.slice(0, 48).join(""));
  await Deno.writeTextFile(`${folder}/many.jsonl`, texts.join("")); // two parts of shards
  const base = {
    name: "toxicity",
    args: ["--methods", "masked", "--seeds", "0", "--tokens", "1000"],
  };
  await finish(base, folder, `${folder}/world`);
}

interface Torment {
  folder: string;
  kills: number;
  seed: number;
  onKill: (done: number) => void;
}

async function tormented(
  job: Job,
  { folder, kills, seed, onKill }: Torment,
  terminal: Terminal,
): Promise<Outcome> {
  const random = new Random(seed, job.name);
  const began = performance.now();
  const undisturbed = await finish(job, folder, `${folder}/undisturbed/${job.name}`);
  const duration = performance.now() - began;
  const outcome: Outcome = { task: job.name, kills: 0, inside: 0, runs: 0, equal: 0 };
  while (outcome.kills < kills) {
    const out = `${folder}/${outcome.runs}/${job.name}`; // a model card tells the name of its folder
    await Deno.mkdir(out, { recursive: true });
    const planned = Math.min(kills - outcome.kills, 2 + random.below(7));
    for (let i = 0; i < planned; i++) {
      const wasKilled = await killed(job, folder, out, random, duration);
      if (!wasKilled) break; // it was faster
      outcome.kills++;
      if (await hasUnfinished(out)) outcome.inside++;
      onKill(outcome.kills);
    }
    const left = await finish(job, folder, out);
    outcome.runs++;
    if (left === undisturbed) outcome.equal++;
    else terminal.note(`${job.name}, run ${outcome.runs}: it left something else`);
    await Deno.remove(out, { recursive: true });
  }
  return outcome;
}

function start(job: Job, cwd: string, out: string): Deno.ChildProcess {
  return new Deno.Command("deno", {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", "--allow-all"],
      ...[`--lock=${new URL("locks/light.lock", root).pathname}`, "--frozen"],
      ...[new URL(`tasks/${job.name}.ts`, root).pathname, ...job.args, "--out", out],
    ],
    cwd,
    env: { NO_COLOR: "1", XDG_RUNTIME_DIR: "/tmp", INIT_CWD: cwd },
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

// Kills at any moment, or at one of the next times that a file is begun. False where the task ended before.
async function killed(
  job: Job,
  cwd: string,
  out: string,
  random: Random,
  duration: number,
): Promise<boolean> {
  const child = start(job, cwd, out);
  const said = new Response(child.stderr).text();
  let ended = false;
  const status = child.status.then((result) => {
    ended = true;
    return result;
  });
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended */ }
  };
  if (random.below(2) === 0) {
    const timer = setTimeout(kill, random.uniform() * duration);
    await status;
    clearTimeout(timer);
  } else {
    let left = 1 + random.below(30);
    using watcher = Deno.watchFs(out);
    status.then(() => watcher.close()).catch(() => {});
    try {
      for await (const { paths } of watcher) {
        if (ended || !paths.some((path) => path.includes(".partial"))) continue;
        if (--left === 0) {
          kill();
          break;
        }
      }
    } catch { /* closed, since the task ended */ }
  }
  const { success, signal, code } = await status;
  const text = await said;
  if (signal === "SIGKILL") return true;
  if (success) return false;
  throw new CannotError(`go on with ${job.name}`, `it ended with ${code}: ${text}`, "Mend it");
}

/** Lets the task end; returns a digest of what it leaves. */
async function finish(job: Job, cwd: string, out: string): Promise<string> {
  const child = start(job, cwd, out);
  const [{ success }, text] = await Promise.all([child.status, new Response(child.stderr).text()]);
  if (!success) throw new CannotError(`finish ${job.name}`, text.trim(), "Mend it");
  return await digestOf(out);
}

async function hasUnfinished(folder: string): Promise<boolean> {
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
