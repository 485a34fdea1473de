// Comments with a toxicity, from the public collections that the toxicity experiment uses, each in
// the layout in which it is published. Toxicity is the collection's own, from 0 to 1, and means
// something else in each: shares of annotators, scores of Perspective, or a label.

import { CannotError } from "../../base/errors.ts";
import { readJson } from "../../base/files.ts";
import { malformed, type ReadingOptions, readLines } from "../lines.ts";
import { readCsv } from "../csv.ts";
import type { DolmaDocument } from "./dolma.ts";
import { readRecords, stringField } from "../records.ts";

/** A comment and how toxic its collection says it is. */
export interface Comment {
  /** Unique in its file. */
  id: string;
  /** As it was published. */
  text: string;
  /** From 0 to 1; absent when the collection does not say. */
  toxicity: number | undefined;
}

/**
 * CivilComments with the votes of single annotators (Pavlopoulos et al., toxic spans): toxicity is
 * the share of a comment's annotators who did not vote "not toxic". Comments without votes have none.
 *
 * @param commentsPath `comments.csv` with `comment_id` and `comment_text`.
 * @param annotationsPath `annotations.csv` with `comment_id` and `not toxic`, held as counts.
 * @throws {CannotError} naming file and line, for a malformed row unless `onMalformed` takes it.
 */
export async function* readCivilComments(
  commentsPath: string,
  annotationsPath: string,
  options: ReadingOptions = {},
): AsyncGenerator<Comment> {
  const votes = new Map<string, { toxic: number; all: number }>();
  const columns = ["comment_id", "not toxic"];
  for await (const { fields, where } of readCsv(annotationsPath, columns, options)) {
    const vote = fields["not toxic"]!.toLowerCase();
    if (vote !== "true" && vote !== "false") {
      malformed(options, where, `"not toxic" is "${vote}", not True or False`);
      continue;
    }
    const count = votes.get(fields.comment_id!) ?? { toxic: 0, all: 0 };
    count.all++;
    if (vote === "false") count.toxic++;
    votes.set(fields.comment_id!, count);
  }
  for await (const { fields } of readCsv(commentsPath, ["comment_id", "comment_text"], options)) {
    const { comment_id: id, comment_text: text } = fields;
    const count = votes.get(id!);
    yield { id: id!, text: text!, toxicity: count && count.toxic / count.all };
  }
}

/**
 * CivilComments as a table of texts and targets, e.g. `balanced_7k.csv`: toxicity is the target.
 *
 * @param path A CSV file with `id`, `comment_text` and `target`.
 * @throws {CannotError} naming file and line, for a malformed row unless `onMalformed` takes it.
 */
export async function* readTargets(
  path: string,
  options: ReadingOptions = {},
): AsyncGenerator<Comment> {
  for await (const { fields, where } of readCsv(path, ["id", "comment_text", "target"], options)) {
    const { id, comment_text: text, target } = fields;
    const toxicity = target === "" ? NaN : Number(target);
    if (toxicity >= 0 && toxicity <= 1) yield { id: id!, text: text!, toxicity };
    else malformed(options, where, `target is "${target}", not a number from 0 to 1`);
  }
}

const jigsawLabels = [
  "toxic",
  "severe_toxic",
  "obscene",
  "threat",
  "insult",
  "identity_hate",
] as const;

/**
 * Jigsaw's comments of Wikipedia's talk pages (the Toxic Comment Classification Challenge): toxicity is 1 where any of
 * the six labels is set, and absent in rows whose labels are −1, which the challenge did not score.
 *
 * @param path A CSV file with `id`, `comment_text` and the six labels.
 * @throws {CannotError} naming file and line, for a malformed row unless `onMalformed` takes it.
 */
export async function* readJigsaw(
  path: string,
  options: ReadingOptions = {},
): AsyncGenerator<Comment & { labels: string[] }> {
  const columns = ["id", "comment_text", ...jigsawLabels];
  for await (const { fields, where } of readCsv(path, columns, options)) {
    const { id, comment_text: text } = fields;
    const wrong = jigsawLabels.find((label) => !["0", "1", "-1"].includes(fields[label]!));
    if (wrong) {
      malformed(options, where, `"${wrong}" is "${fields[wrong]}", not 0, 1 or -1`);
      continue;
    }
    const labels = jigsawLabels.filter((label) => fields[label] === "1");
    const unscored = jigsawLabels.some((label) => fields[label] === "-1");
    const toxicity = unscored ? undefined : labels.length > 0 ? 1 : 0;
    yield { id: id!, text: text!, toxicity, labels };
  }
}

/** A prompt of RealToxicityPrompts and the text that followed it on the web. */
export interface ToxicityPrompt {
  /** The file of OpenWebText and where the prompt begins in it. */
  id: string;
  /** Whether most models continue it toxically, as the collection found. */
  challenging: boolean;
  /** The first half of a sentence. */
  prompt: Omit<Comment, "id">;
  /** The second half. */
  continuation: Omit<Comment, "id">;
}

/**
 * RealToxicityPrompts (Gehman et al., 2020), JSON lines: toxicities are Perspective's of 2020.
 *
 * @throws {CannotError} naming file and line, for a malformed line unless `onMalformed` takes it.
 */
export function readToxicityPrompts(
  path: string,
  options: ReadingOptions = {},
): AsyncGenerator<ToxicityPrompt> {
  return readRecords(path, (row, where) => ({
    id: `${row.filename}:${row.begin}`,
    challenging: row.challenging === true,
    prompt: scoredText(row, "prompt", where),
    continuation: scoredText(row, "continuation", where),
  }), options);
}

/** Sentences, one a line, e.g. those of the Jigsaw comments; blank lines are passed over. */
export async function* readSentences(
  path: string,
  options: ReadingOptions = {},
): AsyncGenerator<string> {
  for await (const { text } of readLines(path, options)) {
    const sentence = text.trim();
    if (sentence !== "") yield sentence;
  }
}

/**
 * Posts with a label, `[[text, "normal" | "hatespeech"], …]`, as the Contextual Abuse Dataset of
 * Reddit is often passed on: toxicity is 1 for hate speech. The file is read at once.
 *
 * @throws {CannotError} naming the file and the row that is malformed, unless `onMalformed` takes it.
 */
export async function* readLabelledPosts(
  path: string,
  options: ReadingOptions = {},
): AsyncGenerator<Comment> {
  const rows = await readJson(path);
  if (!Array.isArray(rows)) {
    throw new CannotError(`read "${path}"`, "it is not an array", "Give it as it was published");
  }
  for (const [i, row] of rows.entries()) {
    const [text, label] = Array.isArray(row) ? row : [];
    const toxicity = label === "normal" ? 0 : label === "hatespeech" ? 1 : undefined;
    if (typeof text === "string" && toxicity !== undefined) yield { id: `${i}`, text, toxicity };
    else malformed(options, `"${path}" row ${i + 1}`, 'it is not [text, "normal" or "hatespeech"]');
  }
}

/**
 * GoEmotions (Demszky et al., 2020), comments of Reddit: text, label numbers and id between tabs.
 * The labels are emotions, so there is no toxicity.
 *
 * @throws {CannotError} naming file and line, for a malformed line unless `onMalformed` takes it.
 */
export async function* readGoEmotions(
  path: string,
  options: ReadingOptions = {},
): AsyncGenerator<Comment & { labels: number[] }> {
  for await (const { text: line, where } of readLines(path, options)) {
    const [text, numbers, id, ...rest] = line.split("\t");
    const labels = (numbers ?? "").split(",").map((number) => number === "" ? NaN : Number(number));
    if (id !== undefined && rest.length === 0 && labels.every(Number.isInteger)) {
      yield { id, text: text!, toxicity: undefined, labels };
    } else malformed(options, where, "it is not text, label numbers and id between tabs");
  }
}

/** Which posts of a Reddit dump are taken. */
export interface RedditOptions extends ReadingOptions {
  /** Lowest score; 0 unless given, as in the paper's code. */
  minimumScore?: number;
  /** Shortest text in UTF-16 units; 1 unless given. */
  minimumLength?: number;
}

/**
 * Comments and submissions of a Pushshift dump (JSON lines, usually .zst) as documents. The text is
 * `body` or `selftext` alone, as in the paper's code; what was deleted or removed is left out.
 *
 * @throws {CannotError} naming file and line, for a malformed line unless `onMalformed` takes it.
 * @see llm-decouple, src/preprocess_reddit.py
 */
export function readReddit(
  path: string,
  options: RedditOptions = {},
): AsyncGenerator<DolmaDocument> {
  const { minimumScore = 0, minimumLength = 1 } = options;
  return readRecords(path, (row, where) => {
    const text = stringField(row, Object.hasOwn(row, "body") ? "body" : "selftext", where);
    const { score } = row;
    if (typeof score === "number" && score < minimumScore) return undefined;
    if (text.length < minimumLength || text === "[deleted]" || text === "[removed]") {
      return undefined;
    }
    return { id: stringField(row, "id", where), text, source: "reddit" };
  }, options);
}

function scoredText(
  row: { [field: string]: unknown },
  name: string,
  where: string,
): Omit<Comment, "id"> {
  const part = row[name];
  if (typeof part !== "object" || part === null || Array.isArray(part)) {
    throw new CannotError(
      `read ${where}`,
      `field "${name}" is not an object`,
      "Correct or remove the line",
    );
  }
  const { toxicity } = part as { toxicity?: unknown }; // null where Perspective gave no score
  return {
    text: stringField(part as { [field: string]: unknown }, "text", `${where}, "${name}"`),
    toxicity: typeof toxicity === "number" ? toxicity : undefined,
  };
}
