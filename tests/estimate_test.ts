// What training takes, said before it is there: the same bytes as are then allocated, the work counted by hand, and the
// smallest change with which a step fits.

import { packSequences } from "../src/data/packing.ts";
import { lowRiskSequence } from "../src/data/sequence.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { elements } from "../src/gpu/tensor.ts";
import { presets } from "../src/model/families.ts";
import { generate } from "../src/model/generate.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import type { LoraSettings } from "../src/model/lora.ts";
import { toHuggingFace } from "../src/model/formats/huggingface/config.ts";
import { countParameters, parameterShapes } from "../src/model/parameter_shapes.ts";
import { objective } from "../src/slung/objective.ts";
import { estimateCache, estimateStep } from "../src/train/estimate.ts";
import {
  describeChange,
  expectFitting,
  misfit,
  smallestChange,
  type StepChange,
} from "../src/train/fitting_memory.ts";
import { olmoOptimiser } from "../src/train/optimiser.ts";
import { pretrain, type PretrainingOptions } from "../src/train/pretraining.ts";
import type { StepShape } from "../src/train/recorded_step.ts";
import { trainOnSpans } from "../src/train/span_training.ts";
import { measureStepSpeed } from "../src/train/step_speed.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";
import { runTask } from "./fixtures/task.ts";

const shape: StepShape = { config: presets.tiny, precision: "f32", rows: 4, time: 60 };
const lora: LoraSettings = { rank: 3, alpha: 6, targets: ["q_proj", "down_proj"] };

const gpu = await Gpu.open();
const halves = gpu.storesHalves;
gpu.close();

/** Makes the step, runs it and returns what is then allocated. */
async function reallyAllocated(gpu: Gpu, shape: StepShape): Promise<number> {
  const { config, precision, rows, time, recompute = false, lora, freeze } = shape;
  using model = new LanguageModel(gpu, config, undefined, {
    ...{ gradients: true, precision },
    ...(lora && { lora }),
    ...(freeze && { freeze }),
  });
  const settings = { rows, time, recompute, optimiser: olmoOptimiser };
  using trainer = new Trainer(model, { ...settings, objective: objective("direct") });
  const sequence = lowRiskSequence(new Uint32Array(time + 1));
  const { batches } = packSequences(new Array(rows).fill(sequence), { rows, time });
  trainer.step(0, batches, 0);
  await trainer.drain();
  return gpu.bytes;
}

const variants: [name: string, change: Partial<StepShape>][] = [
  ["f32", {}],
  ["f32 with activations computed again", { recompute: true }],
  ["LoRA", { lora }],
  ["all but the last layer frozen", { freeze: ["embeddings", "layers:0"] }],
  ["f16 with activations computed again", { precision: "f16", recompute: true }],
  ["f16, LoRA and activations computed again", { precision: "f16", recompute: true, lora }],
];
for (const [name, change] of variants) {
  const missing = change.precision === "f16" && !halves;
  Deno.test({
    name: `the estimate is what a step takes: ${name}${missing ? " (SKIPPED: no shader-f16)" : ""}`,
    ignore: missing,
    fn: async () => {
      using gpu = await Gpu.open();
      const { bytes, parts, refusal } = estimateStep(gpu, { ...shape, ...change });
      assertEquals(refusal, undefined);
      assertEquals(bytes - parts.staging, await reallyAllocated(gpu, { ...shape, ...change }));
      assertEquals(Object.values(parts).reduce((sum, part) => sum + part), bytes);
    },
  });
}

Deno.test("weights, gradients and moments are those of the parameters that are learned", async () => {
  using gpu = await Gpu.open();
  const { config } = shape;
  const all = countParameters(config); // all of them are multiples of 64, so that arenas have no gaps
  const whole = estimateStep(gpu, shape);
  assertEquals([whole.learned, whole.parts.weights, whole.parts.gradients], [
    all,
    4 * all,
    4 * all,
  ]);
  assert(whole.parts.moments >= 8 * all && whole.parts.moments < 8.1 * all);

  const frozen = estimateStep(gpu, { ...shape, precision: "f16", lora: { ...lora, rank: 64 } });
  const changes = config.layers * 64 * (64 + 64 + 64 + 256);
  assertEquals(frozen.learned, changes);
  assertEquals([frozen.parts.weights, frozen.parts.gradients], [
    2 * all + 6 * changes,
    4 * changes,
  ]);

  const again = estimateStep(gpu, { ...shape, recompute: true });
  assert(again.parts.activations < 0.8 * whole.parts.activations);
  assert(again.multiplyAdds > whole.multiplyAdds);
  assertEquals(again.parts.weights, whole.parts.weights);
});

Deno.test("the work of a step is that of its products, counted by hand", async () => {
  using gpu = await Gpu.open();
  const { config, rows, time } = shape;
  const matrices = [...parameterShapes(config).values()]; // of OLMo nothing else, the tied embedding once as unembedding
  const weights = matrices.reduce((sum, shape) => sum + elements(shape), 0);
  const seen = rows * config.heads * config.headWidth * time * (time + 1) / 2 * config.layers;
  const { multiplyAdds } = estimateStep(gpu, shape);
  // Forward, and gradients of inputs and of weights; seven of nine products of attention are for gradients.
  const products = 3 * weights * rows * time;
  const padding = multiplyAdds - products - 9 * seen; // the last chunk of the loss is larger than what is left
  const { vocabularySize, width } = config;
  assert(padding >= 0 && padding < 3 * vocabularySize * width * 256, `${padding}`);
  assertEquals(padding % (3 * vocabularySize * width), 0);

  const whole = { ...shape, rows: 1, time: 64 };
  const fewer = estimateStep(gpu, { ...whole, lora: { ...lora, targets: ["v_proj"] } });
  assert(fewer.multiplyAdds < estimateStep(gpu, whole).multiplyAdds);
});

Deno.test("keys and values are counted as generation allocates them", async () => {
  using gpu = await Gpu.open();
  using model = new LanguageModel(gpu, shape.config);
  let seen = 0;
  const allocate = gpu.allocate.bind(gpu);
  gpu.allocate = (...args) => {
    const tensor = allocate(...args);
    if (/layer\d+\/(keys|values)/.test(tensor.name)) seen += 4 * tensor.length;
    return tensor;
  };
  await generate(model, [Uint32Array.of(1, 2), Uint32Array.of(3)], { maxNewTokens: 7 });
  assertEquals(estimateCache(gpu, shape, { batch: 2, length: 9 }), seen);
  using narrow = await Gpu.open({ bindingLimit: 2 ** 10 }); // what it refuses is told all the same
  assertEquals(estimateCache(narrow, shape, { batch: 2, length: 9 }), seen);
});

Deno.test("what the adapter refuses is estimated all the same, with its words", async () => {
  using gpu = await Gpu.open({ bindingLimit: 2 ** 16 });
  using roomy = await Gpu.open();
  const { refusal, bytes } = estimateStep(gpu, shape);
  assert(refusal!.includes('Cannot allocate "train/'), refusal);
  const real = estimateStep(roomy, shape).bytes;
  assert(Math.abs(bytes / real - 1) < 0.05, `${bytes} of ${real}`);
  using plain = await Gpu.open({ without: ["shader-f16"] });
  assert(/has no shader-f16/.test(estimateStep(plain, { ...shape, precision: "f16" }).refusal!));
});

Deno.test("the smallest change is what changes least: micro-batch, recompute, f16, LoRA, shorter rows", async () => {
  using gpu = await Gpu.open();
  const bytesOf = (change: Partial<StepShape>) => estimateStep(gpu, { ...shape, ...change }).bytes;
  const found = (memory: number) => smallestChange(gpu, shape, memory)?.change;
  assertEquals(found(bytesOf({})), {});
  assertEquals(found(bytesOf({}) - 1), { rows: 2 });
  assertEquals(found(bytesOf({ rows: 1 })), { rows: 1 });
  assertEquals(found(bytesOf({ rows: 1 }) - 1), { recompute: true, rows: 1 });
  const last = bytesOf({ rows: 1, recompute: true });
  const beyond = smallestChange(gpu, shape, last - 1)!;
  assert(beyond.change.precision === "f16" || beyond.change.lora !== undefined);
  assert(beyond.estimate.bytes < last);
  assertEquals(found(1000), undefined);
  const all = { rows: 1, recompute: true, precision: "f16", lora: { ...lora, rank: 8 }, time: 30 };
  assertEquals(
    describeChange(shape, all as Partial<StepShape>, "--seq"),
    "--micro-batch 30 --recompute --precision f16 --lora 8 --seq 30",
  );
});

Deno.test("a step beyond the memory is refused with its parts and with what would fit", async () => {
  using gpu = await Gpu.open();
  const estimate = estimateStep(gpu, shape);
  assertEquals(expectFitting(gpu, shape, { memory: estimate.bytes }), estimate);
  assertEquals(misfit(gpu, estimate, undefined), undefined);
  const refused = (memory: number) => () => expectFitting(gpu, shape, { memory });
  assertThrows(
    refused(estimate.bytes - 1),
    "Cannot train on 4 × 60 tokens at once in f32: it takes ",
  );
  assertThrows(refused(estimate.bytes - 1), "weights 640 KiB");
  assertThrows(refused(estimate.bytes - 1), "Give --micro-batch 120: ");
  assertThrows(refused(1000), "Use a smaller model.");
});

Deno.test("train refuses a step that the adapter does not allow before it writes or loads anything", async () => {
  const folder = await Deno.makeTempDir();
  const texts = Array.from(
    { length: 8 },
    (_, i) =>
      JSON.stringify({
        text: `Oda sang ${i} songs about the mill by the river. `.repeat(20),
        spans: [],
      }),
  );
  await Deno.writeTextFile(`${folder}/texts.jsonl`, texts.join("\n"));
  using gpu = await Gpu.open({ bindingLimit: 2 ** 18 });
  const settings = { data: `${folder}/texts.jsonl`, model: "tiny", vocabulary: 300 };
  await assertRejects(
    () => trainOnSpans(gpu, { ...settings, out: `${folder}/out`, objective: objective("direct") }),
    "tokens at once in f32: Cannot allocate",
  );
  await assertRejects(() => Deno.stat(`${folder}/out`), "");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("only changes that there are options for are named", async () => {
  using gpu = await Gpu.open();
  const whole = estimateStep(gpu, shape).bytes;
  const found = (memory: number, adjustable: (keyof StepChange)[]) =>
    smallestChange(gpu, shape, memory, adjustable)?.change;
  assertEquals(found(whole - 1, ["rows"]), { rows: 2 });
  assertEquals(found(whole - 1, ["recompute"]), { recompute: true });
  const adapted = found(whole - 1, ["lora"]);
  assertEquals([Object.keys(adapted!), adapted!.lora!.rank], [["lora"], 8]);
  assertEquals(found(whole - 1, []), undefined);
  const long = { ...shape, rows: 1, time: 128 };
  const single = estimateStep(gpu, long).bytes;
  assertEquals(smallestChange(gpu, long, single - 1, ["rows"]), undefined);
  assertEquals(smallestChange(gpu, long, single - 1, ["time"])!.change, { time: 64 });
});

Deno.test("pretrain refuses a step that does not fit before it writes anything, and names options of its own", async () => {
  const folder = await Deno.makeTempDir();
  using gpu = await Gpu.open({ bindingLimit: 2 ** 18 });
  const tokenizer = trainBytePair(["Oda sang songs about the mill by the river."], 270);
  const options: PretrainingOptions = {
    ...{ config: { ...presets.tiny, vocabularySize: 320 }, tokenizer, seed: 0 },
    ...{ sequences: new Array(64).fill(lowRiskSequence(new Uint32Array(61).fill(3))) },
    ...{ epochs: 1, perStep: 64, learningRate: 1e-3 },
  };
  const refused = "tokens at once in f32: Cannot allocate";
  await assertRejects(() => pretrain(gpu, `${folder}/out`, options), refused);
  await assertRejects(() => pretrain(gpu, `${folder}/out`, options), "Give --micro-batch ");
  const fixed = { ...options, adjustable: [] };
  await assertRejects(() => pretrain(gpu, `${folder}/out`, fixed), "Use a smaller model.");
  await assertRejects(() => Deno.stat(`${folder}/out`), "");
  const fitting = await pretrain(gpu, `${folder}/out`, { ...options, mostPositions: 128 });
  assertEquals(fitting!.config.vocabularySize, 320);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the speed of a step is measured on one layer of its model", async () => {
  using gpu = await Gpu.open();
  const { flops, shape: measured } = await measureStepSpeed(gpu, {
    ...shape,
    freeze: ["layers:1"],
  });
  assert(flops > 1e6 && flops < 1e15, `${flops}`);
  assertEquals([measured.config.layers, measured.rows, measured.time], [1, 1, 60]);
  assertEquals(measured.config.width, shape.config.width);
  assertEquals(gpu.bytes, 0);
});

Deno.test("the task reads a config.json alone, prints the parts, and says whether they fit", async () => {
  const from = await Deno.makeTempDir();
  await Deno.writeTextFile(`${from}/config.json`, JSON.stringify(toHuggingFace(presets.tiny)));
  const ask = async (line: string) => {
    const { code, stdout, stderr } = await runTask("estimate", line.split(" "), { from });
    assertEquals(code, 0, stderr);
    return stdout;
  };
  const step = "--model config.json --batch 8 --seq 64 --micro-batch 128 --quick";
  const said = await ask(step);
  for (const part of ["4 × 1 × 128 tokens a step; f32", "weights", "640 KiB", "Yes, it fits"]) {
    assert(said.includes(part), said);
  }
  const report = JSON.parse(await ask(`${step} --json`));
  using gpu = await Gpu.open();
  const { bytes, parts, multiplyAdds } = estimateStep(gpu, { ...shape, rows: 1, time: 128 });
  assertEquals([report.bytes, report.parts, report.fits], [bytes, parts, true]);
  assertEquals(report.flops, 2 * 4 * multiplyAdds);
  const refused = await ask(`--model ${from} --batch 8 --seq 64 --memory 0.003 --quick`);
  assert(refused.includes("No, it does not fit: it takes"), refused);
  assert(/With --micro-batch \d+.* it would: /.test(refused), refused);
  await Deno.remove(from, { recursive: true });
});
