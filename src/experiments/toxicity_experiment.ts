// The paper's main experiment (section 4) as a function of its data: from one base model, continual pre-training on a
// stream with risky documents under every method, then
//   generation      toxicity of continuations of held-out prompts
//   understanding   AUROC of linear probes of the last hidden state
//   perplexity      of held-out clean text and of held-out harmless text of the risky domain
// Every finished model's result is a file, and a model in training has checkpoints, so that an interrupted experiment
// continues where it stopped and ends with the same bytes.

import { CannotError } from "../base/errors.ts";
import { exists, readJson, writeFileAtomic } from "../base/files.ts";
import type { Sequence } from "../data/batch.ts";
import {
  type BucketTokens,
  excessLossWeights,
  mixes,
  type MixName,
  type MixSettings,
  mixStream,
} from "../data/mixing.ts";
import { chatPrompt } from "../data/chat.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { hiddenStates } from "../eval/hidden_states.ts";
import { probeAuroc, type ProbeOptions } from "../eval/probe.ts";
import { scoreSequences } from "../eval/score.ts";
import { type Interval, mean, studentInterval } from "../eval/statistics.ts";
import {
  type Decoding,
  measureToxicity,
  type ToxicityReport,
  type ToxicityScorer,
} from "../eval/toxicity_generation.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { LanguageModel } from "../model/language_model.ts";
import { encodePrompt } from "../model/pretrained.ts";
import type { Model } from "../model/weights.ts";
import { objective } from "../slung/objective.ts";
import { fingerprintOf } from "../train/checkpoint.ts";
import { digestEpochs, digestOptimiserState, fit, type FitOptions } from "../train/fit.ts";
import type { LogEntry } from "../train/loop.ts";
import type { OptimiserState } from "../train/optimiser_state.ts";

/** Everything that decides the outcome. */
export interface ToxicityExperiment {
  /** Configuration and weights from which every run starts: a base model, or fresh weights to pre-train from scratch. */
  base: Model;
  /** AdamW's state that goes with it, as in the paper; zero moments if left out. */
  optimiserState?: OptimiserState;
  /** The one the base model was trained with. */
  tokenizer: Tokenizer;
  /** Documents of the clean stream, without EOS. */
  clean: readonly Sequence[];
  /** Documents of the risky domain, without EOS, with their classes. */
  risky: readonly Sequence[];
  /** How they are mixed; the share is that of amount 1. */
  mixing: Pick<MixSettings, "tokens" | "share" | "length" | "acrossDocuments">;
  /** Shared by all methods. */
  training: Pick<
    FitOptions,
    "perStep" | "optimiser" | "schedule" | "mostPositions" | "recompute"
  >;
  /** Compared in this order. */
  methods: readonly MixName[];
  /** One run per method, amount and seed. */
  seeds: readonly number[];
  /** Multiples of the share (Figure 3); `control`, which has no risky documents, runs once. */
  amounts: readonly number[];
  /** Shared by all methods. */
  evaluation: ToxicityEvaluation;
  /** Tunes every model afterwards and measures it again, prompted as a user's turn. */
  tuning?: InstructionTuning;
}

/** Instruction tuning after the stream, as in the paper's Figure 2b: the loss is on assistant turns alone. */
export interface InstructionTuning {
  /** From `chatSequences`, behind the tokenizer's BOS, or its EOS if it has none. */
  chats: readonly Sequence[];
  /** Passes over them. */
  epochs: number;
  /** Conversations per step; 128 in the paper. */
  perStep: number;
  /** The peak, after 3 % of warm-up; 2e-6 in the paper. */
  learningRate: number;
}

/** How a model is judged. */
export interface ToxicityEvaluation {
  /** Texts to continue. */
  prompts: readonly string[];
  /** How they are continued. */
  decoding: Omit<Decoding, "eos" | "seed">;
  /** Judges the continuations; it must not be what labelled the training data, unless that is exact. */
  scorer: ToxicityScorer;
  /** Score from which a continuation counts as toxic. */
  threshold: number;
  /** Texts with labels (1 is toxic) and how probes are drawn from them. */
  probe: { texts: readonly string[]; labels: readonly number[] } & Omit<ProbeOptions, "seed">;
  /** Text for perplexity: of the clean stream, and harmless text of the risky domain. */
  heldOut: { clean: readonly Sequence[]; domain: readonly Sequence[] };
  /** Continuations to keep in the results; real ones may be toxic, so 0 there. */
  keep: number;
}

/** One model's outcome. */
export interface ToxicityRun {
  /** How it was trained. */
  method: MixName;
  /** Multiple of the share of risky tokens; 0 for `control`. */
  amount: number;
  /** Decides the documents and their order. */
  seed: number;
  /** What it was trained on. */
  buckets: BucketTokens;
  /** Measured after the last step. */
  result: ToxicityResult;
  /** Measured again after instruction tuning, if there was any. */
  tuned?: ToxicityResult;
}

/** What a model generates and what it understands. */
export interface ToxicityResult {
  /** Without the continuations that are not to be kept. */
  toxicity: ToxicityReport;
  /** Of probes, and of each resample. */
  auroc: number;
  /** AUROC of each resample. */
  resamples: number[];
  /** Of held-out text. */
  perplexity: { clean: number; domain: number };
}

/** Which model is being trained. */
export type ToxicityPlan = Pick<ToxicityRun, "method" | "amount" | "seed">;

/** What the runner tells while it works. */
export interface ToxicityExperimentEvents {
  /** Called with every step reported, and the number of steps in all. */
  onTraining?: (run: ToxicityPlan, entry: LogEntry, steps: number) => void;
  /** Called once per run; `reused` says that it was read from the folder. */
  onResult?: (run: ToxicityRun, reused: boolean) => void;
}

/**
 * Runs the experiment, keeping its state in `folder`.
 *
 * @param events.checkpointEvery Steps between the checkpoints of a model in training; 200 unless given.
 * @returns One run for each method, amount and seed, or what is done when `signal` was aborted.
 * @throws {CannotError} when the evaluation cannot be done, the documents do not suffice, or the model has no room for
 * control tokens.
 */
export async function runToxicityExperiment(
  gpu: Gpu,
  experiment: ToxicityExperiment,
  folder: string,
  events: ToxicityExperimentEvents & { signal?: AbortSignal; checkpointEvery?: number } = {},
): Promise<ToxicityRun[]> {
  const { base, optimiserState, clean, risky, evaluation } = experiment;
  const { signal, checkpointEvery = 200 } = events;
  checkEvaluation(experiment);
  await Deno.mkdir(`${folder}/runs`, { recursive: true });
  const identity = await identityOf(experiment);
  const runs: ToxicityRun[] = [];
  for (const plan of planRuns(experiment)) {
    const { method, amount, seed } = plan;
    const name = `${method}-x${amount}-seed${seed}-${identity.training}`;
    const file = `${folder}/runs/${name}-${identity.evaluation}.json`;
    if (await exists(file)) {
      const run = await readJson(file) as ToxicityRun;
      runs.push(run);
      events.onResult?.(run, true);
      continue;
    }
    const settings = mixSettings(experiment, plan);
    const { sequences, buckets } = mixStream(method, clean, risky, settings);
    const checkpoints = `${folder}/checkpoints/${name}`;
    const report = (entry: LogEntry, steps: number) => events.onTraining?.(plan, entry, steps);
    const common = {
      ...experiment.training,
      ...(optimiserState && { optimiserState }),
      ...(signal && { signal }),
      seed,
      onLog: report,
    };
    const epoch = method === "rho"
      ? await selectByReference(gpu, experiment, settings, sequences, {
        ...common,
        checkpoint: { folder: `${checkpoints}/reference`, every: checkpointEvery },
      })
      : sequences;
    if (epoch === undefined) break;
    using model = new LanguageModel(gpu, base.config, base.weights, { gradients: true });
    const { finished } = await fit(model, {
      ...common,
      epochs: [epoch],
      objective: objective(mixes[method].objective),
      checkpoint: { folder: checkpoints, every: checkpointEvery },
    });
    if (!finished) break;
    const prefix = method === "conditional" ? [settings.controlTokens.low] : [];
    const result = await measure(model, experiment.tokenizer, evaluation, { prefix, seed });
    const tuned = experiment.tuning &&
      await tuneAndMeasure(model, experiment, experiment.tuning, {
        seed,
        onLog: report,
        checkpoint: {
          folder: `${checkpoints}/tuning-${identity.evaluation}`,
          every: checkpointEvery,
        },
        ...(signal && { signal }),
      });
    if (tuned === "stopped") break;
    const run: ToxicityRun = { ...plan, buckets, result, ...(tuned && { tuned }) };
    await writeFileAtomic(file, JSON.stringify(run));
    await Deno.remove(checkpoints, { recursive: true }).catch(() => {});
    runs.push(run);
    events.onResult?.(run, false);
    if (signal?.aborted) break;
  }
  return runs;
}

function planRuns({ methods, seeds, amounts }: ToxicityExperiment): ToxicityPlan[] {
  return seeds.flatMap((seed) =>
    methods.flatMap((method) =>
      (mixes[method].takes === "nothing" ? [0] : amounts).map((amount) => ({
        method,
        amount,
        seed,
      }))
    )
  );
}

function mixSettings(
  { base, tokenizer, mixing, methods }: ToxicityExperiment,
  { amount, seed }: ToxicityPlan,
): MixSettings {
  const { vocabularySize, special: { eos } } = tokenizer;
  if (eos === undefined) {
    throw new CannotError(
      `mix documents of the tokenizer "${tokenizer.name}"`,
      "it has no end-of-text token to put between them",
      "Use another tokenizer",
    );
  }
  if (methods.includes("conditional") && base.config.vocabularySize < vocabularySize + 2) {
    throw new CannotError(
      `train with control tokens`,
      `the model has ${base.config.vocabularySize} rows for the ${vocabularySize} ids of its tokenizer`,
      "Leave this method out, or use a base model with two rows to spare",
    );
  }
  const controlTokens = { low: vocabularySize, risky: vocabularySize + 1 };
  return { ...mixing, share: mixing.share * amount, eos, controlTokens, seed };
}

// Rho-1: the reference model is the low-risk baseline of the same seed, so that what is only in risky text is hard for it.
async function selectByReference(
  gpu: Gpu,
  { base, clean, risky }: ToxicityExperiment,
  settings: MixSettings,
  sequences: readonly Sequence[],
  training: Omit<FitOptions, "epochs" | "objective">,
): Promise<Sequence[] | undefined> {
  using model = new LanguageModel(gpu, base.config, base.weights, { gradients: true });
  const losses = async () =>
    (await scoreSequences(model, sequences)).map((scores) => scores.map((score) => -score));
  const before = await losses();
  const { finished } = await fit(model, {
    ...training,
    epochs: [mixStream("low_risk", clean, risky, settings).sequences],
    objective: objective("direct"),
  });
  return finished ? excessLossWeights(sequences, before, await losses()) : undefined;
}

async function tuneAndMeasure(
  model: LanguageModel,
  { tokenizer, training, evaluation }: ToxicityExperiment,
  { chats, epochs, perStep, learningRate }: InstructionTuning,
  options: Pick<FitOptions, "seed" | "onLog" | "checkpoint" | "signal">,
): Promise<ToxicityResult | "stopped"> {
  const steps = epochs * Math.ceil(chats.length / perStep);
  const { finished } = await fit(model, {
    ...training,
    ...options,
    epochs: Array<readonly Sequence[]>(epochs).fill(chats),
    perStep,
    objective: objective("direct"),
    schedule: {
      peak: learningRate,
      warmup: Math.round(0.03 * steps),
      decay: "linear",
      final: 0,
    },
  });
  if (!finished) return "stopped";
  const { bos, eos } = tokenizer.special;
  const first = bos ?? eos;
  const asUser = (text: string) =>
    chatPrompt(
      tokenizer,
      [{ role: "user", content: text }],
      first === undefined ? {} : { bos: first },
    );
  return await measure(model, tokenizer, evaluation, { prefix: [], seed: options.seed, asUser });
}

// Prompts and probed texts stand after a prefix, or inside a chat template; perplexity is of plain text either way.
async function measure(
  model: LanguageModel,
  tokenizer: Tokenizer,
  evaluation: ToxicityEvaluation,
  { prefix, seed, asUser }: {
    prefix: readonly number[];
    seed: number;
    asUser?: (text: string) => Uint32Array;
  },
): Promise<ToxicityResult> {
  const { prompts, decoding, scorer, threshold, heldOut, keep } = evaluation;
  const { texts, labels, ...probing } = evaluation.probe;
  const encode = asUser ??
    ((text: string) => Uint32Array.of(...prefix, ...encodePrompt(tokenizer, text)));
  const { eos } = tokenizer.special;
  const toxicity = await measureToxicity(model, tokenizer, prompts, {
    ...decoding,
    scorer,
    threshold,
    encode,
    seed,
    ...(eos !== undefined && { eos }),
  });
  const most = model.config.contextLength;
  const features = await hiddenStates(model, texts.map((text) => encode(text).slice(-most)));
  const { auroc, resamples } = probeAuroc({ features, labels }, { ...probing, seed: 0 });
  return {
    toxicity: { ...toxicity, completions: toxicity.completions.slice(0, keep) },
    auroc,
    resamples,
    perplexity: {
      clean: await perplexityOf(model, heldOut.clean, prefix),
      domain: await perplexityOf(model, heldOut.domain, prefix),
    },
  };
}

// Documents are scored one by one; a prefix is seen but not counted.
async function perplexityOf(
  model: LanguageModel,
  documents: readonly Sequence[],
  prefix: readonly number[],
): Promise<number> {
  const scores = await scoreSequences(
    model,
    documents.map(({ tokens, classes }) => ({
      tokens: Uint32Array.of(...prefix, ...tokens),
      classes: Uint8Array.of(...prefix.map(() => 1), ...classes),
    })),
  );
  const counted = scores.flatMap((document) => [...document.subarray(prefix.length)]);
  return Math.exp(-mean(counted));
}

/** One row of the results: a method and an amount of risky data, averaged over seeds. */
export interface ToxicitySummaryRow {
  /** How it was trained. */
  method: MixName;
  /** Multiple of the share of risky tokens; 0 for `control`. */
  amount: number;
  /** Tokens by bucket, averaged over seeds. */
  buckets: BucketTokens;
  /** Mean score of the continuations. */
  toxicity: Interval;
  /** Mean score of the continuations behind their prompts. */
  toxicityWithPrompt: Interval;
  /** Share of toxic continuations. */
  toxicFraction: Interval;
  /** Mean over prompts of the largest score among the samples; with one sample it is `toxicity`. */
  expectedMaximum: Interval;
  /** Probe AUROC. */
  auroc: Interval;
  /** Of held-out clean text. */
  cleanPerplexity: Interval;
  /** Of held-out harmless text of the risky domain. */
  domainPerplexity: Interval;
  /** Runs that were averaged. */
  seeds: number;
}

/** Averages over seeds with 95 % Student intervals, in the order in which methods and amounts first appear. */
export function summariseToxicityRuns(runs: readonly ToxicityRun[]): ToxicitySummaryRow[] {
  const groups = Map.groupBy(runs, ({ method, amount }) => `${method} ${amount}`);
  return [...groups.values()].map((group) => {
    const { method, amount } = group[0]!;
    const over = (value: (run: ToxicityRun) => number) => interval(group.map(value));
    const bucket = (key: keyof BucketTokens) =>
      Math.round(mean(group.map(({ buckets }) => buckets[key])));
    const generated = ({ result }: ToxicityRun) => result.toxicity.summaries[0]!;
    return {
      method,
      amount,
      buckets: {
        base: bucket("base"),
        low: bucket("low"),
        possible: bucket("possible"),
        high: bucket("high"),
      },
      toxicity: over((run) => generated(run).mean.mean),
      toxicityWithPrompt: over(({ result }) => result.toxicity.summaries[1]!.mean.mean),
      toxicFraction: over((run) => generated(run).toxicFraction.mean),
      expectedMaximum: over((run) => generated(run).expectedMaximum.mean),
      auroc: over(({ result }) => result.auroc),
      cleanPerplexity: over(({ result }) => result.perplexity.clean),
      domainPerplexity: over(({ result }) => result.perplexity.domain),
      seeds: group.length,
    };
  });
}

/** A comparison that the paper draws, and whether ours bears it out. */
export interface Separation {
  /** A SLUNG variant. */
  method: MixName;
  /** What it is compared with. */
  with: MixName;
  /** On what: lower toxicity is better, and higher AUROC. */
  on: "toxicity" | "auroc";
  /** Amount of risky data. */
  amount: number;
  /** Whether the 95 % intervals over seeds do not meet, on the right side; null for one seed, which has no interval. */
  separate: boolean | null;
}

/**
 * The paper's claims: SLUNG generates less toxicity than the toxic baseline, and understands more than the control and
 * the low-risk baseline.
 */
export function separations(summary: readonly ToxicitySummaryRow[]): Separation[] {
  const slung = summary.filter(({ method }) => method === "masked" || method === "unlikelihood");
  return slung.flatMap((row) => {
    const compare = (other: MixName, on: Separation["on"]): Separation[] => {
      const rival = summary.find(({ method, amount }) =>
        method === other && (amount === row.amount || amount === 0)
      );
      if (rival === undefined) return [];
      const separate = Math.min(row.seeds, rival.seeds) < 2
        ? null
        : on === "toxicity"
        ? row[on].high < rival[on].low
        : row[on].low > rival[on].high;
      return [{ method: row.method, with: other, on, amount: row.amount, separate }];
    };
    return [
      ...compare("toxic", "toxicity"),
      ...compare("control", "auroc"),
      ...compare("low_risk", "auroc"),
    ];
  });
}

function interval(values: readonly number[]): Interval {
  if (values.length > 1) return studentInterval(values);
  return { mean: values[0]!, low: values[0]!, high: values[0]! };
}

// What would end the evaluation of the first model, found before it is trained.
function checkEvaluation({ base, tokenizer, evaluation }: ToxicityExperiment): void {
  const { prompts, decoding, heldOut, probe } = evaluation;
  const refuse = (why: string, remedy: string) => {
    throw new CannotError("evaluate the models", why, remedy);
  };
  const { samples = 1, topK = 1, maxNewTokens } = decoding;
  if (samples > 1 && topK === 1) {
    refuse(`greedy decoding gives all ${samples} samples alike`, "Draw among several tokens");
  }
  if (prompts.length < 2) refuse(`there are ${prompts.length} prompts`, "Give at least two");
  const room = base.config.contextLength - maxNewTokens - 1;
  prompts.forEach((prompt, i) => {
    const { length } = tokenizer.encode(prompt).ids;
    if (length > 0 && length <= room) return;
    refuse(`prompt ${i} has ${length} tokens, not 1 to ${room}`, "Leave it out or shorten it");
  });
  for (const [kind, documents] of Object.entries(heldOut)) {
    if (documents.length > 0) continue;
    refuse(`there is no held-out text of the ${kind} kind for perplexity`, "Give some documents");
  }
  if (new Set(probe.labels).size < 2) {
    refuse("all texts of the probe have the same label", "Give texts of both labels");
  }
}

// What decides the training, and what is measured afterwards. Recomputation changes no byte.
async function identityOf(
  experiment: ToxicityExperiment,
): Promise<{ training: string; evaluation: string }> {
  const { base, optimiserState, tokenizer, clean, risky } = experiment;
  const { mixing, training: { recompute: _, ...training }, evaluation, tuning } = experiment;
  const digests = await Promise.all(
    [...base.weights].map(async ([name, { data }]) => {
      const digest = await crypto.subtle.digest("SHA-256", data.slice());
      return [name, new Uint32Array(digest)[0]];
    }),
  );
  const { heldOut, scorer, ...asked } = evaluation;
  return {
    training: await fingerprintOf({
      config: base.config,
      digests,
      ...(optimiserState && { optimiserState: digestOptimiserState(optimiserState) }),
      tokenizer: [tokenizer.name, tokenizer.special],
      documents: digestEpochs([clean, risky]),
      mixing,
      training,
    }),
    evaluation: await fingerprintOf({
      documents: digestEpochs([heldOut.clean, heldOut.domain]),
      ...(tuning && { tuning: { ...tuning, chats: digestEpochs([tuning.chats]) } }),
      scorer: scorer.name,
      asked,
      encoded: asked.prompts.map((prompt) => [...tokenizer.encode(prompt).ids]),
    }),
  };
}
