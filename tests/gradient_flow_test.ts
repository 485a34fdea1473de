// The gradients that are drawn over tokens, against finite differences of the loss: states are moved, coordinate by
// coordinate, by a kernel that adds to them in the middle of the forward pass. Each row of one batch is one such move.

import { Program } from "../src/gpu/program.ts";
import { kernel } from "../src/gpu/kernel.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { stepLength } from "../kernels/step.ts";
import { activeRows, countTargets, packSequences } from "../src/data/packing.ts";
import type { Sequence } from "../src/data/sequence.ts";
import { attentionPath, gradientFlow } from "../src/eval/gradient_flow.ts";
import { BatchTensors } from "../src/model/batch_tensors.ts";
import { initialise } from "../src/model/initialise.ts";
import { LanguageModel } from "../src/model/language_model.ts";
import { selectiveLoss } from "../src/nn/operations.ts";
import { divisor, type Objective, objective, termsToWgsl } from "../src/slung/objective.ts";
import { customLoss } from "../src/slung/custom_loss.ts";
import { assert, assertClose, assertEquals, assertRejects, relativeError } from "./assert.ts";
import { assertSame } from "./fixtures/same.ts";
import { llama, olmo, trainable } from "./fixtures/tiny.ts";

const masked = objective("masked");
const unlikely = objective("unlikelihood");
const custom: Objective = {
  name: "bounded",
  terms: [
    undefined,
    masked.terms[1],
    undefined,
    customLoss({ name: "p", value: "p", derivative: "p" }),
  ],
  denominator: "weights",
};

// Eight tokens, of which the fourth and fifth are high risk and the last is only possibly risky.
const sequence: Sequence = {
  tokens: Uint32Array.of(7, 30, 11, 50, 42, 3, 19, 23),
  classes: Uint8Array.of(1, 1, 1, 3, 3, 1, 1, 2),
  weights: Float32Array.of(1, 1, 0.5, 1, 2, 1, 1.5, 1),
};
const T = sequence.tokens.length - 1;

const add = kernel(
  "add",
  `@group(0) @binding(0) var<storage, read_write> state: array<f32>;
  @group(0) @binding(1) var<storage, read> shift: array<f32>;
  @compute @workgroup_size(64) fn add(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&state)) { state[id.x] += shift[id.x]; }
  }`,
  "add",
);

/** ∂L/∂state [T, C] of the state that is observed as number `which`, by central differences of fourth order. */
async function byDifferences(
  model: LanguageModel,
  { terms, denominator }: Objective,
  which: number,
  single?: number,
): Promise<Float64Array> {
  const { gpu, config } = model;
  const C = config.width;
  const offsets = [-2, -1, 1, 2];
  const rows = T * C * offsets.length;
  const copies = new Array<Sequence>(rows).fill(sequence);
  const { batches: [whole], placements } = packSequences(copies, { rows, time: T });
  const z = divisor(denominator, [
    countTargets(packSequences([sequence], { rows: 1, time: T }).batches[0]!, terms),
  ]);
  const batch = single === undefined ? whole! : {
    ...whole!,
    weights: whole!.weights.map((weight, row) => row % T === single ? weight : 0),
  };
  using program = new Program(gpu, "differences");
  const tensors = new BatchTensors(program, rows * T, T);
  const losses = program.allocate("losses", [rows * T]);
  const shift = program.allocate("shift", [rows * T, C]);
  const before = program.allocate("before", [rows * T, C]);
  let seen = 0;
  const { tape, hidden } = model.recordBatch(program, tensors, {
    batch: rows,
    training: false,
    observe({ program }, { value }) {
      if (seen++ !== which) return;
      program.copy(value, before);
      const groups = Math.ceil(value.length / 64);
      program.dispatch({ kernel: add, tensors: { state: value, shift }, workgroups: [groups] });
    },
  });
  selectiveLoss(tape, hidden, model.unembedding, {
    ...tensors,
    step: program.allocate("step", [stepLength]),
    losses,
    logOdds: program.allocate("log_odds", [rows * T]),
    classSums: program.allocate("class_sums", [4]),
    terms: termsToWgsl(terms),
  });
  tensors.write(batch, terms);
  program.replay();
  const state = (await gpu.read(before)).subarray(0, T * C);
  const size = 0.03 * Math.hypot(...state) / Math.sqrt(T * C);
  const shifts = new Float32Array(rows * T * C);
  for (let row = 0; row < rows; row++) {
    const at = Math.floor(row / offsets.length);
    shifts[placements[row]!.start * C + at] = offsets[row % offsets.length]! * size;
  }
  gpu.write(shift, shifts);
  program.replay();
  const values = await gpu.read(losses);
  const active = new Set(activeRows(batch, terms));
  const lossOf = (row: number) => {
    const { start } = placements[row]!;
    let sum = 0;
    for (let i = start; i < start + T; i++) {
      if (active.has(i)) sum += batch.weights[i]! * values[i]!;
    }
    return sum / z;
  };
  return Float64Array.from({ length: T * C }, (_, at) => {
    const [a, b, c, d] = offsets.map((_, k) => lossOf(at * offsets.length + k)) as [
      number,
      number,
      number,
      number,
    ];
    return (8 * (c - b) - (d - a)) / (12 * size);
  });
}

const norms = (gradient: Float64Array, C: number) =>
  Float64Array.from({ length: T }, (_, t) => Math.hypot(...gradient.subarray(t * C, (t + 1) * C)));

for (const [family, config] of Object.entries({ olmo, llama })) {
  for (const goal of [masked, unlikely, custom]) {
    Deno.test(`${family}, ${goal.name}: the gradient of every state agrees with finite differences`, async () => {
      using gpu = await Gpu.open();
      using model = trainable(gpu, config);
      const flow = await gradientFlow(model, sequence, goal);
      assertEquals(flow.layers.length, config.layers);
      for (const [which, found] of [...flow.layers, flow.hidden].entries()) {
        const expected = norms(await byDifferences(model, goal, which), config.width);
        const error = relativeError(found, expected);
        assert(error < 2e-4, `state ${which}: ${found} against ${expected}, ${error}`);
      }
    });
  }
}

Deno.test("the path from one target agrees with finite differences", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, olmo);
  for (const layer of [0, 1]) {
    const { map } = await attentionPath(model, sequence, unlikely, { layer });
    for (const target of [2, 5]) {
      const expected = norms(await byDifferences(model, unlikely, layer, target), olmo.width);
      const error = relativeError(map[target]!, expected);
      assert(error < 2e-4, `target ${target}: ${map[target]} against ${expected}, ${error}`);
    }
  }
});

Deno.test("a masked prediction gets no gradient, but the masked token's state is trained by later ones", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, olmo);
  const { hidden, layers, losses } = await gradientFlow(model, sequence, masked);
  // Positions 2 and 3 predict the high-risk tokens 3 and 4, position 6 the possibly risky token 7.
  const untrained = [2, 3, 6];
  hidden.forEach((norm, t) => assertEquals(norm === 0, untrained.includes(t), `hidden ${t}`));
  losses.forEach((loss, t) => assertEquals(Number.isNaN(loss), untrained.includes(t), `loss ${t}`));
  for (const layer of layers) {
    for (const t of [2, 3]) assert(layer[t]! > 0, `the state at ${t} is trained`);
    assertEquals(layer[6], 0, "nothing after the last position looks back at it");
  }
});

Deno.test("gradients never flow to later positions, and masked targets send none", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, llama);
  const { map, layer } = await attentionPath(model, sequence, masked);
  assertEquals(layer, 0);
  map.forEach((row, target) =>
    row.forEach((norm, position) => {
      const reachable = position <= target && ![2, 3, 6].includes(target);
      assertEquals(norm > 0, reachable, `from target ${target} to position ${position}`);
    })
  );
});

Deno.test("losses are those of the objective, and measuring leaves the model's gradients at zero", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, olmo);
  const direct = await gradientFlow(model, sequence, objective("direct"));
  const turned = await gradientFlow(model, sequence, unlikely);
  for (let t = 0; t < T; t++) {
    const m = direct.logOdds[t]!;
    assertClose(direct.losses[t]!, Math.log1p(Math.exp(-m)), 1e-5);
    const risky = sequence.classes[t + 1] === 3;
    assertClose(turned.losses[t]!, Math.log1p(Math.exp(risky ? m : -m)), 1e-5);
  }
  for (const { gradient } of model.parameters.groups) {
    assertSame(await gpu.read(gradient!), new Float32Array(gradient!.length));
  }
  const again = await gradientFlow(model, sequence, objective("direct"));
  assertEquals(again.hidden, direct.hidden);
});

Deno.test("what cannot be traced is refused", async () => {
  using gpu = await Gpu.open();
  using frozen = new LanguageModel(gpu, olmo, initialise(olmo, 1));
  await assertRejects(
    () => gradientFlow(frozen, sequence, masked),
    "it, or a part of it, has no gradients",
  );
  using model = trainable(gpu, olmo);
  const risky = { ...sequence, classes: new Uint8Array(T + 1).fill(3) };
  await assertRejects(() => gradientFlow(model, risky, masked), "every token is masked");
  await assertRejects(
    () => attentionPath(model, sequence, masked, { layer: 2 }),
    "Cannot trace gradients to the input of layer 2: the model has layers 0 to 1.",
  );
  const long = new Uint32Array(olmo.contextLength + 2);
  const classes = new Uint8Array(long.length).fill(1);
  await assertRejects(
    () => gradientFlow(model, { tokens: long, classes }, masked),
    "the model's context holds 64",
  );
});
