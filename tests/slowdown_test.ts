// How much more slowly something is learned: on curves whose answer is known, and on what runs have watched.

import { slowdown } from "../src/eval/slowdown.ts";
import { execute } from "../src/report/command_line.ts";
import command from "../tasks/slowdown.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";

const curve = [0, 10, 20, 40, 80].map((step) => ({
  step,
  loss: step === 0 ? 9 : 7 - Math.log(step),
}));

Deno.test("the factor is that between the steps, between two points by the logarithm of steps", () => {
  for (const step of [10, 15, 20, 33, 80]) {
    const factor = slowdown(curve, { step: 100, loss: 7 - Math.log(step) });
    assertClose([factor!], [100 / step], 1e-9, `${step}`);
  }
  assertEquals(
    slowdown(curve, { step: 100, loss: 5 }),
    10,
    "before the first step nothing is known",
  );
  const restless = [...curve, { step: 90, loss: 8 }, { step: 95, loss: 1 }];
  assertClose(
    [slowdown(restless, { step: 100, loss: curve[2]!.loss })!],
    [5],
    1e-9,
    "the first time",
  );
});

Deno.test("what was never reached has no factor, what was there before is infinitely slow", () => {
  assertEquals(slowdown(curve, { step: 100, loss: 1 }), null);
  assertEquals(slowdown(curve, { step: 100, loss: 9 }), Infinity);
  assertEquals(slowdown(curve, { step: 100, loss: 12 }), Infinity);
  assertThrows(() => slowdown([], { step: 1, loss: 1 }), "its curve has no points");
  assertThrows(() => slowdown([...curve, curve[0]!], { step: 1, loss: 1 }), "do not ascend");
});

Deno.test("runs are compared with the first by risk class, on held-out texts where all have them", async () => {
  const folder = await Deno.makeTempDir();
  const write = async (run: string, high: (step: number) => number, changes: object = {}) => {
    await Deno.mkdir(`${folder}/${run}`);
    const lines = curve.map(({ step, loss }) => ({
      ...{ step, sample: { all: loss, low: loss, high: step === 0 ? 9 : high(step) } },
      ...changes,
    }));
    const text = lines.map((line) => JSON.stringify(line) + "\n").join("");
    await Deno.writeTextFile(`${folder}/${run}/watched.jsonl`, text);
    return `${folder}/${run}`;
  };
  const direct = await write("direct", (step) => 7 - Math.log(step));
  const slow = await write("slow", (step) => 7 - Math.log(step / 4));
  const silent = await write("silent", () => 20);
  const quick = await write("quick", (step) => 1 - Math.log(step));
  const other = await write("other", () => 1, { sample: { all: 8, low: 8, high: 8 } });
  const held = await write("held", () => 1, { heldOut: { low: 5 } });
  let out = "", err = "";
  const call = async (...args: string[]) => {
    out = err = "";
    const streams = { out: (text: string) => out += text, err: (text: string) => err += text };
    return await execute(command, args, streams);
  };
  assertEquals(await call(direct, slow, silent, quick, "--json"), 0, err);
  const { part, runs } = JSON.parse(out);
  assertEquals(part, "sample");
  assertClose([runs[0].factors.low, runs[0].factors.high], [1, 4], 1e-9, "slow");
  assertEquals([runs[1].factors.high, runs[2].factors.high], ["infinite", "never"]);
  assertEquals(await call(direct, slow, silent, quick), 0);
  for (const cell of ["4.00 ×", "1.00 ×", "∞", "–"]) assert(out.includes(cell), out);
  assertEquals(await call(held, held, "--json"), 0);
  assertEquals(JSON.parse(out).part, "heldOut");
  assertEquals(Object.keys(JSON.parse(out).runs[0].factors), ["low"]);
  for (
    const [args, message] of [
      [[direct], "there is one run to compare"],
      [[direct, other], 'other": before its first step it differs from'],
      [[direct, folder], "nothing was watched in it"],
    ] as const
  ) {
    assertEquals(await call(...args), 1);
    assert(err.includes(message), err);
  }
  await Deno.remove(folder, { recursive: true });
});
