// deno task bench:compiled: what every kernel of a training step becomes on AMD GPUs, of which none need be present.
// Mesa's driver compiles for a null device of any family; the program that presents such a device to Deno is not part
// of this project and is named on the command line.

import { CannotError } from "../../mod.ts";
import { writeFileAtomic } from "../../src/base/files.ts";
import { runCommand } from "../../src/report/command_line.ts";
import { renderTable } from "../../src/report/table.ts";
import { type CompiledKernel, parseKernels } from "./radv.ts";
import { compiledToCsv, type Shape, summarise, summaryColumns } from "./summary.ts";

const families = ["navi10", "navi21", "gfx1100", "vega20"];
const shapes: Shape[] = [
  { width: 2048, heads: 16, time: 512, precision: "f32" },
  { width: 2048, heads: 16, time: 512, precision: "f16" },
  { width: 1024, heads: 16, time: 512, precision: "f32" },
];
const path = "bench/results/compiled-amd.csv"; // tasks run in the folder of deno.json

await runCommand({
  name: "bench:compiled",
  summary: "Compiles a training step for AMD GPUs and says what each kernel costs there.",
  options: {
    device: {
      type: "path",
      required: true,
      placeholder: "program",
      help:
        "Runs its arguments on Mesa's null device of $FAMILY and leaves what they print in $RAW",
    },
    families: { type: "list", choices: families, placeholder: "family", help: "Only these" },
  },
  async run({ device, families: chosen }, terminal) {
    const all: { family: string; shape: Shape; kernels: CompiledKernel[] }[] = [];
    for (const family of chosen.length > 0 ? chosen : families) {
      for (const shape of shapes) {
        terminal.note(`… ${family}, C ${shape.width}, ${shape.precision}`);
        all.push({ family, shape, kernels: await compileFor(family, shape, device) });
      }
    }
    const rows = all.map(summarise);
    terminal.print(renderTable(summaryColumns, rows));
    if (chosen.length > 0) return { rows };
    await writeFileAtomic(path, compiledToCsv(all));
    terminal.print(`Every kernel is in ${path}`);
    return { rows };
  },
});

async function compileFor(family: string, shape: Shape, device: string): Promise<CompiledKernel[]> {
  const raw = await Deno.makeTempFile();
  try {
    const { width, heads, time, precision } = shape;
    const step = `${import.meta.dirname}/step.ts`;
    const run = new Deno.Command(device, {
      args: [
        Deno.execPath(),
        "run",
        "-A",
        "--no-lock",
        step,
        ...[width, heads, time].map(String),
        precision,
      ],
      env: { FAMILY: family, RAW: raw },
      stdout: "null",
      stderr: "piped",
    });
    const { success, stderr } = await run.output();
    const kernels = success ? parseKernels(await Deno.readTextFile(raw)) : [];
    if (kernels.length > 0) return kernels;
    throw new CannotError(
      `compile for ${family}`,
      success ? "no kernel was compiled" : new TextDecoder().decode(stderr).trim(),
      `See what "FAMILY=${family} ${device} deno run -A bench/compiled/step.ts" says`,
    );
  } finally {
    await Deno.remove(raw);
  }
}
