// What the loss of a step is divided by is a property of the data, not of how it is cut into windows or of what is left out
// to save time. Losses are those of an independent float64 forward pass over golden/tiny_llama, a Llama of 7,728 random
// parameters: all of half_masked in windows of nine tokens, and first_masked.

import { fileURLToPath } from "node:url";
import { Gpu } from "../src/gpu/gpu.ts";
import { type Denominator, objective, type ObjectiveName } from "../src/slung/objective.ts";
import { trainOnSpans } from "../src/train/span_training.ts";
import { assertClose, assertEquals } from "./assert.ts";

const model = fileURLToPath(new URL("golden/tiny_llama", import.meta.url));
const mill = "The old mill by the river was run by the winter.";
const bread = "Oda Venn ran bread by the old mill";
/** 54 tokens with EOS; the second half is masked. */
const halfMasked = {
  text: `${mill} ${mill} ${bread} by the river. ${bread} by the river.`,
  spans: [[97, 195]],
};
/** Nothing predicts its first token, which is masked; 8 of the others have a loss. */
const firstMasked = { text: `${bread}.`, spans: [[0, 8]] };

/** The loss of one step over a text, which changes nothing. */
async function lossOf(
  gpu: Gpu,
  text: object,
  options: { name?: ObjectiveName; denominator?: Denominator; maxLength?: number } = {},
): Promise<{ loss: number; targets: number[]; windows: number; leftOut: number }> {
  const { name = "masked", denominator, maxLength } = options;
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/text.jsonl`, JSON.stringify(text));
  let plan: { targets: number[]; windows: number; leftOut: number } | undefined;
  const { log } = await trainOnSpans(gpu, {
    ...{ data: `${folder}/text.jsonl`, out: `${folder}/out`, model, maxLength },
    objective: objective(name, denominator),
    ...{ epochs: 1, perStep: 100, learningRate: 0, warmup: 0, decay: "constant", seed: 0 },
    ...{ weightDecay: 0, maxGradientNorm: 0, checkpointEvery: 9, precision: "f32" },
    recompute: false,
  }, { onPlan: (made) => plan = made });
  await Deno.remove(folder, { recursive: true });
  const { targets, windows, leftOut } = plan!;
  return { loss: log[0]!.loss, targets, windows, leftOut };
}

Deno.test("losses of a half masked text are those of a float64 forward pass, by every denominator", async () => {
  using gpu = await Gpu.open();
  const sum = 195.44169; // of 29 targets; 24 more are masked
  const divisors = { active: 29, all: 53, paper: 30, weights: 29 };
  for (const [denominator, divisor] of Object.entries(divisors) as [Denominator, number][]) {
    const { loss, targets } = await lossOf(gpu, halfMasked, { denominator, maxLength: 9 });
    assertClose(loss, sum / divisor, 1e-6, denominator);
    assertEquals(targets, [0, 29, 0, 24]);
  }
});

Deno.test("however a text is cut, masked targets and the text's one first token are counted", async () => {
  using gpu = await Gpu.open();
  for (const maxLength of [2, 5, 16, 54]) {
    const active = await lossOf(gpu, halfMasked, { maxLength });
    const all = await lossOf(gpu, halfMasked, { maxLength, denominator: "all" });
    const paper = await lossOf(gpu, halfMasked, { maxLength, denominator: "paper" });
    assertClose(29 * active.loss, 53 * all.loss, 1e-6, `all by ${maxLength}`);
    assertClose(29 * active.loss, 30 * paper.loss, 1e-6, `paper by ${maxLength}`);
    assertEquals([all.windows, all.leftOut], [Math.ceil(53 / (maxLength - 1)), 0]);
    assertEquals(
      active.windows + active.leftOut,
      all.windows,
      "only what nobody counts is left out",
    );
  }
});

Deno.test("the paper's code counts a first token where its class has a term, and only there", async () => {
  using gpu = await Gpu.open();
  const masked = await lossOf(gpu, firstMasked, { denominator: "paper" });
  assertClose(masked.loss, 7.142907, 1e-6);
  assertEquals(await lossOf(gpu, firstMasked, { denominator: "active" }), masked);
  const turned = { name: "unlikelihood" } as const;
  const paper = await lossOf(gpu, firstMasked, { ...turned, denominator: "paper" });
  const active = await lossOf(gpu, firstMasked, turned);
  const predicted = active.targets.reduce((total, count) => total + count, 0);
  assertClose(paper.loss * (predicted + 1), active.loss * predicted, 1e-6);
});
