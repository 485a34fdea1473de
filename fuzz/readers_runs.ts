// What runs keep: whatever is accepted is what was written, or of the same types.

import { readSealed, writeSealed } from "../src/experiments/sealed.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { initialise } from "../src/model/initialise.ts";
import { initialiseLora, withLora } from "../src/model/lora.ts";
import {
  inMemory,
  openModelFiles,
  readIntoMemory,
  saveAdapter,
  saveModel,
} from "../src/model/weights.ts";
import { describeProcess } from "../src/base/process.ts";
import { readResults, writeResults } from "../src/report/results.ts";
import { objective } from "../src/slung/objective.ts";
import { checkpointsIn } from "../src/train/checkpoint.ts";
import { lossSeries, openLog } from "../src/train/run_log.ts";
import { Trainer } from "../src/train/trainer.ts";
import { adamw, llama, olmo } from "../tests/fixtures/tiny.ts";
import type { Files, Reader } from "./reader.ts";

const measured = { auroc: 0.625, answers: [{ question: "Who?", named: false }], n: 3 };
const step = (i: number) =>
  JSON.stringify({
    step: i,
    loss: 2.5,
    lossByClass: { low: 2.5 },
    gradientNorm: 1,
    tokens: 8,
    seconds: i,
  }) + "\n";
const results = {
  config: { seeds: [0], epochs: 2 },
  seeds: { "seed 0": 0 },
  adapter: null,
  ...describeProcess(),
  metrics: { loss: 1 },
  generations: [],
  timing: { training: 1 },
};

/** The readers of what runs keep. */
export const runs: readonly Reader[] = [
  {
    name: "run files",
    files: () => written((folder) => writeSealed(`${folder}/run.json`, measured)),
    damage: { "run.json": "json" },
    async read(folder) {
      const found = JSON.stringify(await readSealed(`${folder}/run.json`));
      return found === JSON.stringify(measured) ? undefined : `it became ${found.slice(0, 80)}`;
    },
  },
  {
    name: "results.json",
    files: () => written((folder) => writeResults(folder, results)),
    damage: { "results.json": "json" },
    async read(folder) {
      const { config, metrics } = await readResults(folder);
      return [config, metrics].every((fields) => Object(fields) === fields)
        ? undefined
        : "no fields";
    },
  },
  {
    name: "log of a run",
    files: () => ({ "log.jsonl": [0, 1, 2].map(step).join("") }),
    damage: { "log.jsonl": "lines" },
    async read(folder) {
      {
        using log = await openLog(`${folder}/log.jsonl`);
        log.write({ ...JSON.parse(step(2)), lossByClass: [undefined, 2] });
      }
      const series = await lossSeries(folder);
      return series.length > 0 ? undefined : "the line that was written is not there";
    },
  },
  {
    name: "checkpoints",
    files: async () => await written((folder) => checkpointed(folder, "save")),
    damage: {
      "step-00000003/training.json": "json",
      "step-00000003/optimiser.safetensors": "bytes",
      "step-00000003/model.safetensors": "bytes",
      "step-00000003/config.json": "json",
    },
    async read(folder) {
      const step = await checkpointed(folder, "resume");
      return step === 3 ? undefined : `it goes on from step ${step}`;
    },
  },
  {
    name: "LoRA as PEFT keeps it",
    files: () =>
      written(async (folder) => {
        const settings = { rank: 2, alpha: 4, targets: ["q_proj"] as const };
        const model = inMemory({ config: llama, weights: initialise(llama, 1) });
        await saveModel(`${folder}/base`, llama, (await readIntoMemory(model)).weights);
        const lora = { ...settings, targets: [...settings.targets] };
        const changes = initialiseLora(llama, lora, 1);
        withLora(model, changes);
        await saveAdapter(`${folder}/adapter`, llama, lora, changes, "base");
      }),
    damage: { "adapter/adapter_config.json": "json", "adapter/adapter_model.safetensors": "bytes" },
    async read(folder) {
      const source = await openModelFiles(`${folder}/base`, `${folder}/adapter`);
      for await (const [name, { data }] of source.tensors()) {
        if (!data.every((value) => Number.isFinite(value))) return `${name} is not finite`;
      }
      return undefined;
    },
  },
];

let trained: { model: LanguageModel; trainer: Trainer } | undefined; // compiled once

async function checkpointed(folder: string, what: "save" | "resume"): Promise<number> {
  if (!trained) {
    const gpu = await Gpu.open();
    const model = new LanguageModel(gpu, olmo, initialise(olmo, 1), { gradients: true });
    const options = { rows: 1, time: 8, objective: objective("direct"), optimiser: adamw };
    trained = { model, trainer: new Trainer(model, options) };
  }
  const { model, trainer: { optimiser } } = trained;
  const run = { model, optimiser, fingerprint: "a run" };
  const store = checkpointsIn(folder, 1);
  if (what === "resume") return await store.resume(run);
  await store.save(run, 3);
  return 3;
}

async function written(write: (folder: string) => Promise<unknown>): Promise<Files> {
  const root = await Deno.makeTempDir(), files: Files = {};
  await write(root);
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
      if (isDirectory) await walk(`${folder}${name}/`);
      else files[folder + name] = await Deno.readFile(`${root}/${folder}${name}`);
    }
  };
  await walk("");
  await Deno.remove(root, { recursive: true });
  return files;
}
