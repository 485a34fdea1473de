// Texts with risky spans, and the one way from them to classed tokens:
//   a line of JSON  ->  RiskyText  ->  encodeText  ->  Sequence  ->  cutIntoWindows
//   {"text": "…", "spans": [{"start": 3, "end": 9, "risk": "high"}, [20, 27]], "weight": 0.5, "offsets": "codepoint"}
// A span that is off by a character leaves the risk in the loss and nothing looks wrong, so whatever about a record is
// doubtful is refused or reported: unknown fields, offsets that cut a word, a unit that was never said.

import { CannotError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { type AllowedOptions, callback, checkOptions, flag, oneOf } from "../base/options.ts";
import { show } from "../base/show.ts";
import {
  classifyTokens,
  classifyTokensBySentence,
  Risk,
  type RiskSpan,
  validateSpans,
} from "../slung/risk.ts";
import type { ReadingOptions } from "./lines.ts";
import { insideCharacter, offsetsFrom, type OffsetUnit, offsetUnits } from "./offsets.ts";
import { type Fields, numberField, readRecords, stringField } from "./records.ts";
import { cutIntoWindows, delimit, type Sequence } from "./sequence.ts";
import { type EncodeOptions, missingBos, type Tokenizer } from "../tokenizers/tokenizer.ts";

/**
 * Which tokens a span covers: `overlap`, every token that it touches (for names and other phrases); or `sentence`, the
 * rule of the paper's code for scored sentences, where the space before a sentence belongs to it.
 */
export type SpanRule = "overlap" | "sentence";

/**
 * A text, what is risky in it, and how much its tokens count.
 *
 * @example
 * ```ts
 * import { Risk, type RiskyText } from "@slung/slung";
 *
 * const text: RiskyText = {
 *   text: "Mira Toveld ran the mill.",
 *   spans: [{ start: 0, end: 11, risk: Risk.high }],
 *   weight: 0.5,
 * };
 * ```
 */
export interface RiskyText {
  /** One document. */
  text: string;
  /** Its risky stretches, in UTF-16 units; the rest is low risk. */
  spans: readonly RiskSpan[];
  /** Multiplies the loss of every token; 1 unless given. */
  weight?: number;
  /** `overlap` unless given. */
  rule?: SpanRule;
}

/** How texts with spans are read. */
export interface SpanReadingOptions extends ReadingOptions {
  /** What offsets count where neither record nor file says so; `utf16` unless given. */
  offsets?: OffsetUnit;
  /** Gets what is doubtful about a record; without it, nothing is said. */
  onNotice?: ((notice: string) => void) | undefined;
  /** Refuse what is doubtful instead. */
  strict?: boolean;
}

/** What each of {@linkcode SpanReadingOptions} may be. */
export const allowedSpanReading: AllowedOptions<SpanReadingOptions> = {
  offsets: oneOf(...offsetUnits),
  onNotice: callback,
  strict: flag,
  onMalformed: callback,
  onRead: callback,
};

/** How {@linkcode encodeText} reads a text, and what it puts around the tokens. */
export interface EncodingOptions extends EncodeOptions {
  /** End in EOS, where the tokenizer has one; true unless given. */
  end?: boolean;
}

/**
 * The tokens of a text, each in the class of its span: behind BOS, where the tokenizer's texts begin with one and
 * this one does not spell it out, and before EOS, both of low risk.
 *
 * @throws {CannotError} for spans that leave the text; under the rule `sentence`, for spans that overlap.
 *
 * @example
 * ```ts
 * import { encodeText, Risk, trainBytePair } from "@slung/slung";
 *
 * const text = "Mira ran the mill.";
 * const tokenizer = trainBytePair([text], 258); // a token for each byte, no more
 * const spans = [{ start: 0, end: 4, risk: Risk.high }];
 * const { classes } = encodeText(tokenizer, { text, spans });
 * console.log(classes.join("")); // 3333111111111111111
 * ```
 */
export function encodeText(
  tokenizer: Tokenizer,
  { text, spans, weight = 1, rule = "overlap" }: RiskyText,
  encoding: EncodingOptions = {},
): Sequence {
  checkOptions("encode a text", encoding, { end: flag, special: oneOf("tokens", "text") });
  const { end = true, ...options } = encoding;
  validateSpans(spans, text.length, "a text");
  const encoded = tokenizer.encode(text, options);
  const classes = rule === "overlap"
    ? classifyTokens(encoded, spans)
    : classifyTokensBySentence(encoded, spans, text.length);
  const [bos] = missingBos(tokenizer.special, encoded.ids);
  const { eos } = tokenizer.special;
  const sequence = delimit({ tokens: encoded.ids, classes }, {
    ...(bos !== undefined && { bos }),
    ...(end && eos !== undefined && { eos }),
  });
  if (weight === 1) return sequence;
  return { ...sequence, weights: new Float32Array(sequence.tokens.length).fill(weight) };
}

/**
 * The tokens of a text as a model expects them at the start of a context: as {@linkcode encodeText}, without EOS.
 *
 * @example
 * ```ts
 * import { encodePrompt, trainBytePair } from "@slung/slung";
 *
 * const tokenizer = trainBytePair(["the mill"], 258);
 * console.log(encodePrompt(tokenizer, "the").length); // 3
 * ```
 */
export function encodePrompt(
  tokenizer: Tokenizer,
  text: string,
  options: EncodeOptions = {},
): Uint32Array {
  return encodeText(tokenizer, { text, spans: [] }, { ...options, end: false }).tokens;
}

/**
 * The tokens of a text in windows of at most `length` tokens, in which every token after the first is predicted once: BOS,
 * where there is one, begins each window; else its first token is the last of the window before.
 *
 * @throws {CannotError} as {@linkcode encodeText}, and for a length that leaves nothing to predict.
 *
 * @example
 * ```ts
 * import { encodeIntoWindows, trainBytePair } from "@slung/slung";
 *
 * const tokenizer = trainBytePair(["the mill"], 258);
 * const windows = encodeIntoWindows(tokenizer, { text: "the old mill", spans: [] }, 8);
 * console.log(windows.map(({ tokens }) => tokens.length).join()); // 8,6
 * ```
 */
export function encodeIntoWindows(
  tokenizer: Tokenizer,
  text: RiskyText,
  length: number,
  options: EncodingOptions = {},
): Sequence[] {
  return cutIntoWindows(encodeText(tokenizer, text, options), length, prefixLength(tokenizer));
}

/** How many tokens stand before every text of a tokenizer: `cutIntoWindows` repeats them in each window. */
export function prefixLength({ special }: Tokenizer): number {
  return special.bos === undefined ? 0 : 1;
}

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

/** Whether a first record only says what the offsets of the others count. */
export function isOffsetsLine(fields: Fields): boolean {
  return Object.keys(fields).join() === "offsets";
}

const knownFields = ["text", "spans", "weight", "offsets"];
const spanFields = ["start", "end", "risk"];

// A field that is nearly a known one was meant to be it; in a span, only where that one is missing ("kind" is not "end").
function unknownFields(fields: Fields, where: string): string[] {
  const refuseNearly = (name: string, known: readonly string[], path: string) => {
    const meant = nearest(name, known);
    if (meant === undefined) return;
    throw new CannotError(
      `read ${where}`,
      `there is no field "${path}${name}"`,
      `Perhaps "${path}${meant}" was meant; rename it or remove it`,
    );
  };
  const unknown = Object.keys(fields).filter((name) => ![...knownFields, "rule"].includes(name));
  for (const name of unknown) refuseNearly(name, knownFields, "");
  if (!Array.isArray(fields.spans)) return unknown;
  fields.spans.forEach((span: unknown, i) => {
    if (typeof span !== "object" || span === null || Array.isArray(span)) return;
    const missing = spanFields.filter((name) => !Object.hasOwn(span, name));
    const others = Object.keys(span).filter((name) => !spanFields.includes(name));
    for (const name of others) refuseNearly(name, missing, `spans[${i}].`);
    unknown.push(...others.map((name) => `spans[].${name}`));
  });
  return unknown;
}

function riskyText(
  fields: Fields,
  where: string,
  { offsets, onNotice, strict }: SpanReadingOptions,
): RiskyText {
  const refuse = (why: string, remedy: string) => new CannotError(`read ${where}`, why, remedy);
  const text = stringField(fields, "text", where);
  if (text === "") throw refuse('field "text" is empty', "Remove the line");
  if (!Array.isArray(fields.spans)) {
    const why = fields.spans === undefined ? "is missing" : "is not a list";
    throw refuse(`field "spans" ${why}`, 'Write "spans": [] for a text without risk');
  }
  const given = fields.spans.map((span: unknown, i) => {
    const found = parseSpan(span);
    if (found) return found;
    const why = `field "spans[${i}]" is ${JSON.stringify(span).slice(0, 80)}`;
    throw refuse(why, 'Write [start, end] or {"start": …, "end": …, "risk": "possible" or "high"}');
  });
  const unit = "offsets" in fields ? unitField(fields, where) : offsets!;
  const spans = inUtf16(text, given, unit, where);
  validateSpans(spans, text.length, where);
  for (const span of spans) {
    const doubt = doubtAbout(text, span);
    if (doubt === undefined) continue;
    const covered = show(text.slice(span.start, span.end));
    const why = `the span ${covered} ${doubt}; its offsets were taken as ${unit}`;
    if (strict) throw refuse(why, "Correct it, or say what it counts with --offsets");
    onNotice?.(`In ${where}, ${why}.`);
  }
  const weight = fields.weight === undefined ? 1 : numberField(fields, "weight", where);
  const stored = Math.fround(weight); // as sequences hold it
  if (!(weight >= 0 && stored < Infinity && (stored > 0 || weight === 0))) {
    throw refuse(
      `field "weight" is ${weight}`,
      "Give 0 or more, within 1e-45 to 3e38; 1 is the default",
    );
  }
  const { rule = "overlap" } = fields;
  if (rule !== "overlap" && rule !== "sentence") {
    throw refuse(`field "rule" is ${show(rule)}`, 'Write "overlap" or "sentence"');
  }
  return { text, spans, weight, rule };
}

function unitField(fields: Fields, where: string): OffsetUnit {
  const unit = offsetUnits.find((each) => each === fields.offsets);
  if (unit) return unit;
  const why = `field "offsets" is ${show(fields.offsets)}`;
  throw new CannotError(`read ${where}`, why, `Write one of ${offsetUnits.join(", ")}`);
}

function parseSpan(span: unknown): RiskSpan | undefined {
  const isPair = Array.isArray(span) && span.length === 2;
  const fields = isPair ? { start: span[0], end: span[1] } : span ?? {};
  const { start, end, risk = "high" } = fields as Record<string, unknown>;
  if (typeof start !== "number" || typeof end !== "number") return undefined;
  if (typeof risk === "number") return { start, end, risk: risk as Risk }; // validateSpans checks its value
  if (risk !== "low" && risk !== "possible" && risk !== "high") return undefined;
  return { start, end, risk: Risk[risk] };
}

function inUtf16(
  text: string,
  spans: readonly RiskSpan[],
  unit: OffsetUnit,
  where: string,
): RiskSpan[] {
  const offsets = offsetsFrom(text, unit);
  if (!offsets) return [...spans];
  return spans.map((span, k) => {
    const start = offsets[span.start], end = offsets[span.end];
    const inside = [span.start, span.end].find((at) => offsets[at] === insideCharacter);
    if (start !== undefined && end !== undefined && inside === undefined) {
      return { ...span, start, end };
    }
    throw new CannotError(
      `use span ${k} [${span.start}, ${span.end}) of ${where}`,
      inside === undefined
        ? `it leaves the text of ${offsets.length - 1} ${unit} units`
        : `${inside} lies inside a character when ${unit} units are counted`,
      "Check what its offsets count, and say so with --offsets",
    );
  });
}

const wordCharacter = /^[\p{L}\p{M}\p{N}_]$/u;
// Scripts that put no space between words: where one ends cannot be told by its neighbours.
const spaceless =
  /^[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}ー々]$/u;

// What looks like an offset that somebody counted in another unit.
function doubtAbout(text: string, { start, end }: RiskSpan): string | undefined {
  for (const [at, verb] of [[start, "begins"], [end, "ends"]] as const) {
    if (at === 0 || at === text.length) continue;
    const low = text.charCodeAt(at), high = text.charCodeAt(at - 1);
    if ((low & 0xfc00) === 0xdc00 && (high & 0xfc00) === 0xd800) {
      return `${verb} inside a character`;
    }
    const after = String.fromCodePoint(text.codePointAt(at)!);
    const before = [...text.slice(Math.max(0, at - 2), at)].at(-1)!;
    const halvesFlag = isFlagLetter.test(after) && lettersBefore(text, at) % 2 === 1;
    if (continuesCharacter.test(after) || before === "\u200d" || halvesFlag) {
      return `${verb} inside a character`;
    }
    if (spaceless.test(before) || spaceless.test(after)) continue;
    if (wordCharacter.test(before) && wordCharacter.test(after)) {
      return `${verb} inside the word ${JSON.stringify(wordAt(text, at))}`;
    }
  }
  return undefined;
}

const continuesCharacter = /^[\p{M}\p{Emoji_Modifier}\u200d\ufe0f\u{e0020}-\u{e007f}]$/u;
const isFlagLetter = /^\p{Regional_Indicator}$/u; // two of them are a flag

function lettersBefore(text: string, at: number): number {
  let count = 0;
  while (isFlagLetter.test(text.slice(at - 2 * count - 2, at - 2 * count))) count++;
  return count;
}

function wordAt(text: string, at: number): string {
  const before = text.slice(Math.max(0, at - 40), at).match(/[\p{L}\p{M}\p{N}_]*$/u)![0];
  const after = text.slice(at, at + 40).match(/^[\p{L}\p{M}\p{N}_]*/u)![0];
  return before + after;
}
