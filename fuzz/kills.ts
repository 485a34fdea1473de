// deno task fuzz:kills: ends train, toxicity, prepare and export with SIGKILL again and again, half of the time while a file is
// being written, lets them go on, and compares what they leave with what they leave undisturbed.

import { CannotError } from "../src/base/errors.ts";
import { Random } from "../src/base/random.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { createProgress } from "../src/report/progress.ts";
import { renderTable } from "../src/report/table.ts";
import { finish, hasUnfinished, type Job, resumed, start, writeInputs } from "./jobs.ts";

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
      for (const [i, job] of resumed.entries()) {
        const before = outcomes.reduce((sum, { kills }) => sum + kills, 0);
        const share = Math.ceil((kills - before) / (resumed.length - i));
        const onKill = (done: number) => progress.update(before + done, job.task);
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

if (import.meta.main) await runCommand(command);

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
  const random = new Random(seed, job.task);
  const began = performance.now();
  const undisturbed = await finish(job, folder, `${folder}/undisturbed/${job.task}`);
  const duration = performance.now() - began;
  const outcome: Outcome = { task: job.task, kills: 0, inside: 0, runs: 0, equal: 0 };
  while (outcome.kills < kills) {
    const out = `${folder}/${outcome.runs}/${job.task}`; // a model card tells the name of its folder
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
    else terminal.note(`${job.task}, run ${outcome.runs}: it left something else`);
    await Deno.remove(out, { recursive: true });
  }
  return outcome;
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
  throw new CannotError(`go on with ${job.task}`, `it ended with ${code}: ${text}`, "Mend it");
}
