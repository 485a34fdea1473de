// deno task label --documents FILE --out FILE --linear FILE …: scores every sentence of Dolma documents.

import {
  CannotError,
  createProgress,
  labelFile,
  type Progress,
  renderTable,
  runCommand,
  type TextClassifier,
} from "../mod.ts";
import { classifierKinds, openClassifier } from "./classifier.ts";

await runCommand({
  name: "label",
  summary: "Scores every sentence of Dolma documents and writes the scores as Dolma attributes.",
  options: {
    documents: {
      type: "string",
      required: true,
      placeholder: "file",
      help: "Dolma documents, .jsonl, .jsonl.gz or .jsonl.zst",
    },
    out: {
      type: "string",
      required: true,
      placeholder: "file",
      help: "The attributes; .gz and .zst compress",
    },
    linear: { type: "string", placeholder: "file", help: "Score with a model of train-classifier" },
    fasttext: { type: "string", placeholder: "file", help: "or with a fastText .bin or .ftz" },
    transformers: {
      type: "string",
      placeholder: "model",
      help: "or with a text-classification model through transformers.js",
    },
    perspective: {
      type: "flag",
      help: "or with the Perspective API and the key in PERSPECTIVE_API_KEY; it ends in 2026",
    },
    label: { type: "string", help: "The label whose score counts, e.g. __label__toxic" },
    perSecond: { type: "number", default: 1, min: 0.01, help: "Requests to Perspective a second" },
    attribute: {
      type: "string",
      default: "slung__sentence__toxic",
      placeholder: "name",
      help: "Name of the sentence scores",
    },
    documentAttribute: {
      type: "string",
      placeholder: "name",
      help: "Also score each whole text, under this name",
    },
    low: {
      type: "number",
      default: 1e-4,
      min: 0,
      help: "Possible risk in the table above this; 1e-4 fits Dolma's taggers, try 0.1 for others",
    },
    high: {
      type: "number",
      default: 0.99,
      min: 0,
      help: "High risk in the table above this; others 0.9",
    },
    strict: { type: "flag", help: "End at the first malformed line instead of leaving it out" },
  },
  async run(options, terminal) {
    const { documents, out, low, high } = options;
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
    const share = (count: number) => 100 * count / Math.max(sentences, 1);
    terminal.print(renderTable([
      { key: "risk", title: "Risk" },
      { key: "scores", title: "Scores t" },
      { key: "sentences", title: "Sentences", precision: 0 },
      { key: "share", title: "Share", unit: "%", precision: 2 },
    ], [
      { risk: "low", scores: `t ≤ ${low}`, sentences: byRisk.low, share: share(byRisk.low) },
      {
        risk: "possible",
        scores: `${low} < t ≤ ${high}`,
        sentences: byRisk.possible,
        share: share(byRisk.possible),
      },
      { risk: "high", scores: `t > ${high}`, sentences: byRisk.high, share: share(byRisk.high) },
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
  },
});

interface Choice {
  linear?: string | undefined;
  fasttext?: string | undefined;
  transformers?: string | undefined;
  perspective: boolean;
  label?: string | undefined;
  perSecond: number;
}

async function chosenClassifier(choice: Choice): Promise<TextClassifier> {
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
