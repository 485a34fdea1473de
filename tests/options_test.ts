import { nearest } from "../src/base/nearest.ts";
import {
  type Allowed,
  callback,
  checkOptions,
  flag,
  listOf,
  number,
  object,
  oneOf,
  optional,
  required,
  seedNumber,
  text,
  wholeNumber,
} from "../src/base/options.ts";
import { Random } from "../src/base/random.ts";
import { matmul } from "../kernels/matmul.ts";
import { labelTexts } from "../src/data/labelling.ts";
import { inventedMachines, inventedNotes } from "../src/data/sources/invented_notes.ts";
import { mixStream } from "../src/data/mixing.ts";
import { paperMethods } from "../src/data/method.ts";
import { packDocuments, packSequences } from "../src/data/packing.ts";
import { lowRiskSequence } from "../src/data/sequence.ts";
import { readRiskyTexts } from "../src/data/span_files.ts";
import { readTexts } from "../src/data/texts.ts";
import { excessLossWeights, goldfishWeights } from "../src/data/token_weights.ts";
import { trainProbe } from "../src/eval/probe.ts";
import { probeAuroc } from "../src/eval/probe_samples.ts";
import { bootstrapInterval } from "../src/eval/statistics.ts";
import { attentionPath, gradientFlow } from "../src/eval/gradient_flow.ts";
import {
  inventedProtocol,
  inventedTask,
  nameAxes,
  nameExperiment,
  summariseNames,
  summariseToxicity,
  toxicityExperiment,
} from "../src/experiments/mod.ts";
import { runExperiment } from "../src/experiments/runner.ts";
import { smallOlmo } from "../src/experiments/small_olmo.ts";
import { chatSequences } from "../src/data/sources/chat.ts";
import { toxicWorld } from "../src/data/sources/invented_toxicity.ts";
import { encodeText } from "../src/data/spans.ts";
import * as notebook from "../src/notebook/mod.ts";
import { onHighRisk } from "../src/slung/gallery.ts";
import { textExperiment } from "../src/experiments/texts.ts";
import type { Gpu } from "../src/gpu/gpu.ts";
import { trainLinearClassifier } from "../src/label/linear_classifier.ts";
import type { LanguageModel } from "../src/model/language_model.ts";
import { objective } from "../src/slung/objective.ts";
import { trainBytePair } from "../src/tokenizers/byte_pair.ts";
import { fit, type FitOptions } from "../src/train/fit.ts";
import { olmoOptimiser } from "../src/train/optimiser.ts";
import { pretrain, type PretrainingOptions } from "../src/train/pretraining.ts";
import { assertEquals, assertRejects, assertThrows } from "./assert.ts";

interface Baking {
  minutes: number;
  heat?: number;
  kind?: "bread" | "cake";
  seed?: number;
  taste?: (bite: string) => void;
}

function check(options: unknown): void {
  checkOptions("bake", options as Baking, {
    minutes: required(wholeNumber({ min: 1, max: 600 })),
    heat: number({ above: 0, below: 300 }),
    kind: oneOf("bread", "cake"),
    seed: seedNumber,
    taste: callback,
  });
}

Deno.test("options that are allowed pass, and those that may be absent may be undefined", () => {
  check({ minutes: 1 });
  check({ minutes: 600, heat: 0.5, kind: "cake", seed: 0, taste: () => {} });
  check({ minutes: 1, heat: undefined, kind: undefined });
});

const refused: [string, unknown, string][] = [
  [
    "a value out of range",
    { minutes: 0 },
    'Cannot bake: option "minutes" is 0. Give a whole number, at least 1 and at most 600.',
  ],
  ["a fraction where whole numbers count", { minutes: 2.5 }, 'option "minutes" is 2.5. Give'],
  ["a number that is text", { minutes: "10" }, 'option "minutes" is "10". Give a whole number'],
  [
    "a required option that is missing",
    { heat: 180 },
    'option "minutes" is missing. Give a whole number, at least 1 and at most 600.',
  ],
  ["a required option that is undefined", { minutes: undefined }, 'option "minutes" is missing'],
  [
    "NaN",
    { minutes: 1, heat: NaN },
    'option "heat" is NaN. Give a number, above 0 and below 300, or leave it out.',
  ],
  ["an infinity", { minutes: 1, heat: Infinity }, 'option "heat" is Infinity'],
  ["a limit that is not included", { minutes: 1, heat: 300 }, 'option "heat" is 300'],
  ["null", { minutes: 1, heat: null }, 'option "heat" is null'],
  [
    "another choice",
    { minutes: 1, kind: "tart" },
    'option "kind" is "tart". Give one of "bread", "cake", or leave it out.',
  ],
  ["a negative seed", { minutes: 1, seed: -1 }, 'option "seed" is -1'],
  ["a seed of 2^32", { minutes: 1, seed: 2 ** 32 }, "at least 0 and at most 4294967295"],
  ["what is no function", { minutes: 1, taste: "yes" }, 'option "taste" is "yes". Give a function'],
  [
    "a misspelt name",
    { minuts: 3 },
    'Cannot bake: there is no option "minuts". Perhaps you meant "minutes".',
  ],
  [
    "a name like no other",
    { minutes: 3, colour: "brown" },
    'there is no option "colour". Its options are minutes, heat, kind, seed, taste.',
  ],
  ["an inherited name", { minutes: 3, constructor: 1 }, 'there is no option "constructor"'],
  ["no options at all", undefined, "Cannot bake: its options are undefined. Give an object"],
  ["a list of options", [3], "its options are [3]"],
];
for (const [what, options, message] of refused) {
  Deno.test(`${what} is refused, naming option, value and what is allowed`, () => {
    assertThrows(() => check(options), message);
  });
}

Deno.test("what is required in one place may be optional in another", () => {
  const minutes = required(wholeNumber({ min: 1 }));
  checkOptions<{ minutes?: number }>("bake", {}, { minutes: optional(minutes) });
  assertThrows(
    () =>
      checkOptions<{ minutes?: number }>("bake", { minutes: 0 }, { minutes: optional(minutes) }),
    'option "minutes" is 0. Give a whole number, at least 1, or leave it out.',
  );
});

Deno.test("options inside options are named by their path", () => {
  const rules = { warmup: number({ min: 0 }) };
  const nested = (schedule: unknown) =>
    checkOptions("train", schedule as { warmup?: number }, rules, "schedule.");
  assertThrows(() => nested({ warmup: -1 }), 'option "schedule.warmup" is -1. Give a number');
  assertThrows(() => nested({ warmpu: 1 }), 'no option "schedule.warmpu". Perhaps you meant "sch');
  assertThrows(() => nested(3), 'option "schedule" is 3. Give an object');
});

Deno.test("each kind of option allows what it says and nothing else", () => {
  const values = [true, 0, -3, 2.5, 2 ** 53, "", [], [1, 2], new Float32Array(2), {}, () => 1];
  const allowedOf = (allowed: Allowed) => values.filter(allowed.holds);
  assertEquals(allowedOf(number()), [0, -3, 2.5, 2 ** 53]);
  assertEquals(allowedOf(wholeNumber()), [0, -3]);
  assertEquals(allowedOf(number({ min: -3, max: 2 })), [0, -3]);
  assertEquals(allowedOf(text), [""]);
  assertEquals(allowedOf(flag), [true]);
  assertEquals(allowedOf(callback).length, 1);
  assertEquals(allowedOf(oneOf(0, true)), [true, 0]);
  assertEquals(allowedOf(listOf(number())), [[], [1, 2], new Float32Array(2)]);
  assertEquals(allowedOf(listOf(number(), 2)), [[1, 2], new Float32Array(2)]);
  assertEquals(allowedOf(listOf(number({ min: 2 }))), [[]]);
  assertEquals(allowedOf(object), [[], [1, 2], new Float32Array(2), {}]);
  assertEquals(listOf(number(), 2).description, "a list of 2, each a number");
});

Deno.test("public functions refuse options that are unknown or impossible before they do anything", async () => {
  const gpu = undefined as unknown as Gpu, model = undefined as unknown as LanguageModel;
  const sequence = lowRiskSequence(Uint32Array.of(1, 2, 3));
  const schedule = { peak: 1e-3, warmup: 0, decay: "linear", final: 0 } as const;
  const fitting = {
    ...{ epochs: [[sequence]], perStep: 1, seed: 0, objective: objective("masked") },
    ...{ optimiser: olmoOptimiser, schedule },
  };
  const mixing = {
    ...{ tokens: 9, share: 0, length: 4, acrossDocuments: true, eos: 0, seed: 0 },
    controlTokens: { low: 1, risky: 2 },
  };
  const mix = (change: object) =>
    mixStream(paperMethods[0]!, [sequence], [sequence], { ...mixing, ...change });
  const probed = { features: [0, 1, 2, 3], labels: [0, 1, 0, 1] };
  const wrong: [call: () => unknown, why: string][] = [
    [() => fit(model, { ...fitting, perStep: 0 }), 'fit: option "perStep" is 0'],
    [() => fit(model, { ...fitting, perStp: 1 } as FitOptions), 'no option "perStp"'],
    [() => fit(model, { ...fitting, seed: 2 ** 32 }), 'option "seed" is 4294967296'],
    [
      () => fit(model, { ...fitting, schedule: { ...schedule, warmup: 0.03 } }),
      'option "schedule.warmup" is 0.03',
    ],
    [
      () => fit(model, { ...fitting, schedule: { ...schedule, steps: 3 } as typeof schedule }),
      'no option "schedule.steps"',
    ],
    [
      () => fit(model, { ...fitting, optimiser: { ...olmoOptimiser, weightDecay: 1e39 } }),
      'option "optimiser.weightDecay" is 1e+39',
    ],
    [() => fit(model, { ...fitting, epochs: [3] as never }), 'option "epochs" is [3]'],
    [
      () => pretrain(gpu, "nowhere", { epochs: 0.5 } as PretrainingOptions),
      'pre-train: option "config" is missing',
    ],
    [
      () => mix({ sahre: 0.5 }),
      'mix a stream: there is no option "sahre". Perhaps you meant "share"',
    ],
    [() => mix({ tokens: NaN }), 'option "tokens" is NaN'],
    [() => mix({ eos: -1 }), 'option "eos" is -1'],
    [() => mix({ controlTokens: { low: 1, high: 2 } }), 'no option "controlTokens.high"'],
    [() => packSequences([sequence], { rows: 0, time: 8 }), 'pack: option "rows" is 0'],
    [() => packSequences([sequence], { rows: 1, time: NaN }), 'pack: option "time" is NaN'],
    [
      () => packDocuments([sequence], { length: 4, acrossDocument: true } as never),
      'no option "acrossDocument". Perhaps you meant "acrossDocuments"',
    ],
    [() => trainProbe(probed, { l3: 1 } as never), 'no option "l3". Perhaps you meant "l2"'],
    [() => probeAuroc(probed, { seed: 0.5 }), 'option "seed" is 0.5'],
    [() => probeAuroc(probed, { seed: 0, group: [1] } as never), 'Perhaps you meant "groups"'],
    [() => trainBytePair(["a"], 300.5), 'option "vocabularySize" is 300.5'],
    [() => goldfishWeights(sequence.tokens, { k: 0 }), 'option "k" is 0'],
    [
      () => goldfishWeights(sequence.tokens, { k: 4, contxt: 1 } as never),
      'Perhaps you meant "context"',
    ],
    [() => excessLossWeights([], [], [], NaN), 'option "share" is NaN'],
    [() => bootstrapInterval([1, 2], { seed: 0, resamples: 0 }), 'option "resamples" is 0'],
    [() => trainLinearClassifier("x", [], { seed: -1 }), 'option "seed" is -1'],
    [() => trainLinearClassifier("x", [], { seed: 0, epoch: 1 } as never), 'meant "epochs"'],
    [
      () => readRiskyTexts("nowhere", { offsets: "bytes" as "utf8" }),
      'option "offsets" is "bytes"',
    ],
    [() => readTexts("nowhere", { stric: true } as never), 'Perhaps you meant "strict"'],
    [() => runExperiment(gpu, {} as never, "nowhere", { keepModel: false } as never), "keepModels"],
    [() => textExperiment({ seeds: [0.5] } as never), 'option "base" is missing'],
  ];
  for (const [call, why] of wrong) await assertRejects(async () => await call(), why);
});

Deno.test("a suggestion is only made when it is near", () => {
  assertEquals(nearest("--sede", ["--seed", "--steps"]), "--seed");
  assertEquals(nearest("--x", ["--seed", "--steps"]), undefined);
});

Deno.test("a seed that would share its stream with another is refused", () => {
  for (const seed of [NaN, 0.5, -1, 2 ** 32, Infinity, undefined as unknown as number]) {
    assertThrows(() => new Random(seed), "Cannot draw random numbers: ");
  }
  assertThrows(() => new Random(0.5), 'option "seed" is 0.5. Give a whole number, at least 0');
});

Deno.test("the streams of valid seeds are those that they always were", () => {
  const draw = (seed: number, label?: string) => {
    const random = new Random(seed, label);
    return [random.uint32(), random.uint32()];
  };
  assertEquals(draw(0), [1789933344, 44971166]);
  assertEquals(draw(1, "init"), [3562325653, 1177278858]);
  assertEquals(draw(2 ** 32 - 1), [4104197751, 1825856343]);
});

Deno.test("what notebooks call refuses misspelt options and names before anything runs, with what was meant", async () => {
  const of = (call: unknown) => call as (...args: unknown[]) => unknown;
  const sequence = { tokens: Uint32Array.of(1, 2), classes: Uint8Array.of(1, 1) };
  const training = { epoch: 1, answerPasses: 1, perStep: 1, learningRate: 1, optimiser: {} };
  const planned = { base: {}, tokenizer: {}, task: {}, methods: [], seeds: [0], maxNewTokens: 8 };
  const mira = { text: "Mira", spans: [] };
  const calls: [call: () => unknown, said: string][] = [
    [() => of(objective)("mask"), 'Give one of "direct", "masked"'],
    [() => of(smallOlmo)({ widht: 8 }), 'Perhaps you meant "width"'],
    [() => of(encodeText)({}, mira, { ends: true }), 'Perhaps you meant "end"'],
    [() => of(encodeText)({}, { ...mira, rule: "sentnce" }), 'Give one of "overlap", "sentence"'],
    [() => of(onHighRisk)("mine"), "Give an object"],
    [() => of(gradientFlow)({}, sequence, "masked"), "Give an object"],
    [() => of(attentionPath)({}, sequence, {}, { layr: 0 }), 'Perhaps you meant "layer"'],
    [() => of(toxicWorld)({ seed: 1, animal: 8 }), 'Perhaps you meant "animals"'],
    [() => of(inventedProtocol)({ token: 8 }), 'Perhaps you meant "tokens"'],
    [() => of(inventedTask)({ seeds: 1 }, 0), 'Perhaps you meant "seed"'],
    [() => of(nameExperiment)({ ...planned, seed: [0] }), 'Perhaps you meant "seeds"'],
    [() => of(nameExperiment)({ ...planned, training }), 'Perhaps you meant "training.epochs"'],
    [() => of(toxicityExperiment)({ seed: [0] }), 'Perhaps you meant "seeds"'],
    [() => of(toxicityExperiment)({ base: {} }), 'option "tokenizer" is missing'],
    [() => of(summariseNames)({ outcomes: [] }), "Give them as runExperiment"],
    [() => of(summariseNames)([{ stages: [{ results: { toxicity: {} } }] }]), "not its outcomes"],
    [() => of(summariseToxicity)([{ stages: [{ results: { asked: {} } }] }]), "not its outcomes"],
    [() => of(summariseToxicity)([], "tunned"), 'Give one of "trained", "tuned"'],
    [() => of(labelTexts)([], "x.jsonl", {}, { onTexts: () => {} }), 'Perhaps you meant "onText"'],
    [() => of(inventedMachines)(0, 13), "at least 1 and at most 12"],
    [() => of(inventedNotes)([], 1), "there are no machines"],
    [() => of(matmul)({}, { rows: 1, colums: 1 }), 'Perhaps you meant "columns"'],
    [() => of(chatSequences)({}, [], { maxToken: 1 }), 'Perhaps you meant "maxTokens"'],
    [() => of(notebook.showTokens)(["a"], { legends: "x" }), 'Perhaps you meant "legend"'],
    [() => of(notebook.showTable)([], { precison: 1 }), 'Perhaps you meant "precision"'],
    [() => of(notebook.showPlot)({}, { alternativ: "" }), 'Perhaps you meant "alternative"'],
    [() => of(notebook.showLines)([], { titel: "x" }), 'Perhaps you meant "title"'],
    [() => of(notebook.showBars)([], { title: "x", referenc: 1 }), 'Perhaps you meant "reference"'],
    [() => of(notebook.showHeatMap)({}, { titel: "x" }), 'Perhaps you meant "title"'],
    [() => of(notebook.showTradeOff)([], nameAxes, { title: "x", oder: [] }), "you meant"],
    [() => of(notebook.liveTraining)({ titel: "x" }, () => {}), 'Perhaps you meant "title"'],
    [() => of(notebook.liveExperiment)({}, {}, { kepp: "x" }), 'Perhaps you meant "keep"'],
  ];
  for (const [call, said] of calls) await assertRejects(async () => await call(), said);
});
