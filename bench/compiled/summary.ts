// The kernels of a training step on one GPU in one line: the worst of each kind.

import type { Column } from "../../src/report/table.ts";
import type { CompiledKernel, Loop } from "./radv.ts";

/** The step that was compiled. */
export interface Shape {
  width: number;
  heads: number;
  time: number;
  precision: "f32" | "f16";
}

/** A step that was compiled for a family of GPUs. */
export interface CompiledStep {
  family: string;
  shape: Shape;
  kernels: readonly CompiledKernel[];
}

/** The worst of the kernels of a step: of all for what must not be, of those that are assumed to suit for the rest. */
export type Summary = {
  family: string;
  width: number;
  headWidth: number;
  precision: string;
  /** Of every way that the adapter may choose. */
  spilled: number;
  /** Of every way that the adapter may choose. */
  scratchBytes: number;
  matmulWaves: number;
  /** Of the hot loop's vector instructions, in percent. */
  matmulShare: number;
  attentionWaves: number;
  attentionShare: number;
};

/** The worst of each kind of kernel. Attention is its three kernels that walk; δ is one dot product a query. */
export function summarise({ family, shape, kernels }: CompiledStep): Summary {
  const assumed = kernels.filter(({ choice }) => choice === "assumed");
  const products = assumed.filter(({ kernel }) => kernel.startsWith("matmul."));
  const attention = assumed.filter(({ kernel }) =>
    kernel.startsWith("attention.") && kernel !== "attention.backward_delta"
  );
  return {
    family,
    width: shape.width,
    headWidth: shape.width / shape.heads,
    precision: shape.precision,
    spilled: Math.max(...kernels.map(({ spilled }) => spilled)),
    scratchBytes: Math.max(...kernels.map(({ scratchBytes }) => scratchBytes)),
    matmulWaves: Math.min(...products.map(({ waves }) => waves)),
    matmulShare: Math.min(...products.map(({ loop }) => share(loop))),
    attentionWaves: Math.min(...attention.map(({ waves }) => waves)),
    attentionShare: Math.min(...attention.map(({ loop }) => share(loop))),
  };
}

/** How {@linkcode Summary} is shown. */
export const summaryColumns: readonly Column<Summary>[] = [
  { key: "family", title: "GPU" },
  { key: "width", title: "C" },
  { key: "headWidth", title: "D" },
  { key: "precision", title: "Stored" },
  { key: "spilled", title: "Most spilled" },
  { key: "scratchBytes", title: "Most scratch", unit: "B" },
  { key: "matmulWaves", title: "Matmul: least waves" },
  { key: "matmulShare", title: "multiply-adds", unit: "%", precision: 0 },
  { key: "attentionWaves", title: "Attention: least waves" },
  { key: "attentionShare", title: "multiply-adds", unit: "%", precision: 0 },
];

/** One line for each kernel. */
export function compiledToCsv(steps: readonly CompiledStep[]): string {
  const header =
    "family,width,heads,time,stored,choice,kernel,registers,spilled,scratch bytes,workgroup bytes,waves," +
    "instructions,loop multiply-adds,loop vector instructions,loop memory,loop workgroup memory";
  const lines = steps.flatMap(({ family, shape, kernels }) =>
    kernels.map(({ choice, kernel, registers, spilled, scratchBytes, workgroupBytes, ...rest }) => {
      const { waves, instructions, loop } = rest;
      const hot = loop
        ? [loop.multiplyAdds, loop.vector, loop.memory, loop.workgroup]
        : ["", "", "", ""];
      return [
        ...[family, shape.width, shape.heads, shape.time, shape.precision],
        ...[choice, kernel, registers, spilled, scratchBytes, workgroupBytes, waves, instructions],
        ...hot,
      ].join(",");
    })
  );
  return [header, ...lines, ""].join("\n");
}

function share(loop: Loop | undefined): number {
  return loop && loop.vector > 0 ? 100 * loop.multiplyAdds / loop.vector : 0;
}
