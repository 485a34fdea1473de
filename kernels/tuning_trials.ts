// What is timed to find the fastest way of computing something. Operands are such that the right result is known, so
// that a way which computes something else on an adapter is not taken, however fast it is.

import type { AttentionVariant, LossVariant, MatmulVariant } from "../src/gpu/choices.ts";
import type { Program } from "../src/gpu/program.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { attentionBackward, attentionForward } from "./attention.ts";
import { matmul } from "./matmul.ts";
import { defaultChunkRows, selectiveLoss } from "./selective_loss.ts";
import { stepLength, writeStep } from "./step.ts";

/** Records one computation in a given way; returns a tensor that it writes and what this must hold. */
export type Trial<Variant> = (
  program: Program,
  variant: Variant,
) => { actual: Tensor; expected: (i: number) => number };

/** A product of integers: A is i + k mod 3 and B is j + k mod 3, which makes nine sums; B may be stored transposed. */
export function productTrial(
  shape: { rows: number; columns: number; depth: number; transposeB: boolean },
): Trial<MatmulVariant> {
  const { rows, columns, depth, transposeB } = shape;
  const sums = Array.from({ length: 9 }, (_, pair) => {
    const [i, j] = [Math.floor(pair / 3), pair % 3];
    let sum = 0;
    for (let k = 0; k < depth; k++) sum += (i + k) % 3 * ((j + k) % 3);
    return sum;
  });
  return (program, variant) => {
    const a = program.allocate("a", [rows, depth]);
    const b = program.allocate("b", [columns, depth]);
    const actual = program.allocate("out", [rows, columns]);
    program.gpu.write(a, sumsModulo3(rows, depth));
    program.gpu.write(b, transposeB ? sumsModulo3(columns, depth) : sumsModulo3(depth, columns));
    matmul(program, { a, b, out: actual, ...shape, variant });
    const expected = (at: number) => sums[Math.floor(at / columns) % 3 * 3 + at % columns % 3]!;
    return { actual, expected };
  };
}

// At line i and place j: i + j mod 3.
function sumsModulo3(lines: number, width: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(lines * width);
  for (let i = 0, at = 0; i < lines; i++) {
    for (let j = 0; j < width; j++) values[at++] = (i + j) % 3;
  }
  return values;
}

/** Attention of queries that weigh all keys alike: the one at t gets the mean of the values, 0 to t. */
export function attentionTrial(scale: number): Trial<AttentionVariant> {
  const [batch, time, heads, headWidth] = scale > 1 ? [scale, 1024, 8, 64] : [1, 256, 4, 32];
  return (program, variant) => {
    const tensor = (name: string) => program.allocate(name, [batch, time, heads, headWidth]);
    const [q, k, v, out] = [tensor("q"), tensor("k"), tensor("v"), tensor("out")];
    const [dout, dq, dk, dv] = [tensor("dout"), tensor("dq"), tensor("dk"), tensor("dv")];
    const position = (i: number) => Math.floor(i / (heads * headWidth)) % time;
    program.gpu.write(v, Float32Array.from({ length: v.length }, (_, i) => position(i)));
    const request = {
      ...{ batch, time, heads, kvHeads: heads, headWidth, q, k, v, out, variant },
      firstKey: program.allocate("first_key", [batch, time], "u32"),
      statistics: program.allocate("statistics", [batch, heads, time, 2]),
    };
    attentionForward(program, request);
    attentionBackward(program, { ...request, dout, dq, dk, dv });
    return { actual: out, expected: (i) => position(i) / 2 };
  };
}

/** The loss of logits that are all zero: log V a token. */
export function lossTrial(scale: number): Trial<LossVariant> {
  const [rows, width, vocabulary] = [256 * scale, 64, 8192 * scale];
  return (program, { chunkBytes }) => {
    const { gpu } = program;
    const activeRows = program.allocate("active_rows", [rows], "u32");
    gpu.write(activeRows, Uint32Array.from({ length: rows }, (_, row) => row));
    const weights = program.allocate("weights", [rows]);
    gpu.write(weights, new Float32Array(rows).fill(1));
    const step = program.allocate("step", [stepLength]);
    writeStep(gpu, step, { learningRate: 0, update: 1, divisor: rows }, [0.9, 0.95]);
    const losses = program.allocate("losses", [rows]);
    selectiveLoss(program, {
      hidden: program.allocate("hidden", [rows, width]),
      unembedding: program.allocate("unembedding", [vocabulary, width]),
      dhidden: program.allocate("dhidden", [rows, width]),
      dunembedding: program.allocate("dunembedding", [vocabulary, width]),
      targets: program.allocate("targets", [rows], "u32"),
      classes: program.allocate("classes", [rows], "u32"),
      activeCount: () => rows,
      terms: `fn term(class_of_token: u32, m: f32, w: f32) -> Term {
        return Term(softplus(-m), -sigmoid(-m));
      }`,
      logOdds: program.allocate("log_odds", [rows]),
      classSums: program.allocate("class_sums", [4]),
      chunkRows: defaultChunkRows(gpu, rows, vocabulary, chunkBytes),
      ...{ activeRows, weights, step, losses },
    });
    return { actual: losses, expected: () => Math.log(vocabulary) };
  };
}
