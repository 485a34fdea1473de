// deno task doctor --compile: what the adapter makes of every kernel of a training step, as tables for people.

import { CannotError, type DecoderConfig, type Gpu, presets } from "../mod.ts";
import { megabytes } from "../src/gpu/gpu.ts";
import type { Terminal } from "../src/report/command_line.ts";
import type { Options } from "../src/report/options.ts";
import { renderTable } from "../src/report/table.ts";
import { type CompiledKernel, type CompiledStep, compileStep } from "../src/train/compile_step.ts";

const models = Object.keys(presets) as (keyof typeof presets)[];

/** Which step is compiled. */
export const compileOptions = {
  compile: {
    type: "flag",
    help: "Compile a training step, without computing it, and say how it went",
  },
  model: { type: "string", choices: models, default: "olmo1B", help: "Of --compile: the model" },
  seq: {
    type: "integer",
    min: 1,
    max: 2 ** 24,
    help: "Of --compile: positions of a row; by default all it has",
  },
  rows: {
    type: "integer",
    default: 1,
    min: 1,
    max: 2 ** 16,
    help: "Of --compile: rows of a micro-batch",
  },
  precision: {
    type: "string",
    choices: ["f32", "f16"],
    default: "f32",
    help: "Of --compile: of weights and activations",
  },
  recompute: { type: "flag", help: "Of --compile: keep no activations" },
} as const satisfies Options;

/** The values of these options. */
export interface CompileValues {
  model: keyof typeof presets;
  seq: number | undefined;
  rows: number;
  precision: "f32" | "f16";
  recompute: boolean;
}

/** The report, for `--json`. */
export interface CompileReport extends CompiledStep {
  adapter: Gpu["adapter"];
  step: CompileValues & { seq: number; config: DecoderConfig };
}

/**
 * Compiles the step, prints the tables and returns what they hold.
 *
 * @throws {CannotError} where the adapter's limits do not allow the step, and where it refuses a kernel.
 */
export async function reportStep(
  gpu: Gpu,
  step: CompileValues,
  terminal: Terminal,
): Promise<CompileReport> {
  const config = presets[step.model];
  const { rows, precision, recompute, seq: time = config.contextLength } = step;
  const compiled = await compileStep(gpu, { config, precision, rows, time, recompute });
  const report = { adapter: gpu.adapter, step: { ...step, seq: time, config }, ...compiled };
  terminal.print(renderReport(report));
  expectCompiled(report);
  return report;
}

function renderReport(report: CompileReport): string {
  const { model, rows, seq, precision, recompute } = report.step;
  const title = `A training step of ${model}, ${rows} × ${seq} tokens in ${precision}` +
    `${recompute ? ", activations computed again" : ""}, on ${report.adapter.name}`;
  return [title, kernelTable(report.kernels), needsTable(report), ...problems(report.kernels)]
    .join("\n\n");
}

function expectCompiled({ kernels, adapter }: CompileReport): void {
  const failed = kernels.filter(({ problem }) => problem !== undefined);
  if (failed.length === 0) return;
  throw new CannotError(
    "compile this step",
    `${adapter.name} refused ${failed.length} of ${kernels.length} kernels`,
    "Report the tables above, with what --json gives",
  );
}

function kernelTable(kernels: readonly CompiledKernel[]): string {
  const rows = [...Map.groupBy(kernels, ({ name }) => name)].map(([kernel, variants]) => {
    const most = (of: (variant: CompiledKernel) => number) => Math.max(...variants.map(of));
    const sum = (of: (variant: CompiledKernel) => number) =>
      variants.reduce((total, variant) => total + of(variant), 0);
    const refused = variants.filter(({ problem }) => problem !== undefined).length;
    return {
      kernel,
      variants: variants.length,
      result: refused === 0 ? "ok" : `${refused} REFUSED`,
      milliseconds: sum(({ milliseconds }) => milliseconds),
      dispatches: sum(({ dispatches }) => dispatches),
      buffers: most(({ buffers }) => buffers),
      binding: megabytes(most(({ largestBinding }) => largestBinding)),
      invocations: most(invocations),
      memory: `${most(({ workgroup }) => workgroup.memory) / 1024} KiB`,
      workgroups: most(({ workgroups }) => workgroups),
    };
  });
  return renderTable([
    { key: "kernel", title: "Kernel" },
    { key: "variants", title: "Variants" },
    { key: "result", title: "Compiled" },
    { key: "milliseconds", title: "In", unit: "ms", precision: 0 },
    { key: "dispatches", title: "Dispatches" },
    { key: "buffers", title: "Buffers" },
    { key: "binding", title: "Largest binding", align: "right" },
    { key: "invocations", title: "Workgroup" },
    { key: "memory", title: "Its memory", align: "right" },
    { key: "workgroups", title: "Workgroups an axis" },
  ], rows);
}

function needsTable({ kernels, adapter, memory, inventory }: CompileReport): string {
  const { limits } = adapter;
  const most = (of: (kernel: CompiledKernel) => number) => Math.max(...kernels.map(of));
  const kibibytes = (bytes: number) => `${bytes / 1024} KiB`;
  const { name: largest, bytes } = inventory[0]!;
  const need = (
    what: string,
    needed: number,
    limit: string,
    show: (value: number) => string = String,
  ) => ({ what, needed: show(needed), offered: show(limits[limit]!) });
  return renderTable([
    { key: "what", title: "This step" },
    { key: "needed", title: "Needs", align: "right" },
    { key: "offered", title: "Adapter offers", align: "right" },
  ], [
    { what: "Memory in all", needed: megabytes(memory), offered: "not told" },
    need(`Largest buffer (${largest})`, bytes, "maxBufferSize", megabytes),
    need(
      "Largest binding",
      most(({ largestBinding }) => largestBinding),
      "maxStorageBufferBindingSize",
      megabytes,
    ),
    need("Buffers per kernel", most(({ buffers }) => buffers), "maxStorageBuffersPerShaderStage"),
    need(
      "Workgroup memory",
      most(({ workgroup }) => workgroup.memory),
      "maxComputeWorkgroupStorageSize",
      kibibytes,
    ),
    need("Invocations per workgroup", most(invocations), "maxComputeInvocationsPerWorkgroup"),
    need(
      "Workgroups per axis",
      most(({ workgroups }) => workgroups),
      "maxComputeWorkgroupsPerDimension",
    ),
  ]);
}

function problems(kernels: readonly CompiledKernel[]): string[] {
  return kernels.flatMap(({ name, problem }) => problem === undefined ? [] : `${name}: ${problem}`);
}

function invocations({ workgroup: { size: [x, y, z] } }: CompiledKernel): number {
  return x * y * z;
}
