// What can be trained on, in whatever form it comes: texts with spans in a file or a folder of files, or a folder of labelled
// documents.

import { CannotError } from "../base/errors.ts";
import { checkOptions, object, text } from "../base/options.ts";
import { paperThresholds, type RiskThresholds } from "../label/sentences.ts";
import { defaultAttribute } from "./labelling.ts";
import { riskSpansOf } from "./sources/dolma.ts";
import { readDolmaFolder, textFilesIn } from "./sources/dolma_folder.ts";
import { allowedSpanReading, readRiskyTexts, type SpanReadingOptions } from "./span_files.ts";
import type { RiskyText } from "./spans.ts";

/** How texts are read; scores and thresholds are those of labelled documents. */
export interface TextReadingOptions extends SpanReadingOptions {
  /** The attribute whose scores are the risk of a sentence; {@linkcode defaultAttribute} unless given. */
  attribute?: string | undefined;
  /** Scores above which a sentence is possibly, and definitely, risky; the paper's unless given. */
  thresholds?: RiskThresholds;
}

/**
 * Reads texts with risky spans: a file as `readRiskyTexts` takes it, a folder of such files, or a folder with `documents/`
 * and `attributes/` in Dolma's formats.
 *
 * @throws {CannotError} naming file, line and field.
 */
export async function readTexts(
  path: string,
  options: TextReadingOptions = {},
): Promise<RiskyText[]> {
  checkOptions<TextReadingOptions>("read texts", options, {
    ...allowedSpanReading,
    attribute: text,
    thresholds: object,
  });
  const { attribute = defaultAttribute, thresholds = paperThresholds, ...reading } = options;
  if (!await isFolder(path)) return await readRiskyTexts(path, reading);
  const texts: RiskyText[] = [];
  const files = await isFolder(`${path}/documents`) ? [] : await textFilesIn(path);
  for (const name of files) {
    for (const each of await readRiskyTexts(`${path}/${name}`, reading)) texts.push(each);
  }
  if (files.length > 0) return texts;
  for await (const tagged of readDolmaFolder(path, options)) {
    const { text: content } = tagged.document;
    if (content === "") continue;
    texts.push({
      text: content,
      spans: riskSpansOf(tagged, attribute, thresholds),
      rule: "sentence",
    });
  }
  if (texts.length > 0) return texts;
  throw new CannotError(`read "${path}"`, "it holds no texts", "Give a folder with one or more");
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false);
}
