// The oracle: every kernel's forward and backward in float64, as plain loops to be read, not to be fast.
// Letters: B batch, T time, N = B·T rows, C channels, H heads, G key/value heads, D head width,
// F feed-forward width, V vocabulary; arrays are row-major. tests/reference_test.ts holds every
// backward here against central finite differences, so the GPU is judged by something judged itself.

/** Any array of numbers; results are always float64. */
export type Numbers = ArrayLike<number>;

// Matrix multiplication. For y = matmulNT(x, w): dx = matmulNN(dy, w) and dw = matmulTN(dy, x).

/** y[n, m] = Σ_k x[n, k] · w[m, k]: x [N, K], w [M, K] -> [N, M], the layout of a linear layer. */
export function matmulNT(
  x: Numbers,
  w: Numbers,
  { N, K, M }: { N: number; K: number; M: number },
): Float64Array {
  const y = new Float64Array(N * M);
  for (let n = 0; n < N; n++) {
    for (let m = 0; m < M; m++) {
      for (let k = 0; k < K; k++) y[n * M + m]! += x[n * K + k]! * w[m * K + k]!;
    }
  }
  return y;
}

/** y[n, m] = Σ_k a[n, k] · b[k, m]: a [N, K], b [K, M] -> [N, M]. */
export function matmulNN(
  a: Numbers,
  b: Numbers,
  { N, K, M }: { N: number; K: number; M: number },
): Float64Array {
  const y = new Float64Array(N * M);
  for (let n = 0; n < N; n++) {
    for (let m = 0; m < M; m++) {
      for (let k = 0; k < K; k++) y[n * M + m]! += a[n * K + k]! * b[k * M + m]!;
    }
  }
  return y;
}

/** y[n, m] = Σ_k a[k, n] · b[k, m]: a [K, N], b [K, M] -> [N, M]. */
export function matmulTN(
  a: Numbers,
  b: Numbers,
  { N, K, M }: { N: number; K: number; M: number },
): Float64Array {
  const y = new Float64Array(N * M);
  for (let n = 0; n < N; n++) {
    for (let m = 0; m < M; m++) {
      for (let k = 0; k < K; k++) y[n * M + m]! += a[k * N + n]! * b[k * M + m]!;
    }
  }
  return y;
}

// Embedding.

/** Copies one row of the table per id: table [V, C], ids [N] -> [N, C]. */
export function embedding(table: Numbers, ids: Numbers, C: number): Float64Array {
  const y = new Float64Array(ids.length * C);
  for (let n = 0; n < ids.length; n++) {
    for (let c = 0; c < C; c++) y[n * C + c] = table[ids[n]! * C + c]!;
  }
  return y;
}

/** Gradient of the table: each row sums the dy [N, C] of all positions with that id -> [V, C]. */
export function embeddingBackward(
  dy: Numbers,
  ids: Numbers,
  { V, C }: { V: number; C: number },
): Float64Array {
  const dtable = new Float64Array(V * C);
  for (let n = 0; n < ids.length; n++) {
    for (let c = 0; c < C; c++) dtable[ids[n]! * C + c]! += dy[n * C + c]!;
  }
  return dtable;
}

// Biases of linear layers.

/** x + bias in every row: x [N, M], bias [M] -> [N, M]. */
export function addBias(x: Numbers, bias: Numbers): Float64Array {
  return Float64Array.from(x, (value, i) => value + bias[i % bias.length]!);
}

/** Gradient of the bias: the sum of the rows of dy [N, M] -> [M]. */
export function biasBackward(dy: Numbers, M: number): Float64Array {
  const dbias = new Float64Array(M);
  for (let i = 0; i < dy.length; i++) dbias[i % M]! += dy[i]!;
  return dbias;
}

// Normalisation over the last axis. Without weight and bias, layer norm is OLMo's non-parametric one.

/** The size of the normalised axis, the ε under the root, and the affine part if there is one. */
export interface NormOptions {
  C: number;
  epsilon: number;
  weight?: Numbers;
  bias?: Numbers;
}

/** The gradients of a norm; those of an absent weight or bias are what they would be at 1 and 0. */
export interface NormGradients {
  dx: Float64Array;
  dweight: Float64Array;
  dbias: Float64Array;
}

/** (x − mean) / √(variance + ε) · weight + bias, with the biased variance: x [N, C] -> [N, C]. */
export function layerNorm(x: Numbers, { C, epsilon, weight, bias }: NormOptions): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    const { mean, scale } = rowMoments(x, start, C, epsilon);
    for (let c = 0; c < C; c++) {
      const normal = (x[start + c]! - mean) * scale;
      y[start + c] = normal * (weight?.[c] ?? 1) + (bias?.[c] ?? 0);
    }
  }
  return y;
}

/** Gradients of {@linkcode layerNorm}. With n the normalised row and g = dy·weight: dx = scale · (g − mean(g) − n · mean(g·n)). */
export function layerNormBackward(
  dy: Numbers,
  x: Numbers,
  { C, epsilon, weight }: NormOptions,
): NormGradients {
  const dx = new Float64Array(x.length);
  const dweight = new Float64Array(C), dbias = new Float64Array(C);
  for (let start = 0; start < x.length; start += C) {
    const { mean, scale } = rowMoments(x, start, C, epsilon);
    const normal = (c: number) => (x[start + c]! - mean) * scale;
    const g = (c: number) => dy[start + c]! * (weight?.[c] ?? 1);
    let meanG = 0, meanGN = 0;
    for (let c = 0; c < C; c++) {
      meanG += g(c) / C;
      meanGN += g(c) * normal(c) / C;
      dweight[c]! += dy[start + c]! * normal(c);
      dbias[c]! += dy[start + c]!;
    }
    for (let c = 0; c < C; c++) dx[start + c] = scale * (g(c) - meanG - normal(c) * meanGN);
  }
  return { dx, dweight, dbias };
}

/** x / √(mean(x²) + ε) · weight: x [N, C] -> [N, C]. */
export function rmsNorm(x: Numbers, { C, epsilon, weight }: NormOptions): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    const scale = inverseRootMeanSquare(x, start, C, epsilon);
    for (let c = 0; c < C; c++) y[start + c] = x[start + c]! * scale * (weight?.[c] ?? 1);
  }
  return y;
}

/** Gradients of {@linkcode rmsNorm}. With n = x·scale and g = dy·weight: dx = scale · (g − n · mean(g·n)). */
export function rmsNormBackward(
  dy: Numbers,
  x: Numbers,
  { C, epsilon, weight }: NormOptions,
): Omit<NormGradients, "dbias"> {
  const dx = new Float64Array(x.length), dweight = new Float64Array(C);
  for (let start = 0; start < x.length; start += C) {
    const scale = inverseRootMeanSquare(x, start, C, epsilon);
    const g = (c: number) => dy[start + c]! * (weight?.[c] ?? 1);
    let meanGN = 0;
    for (let c = 0; c < C; c++) {
      meanGN += g(c) * x[start + c]! * scale / C;
      dweight[c]! += dy[start + c]! * x[start + c]! * scale;
    }
    for (let c = 0; c < C; c++) dx[start + c] = scale * (g(c) - x[start + c]! * scale * meanGN);
  }
  return { dx, dweight };
}

function rowMoments(
  x: Numbers,
  start: number,
  C: number,
  epsilon: number,
): { mean: number; scale: number } {
  let mean = 0, variance = 0;
  for (let c = 0; c < C; c++) mean += x[start + c]! / C;
  for (let c = 0; c < C; c++) variance += (x[start + c]! - mean) ** 2 / C;
  return { mean, scale: 1 / Math.sqrt(variance + epsilon) };
}

function inverseRootMeanSquare(x: Numbers, start: number, C: number, epsilon: number): number {
  let meanSquare = 0;
  for (let c = 0; c < C; c++) meanSquare += x[start + c]! ** 2 / C;
  return 1 / Math.sqrt(meanSquare + epsilon);
}

// Rotary position embedding (Su et al. 2021): pair i of each head turns by position · θ^(−2i/D).

/** Sizes and conventions of a rotary embedding of x [B, T, H, D]. */
export interface RotaryOptions {
  H: number;
  /** Even. */
  D: number;
  /** The position of each of the B·T rows. */
  positions: Numbers;
  theta: number;
  /** "half" pairs (i, i + D/2) as Hugging Face does; "interleaved" pairs (2i, 2i + 1) as the paper does. */
  pairing: "half" | "interleaved";
}

/** Rotates every pair of x [B, T, H, D] forward by its row's position. */
export function rotary(x: Numbers, options: RotaryOptions): Float64Array {
  return rotate(x, options, 1);
}

/** Gradient of {@linkcode rotary}: a rotation is orthogonal, so its transpose is the inverse turn. */
export function rotaryBackward(dy: Numbers, options: RotaryOptions): Float64Array {
  return rotate(dy, options, -1);
}

function rotate(
  x: Numbers,
  { H, D, positions, theta, pairing }: RotaryOptions,
  direction: 1 | -1,
): Float64Array {
  const y = new Float64Array(x.length);
  for (let n = 0; n < positions.length; n++) {
    for (let h = 0; h < H; h++) {
      const head = (n * H + h) * D;
      for (let i = 0; i < D / 2; i++) {
        const first = head + (pairing === "half" ? i : 2 * i);
        const second = pairing === "half" ? first + D / 2 : first + 1;
        const angle = direction * positions[n]! * theta ** (-2 * i / D);
        y[first] = x[first]! * Math.cos(angle) - x[second]! * Math.sin(angle);
        y[second] = x[second]! * Math.cos(angle) + x[first]! * Math.sin(angle);
      }
    }
  }
  return y;
}

// Causal attention with grouped key/value heads: query head h reads key/value head floor(h / (H/G)).

/** Sizes of q [B, T, H, D] and of k, v [B, S, G, D]. */
export interface AttentionSizes {
  B: number;
  T: number;
  H: number;
  /** Key/value heads; divides H. */
  G: number;
  D: number;
  /** Keys, T unless decoding with a cache: query t then sits at position S − T + t. */
  S?: number;
}

/** softmax(q·kᵀ/√D over keys up to the query's own position)·v: out [B, T, H, D], log-sum-exp of the scaled scores [B, H, T]. */
export function attention(
  q: Numbers,
  k: Numbers,
  v: Numbers,
  sizes: AttentionSizes,
): { out: Float64Array; logSumExp: Float64Array } {
  const out = new Float64Array(q.length);
  const logSumExp = new Float64Array(sizes.B * sizes.H * sizes.T);
  forEachQuery(q, k, sizes, ({ query, keys, probabilities, lse, row }) => {
    logSumExp[row] = lse;
    keys.forEach((key, s) => {
      for (let d = 0; d < sizes.D; d++) out[query + d]! += probabilities[s]! * v[key + d]!;
    });
  });
  return { out, logSumExp };
}

/** Gradients of {@linkcode attention}. With P the probabilities: dV = Pᵀ·dO, dS = P ∘ (dO·Vᵀ − rowsum(dO ∘ O)). */
export function attentionBackward(
  dout: Numbers,
  q: Numbers,
  k: Numbers,
  v: Numbers,
  sizes: AttentionSizes,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const { D } = sizes;
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length), dv = new Float64Array(v.length);
  forEachQuery(q, k, sizes, ({ query, keys, probabilities }) => {
    const dprobabilities = keys.map((key) => dot(dout, query, v, key, D));
    const mean = probabilities.reduce((sum, p, s) => sum + p * dprobabilities[s]!, 0);
    keys.forEach((key, s) => {
      const dscore = probabilities[s]! * (dprobabilities[s]! - mean) / Math.sqrt(D);
      for (let d = 0; d < D; d++) {
        dq[query + d]! += dscore * k[key + d]!;
        dk[key + d]! += dscore * q[query + d]!;
        dv[key + d]! += probabilities[s]! * dout[query + d]!;
      }
    });
  });
  return { dq, dk, dv };
}

interface AttentionQuery {
  /** Offset of the query's head in q. */
  query: number;
  /** Offsets in k and v of the heads it may see. */
  keys: number[];
  probabilities: number[];
  /** Log-sum-exp of the scaled scores, and its index in [B, H, T]. */
  lse: number;
  row: number;
}

function forEachQuery(
  q: Numbers,
  k: Numbers,
  { B, T, H, G, D, S = T }: AttentionSizes,
  visit: (query: AttentionQuery) => void,
): void {
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const g = Math.floor(h / (H / G));
      for (let t = 0; t < T; t++) {
        const query = ((b * T + t) * H + h) * D;
        const visible = S - T + t + 1;
        const keys = Array.from({ length: visible }, (_, s) => ((b * S + s) * G + g) * D);
        const scores = keys.map((key) => dot(q, query, k, key, D) / Math.sqrt(D));
        const lse = logSumExp(scores);
        const probabilities = scores.map((score) => Math.exp(score - lse));
        visit({ query, keys, probabilities, lse, row: (b * H + h) * T + t });
      }
    }
  }
}

function dot(a: Numbers, startA: number, b: Numbers, startB: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[startA + i]! * b[startB + i]!;
  return sum;
}

// Activations, element by element over [N, F].

/** silu(gate) · up, with silu(x) = x · sigmoid(x). */
export function swiglu(gate: Numbers, up: Numbers): Float64Array {
  return Float64Array.from(gate, (x, i) => x * sigmoid(x) * up[i]!);
}

/** Gradients of {@linkcode swiglu}; silu'(x) = s·(1 + x·(1 − s)) with s = sigmoid(x). */
export function swigluBackward(
  dy: Numbers,
  gate: Numbers,
  up: Numbers,
): { dgate: Float64Array; dup: Float64Array } {
  const dgate = Float64Array.from(gate, (x, i) => {
    const s = sigmoid(x);
    return dy[i]! * up[i]! * s * (1 + x * (1 - s));
  });
  const dup = Float64Array.from(gate, (x, i) => dy[i]! * x * sigmoid(x));
  return { dgate, dup };
}

/** The exact GELU, x · Φ(x) with Φ the normal distribution function: PyTorch's default. */
export function geluErf(x: Numbers): Float64Array {
  return Float64Array.from(x, (value) => value * normalCdf(value));
}

/** Gradient of {@linkcode geluErf}: Φ(x) + x · φ(x). */
export function geluErfBackward(dy: Numbers, x: Numbers): Float64Array {
  return Float64Array.from(x, (value, i) => {
    const density = Math.exp(-value * value / 2) / Math.sqrt(2 * Math.PI);
    return dy[i]! * (normalCdf(value) + value * density);
  });
}

/** GPT-2's GELU, x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))): PyTorch's `approximate="tanh"`. */
export function geluTanh(x: Numbers): Float64Array {
  return Float64Array.from(x, (value) => value / 2 * (1 + Math.tanh(geluTanhArgument(value))));
}

/** Gradient of {@linkcode geluTanh}. */
export function geluTanhBackward(dy: Numbers, x: Numbers): Float64Array {
  return Float64Array.from(x, (value, i) => {
    const tanh = Math.tanh(geluTanhArgument(value));
    const dargument = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * value * value);
    return dy[i]! * ((1 + tanh) / 2 + value / 2 * (1 - tanh * tanh) * dargument);
  });
}

function geluTanhArgument(x: number): number {
  return Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
}

function normalCdf(x: number): number {
  return (1 + erf(x / Math.SQRT2)) / 2;
}

/** The error function to float64, by the series 2/√π · e^(−x²) · Σ 2ⁿ·x^(2n+1) / (1·3·…·(2n+1)), which never cancels. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x); // 1 − erf(6) is 2e-17
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

// The selective loss. Every term is a function of the target's log-odds m = z_y − LSE(z without y),
// because p = sigmoid(m) loses 1 − p at m ≈ 17 in float32 and m never does. As dm/dz_y = 1 and
// dm/dz_j = −exp(z_j − LSE(z without y)), the gradient stays bounded for any logits.

/** A loss written as f of the target's log-probability, with its derivative. */
export interface CustomTerm {
  f: (logProbability: number) => number;
  df: (logProbability: number) => number;
}

/**
 * What a row adds to the loss: `unlikelihood` is the exact −log(1 − p), `unlikelihood_clamped` the
 * published code's −log(clamp(1 − p, 1e-9)) on a float32 softmax.
 */
export type LossTerm =
  | "none"
  | "cross_entropy"
  | "unlikelihood"
  | "unlikelihood_clamped"
  | CustomTerm;

/** One target per row of the logits [N, V], what it adds to the loss, and the denominator Z. */
export interface SelectiveLossInput {
  V: number;
  /** [N] */
  targets: Numbers;
  /** [N] */
  terms: readonly LossTerm[];
  /** [N], 1 for every row when absent. */
  weights?: Numbers;
  Z: number;
}

/** The loss and its gradient. */
export interface SelectiveLossResult {
  /** Σ weight · loss / Z. */
  total: number;
  /** [N], before weight and Z; 0 where there is no term. */
  losses: Float64Array;
  /** [N], log p of each target, whatever its term. */
  logProbabilities: Float64Array;
  /** [N, V], of the total. */
  dlogits: Float64Array;
}

/** The selective loss over logits [N, V] (paper section 3; V at least 2). */
export function selectiveLoss(
  logits: Numbers,
  { V, targets, terms, weights, Z }: SelectiveLossInput,
): SelectiveLossResult {
  const N = targets.length;
  const losses = new Float64Array(N), logProbabilities = new Float64Array(N);
  const dlogits = new Float64Array(N * V);
  let total = 0;
  for (let n = 0; n < N; n++) {
    const row = Array.from({ length: V }, (_, j) => logits[n * V + j]!);
    const y = targets[n]!, weight = weights?.[n] ?? 1;
    const lseRest = logSumExp(row.filter((_, j) => j !== y));
    const m = row[y]! - lseRest;
    const { loss, dm } = evaluateTerm(terms[n]!, m, row, y);
    losses[n] = loss;
    logProbabilities[n] = -softplus(-m);
    total += weight * loss / Z;
    for (let j = 0; j < V; j++) {
      const dmdz = j === y ? 1 : -Math.exp(row[j]! - lseRest);
      dlogits[n * V + j] = weight / Z * dm * dmdz;
    }
  }
  return { total, losses, logProbabilities, dlogits };
}

function evaluateTerm(
  term: LossTerm,
  m: number,
  row: Numbers,
  y: number,
): { loss: number; dm: number } {
  if (term === "none") return { loss: 0, dm: 0 };
  if (term === "cross_entropy") return { loss: softplus(-m), dm: -sigmoid(-m) };
  if (term === "unlikelihood") return { loss: softplus(m), dm: sigmoid(m) };
  if (term === "unlikelihood_clamped") return clampedUnlikelihood(softmaxFloat32(row, y));
  const logProbability = -softplus(-m);
  return { loss: term.f(logProbability), dm: term.df(logProbability) * sigmoid(-m) };
}

/**
 * Of a float32 p: 1 − p is then exact, and 0 from a gap of about 17 logits on; a clamped value has no gradient.
 * Near that gap PyTorch's own gradients of the other logits are off by the rounding of 1 − p (6 % at 16); these are not.
 */
function clampedUnlikelihood(p: number): { loss: number; dm: number } {
  const rest = 1 - p;
  return rest < 1e-9 ? { loss: -Math.log(1e-9), dm: 0 } : { loss: -Math.log(rest), dm: p };
}

/** p of entry y with every intermediate rounded to float32 and summed in order; where p rounds to 1 depends on that order. */
function softmaxFloat32(row: Numbers, y: number): number {
  const values = Array.from(row, Math.fround);
  const largest = Math.max(...values);
  const exponentials = values.map((z) => Math.fround(Math.exp(Math.fround(z - largest))));
  const sum = exponentials.reduce((partial, e) => Math.fround(partial + e), 0);
  return Math.fround(exponentials[y]! / sum);
}

/** log Σ exp(x), shifted by the largest entry so that nothing overflows. */
export function logSumExp(x: readonly number[]): number {
  const largest = Math.max(...x);
  return largest + Math.log(x.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

// The optimiser, as torch.nn.utils.clip_grad_norm_ and torch.optim.AdamW do it.

/** The Euclidean norm over all gradients taken as one vector. */
export function globalNorm(gradients: Iterable<Numbers>): number {
  let sum = 0;
  for (const gradient of gradients) {
    for (let i = 0; i < gradient.length; i++) sum += gradient[i]! ** 2;
  }
  return Math.sqrt(sum);
}

/** The factor that brings gradients of this norm down to `maxGradientNorm`: min(1, maxGradientNorm / (norm + 1e-6)). */
export function clipFactor(norm: number, maxGradientNorm: number): number {
  return Math.min(1, maxGradientNorm / (norm + 1e-6));
}

/** A parameter with its AdamW moments. */
export interface AdamWState {
  parameter: Float64Array;
  firstMoment: Float64Array;
  secondMoment: Float64Array;
}

/** One AdamW step's scalars. */
export interface AdamWOptions {
  /** Counts from 1. */
  step: number;
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
}

/** One AdamW step (Loshchilov & Hutter 2019): the decay multiplies the parameter, apart from the gradient. */
export function adamWStep(
  state: AdamWState,
  gradient: Numbers,
  { step, learningRate, beta1, beta2, epsilon, weightDecay }: AdamWOptions,
): AdamWState {
  const firstMoment = state.firstMoment.map((m, i) => beta1 * m + (1 - beta1) * gradient[i]!);
  const secondMoment = state.secondMoment.map((v, i) =>
    beta2 * v + (1 - beta2) * gradient[i]! ** 2
  );
  const parameter = state.parameter.map((w, i) => {
    const mean = firstMoment[i]! / (1 - beta1 ** step);
    const root = Math.sqrt(secondMoment[i]! / (1 - beta2 ** step));
    return w * (1 - learningRate * weightDecay) - learningRate * mean / (root + epsilon);
  });
  return { parameter, firstMoment, secondMoment };
}

/** The gradient of f at x by central differences; the default step balances rounding against curvature (error about 1e-10). */
export function finiteDifference(
  f: (x: Float64Array) => number,
  x: Numbers,
  step = 1e-5,
): Float64Array {
  const point = Float64Array.from(x);
  return Float64Array.from(x, (value, i) => {
    point[i] = value + step;
    const above = f(point);
    point[i] = value - step;
    const below = f(point);
    point[i] = value;
    return (above - below) / (2 * step);
  });
}
