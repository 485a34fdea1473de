// TOFU's real data for the name experiment: whom to learn about, and what a base model is trained on that is to read names.

import { Random } from "../../base/random.ts";
import {
  authorName,
  authorNames,
  groupByAuthor,
  questionAndAnswer,
  readTofu,
  rowsWithNames,
  splitAuthors,
  swapNames,
  type TofuRow,
} from "../../data/sources/tofu.ts";
import { trainBytePair } from "../../tokenizers/byte_pair.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { PretrainingOptions } from "../../train/pretraining.ts";
import { smallOlmo } from "../small_olmo.ts";
import { readGeneralQuestions } from "./general.ts";
import { type GeneralQuestions, type NameTask, questionSequences } from "./task.ts";

/** TOFU's files, and how much of the other authors is used. */
export interface TofuOptions {
  /** TOFU's `full.jsonl`, all authors in order. */
  data: string;
  /** Rows of the target authors; `retain_perturbed.json` beside the data unless given. */
  targets?: string | undefined;
  /** The targets' full names; found from the data unless given. */
  names?: readonly string[] | undefined;
  /** TOFU's `real_authors_perturbed.json`, which is not asked about unless given. */
  realAuthors?: string | undefined;
  /** TOFU's `world_facts_perturbed.json`, likewise. */
  worldFacts?: string | undefined;
  /** Other authors that a base model is trained on. */
  baseAuthors: number;
  /** Questions about them that are replayed. */
  replay: number;
}

/** What is read from TOFU's files. */
export interface TofuData {
  /** Whom to learn about. */
  task: NameTask;
  /** Rows of each author that a base model is trained on. */
  base: TofuRow[][];
  /** What was read, in one line. */
  description: string;
}

/** Reads TOFU's files. @throws {CannotError} naming the file and row that is malformed, or the author without a name. */
export async function tofuData(options: TofuOptions): Promise<TofuData> {
  const { data, baseAuthors } = options;
  const full = await readTofu(data);
  const targetRows = await readTofu(
    options.targets ?? data.replace(/[^/]*$/, "retain_perturbed.json"),
  );
  const names = options.names ?? authorNames(targetRows);
  const { base } = splitAuthors(full, targetRows, { baseAuthors });
  const rows = rowsWithNames(targetRows, names);
  // Replayed names are as risky, so authors whose name cannot be told are not replayed.
  const named = base.filter((author) => authorName(author) !== undefined);
  const replay = new Random(0, "replay").shuffle(named.flat()).slice(0, options.replay);
  const general = await generalQuestions(options);
  const replayNames = named.map((author) => authorName(author)!);
  return {
    task: { rows, names, replay, replayNames, ...(general.length > 0 && { general }) },
    base,
    description: `${rows.length} questions about ${groupByAuthor(targetRows).length} target ` +
      `authors; ${base.flat().length} about ${base.length} others`,
  };
}

async function generalQuestions(
  { realAuthors, worldFacts }: TofuOptions,
): Promise<GeneralQuestions[]> {
  const files = { "Real authors": realAuthors, "World facts": worldFacts };
  const given = Object.entries(files).filter((entry): entry is [string, string] => !!entry[1]);
  return await Promise.all(
    given.map(async ([title, file]) => ({ title, rows: await readGeneralQuestions(file) })),
  );
}

/** The size of a base model and how long it is trained. */
export interface TofuBase {
  /** Of the residual stream. */
  width: number;
  /** Decoder blocks. */
  layers: number;
  /** Token ids of its tokenizer. */
  vocabulary: number;
  /** Passes over the other authors. */
  epochs: number;
  /** Texts per step. */
  perStep: number;
  /** The peak. */
  learningRate: number;
}

/** A base model on the other authors, for `pretrain`. The tokenizer has seen all texts, as a pre-trained model's would. */
export function tofuPretraining(
  { task, base }: TofuData,
  { width, layers, vocabulary, epochs, perStep, learningRate }: TofuBase,
): PretrainingOptions & { tokenizer: Tokenizer } {
  const tokenizer = trainBytePair(
    [...base.flat(), ...task.rows].map(questionAndAnswer),
    vocabulary,
  );
  return {
    config: smallOlmo({
      width,
      layers,
      heads: Math.max(1, Math.round(width / 32)),
      vocabularySize: Math.ceil(tokenizer.vocabularySize / 64) * 64,
    }),
    tokenizer,
    // New names in every epoch: the base has to read them in the question, and so learns to copy names. One whose 60
    // authors kept their names for 20 epochs remembered those, copied few others (13 %), and direct training then named
    // only 21 %.
    sequences: (epoch) =>
      questionSequences(tokenizer, swapNames(base, new Random(epoch, "swapped names")).flat()),
    epochs,
    perStep,
    learningRate,
    seed: 0,
  };
}
