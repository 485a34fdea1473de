// Tiny OLMo and Llama models against PyTorch (tests/golden/make_golden.py computes in float64).

import { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { matmul } from "../kernels/matmul.ts";
import type { Batch } from "../src/data/packing.ts";
import { BatchTensors } from "../src/model/batch_tensors.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { crossEntropy, type Objective, unlikelihood } from "../src/slung/objective.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertClose, relativeError } from "./assert.ts";
import { type Golden, type GoldenObjective, loadGolden } from "./golden/golden.ts";

const tolerance = 1e-4;

function batchOf(golden: Golden, weighted: boolean): Batch {
  const { B, T } = golden;
  return {
    tokens: Uint32Array.from(golden.inputs),
    targets: Uint32Array.from(golden.targets),
    classes: Uint8Array.from(golden.classes),
    weights: weighted ? Float32Array.from(golden.weights) : new Float32Array(B * T).fill(1),
    predicted: new Uint8Array(B * T).fill(1),
    firstKey: new Uint32Array(B * T),
    firstTokens: [0, 0, 0, 0], // only the divisor "paper" asks
  };
}

function objectiveOf(golden: Golden, name: GoldenObjective): Objective {
  const { terms, weighted } = golden.objectives[name];
  const known = { cross_entropy: crossEntropy, unlikelihood, none: undefined } as const;
  const term = (risk: number) => known[terms[risk]!];
  const denominator = weighted ? "weights" : "active";
  return { name, terms: [crossEntropy, term(1), term(2), term(3)], denominator };
}

for (const family of ["olmo", "llama"] as const) {
  const golden = await loadGolden(family);

  Deno.test(`${family}: logits agree with PyTorch`, async () => {
    using gpu = await Gpu.open();
    using model = new LanguageModel(gpu, golden.config, golden.group("initial"));
    const { B, T } = golden;
    using program = new Program(gpu, "forward");
    const tensors = new BatchTensors(program, B * T, T);
    const { hidden } = model.recordBatch(program, tensors, { batch: B, training: false });
    const [rows, depth] = [B * T, golden.config.width];
    const columns = golden.config.vocabularySize;
    const logits = program.allocate("logits", [rows, columns]);
    const b = model.unembedding.value;
    matmul(program, { a: hidden.value, b, out: logits, rows, columns, depth, transposeB: true });
    tensors.write(batchOf(golden, false), [crossEntropy, crossEntropy, crossEntropy, crossEntropy]);
    program.replay();
    const error = relativeError(await gpu.read(logits), golden.logits.data);
    assert(error < tolerance, `relative error ${error}`);
  });

  for (const name of Object.keys(golden.objectives) as GoldenObjective[]) {
    Deno.test(`${family}, ${name}: loss and every gradient agree with PyTorch`, async () => {
      using gpu = await Gpu.open();
      using model = new LanguageModel(gpu, golden.config, golden.group("initial"), {
        gradients: true,
      });
      const { loss, weighted } = golden.objectives[name];
      const objective = objectiveOf(golden, name);
      const options = { rows: golden.B, time: golden.T, objective };
      // Chunks of 8 rows: the loss is assembled from several.
      const optimiser = {
        betas: [0.9, 0.95],
        epsilon: 1e-8,
        weightDecay: 0,
        maxGradientNorm: 0,
      } as const;
      using trainer = new Trainer(model, { ...options, optimiser, chunkRows: 8 });
      const batch = batchOf(golden, weighted);
      trainer.step(0, [batch], 0); // a learning rate of 0 changes no weight
      const [report] = await trainer.drain();
      assertClose(report!.loss, loss, tolerance, "loss");
      trainer.accumulate(0, [batch]);
      const gradients = await model.parameters.download("gradient");
      for (const [parameter, { data }] of golden.group(`${name}/grad`)) {
        const error = relativeError(gradients.get(parameter)!.data, data);
        assert(error < tolerance, `${parameter}: relative error ${error}`);
      }
    });
  }

  Deno.test(`${family}: ten AdamW steps agree with PyTorch`, async () => {
    using gpu = await Gpu.open();
    using model = new LanguageModel(gpu, golden.config, golden.group("initial"), {
      gradients: true,
    });
    const { training } = golden;
    using trainer = new Trainer(model, {
      rows: golden.B,
      time: golden.T,
      objective: objectiveOf(golden, training.objective),
      optimiser: {
        betas: [training.beta1, training.beta2],
        epsilon: training.epsilon,
        weightDecay: training.weightDecay,
        maxGradientNorm: training.clipNorm,
      },
    });
    for (let step = 0; step < training.losses.length; step++) {
      trainer.step(step, [batchOf(golden, false)], training.learningRate);
    }
    const reports = await trainer.drain();
    assertClose(reports.map(({ loss }) => loss), training.losses, tolerance, "loss");
    assertClose(reports.map((r) => r.gradientNorm), training.gradientNorms, tolerance, "norm");
    const final = await model.download();
    for (const [parameter, { data }] of golden.group("final")) {
      const error = relativeError(final.get(parameter)!.data, data);
      assert(error < tolerance, `${parameter}: relative error ${error}`);
    }
  });
}
