// Files of texts with risky spans, one record a line (`span_record.ts`).

import { CannotError } from "../base/errors.ts";
import { type AllowedOptions, callback, checkOptions, flag, oneOf } from "../base/options.ts";
import type { ReadingOptions } from "./lines.ts";
import { offsetUnits } from "./offsets.ts";
import { type Fields, readRecords } from "./records.ts";
import {
  isOffsetsLine,
  riskyText,
  type SpanRecordOptions,
  unitField,
  unknownFields,
} from "./span_record.ts";
import type { RiskyText } from "./spans.ts";

/** How texts with spans are read. */
export interface SpanReadingOptions extends ReadingOptions, SpanRecordOptions {}

/** What each of {@linkcode SpanReadingOptions} may be. */
export const allowedSpanReading: AllowedOptions<SpanReadingOptions> = {
  offsets: oneOf(...offsetUnits),
  onNotice: callback,
  strict: flag,
  onMalformed: callback,
  onRead: callback,
};

/**
 * Reads texts with risky spans, one JSON object a line (or an array of them in a .json file), plain or compressed.
 *
 * A span is `[start, end]`, which is high risk, or `{"start", "end", "risk"}` with a risk of `"low"`, `"possible"`, `"high"`
 * (or 1, 2, 3); the end is exclusive. `"offsets"` says what they count, in a record, or in a first line that has no other
 * field and speaks for the whole file. A text without risk has `"spans": []`: a missing field may be a misspelt one, and
 * would train on the risk as if there were none.
 *
 * @throws {CannotError} naming file, line and field.
 *
 * @example
 * ```ts
 * import { readRiskyTexts } from "@slung/slung";
 *
 * const texts = await readRiskyTexts("stories.jsonl", { strict: true });
 * console.log(texts[0]?.text); // The old mill was run by Mira Toveld until winter.
 * ```
 */
export async function readRiskyTexts(
  path: string,
  options: SpanReadingOptions = {},
): Promise<RiskyText[]> {
  const texts = await Array.fromAsync(streamRiskyTexts(path, options));
  if (texts.length > 0) return texts;
  throw new CannotError(`read "${path}"`, "it holds no texts", "Give a file with one or more");
}

/** The same, one text after the other. */
export async function* streamRiskyTexts(
  path: string,
  options: SpanReadingOptions = {},
): AsyncGenerator<RiskyText> {
  checkOptions<SpanReadingOptions>("read texts", options, allowedSpanReading);
  let unit = options.offsets ?? "utf16";
  let first = true;
  let doubts = 0;
  const onNotice = (notice: string) => {
    if (++doubts <= mostDoubts) options.onNotice?.(notice);
  };
  const passedOver = new Map<string, string>(); // field -> where it stood first
  const read = (fields: Fields, where: string): RiskyText | undefined => {
    const onlyOffsets = first && isOffsetsLine(fields);
    first = false;
    if (onlyOffsets) {
      unit = unitField(fields, where);
      return undefined;
    }
    for (const name of unknownFields(fields, where)) {
      if (!passedOver.has(name)) passedOver.set(name, where);
    }
    return riskyText(fields, where, { ...options, offsets: unit, onNotice });
  };
  yield* readRecords(path, read, options);
  if (doubts > mostDoubts) {
    options.onNotice?.(`${doubts - mostDoubts} more spans of "${path}" cut a word or a character.`);
  }
  for (const [name, where] of passedOver) {
    options.onNotice?.(`The field "${name}" is passed over, first in ${where}.`);
  }
}

// Reported one by one: a file in another unit holds as many as it has lines, and the next notice would be missed.
const mostDoubts = 5;
