// What can be trained on, in whatever form it comes: a file of texts with spans, or a folder of labelled documents.

import { CannotError } from "../base/errors.ts";
import { paperThresholds, type RiskThresholds } from "../label/sentences.ts";
import { defaultAttribute } from "./labelling.ts";
import { riskSpansOf } from "./sources/dolma.ts";
import { readDolmaFolder } from "./sources/dolma_folder.ts";
import { readRiskyTexts, type SpanReadingOptions } from "./span_files.ts";
import type { RiskyText } from "./spans.ts";

/** How texts are read; scores and thresholds are those of labelled documents. */
export interface TextReadingOptions extends SpanReadingOptions {
  /** The attribute whose scores are the risk of a sentence; {@linkcode defaultAttribute} unless given. */
  attribute?: string | undefined;
  /** Scores above which a sentence is possibly, and definitely, risky; the paper's unless given. */
  thresholds?: RiskThresholds;
}

/**
 * Reads texts with risky spans: a file as `readRiskyTexts` takes it, or a folder with `documents/` and `attributes/` in
 * Dolma's formats.
 *
 * @throws {CannotError} naming file, line and field.
 */
export async function readTexts(
  path: string,
  options: TextReadingOptions = {},
): Promise<RiskyText[]> {
  if (!await isFolder(path)) return await readRiskyTexts(path, options);
  const { attribute = defaultAttribute, thresholds = paperThresholds } = options;
  const texts: RiskyText[] = [];
  for await (const tagged of readDolmaFolder(path, options)) {
    const { text } = tagged.document;
    if (text === "") continue;
    texts.push({ text, spans: riskSpansOf(tagged, attribute, thresholds), rule: "sentence" });
  }
  if (texts.length > 0) return texts;
  throw new CannotError(`read "${path}"`, "it holds no texts", "Give a folder with one or more");
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}
