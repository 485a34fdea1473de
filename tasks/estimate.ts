// deno task estimate --model M: what training a model takes, before anything of it is there; see src/train/estimate.ts.

import { measureCeiling } from "../kernels/ceiling.ts";
import { describeBytes } from "../src/base/bytes.ts";
import { microBatchShape } from "../src/data/epochs.ts";
import { lowRiskSequence } from "../src/data/sequence.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { countParameters } from "../src/model/parameter_shapes.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { renderTable } from "../src/report/table.ts";
import {
  estimateCache,
  estimateStep,
  memoryParts,
  type StepEstimate,
} from "../src/train/estimate.ts";
import {
  adapterMemory,
  describeChange,
  type FittingChange,
  misfit,
  smallestChange,
} from "../src/train/fitting_memory.ts";
import type { StepShape } from "../src/train/recorded_step.ts";
import { modelSizes } from "../src/train/starting_model.ts";
import { measureStepSpeed, type StepSpeed } from "../src/train/step_speed.ts";
import { fetchNamed, orModelName } from "./hub.ts";
import { readConfig } from "./shared.ts";
import {
  chosenLearned,
  countMicroBatches,
  learnedOptions,
  memoryOptions,
} from "./training_options.ts";

const command = defineCommand({
  name: "estimate",
  summary:
    "Says what training a model takes: memory by part, time of a step, and whether it fits this adapter.",
  examples: [
    "--model olmo1B --seq 2048 --precision f16 --recompute --lora 8 --memory 8",
    "--model path/to/config.json --batch 32 --seq 256",
    "--model allenai/OLMo-1B-hf@step737000-tokens3093B --seq 2048",
  ],
  options: {
    model: {
      ...orModelName,
      names: modelSizes,
      required: true,
      placeholder: "model",
      help: "A folder or its config.json, no weights needed, a name on the hub, " +
        `owner/name@revision, or ${modelSizes.join(", ")}`,
    },
    batch: { type: "integer", default: 1, min: 1, help: "Windows of an optimiser step" },
    seq: { type: "integer", min: 1, help: "Tokens of a window; the model's context if left out" },
    ...memoryOptions,
    ...learnedOptions,
    memory: {
      type: "number",
      min: 0.001,
      placeholder: "GiB",
      help: "What the adapter has, which WebGPU does not tell; of a software adapter the machine's",
    },
    quick: { type: "flag", help: "Leave out the time, which is measured for some seconds" },
  },
  async run(options, terminal, given) {
    const { batch, precision, recompute, microBatch, quick } = options;
    const { model } = await fetchNamed(options, terminal, { model: ["config"] });
    const config = await readConfig(model);
    const { seq = config.contextLength } = options;
    using gpu = await Gpu.open();
    const window = lowRiskSequence(new Uint32Array(seq + 1));
    const windows = new Array(batch).fill(window);
    const { rows, time } = microBatchShape([windows], config.contextLength, microBatch);
    const { lora, freeze } = chosenLearned(options, given);
    const shape: StepShape = { config, precision, rows, time, recompute, lora, freeze };
    const memory = options.memory === undefined ? adapterMemory(gpu) : options.memory * 2 ** 30;
    const step = estimateStep(gpu, shape);
    const why = misfit(gpu, step, memory);
    const microBatches = countMicroBatches({ rows, time }, { perStep: batch, length: seq + 1 });
    const flops = 2 * step.multiplyAdds * microBatches;
    const speed = quick ? undefined : await measureStepSpeed(gpu, shape);
    const ceiling = speed && 1e9 * await measureCeiling(gpu, { seconds: 0.1, repeats: 2 });
    const report: Report = {
      ...{ model, adapter: gpu.adapter.name, parameters: countParameters(config) },
      ...{ rows, time, microBatches, ...step, flops },
      cache: estimateCache(gpu, shape, { batch, length: Math.min(seq, config.contextLength) }),
      memory: memory ?? null,
      fits: why === undefined,
      ...(speed && ceiling &&
        { speed, share: speed.flops / ceiling, seconds: flops / speed.flops }),
    };
    const fitting = why === undefined ? undefined : smallestChange(gpu, shape, memory);
    terminal.print(render(report, shape));
    terminal.print(verdict(report, why, fitting && { ...fitting, shape }));
    return { ...report, ...(why !== undefined && { why, change: fitting?.change ?? null }) };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

/** What `--json` prints. */
interface Report extends StepEstimate {
  model: string;
  adapter: string;
  parameters: number;
  rows: number;
  time: number;
  /** Of an optimiser step. */
  microBatches: number;
  /** Operations of an optimiser step, a multiply-add counted as two. */
  flops: number;
  /** Bytes of keys and values while as many windows are generated together. */
  cache: number;
  memory: number | null;
  fits: boolean;
  speed?: StepSpeed;
  /** Of the adapter's arithmetic ceiling. */
  share?: number;
  seconds?: number;
}

function render(report: Report, { config, precision, recompute, lora, freeze }: StepShape): string {
  const { rows, time, parts, bytes, learned, parameters, microBatches } = report;
  const how = [
    precision,
    ...(recompute ? ["activations computed again"] : []),
    ...(lora ? [`LoRA of rank ${lora.rank}`] : []),
    ...(freeze ? [`without ${freeze.join(", ")}`] : []),
  ];
  const count = (value: number) => value.toLocaleString("en");
  const size = (what: string, value: number) => ({ what, bytes: describeBytes(value) });
  return [
    `${config.family} of ${count(parameters)} parameters, ${count(learned)} learned; ` +
    `${microBatches} × ${rows} × ${time} tokens a step; ${how.join(", ")}`,
    renderTable([
      { key: "what", title: "A training step" },
      { key: "bytes", title: "takes", align: "right" },
    ], [
      ...memoryParts.map((part) => size(part, parts[part])),
      size("in all", bytes),
      size("largest binding", report.largestBinding),
      size("apart from that, generating: KV cache", report.cache),
    ]),
    ...timeOf(report),
  ].join("\n\n");
}

function timeOf({ flops, speed, share, seconds }: Report): string[] {
  if (!speed || seconds === undefined || share === undefined) return [];
  const { config, rows, time, precision } = speed.shape;
  return [
    `A step is ${(flops / 1e9).toPrecision(3)} GFLOP and takes about ${
      duration(seconds)
    }: one layer ` +
    `${config.width} wide ran ${rows} × ${time} tokens in ${precision} at ` +
    `${(speed.flops / 1e9).toPrecision(3)} GFLOP/s, ${(100 * share).toFixed(0)} % of what this ` +
    `adapter does without loading anything.`,
  ];
}

function verdict(
  { memory, adapter, bytes }: Report,
  why: string | undefined,
  fitting: FittingChange & { shape: StepShape } | undefined,
): string {
  if (why !== undefined) {
    const remedy = fitting
      ? `With ${describeChange(fitting.shape, fitting.change, "--seq")} it would: ` +
        `${describeBytes(fitting.estimate.bytes)}.`
      : "No option makes it fit: use a smaller model.";
    return `No, it does not fit: ${why}. ${remedy}`;
  }
  return memory === null
    ? `Yes, ${adapter} allows it, if it has ${describeBytes(bytes)}; --memory says what it has.`
    : `Yes, it fits: ${describeBytes(bytes)} of ${describeBytes(memory)}.`;
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toPrecision(2)} s`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
