// deno task doctor: what the WebGPU adapter is, what it may do, how fast it can be, and whether it computes right.

import { CannotError, Gpu } from "../mod.ts";
import { measureCeiling, measureReadBack } from "../kernels/ceiling.ts";
import { type KernelCheck, selfTest, selfTestTolerance } from "../kernels/self_test.ts";
import { chooseKernels } from "../kernels/tuning.ts";
import { describeChoices } from "../src/gpu/choices.ts";
import { megabytes } from "../src/gpu/gpu.ts";
import { renderTable } from "../src/report/table.ts";
import { defineCommand, runCommand } from "../src/report/command_line.ts";
import { compileOptions, reportStep } from "./compile_report.ts";
import { parseOsRelease, planSetup } from "./setup.ts";

const backendVariable = "DENO_WEBGPU_BACKEND";

const command = defineCommand({
  name: "doctor",
  summary: "Describes the WebGPU adapter, measures it, and tests the kernels on it.",
  examples: ["", "--tune", "--compile --model olmo1B --seq 2048 --precision f16"],
  options: {
    tune: { type: "flag", help: "Measure again which kernels are fastest, and keep them" },
    ...compileOptions,
  },
  async run({ tune, compile, ...step }, terminal) {
    if (!await navigator.gpu?.requestAdapter()) throw await noAdapter();
    using gpu = await Gpu.open();
    if (tune) await chooseKernels(gpu, { measure: true });
    if (compile) return await reportStep(gpu, step, terminal);
    const { subgroupMinSize, subgroupMaxSize } = gpu.device.adapterInfo;
    const report = {
      adapter: gpu.adapter,
      backend: backend(),
      subgroupSizes: [subgroupMinSize, subgroupMaxSize],
      deno: Deno.version.deno,
      system: `${Deno.build.os} ${Deno.build.arch}`,
      readBackMilliseconds: await measureReadBack(gpu),
      ceilingGflops: await measureCeiling(gpu),
      kernels: await selfTest(gpu),
    };
    terminal.print(`${describe(report)}\n\n${kernelTable(report.kernels)}`);
    const failed = report.kernels.filter(({ ok }) => !ok).map(({ kernel }) => kernel);
    if (failed.length === 0) return report;
    throw new CannotError(
      "rely on this adapter",
      `${failed.join(", ")} differed from a float64 computation by more than ${selfTestTolerance}`,
      `Update the graphics driver or choose another backend with ${backendVariable}, and report ` +
        "the tables above",
    );
  },
});

export default command;

if (import.meta.main) await runCommand(command);

function describe(report: {
  adapter: Gpu["adapter"];
  backend: string;
  subgroupSizes: number[];
  deno: string;
  system: string;
  readBackMilliseconds: number;
  ceilingGflops: number;
}): string {
  const { adapter, subgroupSizes } = report;
  const limit = (name: string) => adapter.limits[name]!;
  const has = (feature: string) => adapter.features.includes(feature) ? "yes" : "no";
  const lanes = [...new Set(subgroupSizes)].join(" to ");
  const rows: [string, string][] = [
    ["Adapter", adapter.name],
    ["Kind", adapter.software ? "software: results are right, speed is a CPU's" : "hardware"],
    ["Backend", report.backend],
    ["System", `${report.system}, Deno ${report.deno}`],
    ["16-bit floats (shader-f16)", has("shader-f16")],
    ["Timing of kernels (timestamp-query)", has("timestamp-query")],
    ["Subgroup operations (subgroups)", `${has("subgroups")}, ${lanes} lanes`],
    ["Largest tensor", megabytes(limit("maxStorageBufferBindingSize"))],
    ["Largest buffer", megabytes(limit("maxBufferSize"))],
    ["Buffers per kernel", String(limit("maxStorageBuffersPerShaderStage"))],
    ["Workgroup memory", `${limit("maxComputeWorkgroupStorageSize") / 1024} KiB`],
    ["Invocations per workgroup", String(limit("maxComputeInvocationsPerWorkgroup"))],
    ["Workgroups per axis", String(limit("maxComputeWorkgroupsPerDimension"))],
    ["One awaited read-back", `${report.readBackMilliseconds.toFixed(1)} ms`],
    ...describeChoices(adapter.kernels).map(({ what, how }): [string, string] => [what, how]),
    ["Multiply-adds at most", `${report.ceilingGflops.toPrecision(3)} GFLOP/s`],
  ];
  return renderTable(
    [{ key: "what", title: "This machine" }, { key: "value", title: "" }],
    rows.map(([what, value]) => ({ what, value })),
  );
}

function kernelTable(kernels: readonly KernelCheck[]): string {
  return renderTable(
    [
      { key: "kernel", title: "Kernel against float64" },
      { key: "values", title: "Values" },
      { key: "error", title: "Largest relative error", align: "right" },
      { key: "result", title: "" },
    ],
    kernels.map(({ kernel, values, maxError, ok }) => ({
      kernel,
      values,
      error: maxError.toExponential(1),
      result: ok ? "ok" : "FAILED",
    })),
  );
}

// WebGPU hides which of the system's interfaces it uses; this is what Deno tries.
function backend(): string {
  const chosen = Deno.env.get(backendVariable);
  if (chosen) return `${chosen} (${backendVariable})`;
  const { os } = Deno.build;
  const native = os === "darwin"
    ? "Metal"
    : os === "windows"
    ? "Direct3D 12 or Vulkan"
    : "Vulkan, or OpenGL where there is none";
  return `${native} (${backendVariable} is not set)`;
}

async function noAdapter(): Promise<CannotError> {
  const { os } = Deno.build;
  const osRelease = os === "linux"
    ? await Deno.readTextFile("/etc/os-release").catch(() => "")
    : "";
  const distributions = parseOsRelease(osRelease);
  const plan = planSetup({
    os,
    distributions,
    hasApt: distributions.some((id) => ["debian", "ubuntu"].includes(id)),
    isRoot: os === "linux" && Deno.uid() === 0,
    backend: Deno.env.get(backendVariable),
  });
  const remedy = plan.action === "install"
    ? "Run: deno task setup, which installs one"
    : plan.remedy;
  return new CannotError("use WebGPU", "no driver offers an adapter", remedy);
}
