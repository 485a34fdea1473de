// TOFU (Maini et al. 2024): questions and answers about invented authors, 20 rows an author.
// SLUNG trains on the bare answers of 20 authors with the authors' names as high risk, then asks
// the questions (paper section 5). Names are marked as characters, every word-bounded full, first
// or last name, which gives the same token classes as the paper's matching of token ids.

import { CannotError } from "../../base/errors.ts";
import { exists } from "../../base/files.ts";
import { Random } from "../../base/random.ts";
import { Risk, type RiskSpan } from "../../slung/risk.ts";
import { type Fields, readRecords, stringField, stringsField } from "../records.ts";
import { findFullName, nameForms } from "../../label/names.ts";
import { phraseSpans, sameWords } from "../../label/phrases.ts";

export { questionAndAnswer, questionPrompt } from "./question_format.ts";

/** One question about an author, its answer, and what the truth ratio compares the answer with. */
export interface TofuRow {
  /** As TOFU asks it, without the prompt around it. */
  question: string;
  /** The true answer, a sentence or two. */
  answer: string;
  /** The same question in other words; perturbed splits only. */
  paraphrasedQuestion?: string;
  /** The same answer in other words. */
  paraphrasedAnswer?: string;
  /** Wrong answers in the words of the paraphrase. */
  perturbedAnswers?: string[];
}

/** Rows of TOFU for each author. */
export const rowsPerAuthor = 20;

/**
 * Reads TOFU as Hugging Face lays it out: JSON lines or one JSON array of objects with the fields
 * `question`, `answer` and, in the perturbed splits, `paraphrased_question`, `paraphrased_answer`
 * and `perturbed_answer` (a list).
 *
 * @param path A file, or a folder of files named after their splits.
 * @param split Which file of a folder to read, e.g. `"retain_perturbed"`.
 * @throws {CannotError} naming the file and line, or the row of an array, when a field is missing
 * or has another type, or when the file has no rows.
 */
export async function readTofu(path: string, split?: string): Promise<TofuRow[]> {
  const file = split === undefined ? path : await splitFile(path, split);
  const rows = await Array.fromAsync(readRecords(file, tofuRow));
  if (rows.length > 0) return rows;
  throw new CannotError(`read "${file}"`, "it has no rows", "Give a file of TOFU");
}

/**
 * Cuts rows that stand in author order into one list for each author.
 *
 * @throws {CannotError} when the rows are not a whole number of authors.
 */
export function groupByAuthor<Row>(
  rows: readonly Row[],
  perAuthor: number = rowsPerAuthor,
): Row[][] {
  if (rows.length % perAuthor !== 0) {
    throw new CannotError(
      "group rows by author",
      `${rows.length} rows are not a multiple of ${perAuthor}`,
      `Give every author's ${perAuthor} rows, in order`,
    );
  }
  return Array.from(
    { length: rows.length / perAuthor },
    (_, k) => rows.slice(k * perAuthor, (k + 1) * perAuthor),
  );
}

/**
 * The full name of each author, found from the rows; see {@linkcode findFullName}.
 *
 * @param perAuthor Rows of each author, which stand together.
 * @throws {CannotError} naming the rows of an author whose name cannot be found.
 */
export function authorNames(rows: readonly TofuRow[], perAuthor: number = rowsPerAuthor): string[] {
  return groupByAuthor(rows, perAuthor).map((group, k) => {
    const name = authorName(group);
    if (name !== undefined) return name;
    throw new CannotError(
      "find the author's name",
      `no name stands in a third of rows ${k * perAuthor + 1} to ${(k + 1) * perAuthor}`,
      "Give the list of names, or leave out these rows",
    );
  });
}

/** The full name of the author of some rows, or `undefined` if none stands out. */
export function authorName(rows: readonly TofuRow[]): string | undefined {
  return findFullName(rows.map(({ question, answer }) => `${question}\n${answer}`));
}

/** Where an answer names one of the authors in full, by first or by last name, as high risk. */
export function answerSpans(answer: string, names: readonly string[]): RiskSpan[] {
  return phraseSpans(answer, names.flatMap(nameForms), Risk.high);
}

/** The rows whose question or answer names one of the authors in full, by first or by last name. */
export function rowsWithNames(rows: readonly TofuRow[], names: readonly string[]): TofuRow[] {
  return rows.filter(({ question, answer }) =>
    answerSpans(question, names).length > 0 || answerSpans(answer, names).length > 0
  );
}

/**
 * How many answers name an author. The others are trained on too, with every token low risk.
 *
 * @throws {CannotError} when no answer does, because SLUNG would then be plain training.
 */
export function countNamedAnswers(
  rows: readonly TofuRow[],
  names: readonly string[],
): { named: number; unnamed: number } {
  const named = rows.filter(({ answer }) => answerSpans(answer, names).length > 0).length;
  if (named > 0) return { named, unnamed: rows.length - named };
  throw new CannotError(
    "mark names in the answers",
    `none of the ${rows.length} answers has any of the ${names.length} names`,
    "Check that the names belong to these rows; case and accents count",
  );
}

/** Authors, each as a list of rows: those SLUNG trains on, and others to train a base model on. */
export interface AuthorSplit {
  /** Rows of each author to learn about without naming. */
  target: TofuRow[][];
  /** Rows of each author that the base model knows. */
  base: TofuRow[][];
}

/**
 * Splits all authors into the targets, most of whose questions are in `targetRows`, and the rest.
 * One question is not enough: "What is the full name of the author?" is asked about two authors.
 *
 * @param full Rows of all authors, in author order.
 * @param targetRows For instance the split `retain_perturbed`.
 * @param options.baseAuthors How many of the rest to keep; all of them if left out.
 * @param options.seed Draws which to keep; the first ones, in order, if left out.
 * @throws {CannotError} when there are fewer authors than `baseAuthors`, or when a question of
 * `targetRows` is not in `full`.
 */
export function splitAuthors(
  full: readonly TofuRow[],
  targetRows: readonly TofuRow[],
  options: { baseAuthors?: number; seed?: number } = {},
): AuthorSplit {
  const missing = new Set(targetRows.map((row) => row.question));
  const targetQuestions = new Set(missing);
  for (const { question } of full) missing.delete(question);
  const [absent] = missing;
  if (absent !== undefined) {
    throw new CannotError(
      "split the authors",
      `the question "${absent}" is not among the ${full.length} rows of all authors`,
      "Give both splits of the same data set",
    );
  }
  const isTarget = (rows: TofuRow[]) =>
    rows.filter((row) => targetQuestions.has(row.question)).length > rows.length / 2;
  const authors = groupByAuthor(full);
  const others = authors.filter((rows) => !isTarget(rows));
  const count = options.baseAuthors ?? others.length;
  if (count > others.length) {
    throw new CannotError(
      "split the authors",
      `${count} base authors were asked for and there are ${others.length}`,
      `Ask for at most ${others.length}`,
    );
  }
  const ordered = options.seed === undefined
    ? others
    : new Random(options.seed, "base authors").shuffle(others);
  return { target: authors.filter(isTarget), base: ordered.slice(0, count) };
}

/**
 * The same rows with every author under another author's name: a base model that is shown new names in every epoch has to
 * read them in the question, as a large one does, instead of remembering whose answer this is. Authors whose name cannot
 * be found stay as they are.
 *
 * @param authors Rows of each author.
 * @param random Decides who gets whose name.
 */
export function swapNames(authors: readonly (readonly TofuRow[])[], random: Random): TofuRow[][] {
  const names = authors.map(authorName);
  const others = random.shuffle(names.filter((name) => name !== undefined));
  return authors.map((rows, author) => {
    const name = names[author];
    if (name === undefined) return [...rows];
    const other = others.pop()!;
    return rows.map(({ question, answer }) => ({
      question: rename(question, name, other),
      answer: rename(answer, name, other),
    }));
  });
}

/**
 * The same rows with everybody under the next one's name: as well put as before, and wrong. Who learns from them learns
 * how answers are put, and nothing true about anybody.
 *
 * @param names Full names of all people.
 * @throws {CannotError} for fewer than two people.
 */
export function rotateNames(rows: readonly TofuRow[], names: readonly string[]): TofuRow[] {
  if (names.length < 2) {
    throw new CannotError(
      "exchange names",
      `there are ${names.length}`,
      "Give the rows of two people or more",
    );
  }
  const forms = new Map(names.flatMap((name, k) => {
    const next = nameForms(names[(k + 1) % names.length]!);
    return nameForms(name).map((form, i) => [form, next[i] ?? next[0]!] as const);
  }));
  const other = (text: string) => renameForms(text, forms);
  return rows.map(({ question, answer }) => ({ question: other(question), answer: other(answer) }));
}

// Full name for full name, first for first and last for last.
function rename(text: string, name: string, other: string): string {
  const newForms = nameForms(other);
  return renameForms(text, new Map(nameForms(name).map((form, i) => [form, newForms[i]!])));
}

function renameForms(text: string, newForms: ReadonlyMap<string, string>): string {
  const forms = [...newForms.keys()];
  const spans = phraseSpans(text, forms, Risk.high);
  let renamed = "";
  let at = 0;
  for (const { start, end } of spans) {
    const form = forms.find((form) => sameWords(form, text.slice(start, end)));
    if (form === undefined) continue; // two names that touch are one span
    renamed += text.slice(at, start) + newForms.get(form);
    at = end;
  }
  return renamed + text.slice(at);
}

async function splitFile(folder: string, split: string): Promise<string> {
  for (const extension of ["jsonl", "json"]) {
    const file = `${folder}/${split}.${extension}`;
    if (await exists(file)) return file;
  }
  throw new CannotError(
    `read the split "${split}" of "${folder}"`,
    `it has neither ${split}.jsonl nor ${split}.json`,
    "Download the split or choose one that is there",
  );
}

function tofuRow(row: Fields, where: string): TofuRow {
  const read: TofuRow = {
    question: stringField(row, "question", where),
    answer: stringField(row, "answer", where),
  };
  if ("paraphrased_question" in row) {
    read.paraphrasedQuestion = stringField(row, "paraphrased_question", where);
  }
  if ("paraphrased_answer" in row) {
    read.paraphrasedAnswer = stringField(row, "paraphrased_answer", where);
  }
  if ("perturbed_answer" in row) {
    read.perturbedAnswers = stringsField(row, "perturbed_answer", where);
  }
  return read;
}
