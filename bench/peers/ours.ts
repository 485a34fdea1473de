// Our own kernels and trainer behind the interface of a peer, so that every case treats all libraries alike.

import { attentionBackward, attentionForward } from "../../kernels/attention.ts";
import { matmul } from "../../kernels/matmul.ts";
import { noRow, selectiveLoss } from "../../kernels/selective_loss.ts";
import { stepLength, writeStep } from "../../kernels/step.ts";
import { type Gpu, LanguageModel, objective } from "../../mod.ts";
import { Program } from "../../src/gpu/program.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { termsToWgsl } from "../../src/slung/objective.ts";
import { Trainer } from "../../src/train/trainer.ts";
import type { Computation, Peer } from "./peer.ts";

/** The name under which our own numbers stand. */
export const ours = "slung";

const replaysPerSubmit = 64;

/** Our kernels as a peer. */
export function openOurs(gpu: Gpu): Required<Peer> & { device: GPUDevice } {
  return {
    name: ours,
    version: "this tree",
    device: gpu.device,

    product({ rows, columns, depth, transposeA, transposeB, ...operands }) {
      const program = new Program(gpu, "product");
      const out = program.allocate("out", [rows, columns]);
      const a = upload(program, "a", operands.a, [rows, depth]);
      const b = upload(program, "b", operands.b, [depth, columns]);
      matmul(program, { a, b, out, rows, columns, depth, transposeA, transposeB });
      return computation(program, out);
    },

    attention({ batch, time, heads, headWidth, backward, ...operands }) {
      const program = new Program(gpu, "attention");
      const shape = [batch, time, heads, headWidth];
      const request = {
        ...{ batch, time, heads, kvHeads: heads, headWidth },
        q: upload(program, "q", operands.q, shape),
        k: upload(program, "k", operands.k, shape),
        v: upload(program, "v", operands.v, shape),
        firstKey: program.allocate("first_key", [batch * time], "u32"),
        out: program.allocate("out", shape),
        statistics: program.allocate("statistics", [batch, heads, time, 2]),
      };
      const dout = upload(program, "dout", operands.dout, shape);
      attentionForward(program, request);
      if (!backward) return computation(program, request.out);
      const [dq, dk, dv] = ["dq", "dk", "dv"].map((name) => program.allocate(name, shape));
      attentionBackward(program, { ...request, dout, dq: dq!, dk: dk!, dv: dv! });
      return computation(program, dq!);
    },

    loss({ rows, width, vocabulary, ...request }) {
      const program = new Program(gpu, "loss");
      const active = Uint32Array.from(request.weights.keys()).filter((row) => request.weights[row]);
      const rowIndices = new Uint32Array(rows).fill(noRow);
      rowIndices.set(active);
      const step = program.allocate("step", [stepLength]);
      writeStep(gpu, step, { learningRate: 0, update: 1, divisor: active.length }, [0.9, 0.95]);
      const losses = program.allocate("losses", [rows]);
      const dunembedding = program.allocate("dunembedding", [vocabulary, width]);
      program.clear(dunembedding);
      selectiveLoss(program, {
        hidden: upload(program, "hidden", request.hidden, [rows, width]),
        unembedding: upload(program, "unembedding", request.unembedding, [vocabulary, width]),
        dhidden: program.allocate("dhidden", [rows, width]),
        dunembedding,
        targets: upload(program, "targets", request.targets, [rows]),
        classes: program.allocate("classes", [rows], "u32"),
        weights: upload(program, "weights", request.weights, [rows]),
        activeRows: upload(program, "active_rows", rowIndices, [rows]),
        activeCount: () => active.length,
        step,
        losses,
        logOdds: program.allocate("log_odds", [rows]),
        classSums: program.allocate("class_sums", [4]),
        terms: termsToWgsl(objective("direct").terms),
      });
      const result = async () => {
        const values = await gpu.read(losses);
        const sum = active.reduce((sum, row) => sum + values[row]!, 0);
        return Float32Array.of(sum / active.length);
      };
      return { ...computation(program, losses), result };
    },

    trainingStep({ config, weights, batch, rows, time, optimiser, learningRate }) {
      const model = new LanguageModel(gpu, config, weights, { gradients: true });
      const trainer = new Trainer(model, { rows, time, objective: objective("direct"), optimiser });
      let step = 0;
      let loss = NaN;
      return {
        name: ours,
        async run(times) {
          for (let i = 0; i < times; i++) {
            trainer.step(step++, [batch], learningRate);
            if (trainer.pending === 32 || i === times - 1) {
              loss = (await trainer.drain()).at(-1)!.loss;
            }
          }
        },
        result: () => Promise.resolve(Float32Array.of(loss)),
        dispose() {
          trainer.destroy();
          model.destroy();
        },
      };
    },
  };
}

function upload(
  program: Program,
  name: string,
  values: Float32Array | Uint32Array,
  shape: number[],
): Tensor {
  const type = values instanceof Float32Array ? "f32" : "u32";
  const tensor = program.allocate(name, shape, type);
  program.gpu.write(tensor, values);
  return tensor;
}

function computation(program: Program, out: Tensor): Computation {
  const { gpu } = program;
  return {
    name: ours,
    async run(times) {
      for (let done = 0; done < times; done += replaysPerSubmit) {
        program.replay(Math.min(replaysPerSubmit, times - done));
      }
      await gpu.settle();
    },
    result: () => gpu.read(out),
    dispose: () => program.destroy(),
  };
}
