// The second lesson: the two kernels that training spends its time in, written step by step, checked and timed.

// %% [markdown]
// # 2. From the formula to WGSL
//
// Where a training step spends its time: the matrix product and the selective loss, written as GPU kernels from the formula
// as it stands to what this project runs. Every rung is checked against float64 and timed on *this* machine, steps backward
// included.
//
// **You will be able to**
// - write a compute kernel in WGSL, run it from TypeScript, and check it against float64;
// - say what a tile saves, and time a kernel so that the number means something;
// - tell two formulas apart that are equal on paper and not in float32;
// - say what fusing and leaving rows out saves, and what it does not.
//
// **You need** lesson 1 for the loss. What a workgroup and an invocation are is explained where they first matter.
//
// `quick` takes about a minute on a software adapter and well under one on a GPU; `full` uses sizes that keep a GPU busy.
// All timings are in the outputs, none is in the text: what is a step forward on a GPU can be one backward on a CPU.

// %%
import { Gpu, objective, Random } from "@slung/slung";
import { lesson2 } from "@slung/slung/exercises";
import {
  kernel,
  matmul,
  measureCeiling,
  megabytes,
  Program,
  runSelectiveLoss,
} from "@slung/slung/gpu";
import { stepLength, type Tensor } from "@slung/slung/gpu";
import { termsToWgsl } from "@slung/slung/method";
import * as notebook from "@slung/slung/notebook";

const { check, checkClose, show, showBars, showCode, showLines, showTable } = notebook;
const gpu = await Gpu.open();
notebook.environment(gpu);

// %% [markdown]
// ## Knobs

// %%
const size = notebook.notebookSize(); // "quick" or "full"
const knobs = {
  // A product of rows × depth by depth × columns; multiples of 32. Twice the depth: which rung gains, which loses?
  product: size === "full"
    ? { rows: 1024, columns: 1024, depth: 1024 }
    : { rows: 256, columns: 256, depth: 256 },
  // A loss over the tokens, each with a vocabulary of logits from `width` channels. Mesa's software adapter ends an
  // invocation's loops after 65,535 rounds in all: four passes over 8192 logits stay below. Half the vocabulary: is the
  // fused loss still worth it?
  batch: size === "full"
    ? { tokens: 2048, vocabulary: 8192, width: 512 }
    : { tokens: 512, vocabulary: 2048, width: 64 },
  chunkRows: 64, // rows whose logits exist at a time: 16, 256? Why is there a best value?
};
const { product, batch, chunkRows } = knobs;
const began = performance.now();
showTable([{ size, ...product, ...batch, chunkRows }]);

// %% [markdown]
// ## How to time a kernel
//
// Work is *recorded* once as a `Program` and replayed; the GPU runs behind, and waiting for it costs about 10 ms in Deno.
// So a measurement replays the program until a run takes long enough for that not to matter, and takes the best of three:
// whatever else the machine does can only slow a run down. The first replay, which compiles, does not count.

// %%
async function milliseconds(record: (program: Program) => void): Promise<number> {
  using program = new Program(gpu, "timed");
  record(program);
  const timeOf = async (replays: number) => {
    const start = performance.now();
    for (let i = 0; i < replays; i++) program.replay();
    await gpu.settle();
    return performance.now() - start;
  };
  await timeOf(1);
  let replays = 1;
  while (await timeOf(replays) < 150) replays *= 2;
  return Math.min(await timeOf(replays), await timeOf(replays), await timeOf(replays)) / replays;
}

const random = new Random(1, "kernels");
const normal = (length: number) => Float32Array.from({ length }, () => random.normal());
function upload(name: string, shape: number[], data: Float32Array | Uint32Array): Tensor {
  const tensor = gpu.allocate(name, shape, data instanceof Uint32Array ? "u32" : "f32");
  gpu.write(tensor, data);
  return tensor;
}
const ceiling = await measureCeiling(gpu); // GFLOP/s when nothing has to be loaded
showTable([{ "arithmetic ceiling of this adapter (GFLOP/s)": Math.round(ceiling) }]);

// %% [markdown]
// ## Part one: the matrix product
//
// $$y_{mn} = \sum_k x_{mk} \, W_{nk}$$
//
// Nine tenths of the arithmetic of a language model is this: activations `x [rows, depth]` times a weight matrix
// `W [columns, depth]`, as PyTorch stores it. The reference is the formula, in float64:

// %%
const { rows, columns, depth } = product;
const xs = normal(rows * depth), ws = normal(columns * depth);
const reference = new Float64Array(rows * columns);
for (let m = 0; m < rows; m++) {
  for (let n = 0; n < columns; n++) {
    let sum = 0;
    for (let k = 0; k < depth; k++) sum += xs[m * depth + k]! * ws[n * depth + k]!;
    reference[m * columns + n] = sum;
  }
}
const x = upload("x", [rows, depth], xs), w = upload("w", [columns, depth], ws);
const y = gpu.allocate("y", [rows, columns]);
const operations = 2 * rows * columns * depth; // a multiply and an add each
showTable([{ "elements of y": rows * columns, "multiply-adds": operations / 2 }]);

// %% [markdown]
// Every rung of the ladder is checked against float64 as it is timed. The sums are of float32 numbers of size √depth, in
// another order than the reference's, so they agree to about 1e-4.
//
// **Predict first.** Four rungs follow: the formula as it stands, tiles in the workgroup's shared memory, tiles in registers,
// and what this project runs. Put them in order of speed, for the adapter that the first cell named. Is it a GPU?

// %%
interface Rung {
  step: string;
  milliseconds: number;
  speed: number;
}
const ladder: Rung[] = [];
async function rung(step: string, record: (program: Program) => void) {
  gpu.write(y, new Float32Array(rows * columns).fill(NaN));
  const time = await milliseconds(record);
  const line = checkClose(step, await gpu.read(y), reference, 1e-3);
  ladder.push({ step, milliseconds: time, speed: operations / time / 1e6 });
  return line;
}

// %% [markdown]
// ### Rung 1: the formula
//
// A kernel runs once for each *invocation*; invocations come in *workgroups*, here of 8 × 8, which can share memory and wait
// for each other. One invocation computes one element. Neighbours in a workgroup of 8 × 8 share rows of `x` and of `W`, but each loads
// them for itself: two loads for one multiply-add.

// %%
const header = `
struct Dims { rows: u32, columns: u32, depth: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
`;
const naive = kernel(
  "naive",
  header + `
@compute @workgroup_size(8, 8)
fn multiply(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let m = id.y;
  if (m >= dims.rows || n >= dims.columns) { return; }
  var sum = 0.0;
  for (var k = 0u; k < dims.depth; k++) {
    sum += x[m * dims.depth + k] * w[n * dims.depth + k];
  }
  y[m * dims.columns + n] = sum;
}`,
  "multiply",
);
const bind = { tensors: { x, w, y }, dims: [rows, columns, depth] };
await show(showCode(naive.source));
await rung(
  "1 the formula",
  (program) => program.dispatch({ kernel: naive, ...bind, workgroups: [columns / 8, rows / 8] }),
);

// %% [markdown]
// ### Rung 2: a tile in workgroup memory
// The textbook step: 16 × 16 invocations load a tile of both operands once, wait for each other, and multiply from memory
// that they share. Each number is loaded once per 16 uses. It pays where workgroup memory is a piece of fast hardware; a
// CPU has none, and must run every barrier as a loop over all invocations.

// %%
const tiled = kernel(
  "tiled",
  header + `
const T = 16u;
var<workgroup> x_tile: array<array<f32, 16>, 16>;
var<workgroup> w_tile: array<array<f32, 16>, 16>;

@compute @workgroup_size(16, 16)
fn multiply(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let m = group.y * T + lane.y;
  let n = group.x * T + lane.x;
  var sum = 0.0;
  for (var first = 0u; first < dims.depth; first += T) {
    x_tile[lane.y][lane.x] = x[m * dims.depth + first + lane.x];
    w_tile[lane.y][lane.x] = w[(group.x * T + lane.y) * dims.depth + first + lane.x];
    workgroupBarrier();
    for (var k = 0u; k < T; k++) { sum += x_tile[lane.y][k] * w_tile[lane.x][k]; }
    workgroupBarrier();
  }
  y[m * dims.columns + n] = sum;
}`,
  "multiply",
);
await rung(
  "2 tiles in workgroup memory",
  (program) => program.dispatch({ kernel: tiled, ...bind, workgroups: [columns / 16, rows / 16] }),
);

// %% [markdown]
// ### Rung 3: a tile in registers
// Registers are faster than any memory. An invocation that owns 4 × 4 elements loads 8 vectors for 64 multiply-adds. WGSL
// has the tile as a type: a `mat4x4f`, and `a * b` is its product.

// %%
const blocked = kernel(
  "blocked",
  header.replaceAll("array<f32>", "array<vec4f>") + `
fn block_of_x(m: u32, k: u32) -> mat4x4f {
  let stride = dims.depth / 4u;
  let at = m * stride + k;
  return mat4x4f(x[at], x[at + stride], x[at + 2u * stride], x[at + 3u * stride]);
}
fn block_of_w(n: u32, k: u32) -> mat4x4f {
  let stride = dims.depth / 4u;
  let at = n * stride + k;
  return mat4x4f(w[at], w[at + stride], w[at + 2u * stride], w[at + 3u * stride]);
}

@compute @workgroup_size(8, 8)
fn multiply(@builtin(global_invocation_id) id: vec3u) {
  let n = 4u * id.x;
  let m = 4u * id.y;
  if (m >= dims.rows || n >= dims.columns) { return; }
  var sum = mat4x4f();
  for (var k = 0u; k < dims.depth / 4u; k++) {
    sum += transpose(block_of_w(n, k)) * block_of_x(m, k); // columns of the sum are rows of y
  }
  for (var i = 0u; i < 4u; i++) { y[((m + i) * dims.columns + n) / 4u] = sum[i]; }
}`,
  "multiply",
);
await show(showCode(blocked.source));
await rung(
  "3 4 × 4 in registers",
  (program) =>
    program.dispatch({ kernel: blocked, ...bind, workgroups: [columns / 32, rows / 32] }),
);

// %% [markdown]
// ### A step backward, on purpose
// The same kernel, but invocations that lie side by side take rows `m` instead of columns `n`. Nothing changes in the
// arithmetic or in the number of loads; only which addresses neighbours touch at the same time. **Predict first**: does it
// matter here? A good guess is worth a measurement.

// %%
const swapped = kernel(
  "swapped",
  blocked.source.replace("let n = 4u * id.x;", "let n = 4u * id.y;")
    .replace("let m = 4u * id.y;", "let m = 4u * id.x;"),
  "multiply",
);
await rung(
  "3b rows side by side instead",
  (program) =>
    program.dispatch({ kernel: swapped, ...bind, workgroups: [rows / 32, columns / 32] }),
);

// %% [markdown]
// ### Rung 4: what this project runs
// `kernels/matmul.wgsl` lets an invocation own several such blocks, reads from textures where an adapter reads those
// faster, and is chosen per adapter: committed for those measured here; on others the tasks measure once, which this
// notebook does not. It also takes any size and any transposition, which the rungs above do not. With it the ladder is
// complete, here and now:

// %%
await show(
  await rung(
    "4 kernels/matmul.wgsl",
    (program) => matmul(program, { a: x, b: w, out: y, rows, columns, depth, transposeB: true }),
  ),
);

// Whatever else the machine did may have slowed the first measurement of the ceiling down.
const best = Math.max(ceiling, await measureCeiling(gpu));
await show(showTable(ladder.map((each) => ({ ...each, part: 100 * each.speed / best })), {
  columns: [
    { key: "step", title: "Rung" },
    { key: "milliseconds", title: "Time", unit: "ms", precision: 2 },
    { key: "speed", title: "GFLOP/s", precision: 1 },
    { key: "part", title: "of the ceiling", unit: "%", precision: 1 },
  ],
}));
await show(
  check("what the project runs beats the formula", ladder.at(-1)!.speed > ladder[0]!.speed),
);
await showBars(ladder.map(({ step, speed }) => ({ label: step, value: speed })), {
  title: "Matrix product: speed of each rung",
  x: "GFLOP/s (higher is better)",
  alternative: "Bars: the speed of each rung of the ladder",
});

// %% [markdown]
// ## Part two: the selective loss
//
// A token $y$ with logits $z$ has $p = e^{z_y} / \sum_j e^{z_j}$. Cross-entropy is $-\log p$, and unlikelihood, which
// makes the token *less* likely, $-\log(1 - p)$. Both depend on the logits through the log-odds alone:
//
// $$m = z_y - \log \sum_{j \ne y} e^{z_j}, \qquad -\log p = \mathrm{softplus}(-m), \qquad -\log(1 - p) = \mathrm{softplus}(m)$$
//
// with $\mathrm{softplus}(t) = \log(1 + e^t)$, and with $q_j$ the softmax over the *other* tokens
//
// $$\frac{\partial \ell}{\partial z_y} = \ell'(m), \qquad \frac{\partial \ell}{\partial z_j} = -\ell'(m) \, q_j .$$
//
// In float64, for one row:

// %%
function unlikelihoodInFloat64(z: ArrayLike<number>, y: number) {
  const others = Array.from(z).filter((_, j) => j !== y);
  const largest = Math.max(...others);
  const rest = largest +
    Math.log(others.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
  const m = z[y]! - rest;
  const loss = Math.max(m, 0) + Math.log1p(Math.exp(-Math.abs(m)));
  const slope = 1 / (1 + Math.exp(-m));
  const gradient = Array.from(z, (logit, j) => j === y ? slope : -slope * Math.exp(logit - rest));
  return { loss, gradient };
}
unlikelihoodInFloat64([2, 1, 0], 0);

// %% [markdown]
// The test rows are random, but for two: in row 0 the model is *certain* of the risky token ($m \approx 40$), in row 1 it
// has nearly excluded it. Row 0 is the one that unlikelihood is for. All ways to compute the loss share their frame: logits
// in, losses and gradients out, in the first three a row per invocation.

// %%
const { tokens, vocabulary, width } = batch;
const logitValues = normal(tokens * vocabulary);
const targetValues = Uint32Array.from({ length: tokens }, () => random.below(vocabulary));
logitValues[targetValues[0]!] = 40 + Math.log(vocabulary);
logitValues[vocabulary + targetValues[1]!] = -40;
const someRows = [0, 1, 2, 3, tokens - 1];
const expected = someRows.map((row) =>
  unlikelihoodInFloat64(
    logitValues.subarray(row * vocabulary, (row + 1) * vocabulary),
    targetValues[row]!,
  )
);
const logits = upload("logits", [tokens, vocabulary], logitValues);
const targets = upload("targets", [tokens], targetValues);
const gradient = gpu.allocate("gradient", [tokens, vocabulary]);
const losses = gpu.allocate("losses", [tokens]);

const lossHeader = `
struct Dims { rows: u32, vocabulary: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
fn softplus(t: f32) -> f32 { return max(t, 0.0) + log(1.0 + exp(-abs(t))); }
fn sigmoid(t: f32) -> f32 { return 1.0 / (1.0 + exp(-t)); }
`;
const lossLadder: { step: string; milliseconds: number; "error of the loss": number }[] = [];
async function lossRung(step: string, wgsl: string, workgroupRows = 64) {
  const code = kernel(step.replace(/\W+/g, "_"), lossHeader + wgsl, "score");
  const time = await milliseconds((program) =>
    program.dispatch({
      kernel: code,
      tensors: { logits, targets, gradient, losses },
      dims: [tokens, vocabulary],
      workgroups: [Math.ceil(tokens / workgroupRows)],
    })
  );
  const found = await gpu.read(losses), slopes = await gpu.read(gradient);
  const errors = someRows.map((row, i) => Math.abs(found[row]! - expected[i]!.loss));
  lossLadder.push({ step, milliseconds: time, "error of the loss": Math.max(...errors) });
  return { found, slopes };
}
showTable(someRows.map((row, i) => ({ row, "loss in float64": expected[i]!.loss })), {
  precision: 6,
});

// %% [markdown]
// **Predict first**: row 0 has $m = 40$, so its loss is $-\log(1 - p) \approx 40$ nats. What will a kernel say that computes $p$
// first?
//
// ### Rung 1: by the book
// Softmax first, then the logarithm of what is left. Four passes over the row, and a flaw: in row 0 `p` rounds to 1 in
// float32, `1 − p` to 0, and its logarithm is infinite. The gradient of the other tokens is divided by the same 0. The
// paper's code clamps `1 − p` at 1e-9, which makes the loss finite and the gradient *zero*, exactly where the model is
// surest of what it should not say.

// %%
const byTheBook = await lossRung(
  "1 softmax, then log(1 − p)",
  `
@compute @workgroup_size(64)
fn score(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.rows) { return; }
  let start = id.x * dims.vocabulary;
  let end = start + dims.vocabulary;
  let y = start + targets[id.x];
  var largest = -3e38;
  for (var j = start; j < end; j++) { largest = max(largest, logits[j]); }
  var sum = 0.0;
  for (var j = start; j < end; j++) { sum += exp(logits[j] - largest); }
  for (var j = start; j < end; j++) { gradient[j] = exp(logits[j] - largest) / sum; }
  let p = gradient[y];
  losses[id.x] = -log(1.0 - p);
  for (var j = start; j < end; j++) { gradient[j] = -gradient[j] * p / (1.0 - p); }
  gradient[y] = p;
}`,
);
await show(check(
  "by the book the loss of a certain token is not a number that can be trained with",
  !Number.isFinite(byTheBook.found[0]!),
));
showTable(
  someRows.map((row, i) => ({
    row,
    "float64": expected[i]!.loss,
    "by the book": byTheBook.found[row]!,
  })),
  { precision: 6 },
);

// %% [markdown]
// ### Rung 2: through the log-odds
// The maximum and the sum leave the target out, so nothing is ever subtracted from 1. Three passes.

// %%
const logOddsWgsl = `
@compute @workgroup_size(64)
fn score(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.rows) { return; }
  let start = id.x * dims.vocabulary;
  let end = start + dims.vocabulary;
  let y = start + targets[id.x];
  var largest = -3e38;
  for (var j = start; j < end; j++) { largest = max(largest, select(logits[j], -3e38, j == y)); }
  var sum = 0.0;
  for (var j = start; j < end; j++) { sum += select(exp(logits[j] - largest), 0.0, j == y); }
  let rest = largest + log(sum);
  let m = logits[y] - rest;
  losses[id.x] = softplus(m);
  let slope = sigmoid(m);
  for (var j = start; j < end; j++) { gradient[j] = -slope * exp(logits[j] - rest); }
  gradient[y] = slope;
}`;
await show(showCode(logOddsWgsl));
const throughLogOdds = await lossRung("2 log-odds", logOddsWgsl);
const slopesOf = (slopes: Float32Array, i: number) =>
  slopes.subarray(someRows[i]! * vocabulary, (someRows[i]! + 1) * vocabulary);
await show(
  checkClose(
    "losses, the certain token's included",
    someRows.map((row) => throughLogOdds.found[row]!),
    expected.map(({ loss }) => loss),
    1e-4,
  ),
);
checkClose(
  "gradients of the certain row",
  slopesOf(throughLogOdds.slopes, 0),
  expected[0]!.gradient,
  1e-6,
);

// %% [markdown]
// ### Rung 3: one pass less
// The sum can be kept *online*: whenever the maximum grows, what was summed so far shrinks by the same factor. A pass over
// memory less, but two exponentials per logit instead of one. A good trade where memory is what one waits for.

// %%
const online = await lossRung(
  "3 online sum",
  `
@compute @workgroup_size(64)
fn score(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.rows) { return; }
  let start = id.x * dims.vocabulary;
  let end = start + dims.vocabulary;
  let y = start + targets[id.x];
  var largest = -3e38;
  var sum = 0.0;
  for (var j = start; j < end; j++) {
    if (j == y) { continue; }
    let next = max(largest, logits[j]);
    sum = sum * exp(largest - next) + exp(logits[j] - next);
    largest = next;
  }
  let rest = largest + log(sum);
  let m = logits[y] - rest;
  losses[id.x] = softplus(m);
  let slope = sigmoid(m);
  for (var j = start; j < end; j++) { gradient[j] = -slope * exp(logits[j] - rest); }
  gradient[y] = slope;
}`,
);
checkClose("the online sum", online.found, throughLogOdds.found, 1e-4);

// %% [markdown]
// ### Rung 4: 64 invocations share a row
// Neighbours read neighbouring logits and add up their parts in workgroup memory. On a GPU this is what makes the loads
// fast; on a CPU, where one core runs all 64 in turn, it only adds barriers.

// %%
const shared = await lossRung(
  "4 a row shared by 64",
  `
var<workgroup> parts: array<f32, 64>;
fn gather(value: f32, lane: u32, largest: bool) -> f32 {
  parts[lane] = value;
  workgroupBarrier();
  for (var reach = 32u; reach > 0u; reach /= 2u) {
    if (lane < reach) {
      let pair = vec2f(parts[lane], parts[lane + reach]);
      parts[lane] = select(pair.x + pair.y, max(pair.x, pair.y), largest);
    }
    workgroupBarrier();
  }
  let result = parts[0];
  workgroupBarrier();
  return result;
}

@compute @workgroup_size(64)
fn score(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let start = group.x * dims.vocabulary;
  let end = start + dims.vocabulary;
  let y = start + targets[group.x];
  var mine = -3e38;
  for (var j = start + lane; j < end; j += 64u) {
    mine = max(mine, select(logits[j], -3e38, j == y));
  }
  let largest = gather(mine, lane, true);
  var sum = 0.0;
  for (var j = start + lane; j < end; j += 64u) {
    sum += select(exp(logits[j] - largest), 0.0, j == y);
  }
  let rest = largest + log(gather(sum, lane, false));
  let m = logits[y] - rest;
  let slope = sigmoid(m);
  if (lane == 0u) { losses[group.x] = softplus(m); }
  for (var j = start + lane; j < end; j += 64u) {
    gradient[j] = select(-slope * exp(logits[j] - rest), slope, j == y);
  }
}`,
  1,
);
await show(checkClose("a shared row", shared.found, throughLogOdds.found, 1e-4));
showTable(lossLadder, {
  columns: [
    { key: "step", title: "Rung" },
    { key: "milliseconds", title: "Time", unit: "ms", precision: 2 },
    { key: "error of the loss", title: "Largest error (nats)" },
  ],
});

// %% [markdown]
// ## Fused: no array of all logits
//
// The logits are themselves a product, $z = h W^\top$, and for a real vocabulary they are the largest array of a training
// step. `kernels/selective_loss.wgsl` takes hidden states and gives their gradients, a *chunk* of rows at a time: logits
// become losses and are overwritten by their own gradient, which two more products carry on. And since the loss is
// *selective*, rows without a term are left out of the chunks altogether.

// %%
const hidden = upload("hidden", [tokens, width], normal(tokens * width));
const unembedding = upload(
  "unembedding",
  [vocabulary, width],
  normal(vocabulary * width).map((value) => value / Math.sqrt(width)),
);
const classes = upload("classes", [tokens], new Uint32Array(tokens).fill(3));
const weights = upload("weights", [tokens], new Float32Array(tokens).fill(1));
const rowList = upload("rows", [tokens], Uint32Array.from({ length: tokens }, (_, row) => row));
const step = upload("step", [stepLength], new Float32Array(stepLength).fill(1)); // Z = 1
const dhidden = gpu.allocate("dhidden", [tokens, width]);
const dunembedding = gpu.allocate("dunembedding", [vocabulary, width]);
const logOdds = gpu.allocate("log_odds", [tokens]);
const classSums = gpu.allocate("class_sums", [4]);

/** All of the loss, for the first `active` rows only. */
function fused(program: Program, active: number) {
  runSelectiveLoss(program, {
    ...{ hidden, unembedding, targets, classes, weights, step, activeRows: rowList },
    activeCount: () => active,
    ...{ losses, logOdds, classSums, dhidden, dunembedding, chunkRows },
    terms: termsToWgsl(objective("unlikelihood").terms),
  });
}

// %% [markdown]
// The same without fusing, from the pieces above: all logits, the loss, and two products back. It knows no masks, so its
// time does not depend on how many rows have a loss.

// %%
const all = { rows: tokens, columns: vocabulary, depth: width };
const score = kernel("unfused", lossHeader + logOddsWgsl, "score");
const allLosses = gpu.allocate("all_losses", [tokens]);
const allHidden = gpu.allocate("all_dhidden", [tokens, width]);
const allUnembedding = gpu.allocate("all_dunembedding", [vocabulary, width]);

function unfused(program: Program) {
  matmul(program, { a: hidden, b: unembedding, out: logits, ...all, transposeB: true });
  program.dispatch({
    kernel: score,
    tensors: { logits, targets, gradient, losses: allLosses },
    dims: [tokens, vocabulary],
    workgroups: [Math.ceil(tokens / 64)],
  });
  matmul(program, {
    a: gradient,
    b: unembedding,
    out: allHidden,
    ...all,
    columns: width,
    depth: vocabulary,
  });
  matmul(program, {
    a: gradient,
    b: hidden,
    out: allUnembedding,
    ...{ rows: vocabulary, columns: width, depth: tokens, transposeA: true },
  });
}

{
  using program = new Program(gpu, "compared");
  program.clear(dunembedding);
  fused(program, tokens);
  unfused(program);
  program.replay();
}
await show(
  checkClose("losses, fused and not", await gpu.read(losses), await gpu.read(allLosses), 1e-4),
  checkClose(
    "gradients of hidden states",
    await gpu.read(dhidden),
    await gpu.read(allHidden),
    1e-4,
  ),
);
checkClose(
  "gradient of the unembedding",
  await gpu.read(dunembedding),
  await gpu.read(allUnembedding),
  1e-3,
);

// %% [markdown]
// Both, while more and more of the rows are masked. (Half of the point of the fused kernel is its memory, so that stands
// beside the time: a chunk of logits against all of them and their gradient.)
//
// **Predict first**: with *no* row masked both do the same arithmetic. Which is faster? And how much time is left when nine
// rows of ten are masked?

// %%
const shares = [1, 0.75, 0.5, 0.25, 0.1];
const timings: { kernel: string; share: number; milliseconds: number }[] = [];
const withoutFusing = await milliseconds(unfused);
for (const share of shares) {
  const time = await milliseconds((program) => fused(program, Math.round(share * tokens)));
  timings.push({ kernel: "fused and selective", share: 100 * share, milliseconds: time });
  timings.push({ kernel: "all logits", share: 100 * share, milliseconds: withoutFusing });
}
await show(showTable([
  { kernel: "all logits", "logits in memory": megabytes(2 * 4 * tokens * vocabulary) },
  { kernel: "fused and selective", "logits in memory": megabytes(4 * chunkRows * vocabulary) },
]));
const fusedTime = (share: number) =>
  timings.find((timing) => timing.kernel !== "all logits" && timing.share === 100 * share)!
    .milliseconds;
await show(
  check("a tenth of the rows costs less than half of all rows", fusedTime(0.1) < fusedTime(1) / 2),
  showTable([{
    "all rows: fused / all logits": fusedTime(1) / withoutFusing,
    "half of them": fusedTime(0.5) / withoutFusing,
    "a tenth": fusedTime(0.1) / withoutFusing,
  }], { precision: 2 }),
  showTable([{ "this notebook took (s)": Math.round((performance.now() - began) / 1000) }]),
);
await showLines(
  timings.map(({ kernel, share, milliseconds }) => ({ series: kernel, x: share, y: milliseconds })),
  {
    title: "Time of a loss with gradients, by the share of rows that have one",
    x: "Rows with a loss (%)",
    y: "Time (ms, lower is better)",
    alternative: "Lines: the fused loss falls with the share of rows, the other one stays level",
  },
);

// %% [markdown]
// Read the first ratio with care: where nothing is masked, fusing saves *memory*, not arithmetic, and many thin products can
// cost more than a few large ones; about 1 means that the memory came for nothing, more than 1 is its price on this adapter.
// The other two are what being *selective* saves.

// %% [markdown]
// ## What was learned
//
// - A kernel is first of all a question of how often each number is loaded: tiles, in workgroup memory or in registers,
//   are the answer, and which of the two depends on the adapter. So it is measured, not believed.
// - Two formulas that are equal on paper are not equal in float32: the loss through the log-odds is exact where
//   `log(1 − p)` is infinite.
// - Fusing the loss with the products around it saves the memory of all logits; that rows without a term are left out saves
//   time, in proportion. What either costs or saves here stands in the tables above.
// - Negative results are results.
//
// ## Exercises
//
// **2.1** An invocation owns 4·r × 4·c elements of the product. In one step over four values of $k$ it loads a `vec4f` for each
// of its rows and columns. How many vector loads is that for each multiply-add?

// %%
const myLoads: ((r: number, c: number) => number) | undefined = undefined; // your function
await lesson2.loadsPerMultiplyAdd(myLoads);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson2.loadsPerMultiplyAdd((r, c) => (4 * r + 4 * c) / (4 * r * 4 * c * 4)));
// ```
//
// Where it stops paying can be tried without writing any WGSL, since the library's kernel has the numbers of blocks as
// constants:
//
// ```ts
// for (const rowBlocks of [1, 2, 4]) {
//   const variant = { memory: "buffer", rowBlocks, columnBlocks: 1, lines: 8 } as const;
//   const time = await milliseconds((program) =>
//     matmul(program, { a: x, b: w, out: y, rows, columns, depth, transposeB: true, variant })
//   );
//   await show(showTable([{ rowBlocks, milliseconds: time }], { precision: 2 }));
// }
// ```
//
// </details>
//
// **2.2** How many bytes of logits (with their gradient, where that is an array of its own) exist at a time, unfused and
// fused in chunks?

// %%
type Shape = { tokens: number; vocabulary: number; chunkRows: number };
const myBytes: ((shape: Shape) => { unfused: number; fused: number }) | undefined = undefined;
await lesson2.logitBytes(myBytes);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson2.logitBytes(({ tokens, vocabulary, chunkRows }) => ({
//   unfused: 2 * 4 * tokens * vocabulary,
//   fused: 4 * Math.min(chunkRows, tokens) * vocabulary,
// })));
// ```
//
// </details>
//
// **2.3** The softplus in `lossHeader` is `log(1 + exp(−|t|))`. At t = −20 it gives 0 instead of 2.06e-9: `1 + x` has
// forgotten a small `x`. Write the body of a WGSL function `fn log1p(x: f32) -> f32` that has not, for `x` from 0 to 1.

// %%
const myLog1p: string | undefined = undefined; // e.g. "return x;"
await lesson2.accurateLog1p(gpu)(myLog1p);

// %% [markdown]
// <details><summary>Solution</summary>
//
// ```ts
// await show(await lesson2.accurateLog1p(gpu)(`
//   if (x > 0.01) { return log(1.0 + x); }
//   return x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - x * 0.25)));
// `));
// ```
//
// The gradient comes from `sigmoid`, which is right, so training does not notice; a sum of such losses does.
//
// </details>
//
// **To try**
// - `chunkRows`: 16, 256, all rows. Small chunks make thin products, which load each weight for few rows; large chunks make
//   logits that no longer fit the cache between being written and being read.
// - Rung 2 with tiles of 8 × 8. What changes on your adapter, and why?
// - Give rung 1 of the loss the clamp of the paper's code, `log(max(1.0 - p, 1e-9))`. What is its gradient in row 0?
//
// ## What to read
//
// - The WGSL specification, and *WebGPU Fundamentals*: what a kernel may do, and what a workgroup is.
// - Boehm 2022, *How to optimize a CUDA matmul kernel*: the same ladder on a GPU, with more rungs.
// - Milakov and Gimelshein 2018, *Online normalizer calculation for softmax*: rung 3 of the loss.
// - Wijmans et al. 2024, *Cut your losses in large-vocabulary language models*: a fused cross-entropy.
// - `kernels/matmul.wgsl` and `kernels/selective_loss.wgsl`: what this project runs.
// - Next: lesson 3 trains with it.
