// Tiny folders of every family in Hugging Face's own layout, and what PyTorch computes for them in float64
// (tests/golden/make_families.py): read, run, learned from, written back.

import { fileURLToPath } from "node:url";
import { readJson } from "../src/base/files.ts";
import { packSequences } from "../src/data/packing.ts";
import type { Sequence } from "../src/data/sequence.ts";
import { scoreSequences } from "../src/eval/score.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import type { HostTensor } from "../src/model/config.ts";
import { type HuggingFaceConfig, namingOf } from "../src/model/formats/huggingface/config.ts";
import { putTogether, storedTensors } from "../src/model/formats/naming.ts";
import { readSafetensorsHeader } from "../src/model/formats/safetensors.ts";
import { type Dtype, readTensor } from "../src/model/formats/tensor_data.ts";
import { generate } from "../src/model/generate.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { loadModel, openModelFiles, saveModel, withRotaryPairing } from "../src/model/weights.ts";
import { objective } from "../src/slung/objective.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertClose, assertEquals, relativeError } from "./assert.ts";
import { testHalves } from "./fixtures/halves.ts";
import { logitsOf } from "./fixtures/tiny.ts";

const root = fileURLToPath(new URL("golden/families", import.meta.url));
const tolerance = 1e-4;

const names = [
  "olmo2",
  "llama3",
  "llama_linear",
  "mistral",
  "qwen2",
  "qwen3",
  "gpt_neox",
  "gpt_neox_sequential",
  "gpt2",
];

interface Golden {
  loss: number;
  dtype: Dtype;
  /** The B texts of T + 1 tokens, with the classes of all but the first. */
  sequences: Sequence[];
  /** [B, T, V] */
  logits: HostTensor;
  /** By the family's own names. */
  gradients: Map<string, HostTensor>;
}

async function readGolden(name: string): Promise<Golden> {
  const report = await readJson(`${root}/${name}/golden.json`) as { loss: number; dtype: Dtype };
  const { tensors } = await readSafetensorsHeader(`${root}/${name}/golden.safetensors`);
  const read = async (tensor: string) => await readTensor(tensors.get(tensor)!);
  const tokens = await read("tokens"), classes = await read("classes");
  const [rows, length] = tokens.shape as [number, number];
  const time = length - 1;
  const gradients = new Map<string, HostTensor>();
  for (const tensor of tensors.keys()) {
    if (tensor.startsWith("grad/")) gradients.set(tensor.slice(5), await read(tensor));
  }
  const sequences = Array.from({ length: rows }, (_, row) => ({
    tokens: Uint32Array.from(tokens.data.subarray(row * length, (row + 1) * length)),
    classes: Uint8Array.from([1, ...classes.data.subarray(row * time, (row + 1) * time)]),
  }));
  return { ...report, sequences, logits: await read("logits"), gradients };
}

async function assertLogits(
  model: LanguageModel,
  { sequences, logits }: Golden,
  tolerance: number,
): Promise<void> {
  const [, time, vocabulary] = logits.shape as [number, number, number];
  for (const [row, { tokens }] of sequences.entries()) {
    const ours = await logitsOf(model, tokens.subarray(0, time));
    const start = row * time * vocabulary;
    const theirs = logits.data.subarray(start, start + time * vocabulary);
    const error = relativeError(ours.flatMap((z) => [...z]), theirs);
    assert(error < tolerance, `relative error ${error}`);
  }
}

for (const name of names) {
  Deno.test(`${name}: logits agree with PyTorch, at once and token by token`, async () => {
    using gpu = await Gpu.open();
    using model = await LanguageModel.load(gpu, await openModelFiles(`${root}/${name}`));
    const golden = await readGolden(name);
    await assertLogits(model, golden, tolerance);
    for (const { tokens } of golden.sequences) {
      const prompt = tokens.subarray(0, 3);
      const [written] = await generate(model, [prompt], { maxNewTokens: 4 });
      const whole = await logitsOf(model, Uint32Array.from([...prompt, ...written!]));
      const expected = whole.slice(2, 6).map((z) => z.indexOf(Math.max(...z)));
      assertEquals([...written!], expected);
    }
  });

  Deno.test(`${name}: with rotary entries paired the other way it computes the same`, async () => {
    using gpu = await Gpu.open();
    const model = await loadModel(`${root}/${name}`);
    const other = withRotaryPairing(model, "interleaved");
    using turned = new LanguageModel(gpu, other.config, other.weights);
    await assertLogits(turned, await readGolden(name), tolerance);
    assertEquals(withRotaryPairing(other, "half").weights, model.weights);
  });

  testHalves(`${name}: logits in f16 are those of PyTorch to three digits`, async () => {
    using gpu = await Gpu.open();
    const files = await openModelFiles(`${root}/${name}`);
    using model = await LanguageModel.load(gpu, files, { precision: "f16" });
    await assertLogits(model, await readGolden(name), 5e-3);
  });

  for (const recompute of [false, true]) {
    const how = recompute ? "computed again" : "kept";
    Deno.test(`${name}: loss and every gradient agree with PyTorch, activations ${how}`, async () => {
      using gpu = await Gpu.open();
      const folder = `${root}/${name}`;
      const files = await openModelFiles(folder);
      using model = await LanguageModel.load(gpu, files, { gradients: true });
      const { sequences, loss, gradients: expected } = await readGolden(name);
      const shape = { rows: 2, time: 9 };
      const { batches } = packSequences(sequences, shape);
      const optimiser = {
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weightDecay: 0,
        maxGradientNorm: 0,
      } as const;
      const goal = objective("unlikelihood");
      using trainer = new Trainer(model, { ...shape, objective: goal, optimiser, recompute });
      trainer.step(0, batches, 0); // a learning rate of 0 changes no weight
      const [report] = await trainer.drain();
      assertClose(report!.loss, loss, tolerance, "loss");
      trainer.accumulate(0, batches);
      const gradients = await model.parameters.download("gradient");
      const json = await readJson(`${folder}/config.json`) as HuggingFaceConfig;
      for (const stored of storedTensors(files.config, namingOf(json, files.config))) {
        const ours = putTogether(stored, gradients), theirs = expected.get(stored.name)!;
        assertEquals(ours.shape, theirs.shape);
        const error = relativeError(ours.data, theirs.data);
        assert(error < tolerance, `${stored.name}: relative error ${error}`);
        expected.delete(stored.name);
      }
      assertEquals([...expected.keys()], []);
    });
  }

  Deno.test(`${name}: what is read is written back byte for byte`, async () => {
    const folder = await Deno.makeTempDir();
    const { config, weights } = await loadModel(`${root}/${name}`);
    const { dtype } = await readGolden(name);
    await saveModel(folder, config, weights, { dtype });
    const file = "model.safetensors";
    assertEquals(
      await Deno.readFile(`${folder}/${file}`),
      await Deno.readFile(`${root}/${name}/${file}`),
    );
    const again = await openModelFiles(folder);
    assertEquals(again.config, config);
    const types = async (path: string) => {
      const { architectures, model_type } = await readJson(path) as HuggingFaceConfig;
      return [architectures, model_type];
    };
    assertEquals(
      await types(`${folder}/config.json`),
      await types(`${root}/${name}/config.json`),
    );
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("learned positions begin anew with every text that shares a row", async () => {
  using gpu = await Gpu.open();
  using model = await LanguageModel.load(gpu, await openModelFiles(`${root}/gpt2`));
  const { sequences } = await readGolden("gpt2");
  const short = sequences.map(({ tokens, classes }) => ({
    tokens: tokens.slice(0, 6),
    classes: classes.slice(0, 6),
  }));
  const alone = await scoreSequences(model, short, { rows: 2, time: 5 });
  const together = await scoreSequences(model, short, { rows: 1, time: 10 });
  alone.forEach((scores, i) => assertClose(together[i]!, scores, 1e-5, `text ${i}`));
});
