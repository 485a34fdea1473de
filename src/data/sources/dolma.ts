// Dolma's formats (Soldaini et al., 2024), JSON lines, usually compressed.
//   documents   {"id", "text", "source"}
//   attributes  {"id", "attributes": {"<experiment>__<tagger>__<type>": [[start, end, score], …]}, "source"}
// The two files have the same documents in the same order. Dolma is Python and counts characters in
// code points; everything here counts UTF-16 units, so offsets are converted on the way in and out.

import { CannotError } from "../../base/errors.ts";
import type { RiskSpan } from "../../slung/risk.ts";
import {
  paperThresholds,
  type RiskThresholds,
  roundScore,
  scoredSpans,
} from "../../label/sentences.ts";
import { type ReadingOptions, writeLines } from "../lines.ts";
import { offsetsFrom, offsetsTo } from "../offsets.ts";
import { type Fields, readRecords, stringField } from "../records.ts";

/** A document of a corpus. */
export interface DolmaDocument {
  /** Unique within its corpus. */
  id: string;
  /** All of it. */
  text: string;
  /** Where it comes from, e.g. `reddit`. */
  source: string;
}

/** A scored stretch of a document: UTF-16 offsets, half-open. */
export interface ScoredSpan {
  /** First UTF-16 unit. */
  start: number;
  /** One past the last. */
  end: number;
  /** As the tagger gave it. */
  score: number;
}

/** What taggers said about a document, by attribute name. */
export interface DolmaAttributes {
  /** In the order of the file. */
  [name: string]: ScoredSpan[];
}

/** A document and what taggers said about it. */
export interface TaggedDocument {
  /** The document. */
  document: DolmaDocument;
  /** Of all attribute files together. */
  attributes: DolmaAttributes;
}

/**
 * The name of an attribute in Dolma's files. A fastText label begins with two underscores of its
 * own, which makes four: `data__jigsaw_hatespeech_sentence_v2____label__toxic`.
 */
export function attributeName(experiment: string, tagger: string, type: string): string {
  return `${experiment}__${tagger}__${type}`;
}

/**
 * Reads a file of documents; other fields are passed over.
 *
 * @throws {CannotError} naming file and line of a malformed document, unless `onMalformed` takes it.
 */
export function readDolmaDocuments(
  path: string,
  options: ReadingOptions = {},
): AsyncGenerator<DolmaDocument> {
  return readRecords(path, parseDocument, options);
}

/**
 * Reads documents together with the attribute files that belong to them.
 *
 * A malformed line in one file leaves its document out. As the files are walked side by side, ids
 * that differ are accounted for by malformed lines; any further difference is an error.
 *
 * @param attributePaths Attribute files of the same documents in the same order.
 * @throws {CannotError} naming file and line, when the files are not about the same documents, or
 * for a malformed line, unless `onMalformed` takes it.
 */
export async function* readDolma(
  path: string,
  attributePaths: readonly string[],
  options: ReadingOptions = {},
): AsyncGenerator<TaggedDocument> {
  const documents = new Walk(path, parseDocument, options);
  const files = attributePaths.map((file) =>
    new Walk(file, parseAttributes, { ...options, onRead: undefined })
  );
  try {
    while (await documents.next()) {
      const document = documents.record!.value;
      const found: AttributeRecord[] = [];
      for (const file of files) {
        const record = await matching(documents, file);
        if (record) found.push(record);
      }
      if (found.length < files.length) continue;
      try {
        yield { document, attributes: inUtf16(document.text, found, documents.record!.where) };
      } catch (error) {
        if (!(error instanceof CannotError) || options.onMalformed === undefined) throw error;
        options.onMalformed(error);
      }
    }
    for (const file of files) {
      while (file.ahead || await file.next()) {
        if (file.unmatched++ >= documents.malformed) throw strayAttributes(file, path);
        file.ahead = false;
      }
    }
  } finally {
    for (const walk of [documents, ...files]) await walk.close();
  }
}

/**
 * The scores of one attribute as risk spans, for `classifyTokensBySentence`. A blank text has none,
 * since Dolma's taggers leave its attributes out.
 *
 * @param name e.g. `data__jigsaw_hatespeech_sentence_v2____label__toxic`.
 * @throws {CannotError} naming the document, when it has no such attribute or a score is none.
 */
export function riskSpansOf(
  { document, attributes }: TaggedDocument,
  name: string,
  thresholds: RiskThresholds = paperThresholds,
): RiskSpan[] {
  const spans = attributes[name];
  if (spans !== undefined) return scoredSpans(spans, spans.map(({ score }) => score), thresholds);
  if (document.text.trim() === "") return [];
  throw new CannotError(
    `use the attribute "${name}" of document "${document.id}"`,
    `it only has ${Object.keys(attributes).join(", ") || "none"}`,
    "Name one of its attributes or tag the documents again",
  );
}

/**
 * Writes a file of documents, compressed as its extension says, whole or not at all.
 *
 * @throws {CannotError} naming the file, when it cannot be written.
 */
export async function writeDolmaDocuments(
  path: string,
  documents: Iterable<DolmaDocument> | AsyncIterable<DolmaDocument>,
): Promise<void> {
  await writeLines(
    path,
    mapped(documents, ({ id, text, source }) => JSON.stringify({ id, text, source })),
  );
}

/**
 * Writes a file of attributes as Dolma's taggers do, scores rounded to five decimals, offsets in
 * code points, compressed as the extension says, whole or not at all.
 *
 * @throws {CannotError} naming the file, when it cannot be written.
 */
export async function writeDolmaAttributes(
  path: string,
  tagged: Iterable<TaggedDocument> | AsyncIterable<TaggedDocument>,
): Promise<void> {
  await writeLines(path, mapped(tagged, attributeLine));
}

/** One line of an attribute file, without its line end. */
export function attributeLine({ document, attributes }: TaggedDocument): string {
  const { id, text, source } = document;
  const offsets = offsetsTo(text, "codepoint");
  const at = (unit: number) => offsets ? offsets[unit]! : unit;
  const written = Object.entries(attributes).map(([name, spans]) =>
    [
      name,
      spans.map(({ start, end, score }) => [at(start), at(end), roundScore(score)]),
    ] as const
  );
  return JSON.stringify({ id, attributes: Object.fromEntries(written), source });
}

function parseDocument(row: Fields, where: string): DolmaDocument {
  const source = row.source === undefined ? "" : stringField(row, "source", where);
  return { id: stringField(row, "id", where), text: stringField(row, "text", where), source };
}

/** As the file has it: offsets in code points. */
interface AttributeRecord {
  id: string;
  attributes: [name: string, spans: [start: number, end: number, score: number][]][];
}

function parseAttributes(row: Fields, where: string): AttributeRecord {
  const id = stringField(row, "id", where);
  const { attributes } = row;
  if (typeof attributes !== "object" || attributes === null || Array.isArray(attributes)) {
    throw wrongLine(where, 'field "attributes" is not an object');
  }
  return {
    id,
    attributes: Object.entries(attributes).map(([name, spans]) => {
      if (Array.isArray(spans) && spans.every(isSpan)) return [name, spans];
      throw wrongLine(where, `attribute "${name}" is not a list of [start, end, score]`);
    }),
  };
}

function isSpan(value: unknown): value is [number, number, number] {
  return Array.isArray(value) && value.length === 3 &&
    value.every((part) => typeof part === "number" && Number.isFinite(part)) &&
    Number.isInteger(value[0]) && Number.isInteger(value[1]);
}

function inUtf16(
  text: string,
  records: readonly AttributeRecord[],
  where: string,
): DolmaAttributes {
  const offsets = offsetsFrom(text, "codepoint");
  const length = offsets ? offsets.length - 1 : text.length;
  const at = (point: number) => offsets ? offsets[point]! : point;
  const converted = records.flatMap(({ attributes }) =>
    attributes.map(([name, spans]) =>
      [
        name,
        spans.map(([start, end, score]) => {
          if (start >= 0 && start <= end && end <= length) {
            return { start: at(start), end: at(end), score };
          }
          const why = `span [${start}, ${end}) of "${name}" leaves its ${length} characters`;
          throw wrongLine(where, why);
        }),
      ] as const
    )
  );
  return Object.fromEntries(converted);
}

/** The record of an attribute file for the document at hand, or `undefined` when its line is bad. */
async function matching(
  documents: Walk<DolmaDocument>,
  file: Walk<AttributeRecord>,
): Promise<AttributeRecord | undefined> {
  const { id } = documents.record!.value;
  while (file.ahead || await file.next()) {
    if (file.record!.value.id === id) {
      file.ahead = false;
      return file.record!.value;
    }
    if (file.missing < file.malformed) { // this document's attributes were on a malformed line
      file.missing++;
      file.ahead = true;
      return undefined;
    }
    if (file.unmatched >= documents.malformed) throw differs(documents, file);
    file.unmatched++; // these attributes are of a document on a malformed line
    file.ahead = false;
  }
  if (file.missing++ < file.malformed) return undefined;
  throw new CannotError(
    `read the attributes of ${documents.record!.where}`,
    `"${file.path}" has no line left for the document "${id}"`,
    "Tag the documents again",
  );
}

/** A file read record by record, which counts its malformed lines. */
class Walk<Value> {
  readonly path: string;
  /** The record read last. */
  record: { value: Value; where: string } | undefined;
  /** Whether that record still waits for its document. */
  ahead = false;
  /** Its malformed lines so far. */
  malformed = 0;
  /** Documents without a record here, and records here without a document. */
  missing = 0;
  unmatched = 0;
  readonly #records: AsyncGenerator<{ value: Value; where: string }>;

  constructor(
    path: string,
    parse: (row: Fields, where: string) => Value,
    options: ReadingOptions,
  ) {
    this.path = path;
    const { onMalformed, onRead } = options;
    const counted = onMalformed && ((error: CannotError) => {
      this.malformed++;
      onMalformed(error);
    });
    this.#records = readRecords(
      path,
      (row, where) => ({ value: parse(row, where), where }),
      { onMalformed: counted, onRead },
    );
  }

  async next(): Promise<boolean> {
    const { done, value } = await this.#records.next();
    if (!done) this.record = value;
    return !done;
  }

  async close(): Promise<void> {
    await this.#records.return(undefined);
  }
}

function differs(documents: Walk<DolmaDocument>, file: Walk<AttributeRecord>): CannotError {
  return new CannotError(
    `read the attributes of ${documents.record!.where}`,
    `its id is "${documents.record!.value.id}", but that of ${file.record!.where} is "${
      file.record!.value.id
    }"`,
    "Give the attribute file of these documents, in the same order",
  );
}

function strayAttributes(file: Walk<AttributeRecord>, path: string): CannotError {
  return new CannotError(
    `read ${file.record!.where}`,
    `"${path}" has no document "${file.record!.value.id}" left for it`,
    "Give the attribute file of these documents, in the same order",
  );
}

function wrongLine(where: string, why: string): CannotError {
  return new CannotError(`read ${where}`, why, "Correct or remove the line");
}

async function* mapped<From>(
  items: Iterable<From> | AsyncIterable<From>,
  change: (item: From) => string,
): AsyncGenerator<string> {
  for await (const item of items) yield change(item);
}
