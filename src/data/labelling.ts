// Texts in, labels out, as a stream, so that a corpus of any size is labelled in the memory of one batch.
//   labelTexts   texts -> {"text", "spans"}, which `train` reads: what is risky is decided here
//   labelFile    Dolma documents -> attributes: only the scores of sentences; what is risky is decided when they are read

import { Buffer } from "node:buffer";
import { CannotError } from "../base/errors.ts";
import { callback, checkOptions, object, wholeNumber } from "../base/options.ts";
import {
  type DolmaDocument,
  readDolmaDocuments,
  type TaggedDocument,
  writeDolmaAttributes,
} from "./sources/dolma.ts";
import { Risk, validateSpans } from "../slung/risk.ts";
import {
  paperThresholds,
  riskOfScore,
  type RiskThresholds,
  sentenceRanges,
  splitterName,
  type TextRange,
} from "../label/sentences.ts";
import { classifierInput, type TextClassifier } from "../label/classifier.ts";
import type { Labeller } from "../label/labeller.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { type LabelRecord, labelRecord, writeLabelRecords } from "./label_records.ts";
import type { RiskyText, SpanRule } from "./spans.ts";

/** Which scores are written, and how documents are read. */
export interface LabelOptions {
  /** Name of the sentence scores; `slung__sentence__toxic` unless given. */
  sentenceAttribute?: string;
  /** Name of one score for the whole text, if that is wanted, as the paper's selection needs it. */
  documentAttribute?: string | undefined;
  /** Sentences scored together; 512 unless given. */
  batch?: number;
}

/** How a file is labelled. */
export interface LabelFileOptions extends LabelOptions {
  /** Only for the counts in the summary; the paper's unless given. */
  thresholds?: RiskThresholds;
  /** Gets each malformed line, which is then left out; without it the first one ends the job. */
  onMalformed?: ((error: CannotError) => void) | undefined;
  /** Called after each document with the bytes of the file read so far. */
  onProgress?: ((bytes: number, summary: Readonly<LabelSummary>) => void) | undefined;
}

/** What was labelled, with what. */
export interface LabelSummary {
  /** Name of the classifier. */
  classifier: string;
  /** Name and version of the sentence splitter. */
  splitter: string;
  /** Where the classes below begin. */
  thresholds: RiskThresholds;
  /** Documents written. */
  documents: number;
  /** Lines left out. */
  malformed: number;
  /** Sentences scored. */
  sentences: number;
  /** Text of the documents, in bytes of UTF-8. */
  bytes: number;
  /** Sentences of each class. */
  byRisk: { low: number; possible: number; high: number };
}

/** The name under which the scores of sentences are written. */
export const defaultAttribute = "slung__sentence__toxic";

interface Segmented {
  document: DolmaDocument;
  ranges: TextRange[];
}

/**
 * Scores the sentences of documents, and their whole text if asked, in the order of the documents.
 *
 * @throws {CannotError} when the classifier fails or returns another number of scores.
 */
export async function* tagDocuments(
  documents: Iterable<DolmaDocument> | AsyncIterable<DolmaDocument>,
  classifier: TextClassifier,
  options: LabelOptions = {},
): AsyncGenerator<TaggedDocument> {
  const { sentenceAttribute = defaultAttribute, documentAttribute, batch = 512 } = options;
  let waiting: Segmented[] = [], sentences = 0;
  const tag = async function* (): AsyncGenerator<TaggedDocument> {
    const texts = waiting.flatMap(({ document: { text }, ranges }) => {
      const inputs = ranges.map(({ start, end }) => classifierInput(text.slice(start, end)));
      if (documentAttribute !== undefined) inputs.push(classifierInput(text));
      return inputs;
    });
    const scores = await classifier.score(texts);
    if (scores.length !== texts.length) {
      throw new CannotError(
        "label documents",
        `the classifier "${classifier.name}" gave ${scores.length} scores for ${texts.length} texts`,
        "Use a classifier that returns one score for each text",
      );
    }
    let at = 0;
    for (const { document, ranges } of waiting) {
      const attributes = {
        [sentenceAttribute]: ranges.map((range) => ({ ...range, score: scores[at++]! })),
      };
      if (documentAttribute !== undefined) {
        const { length } = document.text;
        attributes[documentAttribute] = [{ start: 0, end: length, score: scores[at++]! }];
      }
      yield { document, attributes };
    }
    waiting = [];
    sentences = 0;
  };
  for await (const document of documents) {
    const ranges = sentenceRanges(document.text);
    waiting.push({ document, ranges });
    sentences += ranges.length;
    if (sentences >= batch) yield* tag();
  }
  if (waiting.length > 0) yield* tag();
}

/**
 * Labels a file of documents and writes the attribute file, both plain or compressed. The attribute
 * file appears whole or not at all.
 *
 * @throws {CannotError} naming the file and line that is malformed, unless `onMalformed` takes it,
 * and when a file cannot be read or written or the classifier fails.
 */
export async function labelFile(
  documentsPath: string,
  attributesPath: string,
  classifier: TextClassifier,
  options: LabelFileOptions = {},
): Promise<LabelSummary> {
  const { thresholds = paperThresholds, onMalformed, onProgress, ...tagging } = options;
  const { sentenceAttribute = defaultAttribute } = tagging;
  const summary: LabelSummary = {
    classifier: classifier.name,
    splitter: splitterName,
    thresholds,
    documents: 0,
    malformed: 0,
    sentences: 0,
    bytes: 0,
    byRisk: { low: 0, possible: 0, high: 0 },
  };
  let bytesRead = 0;
  const documents = readDolmaDocuments(documentsPath, {
    onRead: (bytes) => bytesRead = bytes,
    onMalformed: onMalformed && ((error) => {
      summary.malformed++;
      onMalformed(error);
    }),
  });
  const counted = async function* (): AsyncGenerator<TaggedDocument> {
    for await (const tagged of tagDocuments(documents, classifier, tagging)) {
      summary.documents++;
      summary.bytes += Buffer.byteLength(tagged.document.text);
      for (const { score } of tagged.attributes[sentenceAttribute]!) {
        summary.sentences++;
        const risk = riskOfScore(score, thresholds);
        if (risk === Risk.high) summary.byRisk.high++;
        else if (risk === Risk.possible) summary.byRisk.possible++;
        else summary.byRisk.low++;
      }
      onProgress?.(bytesRead, summary);
      yield tagged;
    }
    if (summary.documents > 0 || summary.malformed === 0) return;
    throw new CannotError(
      `label "${documentsPath}"`,
      `all ${summary.malformed} lines are malformed`,
      "Give a file of documents, each with an id and a text",
    );
  };
  await writeDolmaAttributes(attributesPath, counted());
  return summary;
}

/**
 * Finds what is risky in texts, in their order: what `encodeText` and `textExperiment` take.
 *
 * @throws {CannotError} when the labeller fails, or its spans leave a text.
 *
 * @example
 * ```ts
 * import { markTexts, wordLabeller } from "@slung/slung";
 *
 * const [first] = await markTexts(["Mira Toveld ran the mill."], wordLabeller(["Mira Toveld"]));
 * console.log(first?.spans); // [ { start: 0, end: 11, risk: 3 } ]
 * ```
 */
export async function markTexts(
  texts: readonly string[],
  labeller: Labeller,
): Promise<RiskyText[]> {
  return await markFrom(0, texts, labeller);
}

// Texts are named by their place, the first of them at `first`.
async function markFrom(
  first: number,
  texts: readonly string[],
  labeller: Labeller,
): Promise<RiskyText[]> {
  const found = await labeller.label(texts);
  if (found.length !== texts.length) {
    throw new CannotError(
      "label texts",
      `the labeller "${labeller.name}" gave spans of ${found.length} texts for ${texts.length}`,
      "Return one list for each text, empty where nothing is risky",
    );
  }
  const rule: SpanRule = labeller.sentences ? "sentence" : "overlap";
  return texts.map((text, i) => {
    const spans = found[i]!;
    validateSpans(spans, text.length, `text ${first + i} by "${labeller.name}"`);
    return { text, spans, rule };
  });
}

/** How texts are labelled. */
export interface LabelTextsOptions {
  /** Texts that are labelled together; 256 unless given. */
  batch?: number;
  /** Also write token ids of this tokenizer, and the class of each. */
  classesFor?: Tokenizer | undefined;
  /** Called after each text, with what was found in it. */
  onText?: ((text: RiskyText, summary: Readonly<TextsSummary>) => void) | undefined;
}

/** What was labelled, and what was found. */
export interface TextsSummary {
  /** Texts written. */
  texts: number;
  /** Those with a risky span. */
  risky: number;
  /** Spans of possible and of high risk. */
  spans: { possible: number; high: number };
}

/**
 * Labels texts and writes each with its spans, one JSON object a line, which is what `readRiskyTexts` reads; or as parquet,
 * as the extension says. The file appears whole or not at all.
 *
 * @throws {CannotError} when a text cannot be read or labelled, or the file cannot be written.
 */
export async function labelTexts(
  texts: AsyncIterable<string> | readonly string[],
  out: string,
  labeller: Labeller,
  options: LabelTextsOptions = {},
): Promise<TextsSummary> {
  checkOptions("label texts", options, {
    batch: wholeNumber({ min: 1 }),
    classesFor: object,
    onText: callback,
  });
  const { batch = 256, classesFor, onText } = options;
  const summary: TextsSummary = { texts: 0, risky: 0, spans: { possible: 0, high: 0 } };
  const labelled = async function* (waiting: string[]): AsyncGenerator<LabelRecord> {
    for (const marked of await markFrom(summary.texts, waiting, labeller)) {
      const { spans } = marked;
      summary.texts++;
      if (spans.some(({ risk }) => risk > Risk.low)) summary.risky++;
      summary.spans.possible += spans.filter(({ risk }) => risk === Risk.possible).length;
      summary.spans.high += spans.filter(({ risk }) => risk === Risk.high).length;
      onText?.(marked, summary);
      yield labelRecord(marked, classesFor);
    }
  };
  const records = async function* (): AsyncGenerator<LabelRecord> {
    let waiting: string[] = [];
    for await (const text of texts) {
      if (waiting.push(text) < batch) continue;
      yield* labelled(waiting);
      waiting = [];
    }
    yield* labelled(waiting);
  };
  await writeLabelRecords(out, records(), {
    labeller: labeller.name,
    ...(classesFor && { tokenizer: classesFor.name }),
  });
  return summary;
}
