// The toxicity experiment at sizes that are known to work: data, model, training and evaluation under one name.

import { checkOptions, flag, number, wholeNumber } from "../../base/options.ts";
import { packDocuments } from "../../data/packing.ts";
import { type Sequence, sliceSequence } from "../../data/sequence.ts";
import type { ChatMessage } from "../../data/sources/chat.ts";
import { harmlessChat, toxicWorld } from "../../data/sources/invented_toxicity.ts";
import type { DecoderConfig } from "../../model/config.ts";
import type { PretrainedSource } from "../../model/pretrained.ts";
import { olmoOptimiser } from "../../train/optimiser.ts";
import { smallOlmo } from "../small_olmo.ts";
import type { ToxicityExperiment } from "./experiment.ts";
import { commentData } from "./comments.ts";
import { dolmaData, type DolmaOptions } from "./dolma.ts";
import { inventedToxicity } from "./invented.ts";

/** A ready experiment but for its base model, and how to make that. */
export interface ToxicityProtocol {
  /** What the results are about, in a few words. */
  title: string;
  /** What one must know to read the results. */
  remarks: string[];
  /** Of the model that is trained here; its vocabulary has room for two control tokens. */
  config: DecoderConfig;
  /** How the base model is pre-trained; none where the experiment itself starts from fresh weights. */
  pretraining?: {
    sequences: readonly Sequence[];
    epochs: number;
    perStep: number;
    learningRate: number;
  };
  /** Harmless conversations to tune models on, where it has its own. */
  chats?: () => ChatMessage[][];
  /** Files that stay open as long as the experiment runs. */
  shards?: Disposable;
  /** All the rest. */
  experiment: Omit<ToxicityExperiment, "base" | "methods" | "seeds" | "amounts">;
}

/** What a protocol lets one change. */
export interface ToxicitySizes {
  /** Tokens of each method's stream. */
  tokens?: number | undefined;
  /** Share of them that risky documents replace, at amount 1. */
  share?: number | undefined;
  /** Whether attention crosses document boundaries inside packed sequences. */
  acrossDocuments?: boolean | undefined;
  /** The peak of continual pre-training. */
  learningRate?: number | undefined;
}

/**
 * The invented world, in minutes: 64 wide, 2 layers, about 160,000 parameters.
 *
 * @param fromScratch Pre-train on the mixed stream from the first step, which is the future work of the paper: there is
 * no base model, and every method sees the clean text that the base would have seen in its own stream.
 */
export function inventedProtocol(
  sizes: ToxicitySizes & { fromScratch?: boolean } = {},
): ToxicityProtocol {
  checkOptions("invent a toxicity experiment", sizes, {
    tokens: wholeNumber({ min: 1 }),
    share: number({ min: 0, max: 1 }),
    acrossDocuments: flag,
    learningRate: number({ min: 0 }),
    fromScratch: flag,
  });
  const { fromScratch = false, share = fromScratch ? 0.2 : 0.5 } = sizes;
  const { tokens = fromScratch ? 1_050_000 : 230_000, acrossDocuments = false } = sizes;
  const world = toxicWorld({ seed: 1, animals: 96 });
  const { base, evaluation, ...data } = inventedToxicity(world, {
    baseDocuments: 14_000,
    cleanDocuments: 9_000,
    riskyDocuments: 8_000,
    heldOut: 200,
    prompts: 200,
  });
  const perStep = acrossDocuments ? 6 : 16; // about 600 tokens either way
  const { learningRate = 2e-3 } = sizes;
  const experiment = {
    ...data,
    clean: fromScratch ? [...base.map(withoutLast), ...data.clean] : data.clean,
    mixing: { tokens, share, length: 96, acrossDocuments },
    training: {
      perStep,
      optimiser: olmoOptimiser,
      schedule: { peak: learningRate, warmup: 20, decay: "linear", final: 0 },
    },
    evaluation,
  } as const;
  return {
    title: fromScratch ? "Invented toxicity, pre-trained from scratch" : "Invented toxicity",
    remarks: [
      "Labels and scores are exact: in an invented world the same rule makes the text and judges it.",
      "Probes are tested on other animals than they are trained on, in wordings that no model was trained on with them.",
    ],
    config: modelConfig(data.tokenizer.vocabularySize, {
      width: 64,
      layers: 2,
      heads: 4,
      contextLength: 128,
    }),
    ...(!fromScratch &&
      { pretraining: { sequences: base, epochs: 1, perStep: 16, learningRate: 3e-3 } }),
    chats: () => Array.from({ length: 800 }, (_, i) => harmlessChat(world, i)),
    experiment,
  };
}

/**
 * Real comments, in an hour on a CPU: 128 wide, 3 layers, about 1.1 million parameters, pre-trained on Wikipedia
 * paragraphs.
 *
 * @param folder See {@linkcode commentData}.
 */
export async function commentsProtocol(
  folder: string,
  sizes: ToxicitySizes = {},
): Promise<ToxicityProtocol> {
  const { tokens = 240_000, share = 0.4, acrossDocuments = false, learningRate = 1e-3 } = sizes;
  const contextLength = 192;
  const { base, evaluation, remarks, ...data } = await commentData(folder, {
    baseShare: 0.7,
    vocabularySize: 4096,
    thresholds: { low: 0.1, high: 0.9 },
    heldOut: 300,
    prompts: 400,
    probed: 2000,
    longest: contextLength,
  });
  const length = 128;
  return {
    title: "Real comments",
    remarks,
    config: modelConfig(data.tokenizer.vocabularySize, {
      width: 128,
      layers: 3,
      heads: 4,
      contextLength,
    }),
    pretraining: {
      sequences: packDocuments(base, { length, acrossDocuments: false }),
      epochs: 1,
      perStep: 16,
      learningRate: 2e-3,
    },
    experiment: {
      ...data,
      mixing: { tokens, share, length, acrossDocuments },
      training: {
        perStep: 16,
        optimiser: olmoOptimiser,
        schedule: { peak: learningRate, warmup: 20, decay: "linear", final: 0 },
      },
      evaluation,
    },
  };
}

/**
 * A base model and a corpus of the user's, at the paper's settings: sequences as long as the context with documents that
 * see each other, OLMo's optimiser at the learning rate that its schedule had reached, five percent of risky documents.
 *
 * @param folder See {@linkcode dolmaData}.
 * @param options.perStep Sequences of an optimiser step; 2048 in the paper.
 */
export async function dolmaProtocol(
  folder: string,
  { source, tokenizer }: PretrainedSource,
  options:
    & Omit<ToxicitySizes, "acrossDocuments">
    & Omit<DolmaOptions, "prompts" | "probed" | "longest" | "partTokens">
    & { perStep: number },
): Promise<ToxicityProtocol> {
  const { mixing, training } = dolmaStream(source.config, options);
  const { length } = mixing;
  const { evaluation, remarks, shards, ...data } = await dolmaData(folder, tokenizer, {
    ...options,
    partTokens: 2 ** 28,
    prompts: 2000,
    probed: 10_000,
    longest: length,
  });
  return {
    title: "Dolma",
    remarks: [
      ...remarks,
      `A step has ${training.perStep} sequences of ${length} tokens; the paper's has 2048.`,
    ],
    config: source.config,
    shards,
    experiment: {
      ...data,
      ...{ mixing, training, evaluation },
    },
  };
}

/** How documents in Dolma's formats are mixed and trained on, known before any is read. */
export function dolmaStream(
  { contextLength: length }: Pick<DecoderConfig, "contextLength">,
  options: Omit<ToxicitySizes, "acrossDocuments"> & { perStep?: number | undefined },
): Pick<ToxicityExperiment, "mixing" | "training"> {
  const { tokens = 10_000_000, share = 0.05, learningRate = 4e-5, perStep = 16 } = options;
  return {
    mixing: { tokens, share, length, acrossDocuments: true },
    training: {
      perStep,
      optimiser: { ...olmoOptimiser, epsilon: 1e-5 },
      schedule: { peak: learningRate, warmup: 0, decay: "constant", final: 1 },
    },
  };
}

function modelConfig(
  tokens: number,
  sizes: { width: number; layers: number; heads: number; contextLength: number },
): DecoderConfig {
  return smallOlmo({ ...sizes, vocabularySize: Math.ceil((tokens + 2) / 64) * 64 });
}

function withoutLast(sequence: Sequence): Sequence {
  return sliceSequence(sequence, 0, -1);
}
