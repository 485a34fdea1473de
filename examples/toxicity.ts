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
} from "../src/experiments/toxicity_experiment.ts";
import {
  commentsPreset,
  dolmaPreset,
  inventedPreset,
  type ToxicityPreset,
  type ToxicitySizes,
} from "../src/experiments/toxicity_presets.ts";
import {
  renderToxicityTables,
  titleOf,
  writeToxicityFigures,
} from "../src/experiments/toxicity_report.ts";
import { openNamedClassifier } from "./classifier.ts";
import { openGpu, pretrainWithProgress, stopOnInterrupt } from "./shared.ts";

const presets = ["invented", "invented-scratch", "comments", "dolma"] as const;

await runCommand({
  name: "toxicity",
  summary:
    "Trains on risky text under every method; what models generate and what they understand.",
  options: {
    preset: { type: "string", choices: presets, default: "invented", help: "Data and sizes" },
    data: { type: "string", placeholder: "folder", help: "Real data, for comments and dolma" },
    out: { type: "string", placeholder: "folder", help: "Where results go; runs/toxicity-PRESET" },
    base: { type: "string", placeholder: "folder", help: "A base model; trained here if left out" },
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
    tokens: { type: "integer", min: 1000, help: "Tokens that each method is trained on" },
    share: { type: "number", min: 0, max: 1, help: "Share of them from risky documents" },
    learningRate: { type: "number", min: 0, help: "Peak; its schedule is the preset's" },
    scorer: {
      type: "string",
      placeholder: "KIND:SOURCE",
      help: "For dolma: what scores continuations, e.g. linear:FILE, fasttext:FILE#LABEL, " +
        "transformers:MODEL#LABEL, perspective; not what labelled the documents",
    },
    attribute: {
      type: "string",
      default: "slung__sentence__toxic",
      placeholder: "name",
      help: "For dolma: the attribute with the scores of sentences",
    },
    low: { type: "number", default: 1e-4, min: 0, help: "For dolma: possible risk above this" },
    high: { type: "number", default: 0.99, min: 0, help: "For dolma: high risk above this" },
    heldOut: { type: "integer", default: 200, min: 1, help: "For dolma: documents for perplexity" },
    perStep: { type: "integer", default: 16, min: 1, help: "For dolma: sequences per step" },
    microBatch: { type: "integer", min: 1, help: "Most tokens at once, which decides memory" },
    recompute: { type: "flag", help: "A third more time, much less memory" },
    samples: {
      type: "integer",
      default: 1,
      min: 1,
      help: "Continuations of each prompt; several show their expected maximum toxicity",
    },
    topK: { type: "integer", default: 50, min: 1, help: "Tokens to draw from; 1 is greedy" },
    chats: {
      type: "string",
      placeholder: "file",
      help: "Tulu-format chats: tune every model on them and measure again (Figure 2b)",
    },
    chatEpochs: { type: "integer", default: 1, min: 1, help: "Passes over the chats" },
    chatLearningRate: { type: "number", default: 5e-4, min: 0, help: "Peak; the paper's is 2e-6" },
    acrossDocuments: {
      type: "flag",
      help: "Pack documents that see each other, as the paper does",
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
          decoding: { ...experiment.evaluation.decoding, samples, topK },
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
  const base = preset.base ?? (await readPretrained(folder)).source;
  const optimiserState = await loadOptimiserState(folder, base.config);
  if (optimiserState) return { base, optimiserState };
  terminal.note(`${folder} has no optimiser.safetensors: AdamW's moments start at zero.`);
  return { base };
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
  const { eos } = tokenizer.special;
  const { sequences } = chatSequences(tokenizer, await Array.fromAsync(readChats(file)), {
    maxTokens: contextLength,
    ...(eos !== undefined && { bos: eos }),
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
  attribute: string;
  low: number;
  high: number;
  heldOut: number;
  perStep: number;
  amounts: readonly number[];
}

/** A preset, with its base model where that was needed to read the data. */
type Prepared = ToxicityPreset & { base?: Model };

async function prepare(options: PresetOptions): Promise<Prepared> {
  const { preset: name, data, base, scorer } = options;
  if (name === "invented" || name === "invented-scratch") {
    return inventedPreset({ ...options, fromScratch: name === "invented-scratch" });
  }
  const given = (value: string | undefined, option: string, what: string) => {
    if (value !== undefined) return value;
    throw new CannotError(`prepare the preset ${name}`, `it takes ${what}`, `Give ${option}`);
  };
  const folder = given(data, "--data", "real data");
  if (name === "comments") return await commentsPreset(folder, options);
  const pretrained = await readPretrained(given(base, "--base", "a base model and its tokenizer"));
  const preset = await dolmaPreset(folder, pretrained, {
    ...options,
    scorer: await openNamedClassifier(
      given(scorer, "--scorer", "a classifier that scores what the models write"),
    ),
    thresholds: { low: options.low, high: options.high },
    amount: Math.max(...options.amounts),
  });
  return { ...preset, base: pretrained.source };
}
