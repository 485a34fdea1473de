// What the benchmark reads from the text of AMD's compiler: the costs of every kernel, and the loop that does the work.

import { parseKernels } from "../bench/compiled/radv.ts";
import { compiledToCsv, type Shape, summarise } from "../bench/compiled/summary.ts";
import { assertEquals, assertThrows } from "./assert.ts";

const shape: Shape = { width: 2048, heads: 16, time: 512, precision: "f32" };

function shader(code: string[], { registers = 24, spilled = 0, scratch = 0, waves = 10 } = {}) {
  return [
    ...["shader: MESA_SHADER_COMPUTE", "block block_0:", "Compute Shader", "disasm:", ...code, ""],
    ...["Compute Shader:", "*** SHADER STATS ***", "SGPRs: 128", `VGPRs: ${registers}`],
    ...["Spilled SGPRs: 3", `Spilled VGPRs: ${spilled}`, "LDS size: 512"],
    ...[`Scratch size: ${scratch}`, `Subgroups per SIMD: ${waves}`, "Instructions: 42", "****", ""],
  ].join("\n");
}

// The outer loop is BB1 to BB4. In it lie BB2, with two multiply-adds, and BB3, with one.
const loops = [
  "BB0:",
  "\tv_fma_f32 v0, v0, v0, v0   ; 0",
  "BB1:",
  "\tv_fma_f32 v0, v0, v0, v0",
  "BB2:",
  "\tv_fmac_f32_e32 v0, v1, v2                       ; d7",
  "\tv_pk_fma_f16 v0, v1, v2, v3",
  "\tv_add_f32_e32 v0, v1, v2",
  "\tds_load_b128 v0, v1",
  "\t; a comment of the compiler",
  "\ts_waitcnt lgkmcnt(0)",
  "\tglobal_load_b128 v0, v1",
  "\tbuffer_load_b32 v0, v1",
  "\ts_cbranch_scc0 BB2        ; bf",
  "BB3:",
  "\tv_mad_u32_u24 v0, v1, v2, v3",
  "\ts_cbranch_vccnz BB3",
  "BB4:",
  "\ts_cbranch_scc1 BB6",
  "\ts_branch BB1",
  "BB6:",
  "\ts_endpgm",
];

Deno.test("costs are read by kernel and choice, and the hot loop is the innermost with most multiply-adds", () => {
  const text = [
    shader(["BB0:", "\ts_endpgm"]), // the driver's own, before any of ours
    "@choice assumed",
    "@kernel norm.forward",
    shader(["BB0:", "\tv_fma_f32 v0, v0, v0, v0", "\ts_cbranch_scc0 BB9", "\ts_endpgm"]),
    "@choice set",
    "@kernel matmul.multiply",
    shader(loops, { registers: 96, spilled: 7, scratch: 1024, waves: 6 }),
  ].join("\n");
  const costs = { workgroupBytes: 512, instructions: 42 };
  assertEquals(parseKernels(text), [
    {
      ...{ kernel: "norm.forward", choice: "assumed", registers: 24, spilled: 0, scratchBytes: 0 },
      ...{ ...costs, waves: 10, loop: undefined },
    },
    {
      ...{
        kernel: "matmul.multiply",
        choice: "set",
        registers: 96,
        spilled: 7,
        scratchBytes: 1024,
      },
      ...{ ...costs, waves: 6, loop: { multiplyAdds: 2, vector: 3, memory: 2, workgroup: 1 } },
    },
  ]);
  assertEquals(parseKernels("no kernel at all"), []);
});

Deno.test("a driver that says nothing of registers is no RADV", () => {
  assertThrows(
    () => parseKernels("@choice assumed\n@kernel a.b\nLLVM says nothing\n"),
    'Cannot read what "a.b" costs: no "VGPRs" was printed.',
  );
});

Deno.test("a step is as good as the worst of its kernels; of other choices only what they spill counts", () => {
  const kernel = (kernel: string, waves: number, multiplyAdds: number, choice = "assumed") => ({
    ...{ kernel, choice, registers: 1, spilled: 0, scratchBytes: 0, workgroupBytes: 0 },
    ...{ waves, instructions: 9, loop: { multiplyAdds, vector: 100, memory: 1, workgroup: 2 } },
  });
  const kernels = [
    ...[kernel("matmul.multiply", 8, 84), kernel("matmul.multiply", 6, 90)],
    ...[kernel("attention.forward", 5, 65), kernel("attention.backward_keys", 4, 70)],
    ...[kernel("attention.backward_delta", 1, 0), kernel("norm.forward", 2, 1)],
    { ...kernel("matmul.multiply", 1, 1, "set"), spilled: 2 },
    { ...kernel("norm.forward", 1, 1), scratchBytes: 64, loop: undefined },
  ];
  const step = { family: "navi21", shape, kernels };
  assertEquals(summarise(step), {
    ...{ family: "navi21", width: 2048, headWidth: 128, precision: "f32" },
    ...{ spilled: 2, scratchBytes: 64, matmulWaves: 6, matmulShare: 84 },
    ...{ attentionWaves: 4, attentionShare: 65 },
  });
  const lines = compiledToCsv([step]).split("\n");
  assertEquals(lines.length, 1 + kernels.length + 1);
  assertEquals(lines[0]!.split(",").length, lines[1]!.split(",").length);
  assertEquals(lines[1], "navi21,2048,16,512,f32,assumed,matmul.multiply,1,0,0,0,8,9,84,100,1,2");
  assertEquals(lines[8], "navi21,2048,16,512,f32,assumed,norm.forward,1,0,64,0,1,9,,,,");
});
