// Who judges the judge: every backward of tests/reference.ts against central differences in float64 at odd
// sizes, and the forward passes against values and golden files that PyTorch computed.

import { Random } from "../src/base/random.ts";
import { checkParameters } from "../src/model/check_parameters.ts";
import { assertClose, assertEquals } from "./assert.ts";
import { type Golden, loadGolden } from "./golden/golden.ts";
import {
  type AdamWState,
  adamWStep,
  addBias,
  attention,
  attentionBackward,
  biasBackward,
  clipFactor,
  embedding,
  embeddingBackward,
  erf,
  finiteDifference,
  geluErf,
  geluErfBackward,
  geluTanh,
  geluTanhBackward,
  globalNorm,
  layerNorm,
  layerNormBackward,
  type LossTerm,
  matmulNN,
  matmulNT,
  matmulTN,
  type Numbers,
  rmsNorm,
  rmsNormBackward,
  rotary,
  rotaryBackward,
  selectiveLoss,
  swiglu,
  swigluBackward,
} from "./reference.ts";

/** Central differences at step 1e-5 are good to about 1e-10; a wrong formula is off by far more. */
const DIFFERENCE_TOLERANCE = 1e-8;

function normals(length: number, seed: number): Float64Array {
  const random = new Random(seed);
  return Float64Array.from({ length }, () => random.normal());
}

/** Checks dx, obtained from an upstream gradient dy, against the differences of Σ dy · forward(x). */
function assertGradient(
  forward: (x: Float64Array) => Float64Array,
  x: Numbers,
  dy: Numbers,
  dx: Float64Array,
  what: string,
): void {
  const f = (point: Float64Array) => forward(point).reduce((sum, y, i) => sum + y * dy[i]!, 0);
  assertClose(dx, finiteDifference(f, x), DIFFERENCE_TOLERANCE, what);
}

Deno.test("the three matrix products are each other's gradients", () => {
  const N = 3, K = 5, M = 7;
  const x = normals(N * K, 1), w = normals(M * K, 2), dy = normals(N * M, 3);
  const dx = matmulNN(dy, w, { N, K: M, M: K });
  const dw = matmulTN(dy, x, { K: N, N: M, M: K });
  assertGradient((x) => matmulNT(x, w, { N, K, M }), x, dy, dx, "dx");
  assertGradient((w) => matmulNT(x, w, { N, K, M }), w, dy, dw, "dw");
});

Deno.test("the matrix product of two small integer matrices is the one worked by hand", () => {
  const sizes = { N: 2, K: 2, M: 2 };
  assertEquals([...matmulNT([1, 2, 3, 4], [5, 6, 7, 8], sizes)], [17, 23, 39, 53]);
  assertEquals([...matmulNN([1, 2, 3, 4], [5, 6, 7, 8], sizes)], [19, 22, 43, 50]);
  assertEquals([...matmulTN([1, 2, 3, 4], [5, 6, 7, 8], sizes)], [26, 30, 38, 44]);
});

Deno.test("the embedding's gradient sums the rows that share an id", () => {
  const V = 5, C = 3, ids = [4, 1, 4, 0, 4];
  const table = normals(V * C, 1), dy = normals(ids.length * C, 2);
  const dtable = embeddingBackward(dy, ids, { V, C });
  assertGradient((table) => embedding(table, ids, C), table, dy, dtable, "dtable");
  assertEquals([...dtable.subarray(2 * C, 4 * C)], new Array(2 * C).fill(0), "unused ids");
});

Deno.test("a bias's gradient is the sum of the rows", () => {
  const M = 5, x = normals(3 * M, 1), bias = normals(M, 2), dy = normals(3 * M, 3);
  const dbias = biasBackward(dy, M);
  assertGradient((bias) => addBias(x, bias), bias, dy, dbias, "dbias");
});

Deno.test("layer norm's gradients agree with finite differences, with and without weight and bias", () => {
  const N = 3, C = 7, epsilon = 1e-5;
  const x = normals(N * C, 1), dy = normals(N * C, 2);
  const weight = normals(C, 3), bias = normals(C, 4);
  const affine = layerNormBackward(dy, x, { C, epsilon, weight });
  const forward = (x: Numbers, weight: Numbers, bias: Numbers) =>
    layerNorm(x, { C, epsilon, weight, bias });
  assertGradient((x) => forward(x, weight, bias), x, dy, affine.dx, "dx");
  assertGradient((weight) => forward(x, weight, bias), weight, dy, affine.dweight, "dweight");
  assertGradient((bias) => forward(x, weight, bias), bias, dy, affine.dbias, "dbias");
  const plain = layerNormBackward(dy, x, { C, epsilon });
  assertGradient((x) => layerNorm(x, { C, epsilon }), x, dy, plain.dx, "non-parametric dx");
});

Deno.test("RMS norm's gradients agree with finite differences, also where epsilon dominates", () => {
  const N = 3, C = 7;
  const x = normals(N * C, 1), dy = normals(N * C, 2), weight = normals(C, 3);
  for (const epsilon of [1e-5, 2]) {
    const { dx, dweight } = rmsNormBackward(dy, x, { C, epsilon, weight });
    assertGradient((x) => rmsNorm(x, { C, epsilon, weight }), x, dy, dx, "dx");
    assertGradient((weight) => rmsNorm(x, { C, epsilon, weight }), weight, dy, dweight, "dweight");
  }
});

Deno.test("the rotary gradient is the inverse rotation, in both pairings", () => {
  const H = 3, D = 6, positions = [0, 1, 2, 5, 0, 7], theta = 10000;
  const x = normals(positions.length * H * D, 1), dy = normals(x.length, 2);
  for (const pairing of ["half", "interleaved"] as const) {
    const options = { H, D, positions, theta, pairing };
    assertGradient((x) => rotary(x, options), x, dy, rotaryBackward(dy, options), pairing);
    assertClose(rotaryBackward(rotary(x, options), options), x, 1e-14, "turned back");
  }
});

Deno.test("the two rotary pairings turn the pairs that their names say", () => {
  const options = { H: 1, D: 4, positions: [1], theta: 10000 };
  const c = Math.cos(1), s = Math.sin(1); // the first pair turns by one radian, the second by 0.01
  const half = rotary([1, 0, 0, 0], { ...options, pairing: "half" });
  assertClose(half, [c, 0, s, 0], 1e-15);
  const interleaved = rotary([1, 0, 0, 0], { ...options, pairing: "interleaved" });
  assertClose(interleaved, [c, s, 0, 0], 1e-15);
  const second = rotary([0, 1, 0, 0], { ...options, pairing: "half" });
  assertClose(second, [0, Math.cos(0.01), 0, Math.sin(0.01)], 1e-15);
});

for (const [H, G] of [[3, 3], [6, 2], [3, 1]] as const) {
  Deno.test(`attention's gradients agree with finite differences: ${H} heads on ${G}`, () => {
    const sizes = { B: 2, T: 5, H, G, D: 3 };
    const q = normals(2 * 5 * H * 3, 1), k = normals(2 * 5 * G * 3, 2);
    const v = normals(k.length, 3), dout = normals(q.length, 4);
    const { dq, dk, dv } = attentionBackward(dout, q, k, v, sizes);
    assertGradient((q) => attention(q, k, v, sizes).out, q, dout, dq, "dq");
    assertGradient((k) => attention(q, k, v, sizes).out, k, dout, dk, "dk");
    assertGradient((v) => attention(q, k, v, sizes).out, v, dout, dv, "dv");
  });
}

Deno.test("attention sees no later token: position 0 copies its own value", () => {
  const sizes = { B: 1, T: 4, H: 2, G: 1, D: 3 };
  const q = normals(4 * 2 * 3, 1), k = normals(4 * 3, 2), v = normals(4 * 3, 3);
  const { out } = attention(q, k, v, sizes);
  assertClose(out.subarray(0, 6), [...v.subarray(0, 3), ...v.subarray(0, 3)], 1e-15);
});

Deno.test("attention's log-sum-exp at equal scores is the score plus log of the keys seen", () => {
  const sizes = { B: 1, T: 3, H: 2, G: 1, D: 1 };
  const { logSumExp } = attention([2, 1, 2, 1, 2, 1], [3, 3, 3], [0, 0, 0], sizes);
  const counts = [1, 2, 3].map(Math.log);
  assertClose(logSumExp, [...counts.map((log) => 6 + log), ...counts.map((log) => 3 + log)], 1e-15);
});

Deno.test("attention over a cache equals the last queries of the whole sequence", () => {
  const B = 2, S = 6, H = 4, G = 2, D = 3, width = H * D;
  const q = normals(B * S * width, 1), k = normals(B * S * G * D, 2), v = normals(B * S * G * D, 3);
  const whole = attention(q, k, v, { B, T: S, H, G, D }).out;
  const last = (x: Float64Array) =>
    Float64Array.from([1, 2].flatMap((b) => [...x.subarray((b * S - 2) * width, b * S * width)]));
  const cached = attention(last(q), k, v, { B, T: 2, H, G, D, S }).out;
  assertEquals(cached, last(whole));
});

Deno.test("the activations' gradients agree with finite differences", () => {
  const x = normals(11, 1), up = normals(11, 2), dy = normals(11, 3);
  const { dgate, dup } = swigluBackward(dy, x, up);
  assertGradient((gate) => swiglu(gate, up), x, dy, dgate, "dgate");
  assertGradient((up) => swiglu(x, up), up, dy, dup, "dup");
  assertGradient(geluErf, x, dy, geluErfBackward(dy, x), "exact GELU");
  assertGradient(geluTanh, x, dy, geluTanhBackward(dy, x), "tanh GELU");
});

Deno.test("both GELUs have the values of torch.nn.functional.gelu", () => {
  const x = [-2.5, -0.7, 0, 0.3, 1.9];
  const exact = [-0.015524163314440398, -0.1693745565561511, 0, 0.1853734266566858];
  const tanh = [-0.015084266089998577, -0.16942986529488321, 0, 0.18537092354275922];
  assertClose(geluErf(x), [...exact, 1.8454385363495966], 1e-15);
  assertClose(geluTanh(x), [...tanh, 1.8454512344553327], 1e-15);
  assertEquals([erf(-7), erf(0), erf(7)], [-1, 0, 1]);
});

const TERMS: Record<string, LossTerm> = {
  none: "none",
  "cross-entropy": "cross_entropy",
  unlikelihood: "unlikelihood",
  "custom (focal loss)": {
    f: (lp) => -((1 - Math.exp(lp)) ** 2) * lp,
    df: (lp) => (1 - Math.exp(lp)) * (2 * Math.exp(lp) * lp - (1 - Math.exp(lp))),
  },
};

for (const [name, term] of Object.entries(TERMS)) {
  Deno.test(`the selective loss's gradient agrees with finite differences: ${name}`, () => {
    const V = 7, targets = [6, 0, 3], weights = [0.3, 1.7, 1], terms = [term, term, term];
    const logits = normals(3 * V, 1).map((z) => 2 * z);
    const loss = (z: Float64Array) => selectiveLoss(z, { V, targets, terms, weights, Z: 2.5 });
    const { dlogits } = loss(logits);
    assertClose(dlogits, finiteDifference((z) => loss(z).total, logits), DIFFERENCE_TOLERANCE);
  });
}

Deno.test("the clamped unlikelihood's gradient is the exact one while 1 − p is far from the clamp", () => {
  const V = 5, targets = [2, 0], Z = 2, logits = normals(2 * V, 1);
  const gradient = (term: LossTerm) =>
    selectiveLoss(logits, { V, targets, terms: [term, term], Z }).dlogits;
  assertClose(gradient("unlikelihood_clamped"), gradient("unlikelihood"), 1e-6);
});

Deno.test("the selective loss is sum of weight times term over Z, and rows without a term add nothing", () => {
  const V = 3, targets = [0, 1, 2];
  const logits = [0, 0, 0, 0, Math.log(2), 0, 5, 5, 5]; // p = 1/3, 1/2, 1/3
  const terms: LossTerm[] = ["cross_entropy", "unlikelihood", "none"];
  const { total, losses, logProbabilities, dlogits } = selectiveLoss(logits, {
    V,
    targets,
    terms,
    weights: [2, 3, 100],
    Z: 4,
  });
  assertClose(losses, [Math.log(3), Math.log(2), 0], 1e-15);
  assertClose(logProbabilities, [-Math.log(3), -Math.log(2), -Math.log(3)], 1e-15);
  assertClose(total, (2 * Math.log(3) + 3 * Math.log(2)) / 4, 1e-15);
  assertClose(dlogits.subarray(6), [0, 0, 0], 0);
});

// Logits [gap, 0, 0] (the published code's values were measured on it). Cross-entropy has target 1,
// unlikelihood target 0: in both cases the target is what the model is most wrong about.
const GAPS = [5, 16, 17, 20, 104, 110];
const CROSS_ENTROPY = [5.0134, 16, 17, 20, 104, 110];
const UNLIKELIHOOD = [4.3202, 15.3069, 16.3069, 19.3069, 103.3069, 109.3069];
const CLAMPED = [4.3202, 15.2492, 20.7233, 20.7233, 20.7233, 20.7233];

function atGap(gap: number, y: number, term: LossTerm): { loss: number; dz: number } {
  const { total, dlogits } = selectiveLoss([gap, 0, 0], {
    V: 3,
    targets: [y],
    terms: [term],
    Z: 1,
  });
  return { loss: total, dz: dlogits[y]! };
}

GAPS.forEach((gap, i) => {
  Deno.test(`at a gap of ${gap} logits the exact terms are finite and still pull`, () => {
    const crossEntropy = atGap(gap, 1, "cross_entropy");
    assertClose(crossEntropy.loss, CROSS_ENTROPY[i]!, 1e-5);
    assertClose(crossEntropy.dz, gap === 5 ? -0.99335 : -1, 1e-5);
    const unlikelihood = atGap(gap, 0, "unlikelihood");
    assertClose(unlikelihood.loss, UNLIKELIHOOD[i]!, 1e-5);
    assertClose(unlikelihood.dz, gap === 5 ? 0.9867 : 1, 1e-5);
  });

  Deno.test(`at a gap of ${gap} logits the clamped unlikelihood is what the published code computes`, () => {
    const { loss, dz } = atGap(gap, 0, "unlikelihood_clamped");
    assertClose(loss, CLAMPED[i]!, 1e-5);
    assertClose(dz, gap === 5 ? 0.9867 : gap === 16 ? 1 : 0, 1e-5);
  });
});

Deno.test("three clipped AdamW steps land where torch.optim.AdamW does", () => {
  const expected = [
    [0.39500000674125235, -1.3850000010111878, 1.98],
    [0.29489299096680505, -1.271205914480347, 1.9414310080114858],
    [0.19671195891075746, -1.1586953999475293, 1.8911713056709014],
  ];
  const norms = [2.0223748416156684, 2.08806130178211, 2.1931712199461306];
  let state: AdamWState = {
    parameter: Float64Array.of(0.5, -1.5, 2),
    firstMoment: new Float64Array(3),
    secondMoment: new Float64Array(3),
  };
  const options = { learningRate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
  for (let step = 1; step <= 3; step++) {
    const gradient = [0.3 * step, -2, 1e-8 * (step - 1)];
    const norm = globalNorm([gradient.slice(0, 1), gradient.slice(1)]);
    assertClose(norm, norms[step - 1]!, 1e-14);
    const clipped = gradient.map((g) => g * clipFactor(norm, 1));
    state = adamWStep(state, clipped, { ...options, step });
    assertClose(state.parameter, expected[step - 1]!, 1e-14, `step ${step}`);
  }
});

Deno.test("a gradient within the limit is not clipped", () => {
  assertEquals(clipFactor(0.5, 1), 1);
  assertEquals(clipFactor(0, 1), 1);
  assertClose(clipFactor(4, 1), 0.25, 1e-6);
});

for (const name of ["olmo", "llama"] as const) {
  Deno.test(`a decoder made of the references has PyTorch's logits and losses: ${name}`, async () => {
    const golden = await loadGolden(name);
    const logits = decoder(golden);
    assertClose(logits, golden.logits.data, 1e-6); // stored as float32
    const { vocabularySize: V } = golden.config;
    for (const [objective, expected] of Object.entries(golden.objectives)) {
      const { total } = selectiveLoss(logits, {
        V,
        targets: golden.targets,
        terms: Array.from(golden.classes, (risk) => expected.terms[risk]!),
        weights: expected.weighted ? golden.weights : undefined,
        Z: expected.denominator,
      });
      assertClose(total, expected.loss, 1e-10, objective);
    }
  });

  Deno.test(`the first step's gradient norm is the global norm of the golden gradients: ${name}`, async () => {
    const { config, training, group } = await loadGolden(name);
    const gradients = group(`${training.objective}/grad`);
    checkParameters(config, gradients, "the golden gradients");
    const norm = globalNorm([...gradients.values()].map(({ data }) => data));
    assertClose(norm, training.gradientNorms[0]!, 1e-6);
  });
}

/** The golden decoder's logits [B, T, V] from its initial parameters, one reference kernel after another. */
function decoder({ config, inputs, B, T, group }: Golden): Float64Array {
  const { width: C, heads: H, kvHeads: G, headWidth: D, feedForward: F, vocabularySize: V } =
    config;
  const N = B * T;
  const parameters = group("initial");
  const parameter = (name: string) => parameters.get(`${name}.weight`)?.data;
  const linear = (x: Numbers, name: string, K: number, M: number) =>
    matmulNT(x, parameter(name)!, { N, K, M });
  const norm = (x: Numbers, name: string) => {
    const options = { C, epsilon: config.normEpsilon, weight: parameter(name) };
    return config.norm === "rms" ? rmsNorm(x, options) : layerNorm(x, options);
  };
  const { positions } = config;
  if (positions === "learned") throw new Error("The golden decoders have rotary positions");
  const turn = {
    D,
    positions: Array.from({ length: N }, (_, n) => n % T),
    theta: positions.theta,
    pairing: positions.pairing,
  };
  const add = (a: Float64Array, b: Float64Array) => a.map((value, i) => value + b[i]!);

  let x = embedding(parameter("model.embed_tokens")!, inputs, C);
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    let normal = norm(x, `${layer}.input_layernorm`);
    const q = rotary(linear(normal, `${layer}.self_attn.q_proj`, C, H * D), { ...turn, H });
    const k = rotary(linear(normal, `${layer}.self_attn.k_proj`, C, G * D), { ...turn, H: G });
    const v = linear(normal, `${layer}.self_attn.v_proj`, C, G * D);
    const { out } = attention(q, k, v, { B, T, H, G, D });
    x = add(x, linear(out, `${layer}.self_attn.o_proj`, H * D, C));
    normal = norm(x, `${layer}.post_attention_layernorm`);
    const gate = linear(normal, `${layer}.mlp.gate_proj`, C, F);
    const up = linear(normal, `${layer}.mlp.up_proj`, C, F);
    x = add(x, linear(swiglu(gate, up), `${layer}.mlp.down_proj`, F, C));
  }
  const unembedding = config.tiedEmbedding ? "model.embed_tokens" : "lm_head";
  return linear(norm(x, "model.norm"), unembedding, C, V);
}
