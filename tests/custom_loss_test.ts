// Loss terms of one's own: derivatives that are wrong are refused with a place, and what is accepted runs on the GPU as
// the same function in float64 says, whatever class it is given to.

import { noRow, selectiveLoss } from "../kernels/selective_loss.ts";
import { packSequences } from "../src/data/packing.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import {
  customLoss,
  evaluateTerm,
  lossScope,
  type LossTerm,
  parse,
} from "../src/slung/custom_loss.ts";
import { evaluate } from "../src/slung/expression.ts";
import {
  boundedUnlikelihood,
  cappedUnlikelihood,
  entropyRaising,
  gallery,
  towardsChance,
} from "../src/slung/gallery.ts";
import {
  clampedUnlikelihood,
  crossEntropy,
  type Objective,
  termsToWgsl,
} from "../src/slung/objective.ts";
import { Trainer } from "../src/train/trainer.ts";
import { assert, assertClose, assertEquals, assertThrows } from "./assert.ts";
import { assertSame } from "./fixtures/same.ts";
import { adamw, olmo, randomSequences, trainable } from "./fixtures/tiny.ts";
import { filled, floats, integers, launch, normals } from "./launch.ts";
import { finiteDifference, logSumExp, matmulNN, matmulNT } from "./reference.ts";

const make = (value: string, derivative: string, name = "mine") =>
  customLoss({ name, value, derivative });
const makeBySlope = (value: string, slope: string) => customLoss({ name: "mine", value, slope });

Deno.test("a term is made of a value and its derivative by lp, or its slope by m", () => {
  assertEquals(make("-lp", "-1"), { name: "mine", value: "-lp", slope: "(-1) * sigmoid(-m)" });
  assertEquals(makeBySlope("-l1mp", "p"), { name: "mine", value: "-l1mp", slope: "p" });
  const neither = { name: "mine", value: "-lp" };
  assertThrows(() => customLoss(neither), 'Cannot make the loss "mine": it has no derivative.');
  assertThrows(
    () => customLoss({ ...neither, derivative: "-1", slope: "p - 1" }),
    "it has a derivative and a slope",
  );
});

Deno.test("right derivatives pass: smooth terms, terms with kinks, terms that use the weight", () => {
  make("lp * lp / 2", "lp");
  make("p", "p");
  make("-exp(lp)", "-p");
  make("-lp * (1 - p)", "-(1 - p) + p * lp");
  makeBySlope("softplus(m) - softplus(m - 5)", "p - sigmoid(m - 5)");
  makeBySlope("p * lp + (1 - p) * l1mp", "m * p * sigmoid(-m)");
  make("max(lp + 3, 0)", "step(-3, lp)");
  make("abs(lp + 1)", "sign(lp + 1)");
  make("min(-lp, 4)", "select(-1, 0, -lp > 4)");
  make("(1 - exp(w * lp)) / w", "-exp(w * lp)");
});

Deno.test("a wrong derivative is refused with p, what was given and what is right", () => {
  assertThrows(
    () => make("-lp", "1", "upside_down"),
    'Cannot make the loss "upside_down": its derivative is wrong at ',
  );
  assertThrows(
    () => make("-lp", "1"),
    "it is 1, but the value changes by -1 per unit of lp. Correct the derivative",
  );
  assertThrows(() => make("lp * lp", "lp"), "its derivative is wrong at");
  assertThrows(() => makeBySlope("-l1mp", "1 - p"), "its slope is wrong at");
  assertThrows(() => makeBySlope("-l1mp", "p * 1.001"), "per unit of m");
  assertThrows(() => make("(1 - exp(w * lp)) / w", "-exp(lp)"), "w = ");
  // Forgetting the chain rule: the derivative by lp given as the slope.
  assertThrows(() => makeBySlope("-lp", "-1"), "d lp / d m = 1 - p");
});

Deno.test("what is not finite, or loses its digits in float32, is refused with a way out", () => {
  assertThrows(() => make("-log(p)", "-1"), "Write lp for log(p)");
  assertThrows(() => make("-log(1 - p)", "p"), "in float32, where exact arithmetic gives");
  assertThrows(() => make("-l1mp", "p / (1 - p)"), "Give the slope d value / d m");
  assertThrows(() => make("-l1mp", "exp(m)"), "its derivative is Infinity in float32");
  assertThrows(() => make("pow(lp, 2)", "2 * lp"), "x * x for pow(x, 2)");
  assertThrows(() => customLoss(clampedUnlikelihood), "in float32");
});

Deno.test("text that is no expression is refused, naming which and where", () => {
  assertThrows(
    () => make("-lp; losses[row] = 0.0", "-1"),
    'Cannot read the value of the loss "mine": ";" has no meaning in an expression',
  );
  assertThrows(() => make("-lp", "losses[0]"), 'the derivative of the loss "mine"');
  assertThrows(() => makeBySlope("-lp", "-sigmoid(-m"), "-sigmoid(-m\n             ^ here.");
  // Nor does a term made by hand reach the kernel.
  const forged: LossTerm = { name: "forged", value: "0.0, 0.0); } } //", slope: "1" };
  assertThrows(
    () => termsToWgsl([forged, undefined, undefined, undefined]),
    'Cannot read the value of the loss "forged"',
  );
});

// GPU: the loss of N rows over V tokens, with the gradient of the hidden states.
async function onGpu(
  gpu: Gpu,
  { N, V, C }: { N: number; V: number; C: number },
  terms: Objective["terms"],
) {
  const targets = Array.from({ length: N }, (_, n) => n * 7 % V);
  const classes = targets.map((_, n) => n % 4);
  const weights = targets.map((_, n) => [1, 0.25, 3][n % 3]!);
  const active = classes.flatMap((risk, n) => terms[risk] ? [n] : []);
  const hidden = normals("hidden", N, C);
  hidden.data = hidden.data.map((x) => 3 * x);
  const unembedding = normals("unembedding", V, C);
  const result = await launch(gpu, {
    hidden,
    unembedding,
    targets: integers(targets),
    classes: integers(classes),
    weights: floats(weights),
    activeRows: integers([...active, ...new Array<number>(N - active.length).fill(noRow)]),
    step: floats([0, 0, 0, 1 / 5]),
    losses: filled(0, N),
    logOdds: filled(0, N),
    classSums: filled(0, 4),
    dhidden: filled(NaN, N, C),
  }, (program, tensors) => {
    const request = { terms: termsToWgsl(terms), activeCount: () => active.length, chunkRows: 4 };
    selectiveLoss(program, { ...tensors, ...request });
  });
  return { ...result, inputs: { hidden, unembedding, targets, classes, weights } };
}

const learn = (value: string, derivative: string) => make(value, derivative, "cross_entropy");

Deno.test("a custom cross-entropy is the built-in one, bit for bit", async () => {
  using gpu = await Gpu.open();
  const shape = { N: 11, V: 37, C: 8 };
  const builtIn = await onGpu(gpu, shape, [crossEntropy, crossEntropy, undefined, crossEntropy]);
  const written = learn("softplus(-m)", "-1");
  const custom = await onGpu(gpu, shape, [written, written, undefined, written]);
  assertSame(custom.losses, builtIn.losses, "losses");
  assertSame(custom.dhidden, builtIn.dhidden, "dhidden");
});

for (const lanesPerRow of [1, 64] as const) {
  for (const V of [2, 37, 131]) {
    Deno.test(`four custom terms agree with float64, V = ${V}, ${lanesPerRow} lanes per row`, async () => {
      using gpu = await Gpu.open({ lanesPerRow });
      const terms = [
        make("lp * lp / 2", "lp"),
        makeBySlope("p * lp + sigmoid(-m) * l1mp", "m * p * sigmoid(-m)"),
        makeBySlope("softplus(m) - softplus(m - 5)", "p - sigmoid(m - 5)"),
        make("(1 - exp(w * lp)) / w", "-exp(w * lp)"),
      ] as const;
      const [N, C] = [13, 5];
      const { inputs, ...run } = await onGpu(gpu, { N, V, C }, terms);
      const values = terms.map(({ value }) => parse(value, "the value"));
      const logits = matmulNT(inputs.hidden.data, inputs.unembedding.data, { N, K: C, M: V });
      const lossOf = (row: ArrayLike<number>, n: number) => {
        const y = inputs.targets[n]!;
        const m = row[y]! - logSumExp(Array.from(row).filter((_, j) => j !== y));
        return evaluate(values[inputs.classes[n]!]!, lossScope(m, inputs.weights[n]!));
      };
      const dlogits = new Float64Array(N * V);
      for (let n = 0; n < N; n++) {
        const row = logits.subarray(n * V, (n + 1) * V);
        assertClose(run.losses[n]!, lossOf(row, n), 1e-5, `loss of row ${n}`);
        const slopes = finiteDifference((z) => lossOf(z, n), row);
        dlogits.set(slopes.map((slope) => inputs.weights[n]! * slope / 5), n * V);
      }
      const dhidden = matmulNN(dlogits, inputs.unembedding.data, { N, K: V, M: C });
      assertClose(run.dhidden, dhidden, 1e-5, "dhidden");
    });
  }
}

Deno.test("a custom term trains: its own class falls, and the masked classes are left out", async () => {
  using gpu = await Gpu.open();
  using model = trainable(gpu, olmo);
  const bounded = make("p", "p", "probability");
  const objective: Objective = {
    name: "bounded",
    terms: [undefined, crossEntropy, undefined, bounded],
    denominator: "active",
  };
  using trainer = new Trainer(model, { rows: 4, time: 32, objective, optimiser: adamw });
  const { batches } = packSequences(randomSequences(12), { rows: 4, time: 32 });
  for (let step = 0; step < 30; step++) trainer.step(step, batches, 1e-2);
  const reports = await trainer.drain();
  const [first, last] = [reports[0]!, reports.at(-1)!];
  assert(last.loss < 0.8 * first.loss, `${first.loss} -> ${last.loss}`);
  assert(last.lossByClass[1]! < first.lossByClass[1]!, "low risk is learned");
  assert(last.lossByClass[3]! < 0.5 * first.lossByClass[3]!, "high risk is unlearned");
  assertEquals([last.lossByClass[0], last.lossByClass[2]], [undefined, undefined]);
});

Deno.test("terms that mean the same are compiled once", async () => {
  using gpu = await Gpu.open();
  let compiled = 0;
  const create = gpu.device.createComputePipeline.bind(gpu.device);
  gpu.device.createComputePipeline = (descriptor) => (compiled++, create(descriptor));
  const shape = { N: 5, V: 7, C: 3 };
  await onGpu(gpu, shape, [undefined, learn("-lp", "-1"), undefined, undefined]);
  const once = compiled;
  assert(once > 0);
  await onGpu(gpu, shape, [undefined, learn(" - lp ", "( -1.0 )"), undefined, undefined]);
  assertEquals(compiled, once);
  await onGpu(gpu, shape, [undefined, learn("lp * lp", "2 * lp"), undefined, undefined]);
  assert(compiled > once);
});

Deno.test("the gallery's terms do what they say", () => {
  const lossAt = (term: LossTerm, m: number) => evaluateTerm(term, m).loss;
  const slopeAt = (term: LossTerm, m: number) => evaluateTerm(term, m).slope;
  assertEquals(gallery.map(({ objective }) => objective.name), [
    "masked",
    "unlikelihood",
    "capped_unlikelihood",
    "bounded_unlikelihood",
    "towards_chance",
    "entropy_raising",
  ]);
  // Bounded, and capped at the given nats; capped is unlikelihood where p is small.
  assertClose(lossAt(boundedUnlikelihood, 100), 1, 1e-12);
  assertClose(lossAt(cappedUnlikelihood(5), 100), 5, 1e-12);
  assertClose(lossAt(cappedUnlikelihood(5), -3), Math.log1p(Math.exp(-3)), 1e-3);
  // All lower a probable token; two of them raise an improbable one.
  const terms = [boundedUnlikelihood, cappedUnlikelihood(), towardsChance(0.001), entropyRaising];
  assertEquals(terms.map((term) => slopeAt(term, 2) > 0), [true, true, true, true]);
  assertEquals(terms.map((term) => slopeAt(term, -8) > 0), [true, true, false, false]);
  assertClose(slopeAt(towardsChance(0.25), Math.log(1 / 3)), 0, 1e-15);
  assertClose(slopeAt(entropyRaising, 0), 0, 1e-15);
  assertThrows(() => towardsChance(NaN), 'there is no variable "NaN"');
});
