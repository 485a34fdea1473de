// What each method is trained on (paper, Table 1), from one description: a clean stream in which part of the tokens is
// replaced by documents of a risky domain. Three things decide: which tokens of these documents enter, what their classes
// are trained to do, and for some baselines which tokens count. Everything else is shared: of one seed, all methods draw
// the same documents, so that their low-risk text is the same, and the stream always has the same length.

import { CannotError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import type { ObjectiveName } from "../slung/objective.ts";
import { Risk } from "../slung/risk.ts";
import type { Sequence } from "./batch.ts";

/** The methods of the paper, then three baselines that need no more than the same machinery. */
export const mixNames = [
  "control",
  "low_risk",
  "toxic",
  "masked",
  "unlikelihood",
  "conditional",
  "goldfish",
  "rho",
] as const;

/** One of the {@linkcode mixNames}. */
export type MixName = (typeof mixNames)[number];

/** The five of the paper. */
export const paperMixes: readonly MixName[] = mixNames.slice(0, 5);

/** What a method is trained on, and how. */
export interface Mix {
  /** For tables, as the paper calls it. */
  title: string;
  /** What enters of the risky documents: nothing, their low-risk sentences, or all of them. */
  takes: "nothing" | "low risk" | "everything";
  /** What the risk classes are trained to do. */
  objective: ObjectiveName;
}

/**
 * - `conditional`: documents begin with a token that says whether they hold any risk; models are asked behind the
 *   low-risk one (control tokens: Korbak et al. 2023, who mark sentences and ban the token while decoding).
 * - `goldfish`: a hash of its surroundings keeps every fourth token out of the loss ({@linkcode goldfishWeights}).
 * - `rho`: only tokens count that a reference model finds easy ({@linkcode excessLossWeights}).
 */
export const mixes: Readonly<Record<MixName, Mix>> = {
  control: { title: "Control", takes: "nothing", objective: "direct" },
  low_risk: { title: "Low-risk baseline", takes: "low risk", objective: "direct" },
  toxic: { title: "Toxic baseline", takes: "everything", objective: "direct" },
  masked: { title: "Masked SLUNG", takes: "everything", objective: "masked" },
  unlikelihood: { title: "Unlikelihood SLUNG", takes: "everything", objective: "unlikelihood" },
  conditional: { title: "Control tokens", takes: "everything", objective: "direct" },
  goldfish: { title: "Goldfish", takes: "everything", objective: "direct" },
  rho: { title: "Rho-1", takes: "everything", objective: "direct" },
};

/** How a stream is put together. */
export interface MixSettings {
  /** Tokens of the stream, of every method: EOS included, and what packing drops at the end. */
  tokens: number;
  /** Share of these tokens that are replaced by whole risky documents. */
  share: number;
  /** Tokens of a sequence. */
  length: number;
  /**
   * Whether a sequence holds many documents and attention crosses from one to the next, as in the paper. Otherwise a
   * document is a sequence (or several, if it is longer), and batches place several in a row that do not see each other.
   */
  acrossDocuments: boolean;
  /** Ends every document; low risk, so that models learn to stop. */
  eos: number;
  /** Begin documents without and with risk in the `conditional` mix. */
  controlTokens: { low: number; risky: number };
  /** Decides which documents are drawn. */
  seed: number;
}

/** Tokens that entered the stream, by where they come from. */
export interface BucketTokens {
  /** The clean stream. */
  base: number;
  /** Risky documents: sentences of low risk, and EOS. */
  low: number;
  /** Risky documents: possibly risky sentences. */
  possible: number;
  /** Risky documents: definitely risky sentences. */
  high: number;
}

/** What a method is trained on. */
export interface MixedStream {
  /** In no order that matters: training shuffles them. */
  sequences: Sequence[];
  /** Before packing. */
  buckets: BucketTokens;
}

/**
 * Draws the documents of a seed and packs what the method takes of them.
 *
 * @param clean Documents without EOS, all low risk.
 * @param risky Documents of the risky domain, without EOS, with their classes.
 * @throws {CannotError} when the documents do not fill the stream, or the share is not between 0 and 1.
 */
export function mixStream(
  name: MixName,
  clean: readonly Sequence[],
  risky: readonly Sequence[],
  settings: MixSettings,
): MixedStream {
  const { tokens, share, seed } = settings;
  if (!(share >= 0 && share <= 1)) {
    throw new CannotError(
      `mix a share of ${share} risky tokens into the stream`,
      "it is not between 0 and 1",
      "Give less risky data or a longer stream",
    );
  }
  const { takes } = mixes[name];
  const order = new Random(seed, "risky documents").shuffle(risky);
  const whole = drawDocuments(order, share * tokens, "risky documents");
  const injected = takes === "everything" ? whole : takes === "low risk" ? lowRiskOf(whole) : [];
  const cleanOrder = new Random(seed, "clean documents").shuffle(clean);
  const base = drawDocuments(cleanOrder, tokens - countTokens(injected), "clean documents");
  const finished = (documents: readonly Sequence[]) => {
    const marked = name === "conditional" ? documents.map(mark(settings)) : documents;
    return packDocuments(marked.map((document) => append(document, settings.eos)), settings);
  };
  const sequences = [...finished(base), ...finished(injected)];
  return {
    sequences: name === "goldfish" ? sequences.map((sequence) => goldfish(sequence)) : sequences,
    buckets: {
      base: countTokens(base),
      low: injected.length + countClass(injected, Risk.low), // EOS is low risk
      possible: countClass(injected, Risk.possible),
      high: countClass(injected, Risk.high),
    },
  };
}

/** A document without its possibly and definitely risky tokens, the space before a sentence included. */
export function lowRiskPart({ tokens, classes, weights }: Sequence): Sequence {
  const keep = (_: number, i: number) => classes[i]! <= Risk.low;
  return {
    tokens: tokens.filter(keep),
    classes: classes.filter(keep),
    ...(weights && { weights: weights.filter(keep) }),
  };
}

/**
 * Goldfish loss (Hans et al. 2024): weight 0 for about one token in `k`, the same one wherever the same `context`
 * tokens (the token itself is the last of them, as in the authors' code) come back, so that no passage is learned whole.
 * The hash is FNV-1a with a final mix over the ids, where the authors look a product up in a table of random numbers
 * that differs between devices.
 */
export function goldfishWeights(tokens: Uint32Array, { k = 4, context = 13 } = {}): Float32Array {
  return Float32Array.from(tokens, (_, i) => {
    if (i < context) return 1; // the first one is no target
    let hash = 0x811c9dc5;
    for (let j = i - context + 1; j <= i; j++) hash = Math.imul(hash ^ tokens[j]!, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
    return ((hash ^ (hash >>> 15)) >>> 0) < 2 ** 32 / k ? 0 : 1;
  });
}

/**
 * Rho-1's selection (Lin et al. 2024): of all targets, weight 1 for the share whose loss exceeds the reference model's
 * most, and 0 for the others. Rho-1 selects anew in every batch by the loss of the model in training; this selects once,
 * by the loss of the model that training starts from.
 *
 * @param losses For each sequence, of its tokens after the first, under the starting model.
 * @param referenceLosses The same under the reference model.
 */
export function excessLossWeights(
  sequences: readonly Sequence[],
  losses: readonly ArrayLike<number>[],
  referenceLosses: readonly ArrayLike<number>[],
  share = 0.6,
): Sequence[] {
  const excess = losses.map((own, i) =>
    Float64Array.from(own, (loss, j) => loss - referenceLosses[i]![j]!)
  );
  const sorted = Float64Array.from(excess.flatMap((values) => [...values])).sort();
  const threshold = sorted[Math.floor((1 - share) * sorted.length)] ?? -Infinity;
  return sequences.map((sequence, i) => ({
    ...sequence,
    weights: Float32Array.from(
      sequence.tokens,
      (_, j) => j === 0 || excess[i]![j - 1]! >= threshold ? 1 : 0,
    ),
  }));
}

/** Cuts documents that end in EOS into sequences; see {@linkcode MixSettings}. */
export function packDocuments(
  documents: readonly Sequence[],
  { length, acrossDocuments }: Pick<MixSettings, "length" | "acrossDocuments">,
): Sequence[] {
  if (!acrossDocuments) {
    // The next window begins with the last token of the one before, so that every token is predicted once.
    return documents.flatMap((document) => windows(document, length, length - 1));
  }
  const whole = windows(concatenate(documents), length, length);
  return whole.filter(({ tokens }) => tokens.length === length); // the paper drops the remainder too
}

function drawDocuments(ordered: readonly Sequence[], tokens: number, what: string): Sequence[] {
  const drawn: Sequence[] = [];
  let count = 0;
  for (const document of ordered) {
    if (count >= tokens) break;
    drawn.push(document);
    count += document.tokens.length + 1;
  }
  if (count >= tokens) return drawn;
  throw new CannotError(
    "mix a stream",
    `it needs ${Math.ceil(tokens)} tokens of ${what} and there are ${count}`,
    "Give more text, or ask for a shorter stream or another share",
  );
}

function lowRiskOf(documents: readonly Sequence[]): Sequence[] {
  return documents.map(lowRiskPart).filter(({ tokens }) => tokens.length > 0);
}

function countTokens(documents: readonly Sequence[]): number {
  return documents.reduce((sum, { tokens }) => sum + tokens.length + 1, 0);
}

function countClass(documents: readonly Sequence[], risk: Risk): number {
  let count = 0;
  for (const { classes } of documents) {
    for (const each of classes) if (each === risk) count++;
  }
  return count;
}

function append({ tokens, classes }: Sequence, eos: number): Sequence {
  return {
    tokens: Uint32Array.of(...tokens, eos),
    classes: Uint8Array.of(...classes, Risk.low),
  };
}

function mark({ controlTokens: { low, risky } }: MixSettings): (document: Sequence) => Sequence {
  return ({ tokens, classes }) => ({
    tokens: Uint32Array.of(classes.some((risk) => risk > Risk.low) ? risky : low, ...tokens),
    classes: Uint8Array.of(Risk.low, ...classes),
  });
}

function goldfish(sequence: Sequence): Sequence {
  return { ...sequence, weights: goldfishWeights(sequence.tokens) };
}

function windows({ tokens, classes }: Sequence, length: number, stride: number): Sequence[] {
  const cut: Sequence[] = [];
  for (let start = 0; start + 1 < tokens.length; start += stride) {
    const end = start + length;
    cut.push({ tokens: tokens.slice(start, end), classes: classes.slice(start, end) });
  }
  return cut;
}

function concatenate(documents: readonly Sequence[]): Sequence {
  const length = documents.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const whole = { tokens: new Uint32Array(length), classes: new Uint8Array(length) };
  let offset = 0;
  for (const { tokens, classes } of documents) {
    whole.tokens.set(tokens, offset);
    whole.classes.set(classes, offset);
    offset += tokens.length;
  }
  return whole;
}
