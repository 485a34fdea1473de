// The fused loss against float64: values, log-odds, sums by class and both gradients, over chunks that divide the batch
// and chunks that do not. The reference's gradient is checked by finite differences in reference_test.ts; here it is
// carried on to hidden states and unembedding by the reference's matrix products.

import { chunksOf, defaultChunkRows, noRow, selectiveLoss } from "../kernels/selective_loss.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import {
  clampedUnlikelihood,
  crossEntropy,
  isActive,
  type LossTerm,
  type Objective,
  termsToWgsl,
  unlikelihood,
} from "../src/slung/objective.ts";
import { assertClose, assertEquals } from "./assert.ts";
import { filled, floats, integers, launch, normals } from "./launch.ts";
import {
  type CustomTerm,
  type LossTerm as SlowTerm,
  matmulNN,
  matmulNT,
  matmulTN,
  selectiveLoss as slowLoss,
} from "./reference.ts";

// A user's own term: (log p)² / 2, in log p for the reference and in the log-odds m for the GPU (d log p/d m = 1 − p).
const custom: LossTerm = {
  name: "squared",
  value: "0.5 * softplus(-m) * softplus(-m)",
  slope: "-softplus(-m) * sigmoid(-m)",
};
const slowCustom: CustomTerm = { f: (logP) => logP * logP / 2, df: (logP) => logP };

const objectives = {
  "cross-entropy everywhere": [crossEntropy, crossEntropy, crossEntropy, crossEntropy],
  "masked classes": [crossEntropy, crossEntropy, undefined, undefined],
  "unlikelihood": [crossEntropy, crossEntropy, undefined, unlikelihood],
  "clamped unlikelihood": [undefined, crossEntropy, unlikelihood, clampedUnlikelihood],
  "a custom term": [custom, crossEntropy, undefined, unlikelihood],
} satisfies Record<string, Objective["terms"]>;

const slowTerm = (term: LossTerm | undefined): SlowTerm =>
  !term ? "none" : term === custom ? slowCustom : term.name as SlowTerm;

interface Run {
  N: number;
  V: number;
  C: number;
  chunkRows?: number;
  terms?: Objective["terms"];
  /** Of each row; by default all four in turn. */
  classes?: number[];
  weights?: number[];
}

/** Runs the kernel and the reference on one random batch and compares everything that is written. */
async function check(gpu: Gpu, run: Run) {
  const { N, V, C, chunkRows, terms = objectives.unlikelihood } = run;
  const { classes = Array.from({ length: N }, (_, n) => (n * n + n) / 2 % 4) } = run;
  const { weights = Array.from({ length: N }, (_, n) => 1 + n % 3) } = run;
  const Z = 7;
  const hidden = normals("hidden", N, C), unembedding = normals("unembedding", V, C);
  const targets = Array.from({ length: N }, (_, n) => n % 3 === 0 ? V - 1 : n * 5 % V);
  const active = targets.map((_, n) => n).filter((n) => isActive(terms, classes[n]!, weights[n]!));
  const before = { losses: normals("losses", N), sums: floats([1, 2, 3, 4]) };
  const dunembeddingBefore = normals("dunembedding", V, C);
  const result = await launch(gpu, {
    hidden,
    unembedding,
    targets: integers(targets),
    classes: integers(classes),
    weights: floats(weights),
    activeRows: integers([...active, ...new Array<number>(N - active.length).fill(noRow)]),
    step: floats([NaN, NaN, NaN, 1 / Z]),
    losses: before.losses,
    logOdds: before.losses,
    classSums: before.sums,
    dhidden: filled(NaN, N, C),
    dunembedding: dunembeddingBefore,
    // The same loss without gradients, and with gradients for the hidden states only.
    scoredLosses: before.losses,
    frozenDhidden: filled(NaN, N, C),
  }, (program, tensors) => {
    const { scoredLosses, frozenDhidden, dhidden, dunembedding, ...inputs } = tensors;
    const shared = {
      ...inputs,
      terms: termsToWgsl(terms),
      activeCount: () => active.length,
      ...(chunkRows && { chunkRows }),
    };
    selectiveLoss(program, { ...shared, dhidden, dunembedding });
    const aside = { losses: scoredLosses, classSums: program.allocate("aside", [4]) };
    selectiveLoss(program, { ...shared, ...aside });
    selectiveLoss(program, { ...shared, ...aside, dhidden: frozenDhidden });
  });

  const isOn = (n: number) => active.includes(n);
  const logits = matmulNT(hidden.data, unembedding.data, { N, K: C, M: V });
  const slowTerms = classes.map((risk, n) => isOn(n) ? slowTerm(terms[risk]) : "none");
  const slow = slowLoss(logits, { V, targets, terms: slowTerms, weights, Z });
  const kept = (values: Float64Array) => values.map((v, n) => isOn(n) ? v : before.losses.data[n]!);
  assertClose(result.losses, kept(slow.losses), 1e-5, "losses");
  assertClose(result.scoredLosses, kept(slow.losses), 1e-5, "losses without gradients");
  const logP = result.logOdds.map((m, n) => isOn(n) ? -Math.log1p(Math.exp(-m)) : m);
  assertClose(logP, kept(slow.logProbabilities), 1e-5, "log p");
  const sums = Float64Array.of(1, 2, 3, 4);
  for (const n of active) sums[classes[n]!]! += weights[n]! * slow.losses[n]!;
  assertClose(result.classSums, sums, 1e-5, "class sums");
  const dhidden = matmulNN(slow.dlogits, unembedding.data, { N, K: V, M: C });
  assertClose(result.dhidden, dhidden, 1e-5, "dhidden");
  assertClose(result.frozenDhidden, dhidden, 1e-5, "dhidden alone");
  const dunembedding = matmulTN(slow.dlogits, hidden.data, { N: V, K: N, M: C })
    .map((value, i) => value + dunembeddingBefore.data[i]!);
  assertClose(result.dunembedding, dunembedding, 1e-5, "dunembedding");
}

for (const lanesPerRow of [1, 64] as const) {
  for (const [name, terms] of Object.entries(objectives)) {
    Deno.test(`${name}, ${lanesPerRow} lanes per row: agrees with float64`, async () => {
      using gpu = await Gpu.open({ lanesPerRow });
      await check(gpu, { N: 13, V: 37, C: 12, terms, chunkRows: 5 });
    });
  }

  Deno.test(`every way to cut the batch into chunks gives the loss, ${lanesPerRow} lanes per row`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    for (const chunkRows of [1, 4, 12, 13, 40]) { // divides 12 or not; larger than the batch
      await check(gpu, { N: 12, V: 9, C: 5, chunkRows });
    }
  });

  Deno.test(`vocabularies around the lanes of a row, ${lanesPerRow} lanes per row`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    for (const V of [2, 64, 131]) await check(gpu, { N: 5, V, C: 3 });
  });

  Deno.test(`more rows than one workgroup sums or scores, ${lanesPerRow} lanes per row`, async () => {
    using gpu = await Gpu.open({ lanesPerRow });
    await check(gpu, { N: 135, V: 7, C: 4, chunkRows: 68 });
  });
}

Deno.test("masked rows are compacted away: one active row, chunks of padding only", async () => {
  using gpu = await Gpu.open();
  const classes = new Array<number>(11).fill(2); // masked in `unlikelihood`
  classes[9] = 3;
  for (const chunkRows of [2, 4, 11]) await check(gpu, { N: 11, V: 6, C: 4, classes, chunkRows });
});

Deno.test("a batch without any active row has no loss and a gradient of zero", async () => {
  using gpu = await Gpu.open();
  await check(gpu, { N: 6, V: 5, C: 4, classes: new Array<number>(6).fill(2), chunkRows: 4 });
});

Deno.test("chunks of every size give the loss, up to one row more than each holds", async () => {
  using gpu = await Gpu.open();
  const N = 100; // in chunks of 64 rows, or 32 or 16 of those
  for (const count of [15, 16, 17, 32, 33, 64, 65, 81, 100]) {
    const classes = Array.from({ length: N }, (_, n) => n * 37 % N < count ? 1 + 2 * (n % 2) : 2);
    await check(gpu, { N, V: 20, C: 8, classes, chunkRows: 64 });
  }
});

Deno.test("of every chunk the smallest size runs that holds its active rows", () => {
  for (const [rowCount, chunkRows] of [[100, 64], [100, 100], [2048, 256], [5, 2], [1000, 256]]) {
    let count = 0;
    const chunks = chunksOf(rowCount!, chunkRows!, () => count);
    for (; count <= rowCount!; count++) {
      const running = chunks.filter(({ active }) => active());
      assertEquals(running.length, Math.ceil(count / chunkRows!));
      for (const [i, { first, rows }] of running.entries()) {
        assertEquals(first, i * chunkRows!);
        const held = Math.min(count - first, chunkRows!);
        const fitting = chunks.filter((chunk) => chunk.first === first && chunk.rows >= held);
        assertEquals(rows, Math.min(...fitting.map((chunk) => chunk.rows)));
      }
    }
  }
  const sizes = (...size: [number, number]) => [
    ...new Set(chunksOf(...size, () => 0).map(({ rows }) => rows)),
  ];
  assertEquals(sizes(100, 64), [16, 32, 64]);
  assertEquals(sizes(1024, 256), [64, 128, 256]);
  assertEquals(sizes(8192, 256), [256]);
  assertEquals(sizes(20, 20), [20]);
});

Deno.test("weights scale the gradient, and a weight of 0 masks", async () => {
  using gpu = await Gpu.open();
  await check(gpu, { N: 6, V: 5, C: 4, weights: [0, 0.5, 2, 0, 1, 100], chunkRows: 3 });
});

Deno.test("a replay with fewer active rows leaves nothing of the replay before", async () => {
  using gpu = await Gpu.open();
  const [N, V, C] = [6, 5, 4];
  let active = N;
  const hosts = {
    hidden: normals("hidden", N, C),
    unembedding: normals("unembedding", V, C),
    targets: integers([0, 1, 2, 3, 4, 0]),
    classes: integers(new Uint32Array(N)),
    weights: floats(new Float32Array(N).fill(1)),
    activeRows: integers([0, 1, 2, 3, 4, 5]),
    step: floats([0, 0, 0, 1]),
    losses: filled(0, N),
    logOdds: filled(0, N),
    classSums: filled(0, 4),
    dhidden: filled(NaN, N, C),
  };
  const { classSums, dhidden, losses } = await launch(gpu, hosts, (program, tensors) => {
    const terms = termsToWgsl(objectives["cross-entropy everywhere"]);
    selectiveLoss(program, { ...tensors, terms, activeCount: () => active, chunkRows: 2 });
    program.replay();
    active = 1;
    gpu.write(tensors.activeRows, Uint32Array.of(3, ...new Array<number>(N - 1).fill(noRow)));
    gpu.write(tensors.classSums, new Float32Array(4));
  });
  assertClose(classSums, [losses[3]!, 0, 0, 0], 1e-7, "only row 3 is summed");
  dhidden.forEach((value, i) =>
    assertEquals(value !== 0, Math.floor(i / C) === 3, `dhidden[${i}]`)
  );
});

Deno.test("the default chunk holds the bytes of logits that suit the adapter, between 8 and 256 rows, and no more than a binding", async () => {
  const chunkBytes = 16 * 2 ** 20;
  using gpu = await Gpu.open({ kernels: { loss: { chunkBytes } } });
  assertEquals(defaultChunkRows(gpu, 4096, 50_304), 80);
  assertEquals(defaultChunkRows(gpu, 4096, 1000), 256);
  assertEquals(defaultChunkRows(gpu, 100, 1000), 100);
  assertEquals(defaultChunkRows(gpu, 4096, 2_000_000), 8);
  using larger = await Gpu.open({ kernels: { loss: { chunkBytes: 2 * chunkBytes } } });
  assertEquals(defaultChunkRows(larger, 4096, 50_304), 160);
  using narrow = await Gpu.open({ bindingLimit: 20_000 });
  assertEquals(defaultChunkRows(narrow, 100, 1000), 5);
});
