// deno task toxicity: the paper's main experiment (section 4) end to end. A base model is pre-trained, goes on under every
// method with risky documents in its stream, and each model is asked what it generates and what it understands.
// `--protocol invented` needs no data; `--protocol comments --data DIR` takes real comments; `--protocol dolma --data DIR
// --base DIR` takes corpora in Dolma's formats and a base model at any scale; `--protocol paper` the same with the paper's
// values.

import { CannotError } from "../src/base/errors.ts";
import { recordExperiment } from "../src/experiments/record.ts";
import { filteringMethods, paperMethods, streamMethods } from "../src/data/method.ts";
import { chatSequences, readChats } from "../src/data/sources/chat.ts";
import type { Tokenizer } from "../src/tokenizers/tokenizer.ts";
import {
  type InstructionTuning,
  type ToxicityExperiment,
  toxicityExperiment,
} from "../src/experiments/toxicity/experiment.ts";
import {
  describeToxicity,
  renderToxicityTables,
  toxicityGenerations,
  toxicityMetrics,
  writeToxicityFigures,
} from "../src/experiments/toxicity/report.ts";
import { dolmaStream } from "../src/experiments/toxicity/protocols.ts";
import { Gpu } from "../src/gpu/gpu.ts";
import { initialise } from "../src/model/initialise.ts";
import { readPretrained } from "../src/model/pretrained.ts";
import type { Model } from "../src/model/weights.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { loadOptimiserState } from "../src/train/optimiser_state.ts";
import { fetchNamed, orDatasetName, orModelName, withoutWeights } from "./hub.ts";
import {
  chosenMethods,
  experimentOptions,
  pretrainWithProgress,
  runWithProgress,
  seedsOption,
  withEarlierOptions,
  writeExperiment,
} from "./shared.ts";
import { toxicityPaperValues, withProtocol } from "./paper_values.ts";
import {
  expectCorpora,
  openProtocol,
  type Prepared,
  protocols,
  readsCorpora,
} from "./toxicity_protocol.ts";
import {
  changedTraining,
  expectStreamFits,
  showToxicityPlan,
  type Stream,
} from "./toxicity_plan.ts";
import {
  chosenHeld,
  learnedOptions,
  memoryOptions,
  speedOptions,
  withoutDefaults,
} from "./training_options.ts";

/** What `--chats` takes instead of a file. */
const inventedChats = "invented";

const command = defineCommand({
  name: "toxicity",
  summary:
    "Trains on risky text under every method; what models generate and what they understand.",
  examples: [
    "--seeds 0 --amounts 0.25,0.5,1",
    "--protocol comments --data path/to/data --methods toxic,masked",
    "--protocol paper --data corpus --base path/to/OLMo-1B-hf --scorer perspective --dry-run",
  ],
  options: {
    protocol: { type: "string", choices: protocols, default: "invented", help: "Data and sizes" },
    dryRun: { type: "flag", help: "Print the plan, with memory and time, and do nothing" },
    data: {
      ...orDatasetName,
      placeholder: "folder",
      help: "Real data, for comments and dolma; docs/corpora.md lists their files",
    },
    out: { type: "path", placeholder: "folder", help: "Where results go; runs/toxicity-PROTOCOL" },
    base: {
      ...orModelName,
      placeholder: "folder",
      help:
        "A base model; dolma takes any, the other protocols one of their own, made here if left out",
    },
    methods: {
      type: "list",
      choices: [...streamMethods, ...filteringMethods].map(({ name }) => name),
      default: paperMethods.map(({ name }) => name),
      help: "How to train on risky text",
    },
    seeds: { ...seedsOption, default: [0, 1, 2] },
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
      help:
        "Tokens that each method is trained on; 230k invented, 1.05M -scratch, 240k comments, " +
        "10M dolma",
    },
    share: {
      type: "number",
      min: 0,
      max: 1,
      help: "Share of them from risky documents; 0.5, 0.2, 0.4, 0.05",
    },
    ...memoryOptions,
    ...learnedOptions,
    ...withoutDefaults(speedOptions),
    learningRate: {
      type: "number",
      min: 0,
      max: 1e6,
      help: "Peak; 2e-3, 2e-3, 1e-3 falling to 0, and 4e-5 throughout",
    },
    scorer: {
      type: "string",
      placeholder: "KIND:SOURCE",
      help: "Only dolma: what scores continuations, e.g. linear:FILE, fasttext:FILE#LABEL, " +
        "transformers:MODEL#LABEL, perspective (key in PERSPECTIVE_API_KEY); not what labelled",
    },
    perSecond: { type: "number", min: 0.01, help: "Only dolma: requests to Perspective; 1" },
    prepared: {
      type: "path",
      placeholder: "folder",
      help:
        "Only dolma: the shards that prepare made of the data, or where to make them; OUT/prepared",
    },
    attribute: {
      type: "string",
      placeholder: "name",
      help: "Only dolma: the scores of sentences; those of label or of Dolma's tagger",
    },
    low: {
      type: "number",
      min: 0,
      help: "Only dolma: possible risk above this; 1e-4 fits Dolma's taggers, try 0.1 for others",
    },
    high: { type: "number", min: 0, help: "Only dolma: high risk above this; 0.99, others 0.9" },
    heldOut: { type: "integer", min: 1, help: "Only dolma: documents for perplexity; 200" },
    perplexity: {
      type: "string",
      choices: ["documents", "packed"],
      help: "Only dolma: of each document alone, or packed to the context as the paper's code does",
    },
    perStep: { type: "integer", min: 1, help: "Only dolma: sequences per step; 16" },
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
      type: "path",
      names: [inventedChats],
      placeholder: "file",
      help: "Tulu-format chats, or invented: tune every model and measure again (Figure 2b)",
    },
    chatEpochs: { type: "integer", default: 1, min: 1, max: 1e6, help: "Passes over the chats" },
    chatLearningRate: {
      type: "number",
      default: 1e-4,
      min: 0,
      max: 1e6,
      help: "Peak; the paper's is 2e-6, a twentieth of its stream's",
    },
    chatPerStep: { type: "integer", default: 16, min: 1, help: "Chats per step; the paper's 128" },
    acrossDocuments: {
      type: "flag",
      help: "Pack documents that see each other, as the paper does, and dolma always",
    },
    ...experimentOptions,
  },
  async run(now, terminal, given) {
    const earlier = await withEarlierOptions(now, given);
    const isPaper = earlier.protocol === "paper" && now.measure === undefined;
    const options = await fetchNamed(
      isPaper ? withProtocol(earlier, toxicityPaperValues, given) : earlier,
      terminal,
      now.dryRun ? { base: withoutWeights } : {},
    );
    const { samples, topK, chats, keepModels, measure } = options;
    const out = options.out ?? `runs/toxicity-${options.protocol}`;
    const began = performance.now();
    using gpu = await Gpu.open();
    const held = chosenHeld(gpu, options, given, terminal.note);
    const methods = await chosenMethods(
      options.methods,
      [...streamMethods, ...filteringMethods],
      options.objective,
      options.denominator,
    );
    const plan = (stream: Stream) =>
      showToxicityPlan(gpu, stream, { ...options, out }, { methods, held }, terminal);
    const { dryRun, base } = options;
    if (readsCorpora(options.protocol) && base !== undefined && measure === undefined) { // before corpora are read
      const config = await expectCorpora(options);
      const stream = { config, ...dolmaStream(config, options) };
      if (dryRun) return await plan(stream);
      expectStreamFits(gpu, stream, options, held);
    }
    const protocol = await openProtocol(options, out, terminal);
    using _shards = protocol.shards;
    const { experiment, remarks, title } = protocol;
    const stream = { config: protocol.config, ...experiment };
    if (dryRun) return await plan(stream);
    if (measure === undefined) expectStreamFits(gpu, stream, options, held);
    const tuning = chats === undefined ? undefined : await readTuning(chats, protocol, {
      epochs: options.chatEpochs,
      learningRate: options.chatLearningRate,
      perStep: options.chatPerStep,
    });
    const start = await startingPoint(gpu, protocol, options.base, out, terminal);
    const planned = await toxicityExperiment({
      ...experiment,
      ...start,
      ...(tuning && { tuning }),
      ...(held && { held }),
      training: changedTraining(experiment.training, options),
      evaluation: {
        ...experiment.evaluation,
        decoding: {
          ...experiment.evaluation.decoding,
          ...(topK !== undefined && { topK }),
          samples,
        },
      },
      methods,
      seeds: options.seeds as number[],
      amounts: options.amounts as number[],
    });
    await recordExperiment(out, {
      base: options.base ?? (protocol.pretraining && `${out}/base`),
      prompt: "{question}",
      methods,
    });
    const outcomes = await runWithProgress(gpu, planned, out, terminal, {
      describe: describeToxicity,
      ...{ keepModels, checkpointEvery: options.checkpointEvery },
      onlyMeasure: measure !== undefined,
    });
    const metrics = toxicityMetrics(outcomes);
    terminal.print(renderToxicityTables(outcomes, metrics));
    for (const remark of remarks) terminal.print(remark);
    const results = await writeExperiment(out, terminal, {
      ...{ gpu, options, seeds: options.seeds, metrics: { ...metrics, remarks }, began },
      generations: toxicityGenerations(outcomes),
    });
    const figures = await writeToxicityFigures(out, outcomes, title);
    terminal.print(`Everything is in ${results}, every run in ${figures.join(", ")}`);
    return { ...metrics, results, figures };
  },
});

export default command;

if (import.meta.main) await runCommand(command);

// The model from which every run starts, and AdamW's moments if it has any.
async function startingPoint(
  gpu: Gpu,
  protocol: Prepared,
  given: string | undefined,
  out: string,
  terminal: Terminal,
): Promise<Pick<ToxicityExperiment, "base" | "optimiserState">> {
  const { config, pretraining, experiment: { tokenizer } } = protocol;
  const folder = given ?? (pretraining && `${out}/base`);
  if (folder === undefined) return { base: { config, weights: initialise(config, 1) } };
  if (given === undefined) {
    const settings = { ...pretraining!, config, tokenizer, seed: 1, keepOptimiser: true };
    await pretrainWithProgress(gpu, folder, settings, terminal);
  }
  const base = protocol.base ?? await readOwnBase(folder, protocol);
  const optimiserState = await loadOptimiserState(folder, base.config);
  if (optimiserState) return { base, optimiserState };
  terminal.note(`${folder} has no optimiser.safetensors: AdamW's moments start at zero.`);
  return { base };
}

// A protocol's data is encoded with the tokenizer of the protocol, which another base would not understand.
async function readOwnBase(folder: string, { experiment }: Prepared): Promise<Model> {
  const { source, tokenizer } = await readPretrained(folder);
  const sample = experiment.evaluation.probe.texts.slice(0, 100).join("\n");
  const ids = (own: Tokenizer) => own.encode(sample).ids.join();
  if (ids(tokenizer) === ids(experiment.tokenizer)) return source;
  throw new CannotError(
    `start from "${folder}"`,
    "its tokenizer is not the one of this protocol",
    "Give the base of an earlier run with the same data, or use the protocol dolma",
  );
}

async function readTuning(
  source: string,
  { config, chats, experiment: { tokenizer } }: Prepared,
  settings: { epochs: number; learningRate: number; perStep: number },
): Promise<InstructionTuning> {
  if (source === inventedChats && chats === undefined) {
    throw new CannotError(
      "tune on invented chats",
      "only the protocols of the invented world have some",
      "Give a file of chats",
    );
  }
  const conversations = source === inventedChats
    ? chats!()
    : await Array.fromAsync(readChats(source));
  const { bos, eos } = tokenizer.special;
  const first = bos ?? eos;
  const { sequences } = chatSequences(tokenizer, conversations, {
    maxTokens: config.contextLength,
    ...(first !== undefined && { bos: first }),
  });
  if (sequences.length > 0) return { ...settings, chats: sequences };
  throw new CannotError(
    `tune on "${source}"`,
    `none of its assistant turns begins within ${config.contextLength} tokens`,
    "Give shorter chats, or a base model with a longer context",
  );
}
