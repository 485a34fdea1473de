// What each method is trained on (paper, Table 1), from one description: a clean stream in which part of the tokens is
// replaced by documents of a risky domain. Three things decide: which tokens of these documents enter, what their classes
// are trained to do, and for some baselines which tokens count. Everything else is shared: of one seed, all methods draw
// the same documents, so that their low-risk text is the same, and the stream always has the same length.

import { CannotError } from "../base/errors.ts";
import {
  checkOptions,
  flag,
  number,
  object,
  required,
  seedNumber,
  wholeNumber,
} from "../base/options.ts";
import { Random } from "../base/random.ts";
import { Risk } from "../slung/risk.ts";
import { type Method, takenPart, weighedBy } from "./method.ts";
import { packedSource } from "./packing.ts";
import {
  allOf,
  checkSequence,
  delimit,
  lengthAt,
  type Sequence,
  type SequenceSource,
} from "./sequence.ts";

const idLimits = { min: 0, max: 2 ** 32 - 1 };

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

/** The same, with sequences that are made when they are asked for. */
export interface MixedSource {
  /** In no order that matters: training shuffles them. */
  sequences: SequenceSource;
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
  clean: SequenceSource,
  risky: SequenceSource,
  settings: MixSettings,
): MixedStream {
  const { sequences, buckets } = mixSource(method, clean, risky, settings);
  return { sequences: allOf(sequences), buckets };
}

/**
 * The same without holding the stream: kept in memory are three numbers for each document that is drawn, and a sequence
 * reads its documents when it is asked for.
 */
export function mixSource(
  method: Method,
  clean: SequenceSource,
  risky: SequenceSource,
  settings: MixSettings,
): MixedSource {
  const { min, max } = idLimits;
  checkOptions("mix a stream", settings, {
    tokens: required(number({ min: 0 })),
    share: required(number()), // one that is no share is refused with its reason
    length: required(number()),
    acrossDocuments: required(flag),
    prefix: wholeNumber({ min: 0 }),
    eos: required(wholeNumber({ min, max })),
    controlTokens: required(object),
    seed: required(seedNumber),
  });
  checkOptions("mix a stream", settings.controlTokens, {
    low: required(wholeNumber({ min, max })),
    risky: required(wholeNumber({ min, max })),
  }, "controlTokens.");
  const { tokens, share, seed, eos } = settings;
  if (!(share >= 0 && share <= 1)) {
    throw new CannotError(
      `mix a share of ${share} risky tokens into the stream`,
      "it is not between 0 and 1",
      "Give less risky data or a longer stream",
    );
  }
  const drawn = drawDocuments(risky, share * tokens, seed, "risky documents");
  const injected = partTaken(method, drawn);
  const base = drawDocuments(clean, tokens - countTokens(injected), seed, "clean documents");
  const control = method.controlTokens ? settings.controlTokens : undefined;
  const prefix = (settings.prefix ?? 0) + (control ? 1 : 0);
  const finished = (documents: SequenceSource) =>
    packedSource(
      changed(documents, (document) => {
        const bos = control && (holdsRisk(document) ? control.risky : control.low);
        return delimit(document, { ...(bos !== undefined && { bos }), eos });
      }, control ? 2 : 1),
      { length: settings.length, acrossDocuments: settings.acrossDocuments, prefix },
    );
  const stream = oneAfterTheOther(finished(base), finished(injected));
  const identity = [clean.identity, risky.identity].some((each) => each === undefined)
    ? undefined
    : JSON.stringify([clean.identity, risky.identity, settings, prefix, describe(method)]);
  return {
    sequences: { ...changed(stream, (sequence) => weighedBy(method, sequence), 0), identity },
    buckets: {
      base: countTokens(base),
      low: injected.length + injected.byClass[Risk.low]!, // EOS is low risk
      possible: injected.byClass[Risk.possible]!,
      high: injected.byClass[Risk.high]!,
    },
  };
}

function drawDocuments(
  source: SequenceSource,
  tokens: number,
  seed: number,
  what: string,
): SequenceSource {
  const order = new Random(seed, what).order(source.length);
  const drawn: number[] = [];
  let count = 0;
  while (count < tokens && drawn.length < source.length) {
    const index = order(drawn.length);
    drawn.push(index);
    count += lengthAt(source, index) + 1;
  }
  if (count >= tokens) return picked(source, drawn, what);
  throw new CannotError(
    "mix a stream",
    `it needs ${Math.ceil(tokens)} tokens of ${what} and there are ${count}`,
    "Give more text, or ask for a shorter stream or another share",
  );
}

// What a method takes of risky documents, and the tokens of each class in it.
function partTaken(
  method: Method,
  documents: SequenceSource,
): SequenceSource & { byClass: number[] } {
  const byClass = [0, 0, 0, 0];
  const kept: number[] = [], lengths: number[] = [];
  for (let i = 0; i < documents.length; i++) {
    for (const { tokens, classes } of takenPart(method, [documents.at(i)!])) {
      kept.push(i);
      lengths.push(tokens.length);
      for (const risk of classes) byClass[risk]!++;
    }
  }
  const taken = changed(
    picked(documents, kept, "risky documents"),
    (document) => takenPart(method, [document])[0]!,
    0,
  );
  return { ...taken, lengthOf: (index) => lengths[index]!, byClass };
}

function countTokens(documents: SequenceSource): number {
  let sum = 0;
  for (let i = 0; i < documents.length; i++) sum += lengthAt(documents, i) + 1;
  return sum;
}

function holdsRisk({ classes }: Sequence): boolean {
  return classes.some((risk) => risk > Risk.low);
}

function picked(source: SequenceSource, indices: readonly number[], what: string): SequenceSource {
  const kept = Float64Array.from(indices);
  return {
    length: kept.length,
    lengthOf: (index) => lengthAt(source, kept[index]!),
    at(index) {
      const document = source.at(kept[index]!)!;
      checkSequence(document, `mix document ${kept[index]} of the ${what}`);
      return document;
    },
  };
}

function changed(
  source: SequenceSource,
  change: (sequence: Sequence) => Sequence,
  longer: number,
): SequenceSource {
  return {
    length: source.length,
    lengthOf: (index) => lengthAt(source, index) + longer,
    at: (index) => change(source.at(index)!),
  };
}

function oneAfterTheOther(first: SequenceSource, second: SequenceSource): SequenceSource {
  const placed =
    <Value>(read: (source: SequenceSource, index: number) => Value) => (index: number): Value =>
      index < first.length ? read(first, index) : read(second, index - first.length);
  return {
    length: first.length + second.length,
    lengthOf: placed(lengthAt),
    at: placed((source, index) => source.at(index)!),
  };
}

// What of a method decides its stream; a function is known by its text.
function describe({ takes, hiddenToken, controlTokens, weigh }: Method): unknown {
  return [takes, controlTokens, weigh && String(weigh), hiddenToken];
}
