// What each method is trained on (paper, Table 1), from one description: a clean stream in which part of the tokens is
// replaced by documents of a risky domain. Three things decide: which tokens of these documents enter, what their classes
// are trained to do, and for some baselines which tokens count. Everything else is shared: of one seed, all methods draw
// the same documents, so that their low-risk text is the same, and the stream always has the same length.

import { CannotError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { Risk } from "../slung/risk.ts";
import { type Method, takenPart, weighedBy } from "./method.ts";
import { packDocuments } from "./packing.ts";
import { checkSequences, delimit, type Sequence } from "./sequence.ts";

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
  /** Tokens before every document (BOS) that each of its windows repeats; none unless given. */
  prefix?: number;
  /** Ends every document; low risk, so that models learn to stop. */
  eos: number;
  /** Begin documents without and with risk, for methods that use them. */
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
 * @throws {CannotError} for a malformed document, when the documents do not fill the stream, or the share is not between
 * 0 and 1.
 */
export function mixStream(
  method: Method,
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
  checkSequences(clean, "mix clean");
  checkSequences(risky, "mix risky");
  const { controlTokens } = method;
  const order = new Random(seed, "risky documents").shuffle(risky);
  const whole = drawDocuments(order, share * tokens, "risky documents");
  const injected = takenPart(method, whole);
  const cleanOrder = new Random(seed, "clean documents").shuffle(clean);
  const base = drawDocuments(cleanOrder, tokens - countTokens(injected), "clean documents");
  const prefix = (settings.prefix ?? 0) + (controlTokens ? 1 : 0);
  const finished = (documents: readonly Sequence[]) => {
    const marked = controlTokens
      ? documents.map((document) => mark(settings.controlTokens, document))
      : documents;
    const ended = marked.map((document) => delimit(document, { eos: settings.eos }));
    return packDocuments(ended, { ...settings, prefix });
  };
  const sequences = [...finished(base), ...finished(injected)];
  return {
    sequences: sequences.map((sequence) => weighedBy(method, sequence)),
    buckets: {
      base: countTokens(base),
      low: injected.length + countClass(injected, Risk.low), // EOS is low risk
      possible: countClass(injected, Risk.possible),
      high: countClass(injected, Risk.high),
    },
  };
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

// The token that says what follows stands before everything else.
function mark({ low, risky }: MixSettings["controlTokens"], document: Sequence): Sequence {
  const holdsRisk = document.classes.some((risk) => risk > Risk.low);
  return delimit(document, { bos: holdsRisk ? risky : low });
}
