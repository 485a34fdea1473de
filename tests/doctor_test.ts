// What `deno task doctor` says about a machine: its self-test finds a wrong kernel, and without an adapter it says what to do.

import { fileURLToPath } from "node:url";
import { measureCeiling, measureReadBack } from "../kernels/ceiling.ts";
import { selfTest } from "../kernels/self_test.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { assert, assertEquals } from "./assert.ts";

for (const lanesPerRow of [1, 64] as const) {
  Deno.test(`every kernel passes the self-test, ${lanesPerRow} lanes per row`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    const failed = (await selfTest(gpu)).filter(({ ok }) => !ok);
    assertEquals(failed, []);
    assertEquals(gpu.bytes, 0, "the self-test left buffers behind");
  });
}

const faults: { kernel: string; from: string; to: string }[] = [
  { kernel: "matmul.multiply", from: "k += 4u", to: "k += 8u" },
  { kernel: "norm.forward", from: "+ dims.epsilon", to: "+ 0.01" },
  { kernel: "norm.backward", from: "- mean_g ", to: "" },
  { kernel: "attention.forward", from: "j >= lowest0 && j <= i0", to: "j <= i0" },
  { kernel: "attention.backward_keys", from: "j0 >= lowest && j0 <= i", to: "j0 >= lowest" },
  { kernel: "cached_attention.attend", from: "score *= dims.scale", to: "score *= 1.0" },
  { kernel: "cached_attention.append", from: "= k[id.x]", to: "= k[id.x] * 2.0" },
  {
    kernel: "selective_loss.score",
    from: "select(-q, Cell(1.0)",
    to: "select(-q, Cell(0.9)",
  },
  { kernel: "adamw.update", from: "v / step[BIAS_CORRECTION_2]", to: "v" },
];

for (const { kernel, from, to } of faults) {
  Deno.test(`the self-test fails when ${kernel} has "${to}" for "${from}"`, async () => {
    using gpu = await Gpu.open();
    const compile = gpu.pipeline.bind(gpu);
    gpu.pipeline = (genuine) => {
      if (genuine.name !== kernel) return compile(genuine);
      const source = genuine.source.replaceAll(from, to);
      assert(source !== genuine.source, `${kernel} no longer contains "${from}"`);
      return compile({ ...genuine, source });
    };
    const failed = (await selfTest(gpu)).filter(({ ok }) => !ok).map((check) => check.kernel);
    const own = kernel.split(".")[0]!.replace("_", " ");
    assert(failed.includes(own), `failed: ${failed}`);
    // The loss is made of matrix products; nothing else shares a kernel.
    assertEquals(failed.filter((name) => name !== own && own !== "matmul"), []);
  });
}

Deno.test("the yardsticks are positive numbers and leave nothing on the adapter", async () => {
  using gpu = await Gpu.open();
  const ceiling = await measureCeiling(gpu, { seconds: 0.01, repeats: 1 });
  const readBack = await measureReadBack(gpu, 3);
  for (const value of [ceiling, readBack]) assert(value > 0 && value < Infinity, `${value}`);
  assertEquals(gpu.bytes, 0);
});

Deno.test("doctor reports the adapter as JSON, with the permissions of its task alone", async () => {
  const { code, stdout, stderr } = await doctor();
  assertEquals(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert(report.adapter.name.length > 0 && report.ceilingGflops > 0 && report.backend.length > 0);
  assertEquals(
    report.kernels.map((check: { kernel: string; ok: boolean }) => [check.kernel, check.ok]),
    ["matmul", "norm", "attention", "cached attention", "selective loss", "adamw"]
      .map((kernel) => [kernel, true]),
  );
});

Deno.test("doctor --compile reports every kernel of a step, with the permissions of its task alone", async () => {
  const step = ["--compile", "--model", "tiny", "--seq", "40", "--rows", "2", "--recompute"];
  const { code, stdout, stderr } = await doctor(step);
  assertEquals(code, 0, stderr);
  const report = JSON.parse(stdout);
  const { model, seq, rows, precision, recompute } = report.step;
  assertEquals([model, seq, rows, precision, recompute], ["tiny", 40, 2, "f32", true]);
  assert(report.kernels.length > 15 && report.memory > 0 && report.adapter.name.length > 0);
  assert(/matmul\.multiply +\d+ +ok/.test(stderr), stderr);
  assert(/Buffers per kernel +8 +\d+/.test(stderr), stderr);
});

Deno.test("doctor --compile says which step would be too long", async () => {
  const { code, stdout, stderr } = await doctor(["--compile", "--model", "tiny", "--seq", "129"]);
  assertEquals([code, stdout], [1, ""]);
  assert(stderr.includes("Cannot run sequences of 129 tokens"), stderr);
});

Deno.test("doctor says how to get an adapter where there is none, and exits with 1", async () => {
  const { code, stdout, stderr } = await doctor([], { DENO_WEBGPU_BACKEND: "none" });
  assertEquals([code, stdout], [1, ""], stderr);
  assert(
    stderr.includes(
      'Cannot use WebGPU: no driver offers an adapter. Unset DENO_WEBGPU_BACKEND, which is "none"',
    ),
    stderr,
  );
});

async function doctor(
  options: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--allow-env=DENO_WEBGPU_BACKEND"],
      ...["--allow-read=/etc/os-release", "--allow-sys=uid"],
      fileURLToPath(new URL("../tasks/doctor.ts", import.meta.url)),
      ...["--json", ...options],
    ],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { NO_COLOR: "1", ...env },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
