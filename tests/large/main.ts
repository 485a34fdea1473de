// deno task test:large: OLMo 1B in full size with random weights, on whatever adapter there is: read from BF16 shards,
// its logits against PyTorch's, generation, a LoRA step, and what a full step would take. Takes minutes, 3 GB of disk and
// 12 GB of memory, so that it is no part of the other tests. Every stage is a process of its own, so that each can say
// what memory it took at most.

import process from "node:process";
import { describeBytes } from "../../src/base/bytes.ts";
import { packSequences } from "../../src/data/packing.ts";
import { lowRiskSequence } from "../../src/data/sequence.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { Program } from "../../src/gpu/program.ts";
import { BatchTensors } from "../../src/model/batch_tensors.ts";
import { generate } from "../../src/model/generate.ts";
import { LanguageModel } from "../../src/model/language_model.ts";
import { initialiseLora, type LoraSettings, withLora } from "../../src/model/lora.ts";
import { openModelFiles } from "../../src/model/weights.ts";
import { logits } from "../../src/nn/operations.ts";
import { renderTable } from "../../src/report/table.ts";
import { objective } from "../../src/slung/objective.ts";
import { estimateStep } from "../../src/train/estimate.ts";
import { describeParts } from "../../src/train/fitting_memory.ts";
import { olmoOptimiser } from "../../src/train/optimiser.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { assert, assertEquals } from "../assert.ts";
import { config, writeFullModel } from "./full_model.ts";

const prompt = someTokens(16, 1);
const text = someTokens(129, 2);
const newTokens = 8;
const lora: LoraSettings = { rank: 8, alpha: 16, targets: ["q_proj", "v_proj"] };

function someTokens(count: number, seed: number): number[] {
  let state = seed;
  const next = () => state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
  return Array.from({ length: count }, () => (next() >>> 0) % config.vocab_size);
}

/** What a stage found, beside the memory and the time that it took. */
interface Stages {
  write: { bytes: number };
  read: { adapterBytes: number; written: number[]; loadSeconds: number };
  lora: { losses: number[]; gradientNorm: number; adapterBytes: number; estimated: number };
  plan: { bytes: number; parts: string; refusal: string | null };
}

const stages: { [Name in keyof Stages]: (folder: string) => Promise<Stages[Name]> } = {
  write: async (folder) => ({ bytes: await writeFullModel(folder) }),

  async read(folder) {
    const began = performance.now();
    using gpu = await Gpu.open();
    using model = await LanguageModel.load(gpu, await openModelFiles(folder));
    await gpu.settle();
    const loadSeconds = (performance.now() - began) / 1000;
    await Deno.writeFile(`${folder}/logits.f32`, new Uint8Array((await logitsOf(model)).buffer));
    const options = { maxNewTokens: newTokens };
    const [written] = await generate(model, [Uint32Array.from(prompt)], options);
    return { adapterBytes: gpu.bytes, written: [...written!], loadSeconds };
  },

  async lora(folder) {
    using gpu = await Gpu.open();
    const source = await openModelFiles(folder);
    const changed = withLora(source, initialiseLora(source.config, lora, 0));
    using model = await LanguageModel.load(gpu, changed, { gradients: true, lora });
    const [rows, time] = [1, text.length - 1];
    using trainer = new Trainer(model, {
      ...{ rows, time, optimiser: olmoOptimiser, objective: objective("direct") },
    });
    const sequence = lowRiskSequence(Uint32Array.from(text));
    const { batches } = packSequences([sequence], { rows, time });
    trainer.step(0, batches, 1e-3);
    trainer.step(1, batches, 0);
    const reports = await trainer.drain();
    const estimate = estimateStep(gpu, {
      ...{ config: source.config, precision: "f32", rows, time, lora },
    });
    return {
      losses: reports.map(({ loss }) => loss),
      gradientNorm: reports[0]!.gradientNorm,
      adapterBytes: gpu.bytes,
      estimated: estimate.bytes - estimate.parts.staging,
    };
  },

  async plan(folder) {
    using gpu = await Gpu.open();
    const { config } = await openModelFiles(folder);
    const shape = { config, precision: "f32", rows: 1, time: 2048, recompute: true } as const;
    const { refusal = null, ...estimate } = estimateStep(gpu, shape);
    return { bytes: estimate.bytes, parts: describeParts(estimate), refusal };
  },
};

/** [16, V] of the prompt. */
async function logitsOf(model: LanguageModel): Promise<Float32Array<ArrayBuffer>> {
  const time = prompt.length;
  using program = new Program(model.gpu, "logits");
  const tensors = new BatchTensors(program, time, time);
  const { tape, hidden } = model.recordBatch(program, tensors, { batch: 1, training: false });
  const out = logits(tape, hidden, model.unembedding);
  const { batches } = packSequences([lowRiskSequence(Uint32Array.from([...prompt, 0]))], {
    ...{ rows: 1, time },
  });
  tensors.write(batches[0]!, objective("direct").terms);
  program.replay();
  return await model.gpu.read(out);
}

/** A stage in a process of its own. */
async function run<Name extends keyof Stages>(
  name: Name,
  folder: string,
): Promise<Stages[Name] & { seconds: number; peak: number }> {
  const began = performance.now();
  const flags = ["--quiet", "--no-prompt", "--no-lock", "--allow-read", "--allow-write"];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, import.meta.filename!, name, folder],
    stderr: "inherit",
  }).output();
  assertEquals(code, 0, `the stage ${name} failed`);
  const seconds = (performance.now() - began) / 1000;
  return { ...JSON.parse(new TextDecoder().decode(stdout)), seconds };
}

/** What PyTorch has to say to it. */
interface Reference {
  logits: Float32Array;
  loss: number;
  peak: number;
  seconds: number;
  torch: string;
}

async function reference(folder: string, written: number[]): Promise<Reference | undefined> {
  const python = "/usr/bin/python3"; // that of python3-torch
  const { success } = await new Deno.Command(python, {
    args: ["-c", "import torch, numpy"],
    ...{ stdout: "null", stderr: "null" },
  }).output().catch(() => ({ success: false }));
  if (!success) return undefined;
  const request = { tokens: [...prompt, ...written.slice(0, -1)], loss: text };
  await Deno.writeTextFile(`${folder}/request.json`, JSON.stringify(request));
  const script = new URL("logits.py", import.meta.url).pathname;
  const out = `${folder}/reference.f32`;
  const { code, stdout } = await new Deno.Command(python, {
    args: [script, folder, `${folder}/request.json`, out],
    stderr: "inherit",
  }).output();
  assertEquals(code, 0, "logits.py failed");
  const found = JSON.parse(new TextDecoder().decode(stdout));
  return { ...found, logits: new Float32Array((await Deno.readFile(out)).buffer) };
}

/** The largest difference of two rows of logits, by the largest logit. */
function difference(actual: Float32Array, expected: Float32Array): number {
  let most = 0, largest = 0;
  for (let i = 0; i < actual.length; i++) {
    most = Math.max(most, Math.abs(actual[i]! - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return most / largest;
}

async function main(): Promise<void> {
  const folder = await Deno.makeTempDir();
  const rows: { stage: string; seconds: number; peak: string; found: string }[] = [];
  const report = (
    stage: string,
    { seconds, peak }: { seconds: number; peak: number },
    found: string,
  ) => {
    rows.push({ stage, seconds, peak: describeBytes(peak), found });
    console.error(`${stage}: ${found}`);
  };
  try {
    const made = await run("write", folder);
    report("write", made, `${describeBytes(made.bytes)} of BF16`);

    const read = await run("read", folder);
    const { adapterBytes, written, loadSeconds } = read;
    report(
      "read and generate",
      read,
      `read in ${loadSeconds.toFixed(0)} s to ${describeBytes(adapterBytes)}, wrote ${written}`,
    );
    assertEquals(written.length, newTokens);

    const trained = await run("lora", folder);
    const [before, after] = trained.losses as [number, number];
    report("LoRA step, T 128", trained, `loss ${before.toFixed(4)}, then ${after.toFixed(4)}`);
    assert(after < before && trained.gradientNorm > 0, "the step does not lower its own loss");
    assertEquals(trained.adapterBytes, trained.estimated);

    const plan = await run("plan", folder);
    report("plan of a full step, T 2048", plan, `${describeBytes(plan.bytes)}: ${plan.parts}`);
    assertEquals(plan.refusal, null);

    const torch = await reference(folder, written);
    if (torch === undefined) {
      const why =
        "SKIPPED, NOTHING WAS COMPARED: /usr/bin/python3 has no torch (apt: python3-torch)";
      rows.push({ stage: "PyTorch", seconds: 0, peak: "–", found: why });
    } else {
      const vocabulary = config.vocab_size;
      const own = new Float32Array((await Deno.readFile(`${folder}/logits.f32`)).buffer);
      const off = difference(own, torch.logits.subarray(0, own.length));
      const lossOff = Math.abs(before / torch.loss - 1);
      report(
        `PyTorch ${torch.torch}`,
        torch,
        `logits differ by ${off.toExponential(1)}, the loss by ${lossOff.toExponential(1)}`,
      );
      assert(off < 1e-3, `logits differ by ${off}`);
      assert(lossOff < 1e-3, `the loss is ${before}, PyTorch's ${torch.loss}`);
      written.forEach((token, i) => {
        const row = torch.logits.subarray((prompt.length - 1 + i) * vocabulary).subarray(
          0,
          vocabulary,
        );
        const best = row.reduce((most, value) => Math.max(most, value), -Infinity);
        assert(best - row[token]! < 1e-3 * best, `token ${i} is not PyTorch's choice`);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(renderTable([
    { key: "stage", title: "OLMo 1B, full size" },
    { key: "seconds", title: "Took", unit: "s", precision: 0 },
    { key: "peak", title: "Memory at most", align: "right" },
    { key: "found", title: "" },
  ], rows));
}

const [stage, folder] = Deno.args;
if (stage !== undefined && stage in stages) {
  const found = await stages[stage as keyof Stages](folder!);
  const peak = process.resourceUsage().maxRSS * 1024;
  console.log(JSON.stringify({ ...found, peak }));
} else if (import.meta.main) {
  await main();
}
