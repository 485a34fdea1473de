// One record of a text with risky spans, from the fields of its line of JSON:
//   {"text": "…", "spans": [{"start": 3, "end": 9, "risk": "high"}, [20, 27]], "weight": 0.5, "offsets": "codepoint"}
// A span that is off by a character leaves the risk in the loss and nothing looks wrong, so whatever about a record is
// doubtful is refused or reported: unknown fields, offsets that cut a word, a unit that was never said.

import { show } from "../base/show.ts";
import { CannotError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { Risk, type RiskSpan, validateSpans } from "../slung/risk.ts";
import { type Fields, numberField, stringField } from "./fields.ts";
import { insideCharacter, offsetsFrom, type OffsetUnit, offsetUnits } from "./offsets.ts";
import type { RiskyText } from "./spans.ts";

/** How one record with spans is read. */
export interface SpanRecordOptions {
  /** What offsets count where neither record nor file says so; `utf16` unless given. */
  offsets?: OffsetUnit;
  /** Gets what is doubtful about a record; without it, nothing is said. */
  onNotice?: ((notice: string) => void) | undefined;
  /** Refuse what is doubtful instead. */
  strict?: boolean;
}

/** Whether a first record only says what the offsets of the others count. */
export function isOffsetsLine(fields: Fields): boolean {
  return Object.keys(fields).join() === "offsets";
}

const knownFields = ["text", "spans", "weight", "offsets"];
const spanFields = ["start", "end", "risk"];

/**
 * The fields of a record that are passed over.
 *
 * @throws {CannotError} for one that is nearly a known field, and so was meant to be it; in a span, only where that one is
 * missing ("kind" is not "end").
 */
export function unknownFields(fields: Fields, where: string): string[] {
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
    for (const name of others) unknown.push(`spans[].${name}`);
  });
  return unknown;
}

/**
 * The text and spans of one record.
 *
 * @param where Names the record in errors, e.g. `"stories.jsonl" line 7`.
 * @throws {CannotError} naming it and the field that is missing, malformed or, where `strict`, doubtful.
 */
export function riskyText(
  fields: Fields,
  where: string,
  { offsets = "utf16", onNotice, strict }: SpanRecordOptions = {},
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
  const unit = "offsets" in fields ? unitField(fields, where) : offsets;
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

/** The unit that a record names. @throws {CannotError} for a unit that there is not. */
export function unitField(fields: Fields, where: string): OffsetUnit {
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
