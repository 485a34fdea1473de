// The synthetic counterpart of TOFU: a base model is pre-trained on questions and answers about invented base authors;
// the target authors of the same world share every word with them but their names. The base authors are many and each
// is seen little, so that the base learns to copy a name from the question rather than to know it by heart.

import { inventedAuthors, type Mentions } from "../../data/sources/invented_authors.ts";
import type { Sequence } from "../../data/sequence.ts";
import { encodeText } from "../../data/spans.ts";
import { questionAndAnswer } from "../../data/sources/tofu.ts";
import { trainBytePair } from "../../tokenizers/byte_pair.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { checkOptions, required, seedNumber, wholeNumber } from "../../base/options.ts";
import { Random } from "../../base/random.ts";
import type { NameTask } from "./task.ts";

/** Which authors exist and who is a target. */
export interface InventedWorld {
  /** Decides every name, fact and wording. */
  seed: number;
  /** Authors 0 … base − 1 are for pre-training. */
  baseAuthors: number;
  /** The authors after them are the targets. */
  targetAuthors: number;
}

/** The world whose base model ships with the project. */
export const shippedWorld: InventedWorld = { seed: 20, baseAuthors: 1500, targetAuthors: 20 };

// Answers of base authors name them or use a pronoun, so that the base knows both ways to begin; answers about targets
// always have the name, since "She writes ..." teaches nothing without the question. Few sentences carry the name inside
// ("The birthplace of …"): a model that avoids names cannot finish them.
const baseMentions: Mentions = { leading: 0.55, inside: 0.05, pronoun: 0.4 };
const targetMentions: Mentions = { leading: 0.9, inside: 0.1, pronoun: 0 };

/**
 * Questions and answers about the base authors. Every third answer is put as the evaluation's paraphrases are, or the
 * comparison of true and perturbed answers would measure unfamiliar wording.
 */
export function baseTexts({ seed, baseAuthors }: InventedWorld): string[] {
  const { rows } = inventedAuthors({ seed, authors: baseAuthors, mentions: baseMentions });
  return rows.map((row, i) =>
    questionAndAnswer(i % 3 === 0 ? { ...row, answer: row.paraphrasedAnswer! } : row)
  );
}

/** A byte-level BPE tokenizer of the world's base texts; target names are spelt from pieces. */
export function worldTokenizer(world: InventedWorld, vocabularySize: number): Tokenizer {
  return trainBytePair(baseTexts(world), vocabularySize);
}

/** Pre-training sequences, each ending in EOS. */
export function baseSequences(world: InventedWorld, tokenizer: Tokenizer): Sequence[] {
  return baseTexts(world).map((text) => encodeText(tokenizer, { text, spans: [] }));
}

/**
 * The task of learning about the target authors without naming them.
 *
 * @param replayed Questions about base authors that are replayed.
 */
export function inventedTask(world: InventedWorld, replayed: number): NameTask {
  checkOptions("invent a task", world, {
    seed: required(seedNumber),
    baseAuthors: required(wholeNumber({ min: 1 })),
    targetAuthors: required(wholeNumber({ min: 1 })),
  });
  const { seed, baseAuthors, targetAuthors } = world;
  const target = inventedAuthors({
    seed,
    authors: targetAuthors,
    firstAuthor: baseAuthors,
    rowsPerFact: 2,
    mentions: targetMentions,
  });
  const base = inventedAuthors({ seed, authors: baseAuthors, mentions: baseMentions });
  return {
    rows: target.rows,
    names: target.authors.map(({ name }) => name),
    replay: new Random(seed, "replay").shuffle(base.rows).slice(0, replayed),
    replayNames: base.authors.map(({ name }) => name),
  };
}
