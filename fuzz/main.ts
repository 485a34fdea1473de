// deno task fuzz: damages the files of every reader and counts what becomes of them. It ends with 1 when a reader hung,
// crashed, failed without a sentence or accepted nonsense.

import { TextLineStream } from "./lines.ts";
import { CannotError } from "../src/base/errors.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { createProgress } from "../src/report/progress.ts";
import { renderTable } from "../src/report/table.ts";
import type { Verdict } from "./child.ts";
import { readers } from "./readers.ts";

const longestWait = 5000; // ms for one input
const longestStart = 120_000;

/** What became of the inputs of a reader. */
interface Counts {
  reader: string;
  inputs: number;
  clear: number;
  accepted: number;
  raw: number;
  nonsense: number;
  hangs: number;
  crashes: number;
  /** MiB. */
  memory: number;
}

const command = defineCommand({
  name: "fuzz",
  summary:
    "Damages the files of every reader, and counts what is refused clearly, and what is not.",
  examples: ["--minutes 10", '--reader "texts with spans" --inputs 10000 --seed 7'],
  options: {
    minutes: { type: "number", min: 0.01, help: "For all readers together; no limit if left out" },
    inputs: { type: "integer", default: 1000, min: 1, help: "For each reader" },
    reader: {
      type: "list",
      choices: readers.map(({ name }) => name),
      help: "Only these; all if left out",
    },
    seed: { type: "integer", default: 0, min: 0, max: 2 ** 32 - 1, help: "Decides the inputs" },
    show: { type: "integer", default: 3, min: 0, help: "Faults of a kind to show for each reader" },
  },
  async run({ minutes, inputs, reader: chosen, seed, show }, terminal) {
    const names = readers.map(({ name }) => name).filter((name) =>
      chosen.length === 0 || chosen.includes(name)
    );
    const each = minutes === undefined ? Infinity : minutes * 60_000 / names.length;
    const all: Counts[] = [];
    using progress = createProgress({ total: names.length * inputs, label: "Fuzzing" });
    for (const [i, name] of names.entries()) {
      const until = performance.now() + each;
      all.push(
        await fuzz(
          name,
          { seed, inputs, until, show },
          terminal,
          (done) => progress.update(i * inputs + done, name),
        ),
      );
    }
    terminal.print(table(all));
    const faults = all.reduce(
      (sum, { raw, nonsense, hangs, crashes }) => sum + raw + nonsense + hangs + crashes,
      0,
    );
    if (faults === 0) return { readers: all };
    throw new CannotError(
      "read damaged files",
      `${faults} inputs had another end than a sentence or a sound result`,
      `They come back with --seed ${seed}`,
    );
  },
});

export default command;

if (import.meta.main) await runCommand(command);

interface Settings {
  seed: number;
  inputs: number;
  /** On the clock of `performance`. */
  until: number;
  show: number;
}

async function fuzz(
  reader: string,
  { seed, inputs, until, show }: Settings,
  terminal: Terminal,
  onInput: (done: number) => void,
): Promise<Counts> {
  const counts: Counts = {
    ...{
      reader,
      inputs: 0,
      clear: 0,
      accepted: 0,
      raw: 0,
      nonsense: 0,
      hangs: 0,
      crashes: 0,
      memory: 0,
    },
  };
  const told: Record<string, number> = {};
  const tell = (input: number, kind: string, said: string) => {
    told[kind] = (told[kind] ?? 0) + 1;
    if (told[kind] <= show) terminal.note(`${reader}, input ${input}, ${kind}: ${said}`);
  };
  for (let first = 0; first < inputs && performance.now() < until;) {
    const child = spawn(reader, seed, first, inputs);
    let alive = true;
    try {
      for (let wait = longestStart; alive && performance.now() < until; wait = longestWait) {
        const verdict = await next(child.lines, wait);
        if (verdict === "silent" || verdict === "ended") {
          alive = false;
          if (first >= inputs) break;
          const kind = verdict === "silent" ? "hangs" : "crashes";
          counts[kind]++;
          counts.inputs++;
          tell(
            first++,
            kind,
            verdict === "silent" ? `nothing after ${wait / 1000} s` : await child.errors(),
          );
          continue;
        }
        counts.memory = Math.max(counts.memory, Math.round(verdict.memory / 2 ** 20));
        if (verdict.input < 0) continue;
        first = verdict.input + 1;
        counts.inputs++;
        counts[verdict.kind]++;
        if (verdict.said !== undefined) tell(verdict.input, verdict.kind, verdict.said);
        onInput(first);
      }
    } finally {
      await child.end();
    }
  }
  return counts;
}

function spawn(reader: string, seed: number, first: number, end: number) {
  const process = new Deno.Command("deno", {
    args: [
      ...["run", "--quiet", "--lock=locks/light.lock", "--frozen", "--allow-all", "--no-prompt"],
      ...["fuzz/child.ts", reader, String(seed), String(first), String(end)],
    ],
    cwd: new URL("../", import.meta.url),
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const said = new Response(process.stderr).text();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
    new TextLineStream(),
  )
    .getReader();
  return {
    lines,
    errors: async () =>
      (await said).trim().split("\n").slice(0, 6).join(" | ") || "it ended without a word",
    async end() {
      try {
        process.kill("SIGKILL");
      } catch { /* it has ended */ }
      await lines.cancel();
      await Promise.all([process.status, said]);
    },
  };
}

async function next(
  lines: ReadableStreamDefaultReader<string>,
  wait: number,
): Promise<Verdict | "silent" | "ended"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silent = new Promise<"silent">((resolve) =>
    timer = setTimeout(() => resolve("silent"), wait)
  );
  try {
    const read = await Promise.race([lines.read(), silent]);
    if (read === "silent") return "silent";
    return read.done ? "ended" : JSON.parse(read.value);
  } finally {
    clearTimeout(timer);
  }
}

function table(all: readonly Counts[]): string {
  return renderTable([
    { key: "reader", title: "Reader" },
    { key: "inputs", title: "Inputs" },
    { key: "clear", title: "Refused" },
    { key: "accepted", title: "Accepted" },
    { key: "raw", title: "Raw errors" },
    { key: "nonsense", title: "Nonsense" },
    { key: "hangs", title: "Hangs" },
    { key: "crashes", title: "Crashes" },
    { key: "memory", title: "Memory", unit: "MiB" },
  ], all);
}
