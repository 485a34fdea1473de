// deno task label --text IN --out OUT.jsonl --words FILE …: marks what is risky in texts, so that train can read it.
// deno task label --documents FILE --out FILE --linear FILE …: scores every sentence of Dolma documents.

import { CannotError } from "../src/base/errors.ts";
import { readText } from "../src/base/files.ts";
import { counted } from "../src/base/words.ts";
import { isParquet } from "../src/data/label_records.ts";
import { defaultAttribute, labelFile, labelTexts } from "../src/data/labelling.ts";
import { readPlainTexts, type TextUnit, textUnits } from "../src/data/plain_texts.ts";
import type { RiskyText } from "../src/data/spans.ts";
import type { TextClassifier } from "../src/label/classifier.ts";
import { entityLabeller } from "../src/label/entities.ts";
import {
  allOf,
  type Labeller,
  patternLabeller,
  sentenceLabeller,
  wordLabeller,
} from "../src/label/labeller.ts";
import { classifierKinds, openClassifier } from "../src/label/open_classifier.ts";
import { paperThresholds } from "../src/label/sentences.ts";
import { defineCommand, runCommand, type Terminal } from "../src/report/command_line.ts";
import { createProgress, type Progress } from "../src/report/progress.ts";
import { renderTable } from "../src/report/table.ts";
import { Risk } from "../src/slung/risk.ts";
import { openTokenizer } from "../src/tokenizers/open.ts";
import { fetchNamed, orDatasetName, orModelName } from "./hub.ts";
import { showSamples } from "./shared.ts";

const command = defineCommand({
  name: "label",
  summary:
    "Marks what is risky in texts, for train; or scores the sentences of documents, in Dolma's formats.",
  examples: [
    "--text stories.txt --words names.txt --out labelled.jsonl",
    "--text stories.txt --pattern email,phone --linear abuse.linear --low 0.1 --high 0.9 --out labelled.jsonl",
  ],
  options: {
    text: {
      ...orDatasetName,
      placeholder: "file",
      help:
        "Texts: .jsonl, .csv or .parquet with a field text, a plain file, a folder of them, or " +
        "datasets/owner/name@revision/path on the hub",
    },
    unit: {
      type: "string",
      choices: textUnits,
      help: "What is one text of a plain file; line, or file for those of a folder",
    },
    documents: {
      ...orDatasetName,
      placeholder: "file",
      help: "Or Dolma documents, .jsonl, .jsonl.gz or .jsonl.zst",
    },
    out: {
      type: "path",
      required: true,
      placeholder: "file",
      help:
        "The labelled texts, .jsonl or .parquet, or the attributes of documents; .gz and .zst compress",
    },
    classesFor: {
      ...orModelName,
      placeholder: "model",
      help: "Of texts: also write token ids for the tokenizer of this model, and the class of each",
    },
    words: {
      type: "path",
      placeholder: "file",
      help: "Mark these words and names, one a line, whatever their case and apostrophes",
    },
    pattern: {
      type: "list",
      placeholder: "name",
      help: "Mark email, phone, url, or what /an expression of yours/u matches",
    },
    entities: {
      type: "string",
      placeholder: "model",
      help: "Mark the people that a token-classification model finds, through transformers.js",
    },
    linear: {
      type: "path",
      placeholder: "file",
      help: "Mark sentences by their score: with a model of train-classifier,",
    },
    fasttext: { type: "path", placeholder: "file", help: "or with a fastText .bin or .ftz," },
    transformers: {
      type: "string",
      placeholder: "model",
      help: "or with a text-classification model through transformers.js,",
    },
    perspective: {
      type: "flag",
      help: "or with the Perspective API and the key in PERSPECTIVE_API_KEY; it ends in 2026",
    },
    label: { type: "string", help: "The label whose score counts, e.g. __label__toxic" },
    perSecond: { type: "number", default: 1, min: 0.01, help: "Requests to Perspective a second" },
    low: {
      type: "number",
      default: paperThresholds.low,
      min: 0,
      help: "Possible risk above this score; 1e-4 fits Dolma's taggers, try 0.1 for others",
    },
    high: {
      type: "number",
      default: paperThresholds.high,
      min: 0,
      help: "High risk above this score; others 0.9",
    },
    show: { type: "integer", default: 3, min: 0, help: "Samples to show" },
    attribute: {
      type: "string",
      default: defaultAttribute,
      placeholder: "name",
      help: "Of documents: name of the sentence scores",
    },
    documentAttribute: {
      type: "string",
      placeholder: "name",
      help: "Of documents: also score each whole text, under this name",
    },
    strict: { type: "flag", help: "End at the first malformed line instead of leaving it out" },
  },
  async run(given, terminal) {
    const options = await fetchNamed(given, terminal);
    if ((options.text === undefined) === (options.documents === undefined)) {
      throw new CannotError(
        "label texts",
        options.text === undefined ? "none are given" : "both --text and --documents are given",
        "Give --text FILE, or --documents FILE for Dolma's formats",
      );
    }
    if (options.documents !== undefined && (options.classesFor || isParquet(options.out))) {
      throw new CannotError(
        "write the attributes of documents",
        options.classesFor ? "they have no token classes" : "Dolma reads JSON lines",
        "Give the documents as --text FILE, whose records have a field text too",
      );
    }
    return options.text !== undefined
      ? await labelPlain(options.text, options, terminal)
      : await labelDocuments(options.documents!, options, terminal);
  },
});

export default command;

if (import.meta.main) await runCommand(command);

interface LabelOptions extends ClassifierChoice {
  out: string;
  classesFor?: string | undefined;
  unit?: TextUnit | undefined;
  words?: string | undefined;
  pattern: readonly (string | number)[];
  entities?: string | undefined;
  low: number;
  high: number;
  show: number;
  attribute: string;
  documentAttribute?: string | undefined;
  strict: boolean;
}

async function labelPlain(
  path: string,
  options: LabelOptions,
  terminal: Terminal,
): Promise<object> {
  const { out, unit, show, strict } = options;
  const labeller = await chosenLabeller(options);
  const classesFor = options.classesFor === undefined
    ? undefined
    : await openTokenizer(options.classesFor);
  const samples: RiskyText[] = [];
  const began = performance.now();
  let malformed = 0;
  const texts = readPlainTexts(path, unit, {
    onMalformed: strict ? undefined : ({ message }) => {
      malformed++;
      terminal.note(message);
    },
  });
  const summary = await labelTexts(texts, out, labeller, {
    classesFor,
    onText(text) {
      const isRisky = text.spans.some(({ risk }) => risk > Risk.low);
      if (isRisky && samples.length < show) samples.push(text);
    },
  });
  if (summary.texts === 0) {
    throw new CannotError(
      `label "${path}"`,
      malformed > 0 ? `all ${malformed} lines are malformed` : "it holds no texts",
      "Give a file with one text or more",
    );
  }
  showSamples(samples, show, terminal);
  const { spans: { possible, high }, risky } = summary;
  const seconds = (performance.now() - began) / 1000;
  terminal.print(
    `${counted(summary.texts, "text")} in ${out}, ${risky} of them with something risky: ` +
      `${
        counted(high, "stretch", "stretches")
      } of high risk and ${possible} of possible risk (${labeller.name})`,
  );
  if (risky === 0) terminal.print("Nothing was found: training on this file would mask nothing.");
  return { out, ...summary, malformed, labeller: labeller.name, seconds };
}

async function labelDocuments(
  documents: string,
  options: LabelOptions,
  terminal: Terminal,
): Promise<object> {
  const { out, low, high } = options;
  const classifier = await chosenClassifier(options);
  const { size } = await Deno.stat(documents).catch(() => ({ size: 0 }));
  let progress: Progress | undefined;
  const began = performance.now();
  const summary = await labelFile(documents, out, classifier, {
    sentenceAttribute: options.attribute,
    documentAttribute: options.documentAttribute,
    thresholds: { low, high },
    onMalformed: options.strict ? undefined : ({ message }) => {
      if (progress) progress.note(message);
      else terminal.note(message);
    },
    onProgress(bytes, { sentences }) {
      progress ??= createProgress({ total: Math.ceil(size / 1e6), label: "Labelling MB" });
      progress.update(Math.ceil(bytes / 1e6), `${sentences} sentences`);
    },
  });
  progress?.[Symbol.dispose]();
  const seconds = (performance.now() - began) / 1000;
  const { byRisk, sentences, malformed, bytes } = summary;
  const row = (risk: keyof typeof byRisk, scores: string) => ({
    risk,
    scores,
    sentences: byRisk[risk],
    share: 100 * byRisk[risk] / Math.max(sentences, 1),
  });
  terminal.print(renderTable([
    { key: "risk", title: "Risk" },
    { key: "scores", title: "Scores t" },
    { key: "sentences", title: "Sentences", precision: 0 },
    { key: "share", title: "Share", unit: "%", precision: 2 },
  ], [
    row("low", `t ≤ ${low}`),
    row("possible", `${low} < t ≤ ${high}`),
    row("high", `t > ${high}`),
  ]));
  const sentencesPerSecond = Math.round(sentences / seconds);
  const megabytesPerSecond = bytes / 1e6 / seconds;
  terminal.print(
    `${summary.documents} documents, ${(bytes / 1e6).toFixed(1)} MB of text, in ` +
      `${seconds.toFixed(1)} s: ${sentencesPerSecond} sentences/s, ` +
      `${megabytesPerSecond.toFixed(1)} MB/s; ${classifier.name}, ${summary.splitter}`,
  );
  if (malformed > 0) {
    const lines = malformed === 1 ? "1 malformed line was" : `${malformed} malformed lines were`;
    terminal.print(`${lines} left out.`);
  }
  return { out, ...summary, seconds, sentencesPerSecond, megabytesPerSecond };
}

async function chosenLabeller(options: LabelOptions): Promise<Labeller> {
  const { words, pattern, entities, low, high } = options;
  const labellers: Labeller[] = [];
  if (words !== undefined) {
    const listed = (await readText(words)).split(/\r?\n/).map((word) => word.trim());
    labellers.push(wordLabeller(listed.filter(Boolean)));
  }
  for (const each of patternsIn(pattern)) labellers.push(patternLabeller(each));
  if (entities !== undefined) labellers.push(await entityLabeller(entities));
  if (classifierKinds.some((kind) => options[kind])) {
    labellers.push(sentenceLabeller(await chosenClassifier(options), { low, high }));
  }
  if (labellers.length > 0) return allOf(labellers);
  throw new CannotError(
    "label texts",
    "nothing says what is risky",
    "Give --words, --pattern, --entities, or a classifier: --linear, --fasttext, --transformers, " +
      "--perspective",
  );
}

// The option was cut at every comma, and an expression may hold some.
function patternsIn(pieces: readonly (string | number)[]): string[] {
  return pieces.join(",").match(/(?<=^|,)\/.+?\/[a-z]*(?=,|$)|[^,]+/gs) ?? [];
}

interface ClassifierChoice {
  linear?: string | undefined;
  fasttext?: string | undefined;
  transformers?: string | undefined;
  perspective: boolean;
  label?: string | undefined;
  perSecond: number;
}

async function chosenClassifier(choice: ClassifierChoice): Promise<TextClassifier> {
  const given = classifierKinds.filter((kind) => choice[kind]);
  if (given.length !== 1) {
    throw new CannotError(
      "choose a classifier",
      `${given.length} are given`,
      "Give exactly one of --linear, --fasttext, --transformers and --perspective",
    );
  }
  return await openClassifier(given[0]!, String(choice[given[0]!]), choice);
}
