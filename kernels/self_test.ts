// Does this adapter compute what it should? The kernels that training and generating are made of, on small
// random inputs, each against the plain float64 loops beside it. A driver that miscompiles one of them would otherwise
// show as a model that learns a little worse. Sizes are odd on purpose: no tile, chunk or workgroup is full.

import { Random } from "../src/base/random.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { Program } from "../src/gpu/program.ts";
import { elements, type Tensor } from "../src/gpu/tensor.ts";
import { adamw } from "./adamw.ts";
import { attentionBackward, attentionForward } from "./attention.ts";
import { cachedAttention } from "./cached_attention.ts";
import { matmul } from "./matmul.ts";
import { normBackward, normForward } from "./norm.ts";
import { noRow, selectiveLoss } from "./selective_loss.ts";
import { stepLength, writeStep } from "./step.ts";

/** What one kernel of the self-test did. */
export interface KernelCheck {
  /** What was checked, e.g. `matmul`. */
  kernel: string;
  /** Values compared. */
  values: number;
  /** The largest |actual − expected| of any result, relative to the largest |expected| of that result. */
  maxError: number;
  /** Whether `maxError` is within {@linkcode selfTestTolerance}. */
  ok: boolean;
}

/** The error a kernel may have: about 100 times what f32 leaves at these sizes. */
export const selfTestTolerance = 1e-4;

/**
 * Runs the self-test: matmul, norm, attention, with a cache too, selective loss and AdamW.
 *
 * @throws {CannotError} when a kernel does not compile or run at all.
 */
export async function selfTest(gpu: Gpu): Promise<KernelCheck[]> {
  const results: KernelCheck[] = [];
  for (const [kernel, record] of Object.entries(checks)) {
    using program = new Program(gpu, `self_test/${kernel}`);
    const pairs = record(new Bench(program, kernel));
    program.replay();
    const contents = await gpu.readAll(pairs.map(([tensor]) => tensor));
    const errors = pairs.map(([, expected], i) =>
      largestError(new Float32Array(contents[i]!), expected)
    );
    const maxError = errors.reduce((most, error) => error <= most ? most : error, 0); // keeps a NaN
    const values = pairs.reduce((sum, [, expected]) => sum + expected.length, 0);
    results.push({ kernel, values, maxError, ok: maxError <= selfTestTolerance });
  }
  return results;
}

/** A tensor that a kernel wrote, and what it should hold. */
type Pair = readonly [actual: Tensor, expected: Float64Array];

function largestError(actual: Float32Array, expected: Float64Array): number {
  let error = 0, scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= error)) error = difference;
    if (Number.isNaN(error)) return NaN;
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return error / scale;
}

/** Allocates and fills the tensors of one check. */
class Bench {
  readonly #random: Random;

  constructor(readonly program: Program, kernel: string) {
    this.#random = new Random(1, kernel);
  }

  /** Standard normal numbers, on the GPU and here. */
  normals(name: string, ...shape: number[]): { tensor: Tensor; data: Float32Array } {
    const data = Float32Array.from({ length: elements(shape) }, () => this.#random.normal());
    return { tensor: this.floats(name, data, shape), data };
  }

  floats(name: string, data: Float32Array, shape: readonly number[] = [data.length]): Tensor {
    const tensor = this.program.allocate(name, shape);
    this.program.gpu.write(tensor, data);
    return tensor;
  }

  integers(name: string, data: ArrayLike<number>): Tensor {
    const tensor = this.program.allocate(name, [data.length], "u32");
    this.program.gpu.write(tensor, Uint32Array.from(data));
    return tensor;
  }

  zeros(name: string, ...shape: number[]): Tensor {
    return this.program.allocate(name, shape);
  }
}

const checks: Record<string, (bench: Bench) => Pair[]> = {
  matmul: (bench) => [product(bench, 70, 67, 37), product(bench, 3, 67, 301)],

  norm(bench) {
    const [height, width, epsilon] = [13, 70, 1e-5];
    const x = bench.normals("x", height, width);
    const dy = bench.normals("dy", height, width);
    const y = bench.zeros("y", height, width);
    const dx = bench.zeros("dx", height, width);
    const statistics = bench.zeros("statistics", height, 2);
    const request = { x: x.tensor, statistics, centered: true, epsilon };
    normForward(bench.program, { ...request, y });
    normBackward(bench.program, { ...request, dy: dy.tensor, dx });
    const expectedY = new Float64Array(height * width), expectedDx = new Float64Array(y.length);
    for (let row = 0; row < height; row++) {
      const at = row * width;
      const mean = (of: (c: number) => number) => {
        let sum = 0;
        for (let c = at; c < at + width; c++) sum += of(c);
        return sum / width;
      };
      const center = mean((c) => x.data[c]!);
      const r = 1 / Math.sqrt(mean((c) => (x.data[c]! - center) ** 2) + epsilon);
      const normalised = (c: number) => (x.data[c]! - center) * r;
      const meanDy = mean((c) => dy.data[c]!),
        meanProduct = mean((c) => dy.data[c]! * normalised(c));
      for (let c = at; c < at + width; c++) {
        expectedY[c] = normalised(c);
        expectedDx[c] = r * (dy.data[c]! - meanDy - normalised(c) * meanProduct);
      }
    }
    return [[y, expectedY], [dx, expectedDx]];
  },

  attention(bench) {
    const [time, heads, kvHeads, headWidth] = [45, 4, 2, 8]; // two documents, 0 … 19 and 20 … 44
    const firstKey = Array.from({ length: time }, (_, i) => i < 20 ? 0 : 20);
    const q = bench.normals("q", 1, time, heads, headWidth);
    const k = bench.normals("k", 1, time, kvHeads, headWidth);
    const v = bench.normals("v", 1, time, kvHeads, headWidth);
    const dout = bench.normals("dout", 1, time, heads, headWidth);
    const like = (name: string, { shape }: Tensor) => bench.zeros(name, ...shape);
    const out = like("out", q.tensor), dq = like("dq", q.tensor);
    const dk = like("dk", k.tensor), dv = like("dv", v.tensor);
    const request = {
      ...{ batch: 1, time, heads, kvHeads, headWidth },
      ...{ q: q.tensor, k: k.tensor, v: v.tensor, firstKey: bench.integers("first_key", firstKey) },
      ...{ out, statistics: bench.zeros("statistics", 1, heads, time, 2) },
    };
    attentionForward(bench.program, request);
    attentionBackward(bench.program, { ...request, dout: dout.tensor, dq, dk, dv });

    const scale = 1 / Math.sqrt(headWidth);
    const expected = { out, dq, dk, dv };
    const want = mapValues(expected, ({ length }) => new Float64Array(length));
    for (let i = 0; i < time; i++) {
      for (let head = 0; head < heads; head++) {
        const query = (i * heads + head) * headWidth;
        const keyOf = (j: number) => (j * kvHeads + Math.floor(head * kvHeads / heads)) * headWidth;
        const dot = (left: Float32Array, right: Float32Array, j: number) => {
          let sum = 0;
          for (let d = 0; d < headWidth; d++) sum += left[query + d]! * right[keyOf(j) + d]!;
          return sum;
        };
        const keys = Array.from({ length: i - firstKey[i]! + 1 }, (_, j) => firstKey[i]! + j);
        const scores = keys.map((j) => Math.exp(dot(q.data, k.data, j) * scale));
        const total = scores.reduce((sum, score) => sum + score, 0);
        const delta = keys.reduce(
          (sum, j, n) => sum + scores[n]! / total * dot(dout.data, v.data, j),
          0,
        );
        keys.forEach((j, n) => {
          const p = scores[n]! / total;
          const ds = p * (dot(dout.data, v.data, j) - delta) * scale;
          for (let d = 0; d < headWidth; d++) {
            want.out[query + d]! += p * v.data[keyOf(j) + d]!;
            want.dq[query + d]! += ds * k.data[keyOf(j) + d]!;
            want.dk[keyOf(j) + d]! += ds * q.data[query + d]!;
            want.dv[keyOf(j) + d]! += p * dout.data[query + d]!;
          }
        });
      }
    }
    return [[out, want.out], [dq, want.dq], [dk, want.dk], [dv, want.dv]];
  },

  "cached attention"(bench) {
    const [batch, heads, kvHeads, headWidth, capacity] = [3, 4, 2, 12, 75];
    const positions = [0, 33, 74];
    const q = bench.normals("q", batch, heads, headWidth);
    const k = bench.normals("k", batch, kvHeads, headWidth);
    const v = bench.normals("v", batch, kvHeads, headWidth);
    const keys = bench.normals("keys", batch, capacity, kvHeads, headWidth);
    const values = bench.normals("values", batch, capacity, kvHeads, headWidth);
    const out = bench.zeros("out", batch, heads, headWidth);
    cachedAttention(bench.program, {
      ...{ batch, heads, kvHeads, headWidth, capacity, out },
      ...{ q: q.tensor, k: k.tensor, v: v.tensor, keys: keys.tensor, values: values.tensor },
      positions: bench.integers("positions", positions),
    });
    const want = new Float64Array(out.length);
    for (let i = 0; i < batch * heads; i++) {
      const sequence = Math.floor(i / heads), kvHead = Math.floor(i % heads * kvHeads / heads);
      const position = positions[sequence]!;
      const rowAt = (cached: Float32Array, fresh: Float32Array, j: number) =>
        j === position
          ? fresh.subarray((sequence * kvHeads + kvHead) * headWidth)
          : cached.subarray(((sequence * capacity + j) * kvHeads + kvHead) * headWidth);
      const scores = Array.from({ length: position + 1 }, (_, j) => {
        const key = rowAt(keys.data, k.data, j);
        let sum = 0;
        for (let d = 0; d < headWidth; d++) sum += q.data[i * headWidth + d]! * key[d]!;
        return Math.exp(sum / Math.sqrt(headWidth));
      });
      const total = scores.reduce((sum, score) => sum + score, 0);
      scores.forEach((score, j) => {
        const value = rowAt(values.data, v.data, j);
        for (let d = 0; d < headWidth; d++) want[i * headWidth + d]! += score / total * value[d]!;
      });
    }
    return [[out, want]];
  },

  "selective loss"(bench) {
    // Above 65,535 / 2: llvmpipe ends an invocation's loops, all taken together, after 65,535 rounds.
    const [height, width, vocabulary] = [11, 4, 50_281];
    const [learned, masked, lowered] = [1, 2, 3];
    const classes = Array.from(
      { length: height },
      (_, row) => [learned, masked, lowered][row % 3]!,
    );
    const targets = classes.map((_, row) => (row * 4999) % vocabulary);
    const active = classes.flatMap((risk, row) => risk === masked ? [] : [row]);
    const divisor = active.length;
    const hidden = bench.normals("hidden", height, width);
    const unembedding = bench.normals("unembedding", vocabulary, width);
    const losses = bench.zeros("losses", height);
    const dhidden = bench.zeros("dhidden", height, width);
    const dunembedding = bench.zeros("dunembedding", vocabulary, width);
    const step = bench.zeros("step", stepLength);
    writeStep(bench.program.gpu, step, { learningRate: 0, update: 1, divisor }, [0.9, 0.95]);
    selectiveLoss(bench.program, {
      hidden: hidden.tensor,
      unembedding: unembedding.tensor,
      targets: bench.integers("targets", targets),
      classes: bench.integers("classes", classes),
      weights: bench.floats("weights", new Float32Array(height).fill(1)),
      activeRows: bench.integers(
        "active_rows",
        classes.map((_, i) => active[i] ?? noRow),
      ),
      activeCount: () => active.length,
      terms: `fn term(class_of_token: u32, m: f32, w: f32) -> Term {
        if (class_of_token == ${lowered}u) { return Term(softplus(m), sigmoid(m)); }
        return Term(softplus(-m), -sigmoid(-m));
      }`,
      logOdds: bench.zeros("log_odds", height),
      classSums: bench.zeros("class_sums", 4),
      chunkRows: 4, // several chunks, of which the last holds no row
      ...{ step, losses, dhidden, dunembedding },
    });

    const want = mapValues(
      { losses, dhidden, dunembedding },
      ({ length }) => new Float64Array(length),
    );
    for (const row of active) {
      const logits = Array.from({ length: vocabulary }, (_, j) => {
        let sum = 0;
        for (let c = 0; c < width; c++) {
          sum += hidden.data[row * width + c]! * unembedding.data[j * width + c]!;
        }
        return sum;
      });
      const target = targets[row]!;
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const p = logits.map((logit) => Math.exp(logit) / total);
      const others = (total - Math.exp(logits[target]!)) / total; // 1 − p of the target
      const lowers = classes[row] === lowered;
      want.losses[row] = -Math.log(lowers ? others : p[target]!);
      for (let j = 0; j < vocabulary; j++) {
        const towards = p[j]! - (j === target ? 1 : 0); // d(−log p_target) / d logit
        const dlogit = (lowers ? -towards * p[target]! / others : towards) / divisor;
        for (let c = 0; c < width; c++) {
          want.dhidden[row * width + c]! += dlogit * unembedding.data[j * width + c]!;
          want.dunembedding[j * width + c]! += dlogit * hidden.data[row * width + c]!;
        }
      }
    }
    return [
      [losses, want.losses],
      [dhidden, want.dhidden],
      [dunembedding, want.dunembedding],
    ];
  },

  adamw(bench) {
    const length = 131;
    const [learningRate, update, decay, epsilon, clip] = [0.5, 3, 0.1, 1e-8, 0.5];
    const betas = [0.9, 0.95] as const;
    const weight = bench.normals("weight", length);
    const gradient = bench.normals("gradient", length);
    const m = bench.normals("first_moment", length);
    const v = { data: Float32Array.from(m.data, (x) => x * x + 0.01) };
    const secondMoment = bench.floats("second_moment", v.data);
    const step = bench.zeros("step", stepLength);
    writeStep(bench.program.gpu, step, { learningRate, update, divisor: 1 }, betas);
    adamw(bench.program, {
      step,
      status: bench.floats("status", new Float32Array([2, clip, 0, 0, 0])),
      gradient: gradient.tensor,
      weight: weight.tensor,
      firstMoment: m.tensor,
      secondMoment,
      ...{ decay, betas, epsilon },
    });
    const expected = Float64Array.from(weight.data, (w, i) => {
      const g = gradient.data[i]! * clip;
      const first = (betas[0] * m.data[i]! + (1 - betas[0]) * g) / (1 - betas[0] ** update);
      const second = (betas[1] * v.data[i]! + (1 - betas[1]) * g * g) / (1 - betas[1] ** update);
      return w * (1 - learningRate * decay) - learningRate * first / (Math.sqrt(second) + epsilon);
    });
    return [[weight.tensor, expected]];
  },
};

// x · Wᵀ.
function product(bench: Bench, rows: number, columns: number, depth: number): Pair {
  const a = bench.normals("a", rows, depth);
  const b = bench.normals("b", columns, depth);
  const out = bench.zeros("out", rows, columns);
  const sizes = { rows, columns, depth, transposeB: true };
  matmul(bench.program, { a: a.tensor, b: b.tensor, out, ...sizes });
  const expected = new Float64Array(rows * columns);
  for (let i = 0; i < expected.length; i++) {
    const row = Math.floor(i / columns) * depth, column = (i % columns) * depth;
    for (let k = 0; k < depth; k++) expected[i]! += a.data[row + k]! * b.data[column + k]!;
  }
  return [out, expected];
}

function mapValues<Key extends string, From, To>(
  record: Record<Key, From>,
  map: (value: From) => To,
): Record<Key, To> {
  return Object.fromEntries(
    Object.entries<From>(record).map(([key, value]) => [key, map(value)]),
  ) as Record<Key, To>;
}
