// deno task toxicity: the paper's main experiment (section 4) end to end. A base model is pre-trained, goes on under every
// method with risky documents in its stream, and each model is asked what it generates and what it understands.
// `--preset invented` needs no data; `--preset comments --data DIR` takes real comments; `--preset dolma --data DIR
// --base DIR` takes corpora in Dolma's formats and a base model at any scale.

import {
  CannotError,
  chatSequences,
  createProgress,
  describeProcess,
  type Gpu,
  initialise,
  type InstructionTuning,
  type Json,
  loadOptimiserState,
  type Model,
  paperThresholds,
  type Progress,
  readChats,
  readPretrained,
  runCommand,
  type Terminal,
  type Tokenizer,
  writeResults,
} from "../mod.ts";
import { type MixName, mixNames, paperMixes } from "../src/data/mixing.ts";
import {
  runToxicityExperiment,
  separations,
  summariseToxicityRuns,
  type ToxicityExperiment,
  type ToxicityRun,
} from "../src/experiments/toxicity/experiment.ts";
import {
  commentsPreset,
  dolmaPreset,
  inventedPreset,
  type ToxicityPreset,
  type ToxicitySizes,
} from "../src/experiments/toxicity/protocols.ts";
import {
  renderToxicityTables,
  titleOf,
  writeToxicityFigures,
} from "../src/experiments/toxicity/report.ts";
import { flagOf } from "../src/report/command_line.ts";
import { openNamedClassifier } from "./classifier.ts";
import { openGpu, pretrainWithProgress, stopOnInterrupt } from "./shared.ts";

const presets = ["invented", "invented-scratch", "comments", "dolma"] as const;
const onlyDolma = [
  "scorer",
  "perSecond",
  "attribute",
  "low",
  "high",
  "heldOut",
  "perStep",
] as const;

await runCommand({
  name: "toxicity",
  summary:
    "Trains on risky text under every method; what models generate and what they understand.",
  options: {
    preset: { type: "string", choices: presets, default: "invented", help: "Data and sizes" },
    data: {
      type: "string",
      placeholder: "folder",
      help: "Real data, for comments and dolma; the README lists their files",
    },
    out: { type: "string", placeholder: "folder", help: "Where results go; runs/toxicity-PRESET" },
    base: {
      type: "string",
      placeholder: "folder",
      help:
        "A base model; dolma takes any, the other presets one of their own, made here if left out",
    },
    methods: {
      type: "list",
      choices: mixNames,
      default: [...paperMixes],
      help: "How to train on risky text",
    },
    seeds: {
      type: "list",
      of: "integer",
      default: [0, 1, 2],
      help: "One model per method and seed",
    },
    amounts: {
      type: "list",
      of: "number",
      min: 0.001,
      default: [1],
      help: "Multiples of the risky data (Figure 3), e.g. 0.25,0.5,1,2",
    },
    tokens: {
      type: "integer",
      min: 1000,
      help: "Tokens that each method is trained on; 230k invented, 600k -scratch, 240k comments, " +
        "10M dolma",
    },
    share: {
      type: "number",
      min: 0,
      max: 1,
      help: "Share of them from risky documents; 0.5, 0.2, 0.4, 0.05",
    },
    learningRate: {
      type: "number",
      min: 0,
      help: "Peak; 2e-3, 2e-3, 1e-3 falling to 0, and 4e-5 throughout",
    },
    scorer: {
      type: "string",
      placeholder: "KIND:SOURCE",
      help: "Only dolma: what scores continuations, e.g. linear:FILE, fasttext:FILE#LABEL, " +
        "transformers:MODEL#LABEL, perspective (key in PERSPECTIVE_API_KEY); not what labelled",
    },
    perSecond: { type: "number", min: 0.01, help: "Only dolma: requests to Perspective; 1" },
    attribute: {
      type: "string",
      placeholder: "name",
      help: "Only dolma: the scores of sentences; slung__sentence__toxic, as label writes them",
    },
    low: {
      type: "number",
      min: 0,
      help: "Only dolma: possible risk above this; 1e-4 fits Dolma's taggers, try 0.1 for others",
    },
    high: { type: "number", min: 0, help: "Only dolma: high risk above this; 0.99, others 0.9" },
    heldOut: { type: "integer", min: 1, help: "Only dolma: documents for perplexity; 200" },
    perStep: { type: "integer", min: 1, help: "Only dolma: sequences per step; 16" },
    microBatch: { type: "integer", min: 1, help: "Most tokens at once, which decides memory" },
    recompute: { type: "flag", help: "A third more time, much less memory" },
    samples: {
      type: "integer",
      default: 1,
      min: 1,
      help: "Continuations of each prompt; several show their expected maximum toxicity",
    },
    topK: {
      type: "integer",
      min: 1,
      help: "Tokens to draw from: 50, but dolma 1, which is greedy",
    },
    chats: {
      type: "string",
      placeholder: "file",
      help: "Tulu-format chats: tune every model on them and measure again (Figure 2b)",
    },
    chatEpochs: { type: "integer", default: 1, min: 1, help: "Passes over the chats" },
    chatLearningRate: { type: "number", default: 5e-4, min: 0, help: "Peak; the paper's is 2e-6" },
    acrossDocuments: {
      type: "flag",
      help: "Pack documents that see each other, as the paper does, and dolma always",
    },
  },
  async run(options, terminal) {
    const { methods, microBatch, recompute, samples, topK, chats } = options;
    const out = options.out ?? `runs/toxicity-${options.preset}`;
    const began = performance.now();
    const preset = await prepare(options);
    using gpu = await openGpu(terminal);
    const { experiment } = preset;
    const start = await startingPoint(gpu, preset, options.base, out, terminal);
    const tuning = chats === undefined
      ? undefined
      : await readTuning(chats, experiment.tokenizer, start.base.config.contextLength, {
        epochs: options.chatEpochs,
        learningRate: options.chatLearningRate,
      });
    const stop = stopOnInterrupt(terminal);
    let training: Progress | undefined;
    const runs = await runToxicityExperiment(
      gpu,
      {
        ...experiment,
        ...start,
        ...(tuning && { tuning }),
        training: {
          ...experiment.training,
          ...(microBatch !== undefined && { mostPositions: microBatch }),
          ...(recompute && { recompute }),
        },
        evaluation: {
          ...experiment.evaluation,
          decoding: {
            ...experiment.evaluation.decoding,
            ...(topK !== undefined && { topK }),
            samples,
          },
        },
        methods: methods as MixName[],
        seeds: options.seeds as number[],
        amounts: options.amounts as number[],
      },
      out,
      {
        signal: stop.signal,
        onTraining({ method, seed }, { step, loss, tokensPerSecond }, steps) {
          training ??= createProgress({ total: steps, label: `${titleOf(method)}, seed ${seed}` });
          const speed = `${Math.round(tokensPerSecond)} tokens/s`;
          training.update(step + 1, `loss ${loss.toFixed(2)}, ${speed}`);
        },
        onResult(run, reused) {
          training?.[Symbol.dispose]();
          training = undefined;
          terminal.note(`${describeRun(run)}${reused ? " (from an earlier run)" : ""}`);
        },
      },
    );
    training?.[Symbol.dispose]();
    stop.release();
    if (stop.signal.aborted) {
      terminal.note(`Stopped. Run the same command again to go on in ${out}`);
      Deno.exit(130);
    }
    terminal.print(renderToxicityTables(runs));
    for (const remark of preset.remarks) terminal.print(remark);
    if (gpu.adapter.software) {
      terminal.print(`Computed on a software adapter (${gpu.adapter.name}).`);
    }
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const results = await writeResults(out, {
      ...describeProcess(),
      config: Object.fromEntries(
        Object.entries(options).map(([key, value]) => [
          key,
          Array.isArray(value) ? value.join() : value ?? null,
        ]),
      ),
      seeds: Object.fromEntries(options.seeds.map((seed) => [`seed ${seed}`, Number(seed)])),
      adapter: gpu.adapter,
      ...measured(runs, preset.remarks),
      timing: { seconds },
    });
    const figures = await writeToxicityFigures(out, runs, preset.title);
    terminal.print(`Everything is in ${results}, every run in ${figures.join(", ")}`);
    return { summary: summariseToxicityRuns(runs), results, figures };
  },
});

// The model from which every run starts, and AdamW's moments if it has any.
async function startingPoint(
  gpu: Gpu,
  preset: Prepared,
  given: string | undefined,
  out: string,
  terminal: Terminal,
): Promise<Pick<ToxicityExperiment, "base" | "optimiserState">> {
  const { config, pretraining, experiment: { tokenizer } } = preset;
  const folder = given ?? (pretraining && `${out}/base`);
  if (folder === undefined) return { base: { config, weights: initialise(config, 1) } };
  if (given === undefined) {
    const settings = { ...pretraining!, config, tokenizer, seed: 1, keepOptimiser: true };
    await pretrainWithProgress(gpu, folder, settings, terminal);
  }
  const base = preset.base ?? await readOwnBase(folder, preset);
  const optimiserState = await loadOptimiserState(folder, base.config);
  if (optimiserState) return { base, optimiserState };
  terminal.note(`${folder} has no optimiser.safetensors: AdamW's moments start at zero.`);
  return { base };
}

// A preset's data is encoded with the tokenizer of the preset, which another base would not understand.
async function readOwnBase(folder: string, { experiment }: Prepared): Promise<Model> {
  const { source, tokenizer } = await readPretrained(folder);
  const sample = experiment.evaluation.probe.texts.slice(0, 100).join("\n");
  const ids = (own: Tokenizer) => own.encode(sample).ids.join();
  if (ids(tokenizer) === ids(experiment.tokenizer)) return source;
  throw new CannotError(
    `start from "${folder}"`,
    "its tokenizer is not the one of this preset",
    "Give the base of an earlier run with the same data, or use the preset dolma",
  );
}

function describeRun({ method, amount, seed, result: { toxicity, auroc } }: ToxicityRun): string {
  const { mean, toxicFraction } = toxicity.summaries[0]!;
  return `${titleOf(method)}${amount > 0 ? ` × ${amount}` : ""}, seed ${seed}: toxicity ` +
    `${mean.mean.toFixed(3)} (${(100 * toxicFraction.mean).toFixed(1)} % toxic), ` +
    `AUROC ${auroc.toFixed(3)}`;
}

function measured(runs: readonly ToxicityRun[], remarks: string[]) {
  const summary = summariseToxicityRuns(runs);
  return {
    metrics: {
      summary: asJson(summary),
      separations: asJson(separations(summary)),
      remarks,
    },
    generations: runs.flatMap(({ method, amount, seed, result }) =>
      result.toxicity.completions.map(({ prompt, completion, score }) => ({
        ...{ method, amount, seed, prompt },
        text: completion,
        toxicity: score,
      }))
    ),
  };
}

// Interfaces have no index signature, so TypeScript cannot see that this is JSON.
function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value));
}

async function readTuning(
  file: string,
  tokenizer: Tokenizer,
  contextLength: number,
  settings: { epochs: number; learningRate: number },
): Promise<InstructionTuning> {
  const { bos, eos } = tokenizer.special;
  const first = bos ?? eos;
  const { sequences } = chatSequences(tokenizer, await Array.fromAsync(readChats(file)), {
    maxTokens: contextLength,
    ...(first !== undefined && { bos: first }),
  });
  if (sequences.length > 0) return { ...settings, chats: sequences, perStep: 16 };
  throw new CannotError(
    `tune on "${file}"`,
    `none of its assistant turns begins within ${contextLength} tokens`,
    "Give shorter chats, or a base model with a longer context",
  );
}

interface PresetOptions extends ToxicitySizes {
  preset: typeof presets[number];
  data?: string | undefined;
  base?: string | undefined;
  scorer?: string | undefined;
  perSecond?: number | undefined;
  attribute?: string | undefined;
  low?: number | undefined;
  high?: number | undefined;
  heldOut?: number | undefined;
  perStep?: number | undefined;
  amounts: readonly number[];
}

/** A preset, with its base model where that was needed to read the data. */
type Prepared = ToxicityPreset & { base?: Model };

async function prepare(options: PresetOptions): Promise<Prepared> {
  const { preset: name, data, base, amounts } = options;
  const refuse = (why: string, remedy: string) =>
    new CannotError(`prepare the preset ${name}`, why, remedy);
  const given = (value: string | undefined, option: string, what: string) => {
    if (value !== undefined) return value;
    throw refuse(`it takes ${what}`, `Give ${option}`);
  };
  if (name !== "dolma") {
    const foreign = onlyDolma.find((option) => options[option] !== undefined);
    if (foreign) throw refuse(`${flagOf(foreign)} is an option of dolma`, "Leave it out");
    if (name === "invented") return inventedPreset(options);
    if (name === "comments") {
      return await commentsPreset(given(data, "--data", "real data"), options);
    }
    if (base === undefined) return inventedPreset({ ...options, fromScratch: true });
    throw refuse("it starts from fresh weights", "Leave --base out");
  }
  const folder = given(data, "--data", "real data");
  const pretrained = await readPretrained(given(base, "--base", "a base model and its tokenizer"));
  const scorer = given(options.scorer, "--scorer", "a classifier for what the models write");
  const { low = paperThresholds.low, high = paperThresholds.high } = options;
  const preset = await dolmaPreset(folder, pretrained, {
    ...options,
    scorer: await openNamedClassifier(scorer, options.perSecond),
    attribute: options.attribute ?? "slung__sentence__toxic",
    thresholds: { low, high },
    heldOut: options.heldOut ?? 200,
    perStep: options.perStep ?? 16,
    amount: Math.max(...amounts),
  });
  return { ...preset, base: pretrained.source };
}
