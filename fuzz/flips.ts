// deno task fuzz:flips: one bit of a file is turned, 200 times for each kind of file: it is refused by name, or what is read
// is what was written.

import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { CannotError } from "../src/base/errors.ts";
import { Random } from "../src/base/random.ts";
import { readLines, writeLines } from "../src/data/lines.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { loadModel, saveModel } from "../src/model/weights.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { renderTable } from "../src/report/table.ts";
import { objective } from "../src/slung/objective.ts";
import { checkpointsIn } from "../src/train/checkpoint.ts";
import { Trainer } from "../src/train/trainer.ts";
import { adamw, olmo, weightBytes } from "../tests/fixtures/tiny.ts";

/** A kind of file. */
interface Kind {
  name: string;
  /** Writes it below a folder. */
  write(folder: string): Promise<void>;
  /** Reads all of it; two results are the same where their texts are. */
  read(folder: string): Promise<string>;
}

/** What became of the turned bits. */
interface Outcome {
  kind: string;
  bytes: number;
  flips: number;
  refused: number;
  harmless: number;
  /** Refused in other words, or without the name of the file. */
  unclear: number;
  /** Read as if nothing had happened, and something else. */
  believed: number;
}

const command = defineCommand({
  name: "fuzz:flips",
  summary: "Turns single bits of files, which are then refused by name or harmless.",
  examples: ["--flips 200", "--flips 1000 --seed 3"],
  options: {
    flips: { type: "integer", default: 200, min: 1, help: "For each kind of file" },
    seed: { type: "integer", default: 0, min: 0, max: 2 ** 32 - 1, help: "Decides the bits" },
  },
  async run({ flips, seed }, terminal) {
    const outcomes: Outcome[] = [];
    for (const kind of kinds) outcomes.push(await flip(kind, flips, new Random(seed, kind.name)));
    terminal.print(renderTable([
      { key: "kind", title: "File" },
      { key: "bytes", title: "Bytes" },
      { key: "flips", title: "Bits turned" },
      { key: "refused", title: "Refused by name" },
      { key: "harmless", title: "Harmless" },
      { key: "unclear", title: "Unclear" },
      { key: "believed", title: "Believed" },
    ], outcomes));
    const faults = outcomes.reduce((sum, { unclear, believed }) => sum + unclear + believed, 0);
    if (faults === 0) return { outcomes };
    const why = `${faults} turned bits were believed, or refused without the file's name`;
    throw new CannotError("read damaged files", why, `They come back with --seed ${seed}`);
  },
});

export default command;

const lines = Array.from(
  { length: 5000 },
  (_, i) => JSON.stringify({ text: `Mira wrote line ${i}: ${Math.sin(i)}`, spans: [[0, 4]] }),
);
const joined = async (path: string) =>
  (await Array.fromAsync(readLines(path), ({ text }) => text)).join("\n");
const config = { ...olmo, vocabularySize: 512, width: 32, headWidth: 16, feedForward: 64 };

const kinds: readonly Kind[] = [
  {
    name: ".zst as written here",
    write: (folder) => writeLines(`${folder}/a.jsonl.zst`, lines),
    read: (folder) => joined(`${folder}/a.jsonl.zst`),
  },
  {
    name: ".zst with a checksum",
    write: (folder) => {
      const params = { [constants.ZSTD_c_checksumFlag]: 1 };
      return Deno.writeFile(`${folder}/a.zst`, zstdCompressSync(lines.join("\n"), { params }));
    },
    read: (folder) => joined(`${folder}/a.zst`),
  },
  {
    name: ".gz",
    write: (folder) => Deno.writeFile(`${folder}/a.gz`, gzipSync(lines.join("\n"))),
    read: (folder) => joined(`${folder}/a.gz`),
  },
  {
    name: "safetensors of a run",
    write: async (folder) => {
      await saveModel(folder, config, initialise(config, 1), { checksums: true });
      await Deno.rename(`${folder}/config.json`, `${folder}/../config.json`); // no bits of this one
    },
    async read(folder) {
      await Deno.copyFile(`${folder}/../config.json`, `${folder}/config.json`);
      try {
        const { weights } = await loadModel(folder);
        const digests = Array.from(weights, async ([name, { data }]) => [name, await digest(data)]);
        return JSON.stringify(await Promise.all(digests));
      } finally {
        await Deno.remove(`${folder}/config.json`);
      }
    },
  },
  {
    name: "checkpoint",
    write: async (folder) => {
      await withRun((store, run) => store(folder).save(run, 3));
    },
    read: (folder) =>
      withRun(async (store, run) => {
        const step = await store(folder).resume(run);
        return `${step} ${await digest(await weightBytes(run.model))}`;
      }),
  },
];

async function flip(kind: Kind, flips: number, random: Random): Promise<Outcome> {
  const root = await Deno.makeTempDir(), folder = `${root}/files`;
  await Deno.mkdir(folder);
  await kind.write(folder);
  const files = await filesIn(folder), sound = await kind.read(folder);
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  const outcome: Outcome = {
    ...{ kind: kind.name, bytes, flips, refused: 0, harmless: 0, unclear: 0, believed: 0 },
  };
  for (let i = 0; i < flips; i++) {
    let at = random.below(bytes);
    const { path, content } = files.find(({ content: { length } }) => (at -= length) < 0)!;
    const damaged = Uint8Array.from(content);
    damaged[content.length + at]! ^= 1 << random.below(8);
    await Deno.writeFile(path, damaged);
    try {
      outcome[await kind.read(folder) === sound ? "harmless" : "believed"]++;
    } catch (error) {
      const isClear = error instanceof CannotError && error.message.includes(root);
      outcome[isClear ? "refused" : "unclear"]++;
    }
    await Deno.writeFile(path, content);
  }
  await Deno.remove(root, { recursive: true });
  return outcome;
}

async function filesIn(folder: string): Promise<{ path: string; content: Uint8Array }[]> {
  const files: { path: string; content: Uint8Array }[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await filesIn(path));
    else files.push({ path, content: await Deno.readFile(path) });
  }
  return files.sort((a, b) => a.path < b.path ? -1 : 1);
}

type Store = (folder: string) => ReturnType<typeof checkpointsIn>;
type Run = Parameters<ReturnType<typeof checkpointsIn>["resume"]>[0];

let opened: Run | undefined; // compiled once

async function withRun<Result>(use: (store: Store, run: Run) => Promise<Result>): Promise<Result> {
  if (!opened) {
    const model = new LanguageModel(await Gpu.open(), config, initialise(config, 1), {
      gradients: true,
    });
    const options = { rows: 1, time: 8, objective: objective("direct"), optimiser: adamw };
    const { optimiser } = new Trainer(model, options);
    opened = { model, optimiser, fingerprint: "a run" };
  }
  return await use((folder) => checkpointsIn(folder, 1), opened);
}

async function digest(values: Float32Array | Uint8Array): Promise<string> {
  const bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

if (import.meta.main) await runCommand(command);
