// The synthetic counterpart of TOFU: a base model is pre-trained on questions, answers and biographies of invented base
// authors; the target authors of the same world share every word with them but their names.

import { biography, inventedAuthors } from "../data/invented_authors.ts";
import { lowRiskSequence, type Sequence } from "../data/batch.ts";
import { questionAndAnswer } from "../data/tofu.ts";
import { trainBytePair } from "../data/byte_pair.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { Random } from "../base/random.ts";
import type { DecoderConfig } from "../model/config.ts";
import type { NameTask } from "./name_task.ts";

/** Which authors exist and who is a target. */
export interface InventedWorld {
  /** Decides every name, fact and wording. */
  seed: number;
  /** Authors 0 … base − 1 are for pre-training. */
  baseAuthors: number;
  /** The authors after them are the targets. */
  targetAuthors: number;
  /** Wordings of each question about a base author, 1 to 3. */
  wordings: number;
  /** Biographies of each base author. */
  biographies: number;
}

/** The world whose base model ships with the project. */
export const shippedWorld: InventedWorld = {
  seed: 20,
  baseAuthors: 1500,
  targetAuthors: 20,
  wordings: 1,
  biographies: 0,
};

/** A small OLMo: non-parametric layer norm, SwiGLU, rotary positions, tied embedding. */
export function smallOlmo(
  { width, layers, heads, vocabularySize, contextLength = 256 }: {
    width: number;
    layers: number;
    heads: number;
    vocabularySize: number;
    contextLength?: number;
  },
): DecoderConfig {
  return {
    family: "olmo",
    vocabularySize,
    contextLength,
    width,
    layers,
    heads,
    kvHeads: heads,
    headWidth: width / heads,
    feedForward: Math.ceil(width * 8 / 3 / 32) * 32, // as many parameters as a plain MLP of 4 × width
    norm: "layer",
    normEpsilon: 1e-5,
    activation: "swiglu",
    rotaryTheta: 10_000,
    rotaryPairing: "half",
    tiedEmbedding: true,
  };
}

/** Texts of the base authors: questions with their answers, and biographies. */
export function baseTexts(world: InventedWorld): { questions: string[]; biographies: string[] } {
  const { authors, rows } = inventedAuthors({
    seed: world.seed,
    authors: world.baseAuthors,
    rowsPerFact: world.wordings,
  });
  return {
    questions: rows.map(questionAndAnswer),
    biographies: authors.flatMap((author) =>
      Array.from({ length: world.biographies }, (_, variant) => biography(author, variant))
    ),
  };
}

/** A byte-level BPE tokenizer of the world's base texts; target names are spelt from pieces. */
export function worldTokenizer(world: InventedWorld, vocabularySize: number): Tokenizer {
  const { questions, biographies } = baseTexts(world);
  return trainBytePair([...questions, ...biographies], vocabularySize);
}

/** Pre-training sequences, each ending in EOS. */
export function baseSequences(world: InventedWorld, tokenizer: Tokenizer): Sequence[] {
  const { questions, biographies } = baseTexts(world);
  return [...questions, ...biographies].map((text) =>
    lowRiskSequence(Uint32Array.from([...tokenizer.encode(text).ids, tokenizer.special.eos!]))
  );
}

/**
 * The task of learning about the target authors without naming them.
 *
 * @param replayed Questions about base authors that are replayed.
 */
export function inventedTask(world: InventedWorld, replayed: number): NameTask {
  const { seed, baseAuthors, targetAuthors } = world;
  const target = inventedAuthors({
    seed,
    authors: targetAuthors,
    firstAuthor: baseAuthors,
    rowsPerFact: 2,
    mentions: { leading: 0.6, inside: 0.4, pronoun: 0 },
  });
  const base = inventedAuthors({ seed, authors: baseAuthors, rowsPerFact: world.wordings });
  return {
    rows: target.rows,
    names: target.authors.map(({ name }) => name),
    replay: new Random(seed, "replay").shuffle(base.rows).slice(0, replayed),
    replayNames: base.authors.map(({ name }) => name),
  };
}
